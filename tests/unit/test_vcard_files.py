"""Import of vCard files."""

from __future__ import annotations

import io
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from peopleinfo.bulk.rows import InvalidRow
from peopleinfo.errors import InvalidInput
from peopleinfo.formats.column_mapping import command_line_option
from peopleinfo.formats.reader import read
from peopleinfo.formats.reader_warnings import warnings


def people(data: bytes, **options: Any) -> list[Any]:
    return [row.data for row in read(io.BufferedReader(io.BytesIO(data)), form="vcard", **options).rows]


def test_encoding_option_applies_to_text_and_to_quoted_printable() -> None:
    quoted = b"BEGIN:VCARD\r\nVERSION:2.1\r\nN;ENCODING=QUOTED-PRINTABLE:Iksi=F1ski;Piotr\r\nEND:VCARD\r\n"
    plain = b"BEGIN:VCARD\r\nVERSION:3.0\r\nN:Iksi\xf1ski;Piotr\r\nEND:VCARD\r\n"
    name = {"person_name": "Piotr", "person_surname": "Iksi\u0144ski"}
    assert people(quoted + plain, encoding="cp1250") == [name, name]
    (damaged,) = people(quoted)
    assert damaged == InvalidRow("is not valid utf-8 in N: set the encoding, for example cp1252")


def test_picture_without_a_colon_and_empty_parameters_are_read() -> None:
    card = b"BEGIN:VCARD\nN;CHARSET=:Harte;Ida\nNOTE;ENCODING=:x\nPHOTO;ENCODING=b\n AAAA\nEND:VCARD\n"
    (data,) = people(card)
    assert data == {"person_name": "Ida", "person_surname": "Harte", "note": "x"}


@given(st.binary(max_size=200))
def test_every_byte_is_in_a_row(noise: bytes) -> None:
    card = b"BEGIN:VCARD\r\nN:Harte;Ida\r\nNOTE:" + noise + b"\r\nEND:VCARD\r\n"
    try:
        rows = list(read(io.BufferedReader(io.BytesIO(card)), form="vcard", encoding="latin-1").rows)
    except InvalidInput:  # a binary file
        return
    assert sum(len(row.raw) for row in rows) >= len(card.strip())


def test_pictures_are_reported_as_not_stored() -> None:
    cards = b"BEGIN:VCARD\nN:Harte;Ida\nPHOTO;ENCODING=b:AAAA\nEND:VCARD\n" * 2
    source = read(io.BufferedReader(io.BytesIO(cards)))
    assert len(list(source.rows)) == 2
    assert warnings(source, command_line_option) == ["PHOTO of 2 cards is not stored: a record holds no binary data"]


def test_many_values_of_a_field_take_linear_time() -> None:
    lines = b"TEL:1\nTEL;PREF=1:2\nCATEGORIES:a,b\n" * 20_000  # took minutes before
    (data,) = people(b"BEGIN:VCARD\nVERSION:4.0\nFN:Ida\n" + lines + b"END:VCARD\n")
    assert data["phone"] == ["2"] * 20_000 + ["1"] * 20_000
    assert data["categories"] == ["a", "b"] * 20_000
