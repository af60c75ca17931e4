"""Import and export of vCard files."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given

from peopleinfo.formats.vcard import read
from peopleinfo.formats.vcard_writer import VcardVersion, write_vcard
from tests.unit.round_trips import importable, parsed, records


def cards(*contents: str) -> str:
    return "".join(f"BEGIN:VCARD\r\n{content}\r\nEND:VCARD\r\n" for content in contents)


def people(text: str | bytes, **options: Any) -> list[Any]:
    data = text if isinstance(text, bytes) else text.encode()
    return [row.data for row in read(io.BytesIO(data), **options)]


@pytest.mark.parametrize("version", ["4.0", "3.0"])
@given(body=records())
def test_import_reads_every_value_that_the_export_wrote(version: VcardVersion, body: bytes) -> None:
    (fields,) = people(write_vcard(body, version))
    assert parsed(fields) == importable(body)
