"""Tables as people have them become rows, and people become tables."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peopleinfo.bulk.importer import Row, RowResult
from peopleinfo.errors import FieldError, InvalidJson
from peopleinfo.formats.column_mapping import ColumnMapping, InvalidInput
from peopleinfo.formats.csv import CsvWriter, extra_fields
from peopleinfo.formats.reader import read
from peopleinfo.people import strict_json


def rows(text: str | bytes, columns: ColumnMapping | None = None, **how: Any) -> list[Row]:
    data = text if isinstance(text, bytes) else text.encode()
    return list(read(io.BufferedReader(io.BytesIO(data)), columns, **how).rows)


def people(text: str | bytes, columns: ColumnMapping | None = None, **how: Any) -> list[Any]:
    return [row.data for row in rows(text, columns, **how)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_in_the_header(delimiter: str) -> None:
    text = f"surname{delimiter}name\nMüller{delimiter}Anna\n"
    assert people(text) == [{"person_surname": "Müller", "person_name": "Anna"}]


def test_a_given_delimiter_is_taken() -> None:
    assert people("surname:a,b\nMüller:x\n", delimiter=":") == [{"person_surname": "Müller", "a,b": "x"}]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_byte_order_mark_says_the_encoding(encoding: str) -> None:
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
    assert people((mark + "surname\nMüller\n").encode(encoding)) == [{"person_surname": "Müller"}]


def test_an_encoding_may_be_named() -> None:
    assert people("surname\nMüller\n".encode("cp1252"), encoding="cp1252") == [{"person_surname": "Müller"}]


def test_an_unknown_encoding_is_refused_in_words() -> None:
    with pytest.raises(InvalidInput, match="unknown encoding 'klingon'"):
        rows("surname\n", encoding="klingon")


@pytest.mark.parametrize("lines", [0, 1, 3_000])
def test_a_text_that_ends_within_a_character_is_refused_with_its_line(lines: int) -> None:
    text = ("\ufeffsurname\n" + "A\n" * lines).encode("utf-16-le")
    with pytest.raises(InvalidInput, match=r"line \d+ or later: invalid utf-16"):
        rows(text + b"x")


@given(st.binary(max_size=200), st.sampled_from(["csv", "ndjson", "json"]))
def test_a_file_of_any_bytes_is_read_as_rows_or_refused(content: bytes, form: Any) -> None:
    try:
        found = rows(content, form=form)
    except InvalidInput:
        return
    assert all(isinstance(row, Row) for row in found)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_they_do_anywhere(end: str) -> None:
    assert people(f"surname{end}A{end}B{end}") == [{"person_surname": "A"}, {"person_surname": "B"}]


def test_a_quoted_newline_does_not_shift_line_numbers() -> None:
    found = rows('surname,address\nA,"1 Road\nTown"\nB,x\n')
    assert [(row.line, row.data.get("person_address")) for row in found] == [(2, "1 Road\nTown"), (4, "x")]


def test_blank_lines_and_rows_of_empty_cells_are_nobody() -> None:
    assert people("surname,name\n\nA,\n,\n\n") == [{"person_surname": "A"}]


def test_a_blank_after_each_delimiter_belongs_to_the_delimiter() -> None:
    assert people("surname, name, state\nneumann, , nsw\n") == [{"person_surname": "neumann", "state": "nsw"}]


def test_a_blank_cell_of_a_known_member_is_absent() -> None:
    assert people("surname,name,note\nA, , \n") == [{"person_surname": "A", "note": " "}]


@pytest.mark.parametrize(("line", "cells"), [("A", 1), ("A,b,c", 3)])
def test_a_row_that_is_not_as_wide_as_the_header_says_so(line: str, cells: int) -> None:
    (row,) = rows(f"surname,name\n{line}\n")
    assert isinstance(row.data, InvalidJson)
    assert str(row.data) == f"has {cells} cells, but the header has 2"


def test_bytes_that_are_no_text_spoil_their_row_alone() -> None:
    first, second = people(b"surname,name\nM\xfcller,x\nMeyer,y\n")
    assert isinstance(first, InvalidJson)
    assert second == {"person_surname": "Meyer", "person_name": "y"}


def test_a_quote_that_is_never_closed_spoils_no_memory_and_no_row_before_it() -> None:
    first, *others = people('surname,name\nA,b\nB,"c\n' + "x\n" * 10)
    assert first == {"person_surname": "A", "person_name": "b"}
    assert len(others) == 1


def test_row_that_goes_on_from_line_to_line_is_limited() -> None:
    never_ends = '"' + 'x\n","' * 400_000  # each cell is short, and each line ends within quotes
    first, second, *_ = people("surname,name\nA,b\n" + never_ends)
    assert first == {"person_surname": "A", "person_name": "b"}
    assert isinstance(second, InvalidJson)
    assert "1024 KiB" in str(second)


def test_long_cells_of_dates_are_not_remembered() -> None:
    columns = ColumnMapping(date_formats=["%d/%m/%Y"])
    tracemalloc.start()
    try:
        for number in range(1_000):
            read = columns.row_mapper(["surname", "dob"])(["a", f"{number:010000d}"])
            assert len(read["person_birthdate"]) == 10_000
        current, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert current < 1_000_000


@pytest.mark.parametrize(
    ("header", "member"),
    [
        ("Last Name", "person_surname"), ("family_name", "person_surname"), ("SURNAME", "person_surname"),
        ("First name", "person_name"), ("given-name", "person_name"), ("Name", "person_name"),
        ("Date of Birth", "person_birthdate"), ("dob", "person_birthdate"), ("Address", "person_address"),
    ],
)  # fmt: skip
def test_usual_names_of_columns_are_known(header: str, member: str) -> None:
    assert ColumnMapping().resolved([header]) == {member: (header,)}


def test_a_mapped_column_comes_before_a_usual_name() -> None:
    columns = ColumnMapping({"person_surname": "born as"})
    assert people("surname,born as\nA,B\n", columns) == [{"surname": "A", "person_surname": "B"}]


@pytest.mark.parametrize("source", ["street suburb", "street,suburb", " street , suburb "])
def test_several_columns_are_joined_by_blanks_and_empty_ones_left_out(source: str) -> None:
    columns = ColumnMapping({"person_address": source})
    text = "surname,street,suburb\nA,1 Road,Town\nB,,Town\nC,,\n"
    assert [person.get("person_address") for person in people(text, columns)] == ["1 Road Town", "Town", None]


def test_a_column_whose_name_has_blanks_may_be_mapped() -> None:
    assert people("Name of family\nA\n", ColumnMapping({"person_surname": "Name of family"})) == [
        {"person_surname": "A"}
    ]


@pytest.mark.parametrize(
    ("form", "text"), [("%Y%m%d", "19151111"), ("%d/%m/%Y", "11/11/1915"), ("%d %b %Y", "11 Nov 1915")]
)
def test_dates_are_read_as_they_are_written(form: str, text: str) -> None:
    columns = ColumnMapping(date_formats=["%d.%m.%Y", form])
    assert people(f"surname,dob\nA,{text}\n", columns)[0]["person_birthdate"] == "1915-11-11"


def test_a_date_of_another_form_is_left_to_the_rules_of_the_record() -> None:
    assert people("surname,dob\nA,1915\n", ColumnMapping(date_formats=["%Y%m%d"]))[0]["person_birthdate"] == "1915"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("", "the header is missing"),
        ("a,a,surname", "repeats a column \\('a'\\)"),
        ("a,b", "no column contains a name"),
    ],
)
def test_a_header_that_cannot_be_used_is_refused_in_words(header: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        rows(f"{header}\n1,2\n")


def test_a_mapped_column_that_is_not_there_is_refused_in_words() -> None:
    with pytest.raises(InvalidInput, match="column 'residence' for person_address does not exist"):
        rows("surname\nA\n", ColumnMapping({"person_address": "residence"}))


def test_rejects_can_be_mended_and_read_again() -> None:
    source = read(io.BufferedReader(io.BytesIO(b"surname;dob;note\nA;never;x\nB;2000;y;z\n")))
    file = io.BytesIO()
    rejects = source.rejects(file)
    for row in source.rows:
        rejects.write(RowResult(row, None, (FieldError("/person_birthdate", "is wrong"),)))
    text = file.getvalue().decode()
    assert text.splitlines() == [
        "surname;dob;note;reject_line;reject_reason",
        "A;never;x;2;person_birthdate is wrong",
        "B;2000;y;3;person_birthdate is wrong;z",
    ]
    mended = text.replace("never", "1990").replace("wrong;z", "wrong")
    assert people(mended) == [
        {"person_surname": "A", "person_birthdate": "1990", "note": "x"},
        {"person_surname": "B", "person_birthdate": "2000", "note": "y"},
    ]


def test_rejects_keep_bytes_that_are_no_text() -> None:
    source = read(io.BufferedReader(io.BytesIO(b"surname\nM\xfcller\n")))
    file = io.BytesIO()
    rejects = source.rejects(file)
    for row in source.rows:
        rejects.write(RowResult(row, None, (FieldError("", str(row.data)),)))
    assert b"M\xfcller" in file.getvalue()


texts = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\r"), min_size=1)


@given(st.lists(st.dictionaries(st.sampled_from(["a", "b", "c"]), texts, min_size=1), min_size=1))
def test_what_is_written_as_a_table_is_read_back_to_the_letter(members: list[dict[str, str]]) -> None:
    bodies = [strict_json.encode({"person_id": "i", "person_surname": "S", **more}) for more in members]
    writer = CsvWriter(tuple(extra_fields(bodies)))
    table = writer.header() + writer.rows(bodies)
    back = [{name: cell for name, cell in person.items() if name in "abc"} for person in people(table, delimiter=",")]
    assert back == members


def test_values_that_are_no_texts_stand_as_json_in_their_cells() -> None:
    body = b'{"person_id":"i","person_surname":"S","n":1.50,"o":{"a":[1,null]},"t":true}'
    writer = CsvWriter(("n", "o", "t"))
    (header, row) = csv.reader(io.StringIO((writer.header() + writer.rows([body])).decode()))
    cells = dict(zip(header, row, strict=True))
    assert (cells["n"], json.loads(cells["o"]), cells["t"]) == ("1.50", {"a": [1, None]}, "true")


def test_a_member_that_came_after_the_columns_were_collected_is_not_dropped_silently() -> None:
    with pytest.raises(InvalidInput, match="run it again"):
        CsvWriter(()).rows([b'{"person_id":"i","late":1}'])
