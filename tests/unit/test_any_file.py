"""Any bytes are read or rejected as an input: no other exception, and the account of rows adds up."""

from __future__ import annotations

import io
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peopleinfo.bulk.row_validation import validate
from peopleinfo.bulk.rows import InvalidRow, Row, SkippedRow
from peopleinfo.errors import InvalidInput
from peopleinfo.formats.column_mapping import ColumnMapping
from peopleinfo.formats.reader import read
from peopleinfo.formats.reader_warnings import warnings
from peopleinfo.people import strict_json
from tests.table_cases import CASES

if TYPE_CHECKING:
    from collections.abc import Callable

TODAY = date(2026, 11, 27)
ENCODINGS = (
    None,
    "utf-8",
    "utf-16",
    "utf-16-le",
    "utf-32",
    "cp1252",
    "shift_jis",
    "gb18030",
    "iso2022_jp",
    "utf-7",
    "koi8-r",
    "cp037",
)
MARKS = (b"", b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\x00\x00", b"\x1f\x8b", b"PK\x03\x04")  # fmt: skip
SEEDS = [case.content for case in CASES]
PIECES = ['"', ",", ";", "\t", "\n", "\r", "\r\n", " ", "Surname", "Name", "Birthday", "sep=;", "1/5/90", "x" * 300, "{", "[", "}", "]",
          '{"name":"A"}', "BEGIN:VCARD\n", "END:VCARD\n", "N:A;B\n", "dn: cn=a\nsn: a\n", "\0", "\ufeff", "ü", "姓", "\udcff"]  # fmt: skip


def check_any_file(content: bytes, **options: Any) -> None:
    """Read an input. Raises any exception but InvalidInput, and AssertionError for a wrong account."""
    mapping = ColumnMapping(options.pop("mapping", None), options.pop("date_formats", ()))
    try:
        source = read(io.BufferedReader(io.BytesIO(content)), mapping, **options)
        for row in source.rows:
            check_row(row)
    except InvalidInput:
        return
    assert isinstance(warnings(source, mapping.option), list)


def check_row(row: Row) -> None:
    """Check that a row is rejected, skipped, or a person whose JSON is readable."""
    assert row.line > 0
    if isinstance(row.data, SkippedRow):
        strict_json.encode(row.data.error)
        return
    person, errors = validate(row, TODAY)
    strict_json.encode(errors)
    assert (person is None) == bool(errors)
    if isinstance(row.data, InvalidRow):
        assert person is None
    elif person is not None:
        strict_json.parse(strict_json.encode(person.to_dict()))


def mutated(data: Callable[[Any], Any]) -> bytes:
    """Draw a damaged file of the cases."""
    content = bytearray(data(st.sampled_from(SEEDS)))
    for _ in range(data(st.integers(0, 8))):
        start = data(st.integers(0, len(content)))
        end = data(st.integers(start, min(len(content), start + 20)))
        content[start:end] = data(
            st.binary(max_size=4) | st.sampled_from([piece.encode(errors="surrogateescape") for piece in PIECES])
        )
    return bytes(content)


@given(st.binary(max_size=500), st.sampled_from(MARKS), st.sampled_from(ENCODINGS))
def test_any_bytes_are_read_or_rejected(content: bytes, mark: bytes, encoding: str | None) -> None:
    check_any_file(mark + content, encoding=encoding)


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join), st.sampled_from(ENCODINGS), st.booleans())
def test_any_pieces_are_read_or_rejected(text: str, encoding: str | None, is_declared: bool) -> None:
    content = text.encode(encoding or "utf-8", "replace") if encoding else text.encode(errors="surrogateescape")
    check_any_file(content, encoding=encoding if is_declared else None)


@pytest.mark.parametrize("card", [b"N;CHARSET=\xb9:A", b"N;X\x8b", b"N;ENCODING=QUOTED-PRINTABLE;CHARSET=\xb9:=FF"])
def test_reason_of_a_damaged_card_contains_no_invalid_bytes(card: bytes) -> None:
    check_any_file(b"BEGIN:VCARD\nVERSION:2.1\n" + card + b"\nEND:VCARD\n", encoding="utf-8")


def test_reason_of_a_skipped_part_contains_no_invalid_bytes() -> None:
    check_any_file(b'{"people": [{"person_name": "Ida"}], "\xff": 1}')


@given(st.data())
@settings(max_examples=300)
def test_damaged_files_are_read_or_rejected(data: st.DataObject) -> None:
    check_any_file(mutated(data.draw))


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "", " ", 'x"', "1\n2", "3\r\n4", "ü"]), min_size=2, max_size=2), max_size=20
    ),
    st.sampled_from(",;\t|"),
)
def test_every_row_of_a_table_is_accounted_for(rows: list[list[str]], delimiter: str) -> None:
    import csv

    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows([["Surname", "First name"], *rows])
    found = list(read(io.BufferedReader(io.BytesIO(text.getvalue().encode())), delimiter=delimiter).rows)
    assert [row.raw for row in found if not isinstance(row.data, SkippedRow)] == [
        row for row in rows if any(map(str.strip, row))
    ]
    assert sum(row.data.rows if isinstance(row.data, SkippedRow) else 1 for row in found) == len(rows)


@given(
    st.lists(st.sampled_from(["Harte,Ida", "Lund,Per", '"Fry","Cleo"', 'Gray,"Ann']), max_size=30),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_unclosed_quotes_cost_only_their_rows(lines: list[str], end: str) -> None:
    content = end.join(["Surname,First name", *lines, ""]).encode()
    found = list(read(io.BufferedReader(io.BytesIO(content))).rows)
    assert [isinstance(row.data, InvalidRow) for row in found] == [line.startswith("Gray") for line in lines]
