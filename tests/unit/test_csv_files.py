"""Import and export of CSV files."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peopleinfo.bulk.rows import InvalidRow, Row, RowResult, SkippedRow
from peopleinfo.errors import FieldError, InvalidInput
from peopleinfo.formats.birthdate_reader import UnreadableDate
from peopleinfo.formats.column_mapping import ColumnMapping, command_line_option, unique_names
from peopleinfo.formats.csv_writer import CsvWriter
from peopleinfo.formats.export_columns import custom_field_names
from peopleinfo.formats.reader import read
from peopleinfo.formats.reader_warnings import warnings
from peopleinfo.people import strict_json

if TYPE_CHECKING:
    from collections.abc import Iterable


def lazy_rows(text: str | bytes, columns: ColumnMapping | None = None, **options: Any) -> Iterable[Row]:
    data = text if isinstance(text, bytes) else text.encode()
    return read(io.BufferedReader(io.BytesIO(data)), columns, **options).rows


def rows(text: str | bytes, columns: ColumnMapping | None = None, **options: Any) -> list[Row]:
    return list(lazy_rows(text, columns, **options))


def people(text: str | bytes, columns: ColumnMapping | None = None, **options: Any) -> list[Any]:
    """Return the values of all rows but the skipped ones."""
    values = [row.data for row in rows(text, columns, **options)]
    return [value for value in values if not isinstance(value, SkippedRow)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_detected_in_the_header(delimiter: str) -> None:
    text = f"surname{delimiter}name\nMüller{delimiter}Anna\n"
    assert people(text) == [{"person_surname": "Müller", "person_name": "Anna"}]


def test_delimiter_option_is_used() -> None:
    assert people("surname:a,b\nMüller:x\n", delimiter=":") == [{"person_surname": "Müller", "a,b": "x"}]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encoding_is_detected_by_the_byte_order_mark(encoding: str) -> None:
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
    assert people((mark + "surname\nMüller\n").encode(encoding)) == [{"person_surname": "Müller"}]


def test_encoding_option_is_used() -> None:
    assert people("surname\nMüller\n".encode("cp1252"), encoding="cp1252") == [{"person_surname": "Müller"}]


def test_unknown_encoding_is_rejected_with_a_message() -> None:
    with pytest.raises(InvalidInput, match="unknown encoding 'klingon'"):
        rows("surname\n", encoding="klingon")


@pytest.mark.parametrize("lines", [0, 1, 3_000])
def test_truncated_character_costs_only_its_row(lines: int) -> None:
    text = ("\ufeffsurname\n" + "A\n" * lines).encode("utf-16-le")
    *others, last = rows(text + b"x")
    assert [row.data for row in others] == [{"person_surname": "A"}] * lines
    assert (last.line, last.data) == (lines + 2, InvalidRow("is not valid utf-16-le"))


@given(st.binary(max_size=200), st.sampled_from(["csv", "ndjson", "json"]))
def test_any_file_is_either_read_or_rejected(content: bytes, form: Any) -> None:
    try:
        found = rows(content, form=form)
    except InvalidInput:
        return
    assert all(isinstance(row, Row) for row in found)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_ending_is_supported(end: str) -> None:
    assert people(f"surname{end}A{end}B{end}") == [{"person_surname": "A"}, {"person_surname": "B"}]


def test_quoted_newline_does_not_shift_line_numbers() -> None:
    found = rows('surname,address\nA,"1 Road\nTown"\nB,x\n')
    assert [(row.line, row.data.get("person_address")) for row in found] == [(2, "1 Road\nTown"), (4, "x")]


def test_successive_blank_lines_and_empty_rows_are_reported_as_one_skipped_row() -> None:
    found = rows("surname,name\n\nA,\n,\n\n")
    assert [(row.line, row.data) for row in found] == [
        (2, SkippedRow("the row is blank")),
        (3, {"person_surname": "A"}),
        (4, SkippedRow("2 rows are blank", rows=2)),
    ]


def test_space_after_every_delimiter_is_ignored() -> None:
    assert people("surname, name, state\nneumann, , nsw\n") == [{"person_surname": "neumann", "state": "nsw"}]


def test_blank_cell_of_a_standard_field_is_omitted() -> None:
    assert people("surname,name,note\nA, , \n") == [{"person_surname": "A", "note": " "}]


def test_row_with_surplus_cells_is_rejected() -> None:
    (row,) = rows("surname,name\nA,b,c\n")
    assert row.data == InvalidRow("has 3 cells, but the header has 2")


def test_last_cells_of_a_short_row_are_empty() -> None:
    assert people("surname,name,note\nA\nB,b\n") == [
        {"person_surname": "A"},
        {"person_surname": "B", "person_name": "b"},
    ]


def test_undecodable_bytes_affect_only_their_row() -> None:
    first, second, third = people("surname,name\nMüller,x\n".encode() + b"J\xe4ger,y\nMeyer,z\n")
    assert (first["person_surname"], third["person_surname"]) == ("Müller", "Meyer")
    assert second == InvalidRow("is not valid UTF-8, the file may be cp1252: set --encoding cp1252")


def test_unclosed_quote_costs_only_its_row() -> None:
    first, damaged, *others = people('surname,name\nA,b\nB,"c\n' + "x\n" * 10)
    assert first == {"person_surname": "A", "person_name": "b"}
    assert damaged == InvalidRow("a quote opened in line 3 is not closed")
    assert others == [{"person_surname": "x"}] * 10


def test_row_across_many_lines_has_a_limited_size() -> None:
    never_ends = '"' + 'x\n","' * 400_000  # each cell is short, and each line ends within quotes
    first, second = islice(lazy_rows("surname,name\nA,b\n" + never_ends), 2)
    assert first.data == {"person_surname": "A", "person_name": "b"}
    assert isinstance(second.data, InvalidRow)
    assert "is not closed" in second.data.reason


def test_long_date_cells_are_not_cached() -> None:
    dates = ColumnMapping(date_formats=["%d/%m/%Y"]).dates()
    tracemalloc.start()
    try:
        for number in range(1_000):
            with pytest.raises(UnreadableDate, match="longer than"):
                dates.read(f"{number:010000d}")
        current, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert current < 1_000_000


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("Last Name", "person_surname"), ("family_name", "person_surname"), ("SURNAME", "person_surname"),
        ("First name", "person_name"), ("given-name", "person_name"),
        ("Date of Birth", "person_birthdate"), ("dob", "person_birthdate"), ("Address", "person_address"),
    ],
)  # fmt: skip
def test_common_column_names_are_recognised(header: str, field: str) -> None:
    assert ColumnMapping().columns([header]).sources == {field: (header,)}


def test_mapped_column_overrides_a_common_name() -> None:
    columns = ColumnMapping({"person_surname": "born as"})
    assert people("surname,born as\nA,B\n", columns) == [{"surname": "A", "person_surname": "B"}]


@pytest.mark.parametrize("source", ["street suburb", "street,suburb", " street , suburb "])
def test_columns_are_joined_by_spaces_without_empty_ones(source: str) -> None:
    columns = ColumnMapping({"person_address": source})
    text = "surname,street,suburb\nA,1 Road,Town\nB,,Town\nC,,\n"
    assert [person.get("person_address") for person in people(text, columns)] == ["1 Road Town", "Town", None]


def test_column_name_with_spaces_can_be_mapped() -> None:
    assert people("Name of family\nA\n", ColumnMapping({"person_surname": "Name of family"})) == [
        {"person_surname": "A"}
    ]


@pytest.mark.parametrize(
    ("form", "text"), [("%Y%m%d", "19151111"), ("%d/%m/%Y", "11/11/1915"), ("%d %b %Y", "11 Nov 1915")]
)
def test_dates_are_parsed_in_the_given_format(form: str, text: str) -> None:
    columns = ColumnMapping(date_formats=["%d.%m.%Y", form])
    assert people(f"surname,dob\nA,{text}\n", columns)[0]["person_birthdate"] == "1915-11-11"


def test_date_in_another_format_is_left_to_validation() -> None:
    assert people("surname,dob\nA,1915\n", ColumnMapping(date_formats=["%Y%m%d"]))[0]["person_birthdate"] == "1915"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("surname,surname", "more than one column 'surname' can be person_surname"),
        ("a,b", "no column contains a name"),
    ],
)
def test_invalid_header_is_rejected_with_a_message(header: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        rows(f"{header}\n1,2\n")


def test_mapping_of_a_missing_column_is_rejected_with_a_message() -> None:
    with pytest.raises(InvalidInput, match="column 'residence' for person_address does not exist"):
        rows("surname\nA\n", ColumnMapping({"person_address": "residence"}))


def test_rejected_rows_can_be_corrected_and_imported_again() -> None:
    source = read(io.BufferedReader(io.BytesIO(b"surname;dob;note\nA;never;x\nB;2000;y;z\n")))
    file = io.BytesIO()
    rejects = source.rejects(file)
    for row in source.rows:
        rejects.write(RowResult(row, "rejected", None, (FieldError("/person_birthdate", "is wrong"),)))
    text = file.getvalue().decode()
    assert text.splitlines() == [
        "surname;dob;note;reject_line;reject_reason",
        "A;never;x;2;person_birthdate is wrong",
        "B;2000;y;3;person_birthdate is wrong;z",
    ]
    corrected = text.replace("never", "1990").replace("wrong;z", "wrong")
    assert people(corrected) == [
        {"person_surname": "A", "person_birthdate": "1990", "note": "x"},
        {"person_surname": "B", "person_birthdate": "2000", "note": "y"},
    ]


def test_rejected_rows_keep_undecodable_bytes() -> None:
    source = read(io.BufferedReader(io.BytesIO("surname\nMüller\n".encode() + b"J\xe4ger\n")))
    file = io.BytesIO()
    rejects = source.rejects(file)
    _, row = source.rows
    rejects.write(RowResult(row, "rejected", None, (FieldError("", row.data.reason),)))
    assert b"J\xe4ger" in file.getvalue()


texts = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\r"), min_size=1)


@given(st.lists(st.dictionaries(st.sampled_from(["a", "b", "c"]), texts, min_size=1), min_size=1))
def test_exported_table_is_read_back_unchanged(members: list[dict[str, str]]) -> None:
    bodies = [strict_json.encode({"person_id": "i", "person_surname": "S", **more}) for more in members]
    writer = CsvWriter(tuple(custom_field_names(bodies)))
    table = writer.header() + writer.rows(bodies)
    back = [{name: cell for name, cell in person.items() if name in "abc"} for person in people(table, delimiter=",")]
    assert back == members


def test_other_values_than_strings_are_exported_as_json() -> None:
    body = b'{"person_id":"i","person_surname":"S","n":1.50,"o":{"a":[1,null]},"t":true}'
    writer = CsvWriter(("n", "o", "t"))
    (header, row) = csv.reader(io.StringIO((writer.header() + writer.rows([body])).decode()))
    cells = dict(zip(header, row, strict=True))
    assert (cells["n"], json.loads(cells["o"]), cells["t"]) == ("1.50", {"a": [1, None]}, "true")


def test_field_added_during_an_export_is_not_dropped_silently() -> None:
    with pytest.raises(InvalidInput, match="run it again"):
        CsvWriter(()).rows([b'{"person_id":"i","late":1}'])


def test_names_of_many_columns_take_linear_time() -> None:
    count = 50_000  # took hours before
    names = unique_names(["1"] * count + [f"1 {number}" for number in range(count)])
    assert len(set(names)) == 2 * count
    assert names[:3] == ["1", "1 2", "1 3"]


@pytest.mark.parametrize(
    ("name", "reason"), [("MÃ¼ller JÃ¶rg", "encoded twice"), ("M\ufffdller", "U+FFFD"), ("M&uuml;ller", "web page")]
)
def test_letters_that_another_program_has_damaged_are_reported(name: str, reason: str) -> None:
    source = read(io.BufferedReader(io.BytesIO(f"surname,name\n{name},A\n".encode())))
    assert any(reason in warning for warning in warnings(source, command_line_option))
