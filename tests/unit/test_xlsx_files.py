"""Import of workbooks (.xlsx)."""

from __future__ import annotations

import io
import re
import tracemalloc
import zipfile
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peopleinfo.bulk.rows import InvalidRow, Row
from peopleinfo.errors import InvalidInput
from peopleinfo.formats.reader import read
from peopleinfo.formats.xlsx_cells import number_text, parts_of
from peopleinfo.formats.xlsx_reader import Workbook, column_index
from tests.workbooks import archive, raw_workbook, workbook

if TYPE_CHECKING:
    from collections.abc import Iterator

MEGABYTE = 1024 * 1024
HEADER = ("Surname", "Born", "Note")
HEADER_XML = '<row r="1"><c r="A1" t="inlineStr"><is><t>Surname</t></is></c><c r="B1" t="inlineStr"><is><t>Note</t></is></c></row>'


def rows(data: bytes, **options: Any) -> list[Row]:
    return list(read(io.BufferedReader(io.BytesIO(data)), **options).rows)


def people(data: bytes, **options: Any) -> list[Any]:
    return [row.data for row in rows(data, **options)]


@contextmanager
def memory_below(limit: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


def cells(data: bytes) -> list[Any]:
    book = Workbook(io.BufferedReader(io.BytesIO(data)))
    return [row.cells for row in book.rows(book.sheets[0])]


def test_date_number_and_text_cells_keep_their_values() -> None:
    row = (
        "Harte",
        date(1990, 2, 11),
        "007",
        44,
        1.5,
        1.0,
        441234567890,
        True,
        datetime(1990, 2, 11, 8, 30, tzinfo=UTC),
    )
    expected = ["Harte", "1990-02-11", "007", "44", "1.5", "1", "441234567890", "true", "1990-02-11T08:30:00"]
    assert cells(workbook({"A": [row]}, remove_timezone=True)) == [expected]


@pytest.mark.parametrize("is_1904", [False, True])
def test_dates_are_read_in_both_date_systems(is_1904: bool) -> None:
    days = [date(1904, 1, 1), date(1984, 2, 29), date(2026, 1, 1)]
    data = workbook({"A": [days]}, date_1904=is_1904)
    assert cells(data) == [[day.isoformat() for day in days]]


@pytest.mark.parametrize(
    ("code", "day", "text"),
    [
        ("mmm yy", date(1990, 3, 1), "1990-03"),
        ("mmm yy", date(1990, 3, 7), "1990-03-07"),
        ("d-mmm", date(2026, 11, 5), "--11-05"),
        ("d mmm", date(1984, 11, 5), "1984-11-05"),
        ("yyyy", date(1990, 1, 1), "1990"),
        ("hh:mm", time(8, 30), "08:30:00"),
    ],
)
def test_parts_that_a_program_added_to_an_incomplete_date_are_not_read(code: str, day: date | time, text: str) -> None:
    assert cells(workbook({"A": [[day]]}, date_format=code)) == [[text]]


@pytest.mark.parametrize(
    ("code", "parts"),
    [
        ("General", ""),
        ("@", ""),
        ("0.00", ""),
        ("#,##0;[Red]-#,##0", ""),
        ("0.00E+00", ""),
        ('General "Stück"', ""),
        ('"day "0', ""),
        ("# ?/?", ""),
        ("dd/mm/yyyy;@", "ymd"),
        ("[$-409]d-mmm-yy;@", "ymd"),
        ('yyyy"年"m"月"d"日"', "ymd"),
        (r"[$-F800]dddd\,\ mmmm\ dd\,\ yyyy", "ymd"),
        ("m/d/yy h:mm", "ymdt"),
        ("mm:ss.0", "t"),
        ("[h]:mm:ss", "t"),
        ("h:mm AM/PM", "t"),
        ("00000", "00000"),
    ],
)
def test_number_format_shows_parts_of_a_date(code: str, parts: str) -> None:
    assert parts_of(code) == parts


@pytest.mark.parametrize(
    ("serial", "shown", "text"),
    [
        ("1", "ymd", "1900-01-01"),
        ("59", "ymd", "1900-02-28"),
        ("60", "ymd", "1900-02-29"),  # no such day: the record is rejected
        ("61", "ymd", "1900-03-01"),
        ("0", "ymd", "0000-00-00"),
        ("-1", "ymd", "-1"),
        ("99999999", "ymd", "99999999"),
        ("1E300", "", "1e+300"),
        ("1.1000000000000001", "", "1.1"),
        ("2.0", "", "2"),
        ("123", "00000", "00123"),
    ],
)
def test_number_becomes_text(serial: str, shown: str, text: str) -> None:
    assert number_text(serial, shown, is_1904=False) == text


def test_first_sheet_with_people_is_read() -> None:
    notes, people_sheet = [["Read me"], ["then go"]], [HEADER, ("Harte", "", "x")]
    data = workbook({"Notes": notes, "Empty": [], "Old": [HEADER, ("Lund",)], "People": people_sheet}, hidden="Old")
    assert people(data) == [{"person_surname": "Harte", "Note": "x"}]


def test_formulas_have_their_stored_values() -> None:
    data = raw_workbook(
        f'{HEADER_XML}<row r="2"><c r="A2" t="str"><f>UPPER("a")</f><v>HARTE</v></c><c r="B2"><f>1+1</f><v>2</v></c></row>'
    )
    assert people(data) == [{"person_surname": "HARTE", "Note": "2"}]


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ('<c r="B2" t="e"><v>#N/A</v></c>', "cell B2 contains the error #N/A"),
        ('<c r="B2" t="e"><f>x</f><v>secret</v></c>', "cell B2 contains the error of an unknown kind"),
        ('<c r="B2"><f>1+1</f></c>', "cell B2 contains a formula without a value"),
        ('<c r="B2" t="s"><v>5</v></c>', "cell B2 contains an invalid value"),
        ('<c r="B2"><v>x</v></c>', "cell B2 contains an invalid value"),
    ],
)
def test_unreadable_cell_rejects_its_row_only(cell: str, reason: str) -> None:
    def row(number: int, note: str) -> str:
        return f'<row r="{number}"><c r="A{number}" t="inlineStr"><is><t>Harte</t></is></c>{note}</row>'

    first, second = rows(raw_workbook(HEADER_XML + row(2, cell) + row(3, "")))
    assert isinstance(first.data, InvalidRow)
    assert first.data.reason.startswith(reason)
    assert (second.line, second.data) == (3, {"person_surname": "Harte"})


def test_shared_strings_may_be_rich_phonetic_and_escaped() -> None:
    strings = (
        "<si><r><t>Surn</t></r><r><rPr/><t>ame</t></r></si><si><t>Note</t></si><si/>"
        '<si><t>山田</t><rPh sb="0" eb="2"><t>ヤマダ</t></rPh></si><si><t xml:space="preserve"> a_x000A_b_x005F_x000A_ </t></si>'
    )
    sheet = '<row><c t="s"><v>0</v></c><c t="s"><v>1</v></c></row><row><c t="s"><v>3</v></c><c t="s"><v>4</v></c></row>'
    assert people(raw_workbook(sheet, strings=strings)) == [{"person_surname": "山田", "Note": " a\nb_x000A_ "}]


def test_empty_and_merged_cells_leave_the_others_in_their_columns() -> None:
    sheet = '<row r="3"><c r="A3"/><c r="C3"><v>1</v></c><c r="AB3" s="0"/></row><row r="7"/>'
    assert cells(raw_workbook(sheet)) == [["", "", "1"], []]


def test_cells_without_references_follow_the_cell_before() -> None:
    sheet = '<row><c r="A1"><v>1</v></c><c/><c><v>3</v></c><c s=""><v>4</v></c><c r="F1"/><c><v>7</v></c></row>'
    assert cells(raw_workbook(sheet)) == [["1", "", "3", "4", "", "", "7"]]


def test_text_in_the_cell_is_read_instead_of_its_value() -> None:
    sheet = '<row><c t="inlineStr"><v>1</v><is><t>a</t></is></c></row>'
    assert cells(raw_workbook(sheet)) == [["a"]]


def test_prefixed_elements_and_unusual_paths_are_read() -> None:
    data = workbook({"A": [HEADER, ("Harte",)]}, in_memory=True)
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        files = {name: source.read(name).decode() for name in source.namelist()}
    sheet = files.pop("xl/worksheets/sheet1.xml")
    files["xl/worksheets/Sheet1.xml"] = re.sub(r"<(/?)(?=\w)", r"<\1x:", sheet).replace("xmlns=", "xmlns:x=")
    relations = files["xl/_rels/workbook.xml.rels"]
    files["xl/_rels/workbook.xml.rels"] = relations.replace("worksheets/sheet1.xml", r"\xl\worksheets\sheet1.xml")
    assert people(archive(files)) == [{"person_surname": "Harte"}]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (archive({"word/document.xml": "x"}), "is a Word document"),
        (archive({"mimetype": "x", "content.xml": "x"}), "is an OpenDocument file"),
        (archive({"people.csv": "surname\nHarte\n"}), "is a ZIP archive: extract it"),
        (b"%PDF-1.7\nsurname", "is a PDF document"),
        (b"\x89PNG\r\n\x1a\n\0\0", "is an image"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "Workbook".encode("utf-16-le"), "is an Excel 97 workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "is an encrypted workbook"),
        (
            b'<?xml version="1.0"?>\n<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet">',
            "is an Excel 2003 XML",
        ),
        (b"\n<html><table><tr><td>Surname", "is an HTML page"),
        (b"BEGIN:VCALENDAR\r\n", "is a calendar"),
        (b"a\0\0b\1surname", "is a binary file"),
        (b"PK\x03\x04surname", "the workbook is damaged"),
        (workbook({"A": [HEADER]})[:-500], "the workbook is damaged"),
        (workbook({}), "the header is missing"),
        (
            raw_workbook("", parts={"xl/workbook.xml": '<?xml version="1.0" encoding="UT--8"?><a/>'}),
            "the workbook is damaged",
        ),
        (raw_workbook("<row><c>"), "the workbook is damaged in sheet 'A'"),
        (raw_workbook("", parts={"xl/worksheets/sheet1.xml": "<!DOCTYPE a><a/>"}), "document type definition"),
    ],
)
def test_file_without_readable_people_is_named(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(reason)):
        rows(data)


@pytest.mark.parametrize("form", ["csv", "ndjson", "json", "vcard"])
def test_workbook_is_read_under_the_name_of_another_format(form: str) -> None:
    assert people(workbook({"A": [HEADER, ("Harte",)]}), form=form) == [{"person_surname": "Harte"}]


def test_bomb_is_rejected_in_bounded_memory() -> None:
    bomb = raw_workbook("", parts={"xl/worksheets/sheet1.xml": "<worksheet><sheetData>" + " " * 100_000_000})
    with memory_below(16 * MEGABYTE), pytest.raises(InvalidInput, match="decompresses to more than"):
        rows(bomb)


def test_very_long_cell_is_rejected_in_bounded_memory() -> None:
    cell = '<row><c t="inlineStr"><is><t>' + "ab" * 1_000_000
    with pytest.raises(InvalidInput, match="a cell is longer than 256 KiB"):
        rows(raw_workbook(cell))


def test_memory_is_independent_of_the_number_of_rows() -> None:
    data = workbook({"A": [HEADER, *((f"Harte {number}", "", "x" * 50) for number in range(20_000))]})
    source = read(io.BufferedReader(io.BytesIO(data)))
    with memory_below(2 * MEGABYTE):
        assert sum(1 for _ in source.rows) == 20_000


@pytest.mark.parametrize(("letters", "index"), [("A", 0), ("Z", 25), ("AA", 26), ("XFD", 16_383)])
def test_letters_of_a_column_are_its_index(letters: str, index: int) -> None:
    assert column_index(letters) == index


@given(st.binary(max_size=300), st.integers(0, 2_000))
def test_damage_is_reported_as_invalid_input(noise: bytes, position: int) -> None:
    data = _SAMPLE[:position] + noise + _SAMPLE[position + len(noise) :]
    with suppress(InvalidInput):
        rows(data)


_SAMPLE = workbook({"A": [HEADER, ("Harte", date(1990, 2, 11), "x")]})
