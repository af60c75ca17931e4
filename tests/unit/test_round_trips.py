"""Every format reads what it wrote, in every value that it can hold."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from peopleinfo.bulk.rows import cell_text
from peopleinfo.formats.csv_writer import CsvWriter
from peopleinfo.formats.export_columns import custom_field_names
from peopleinfo.formats.fhir_writer import write_patient
from peopleinfo.formats.reader import read
from peopleinfo.formats.vcard_writer import write_vcard
from peopleinfo.formats.xlsx_writer import XlsxWriter
from tests.unit.round_trips import importable, parsed, people_of_all_scripts, record_like_missing_values, records

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def people(data: bytes) -> list[Any]:
    rows = list(read(io.BufferedReader(io.BytesIO(data))).rows)
    assert not any(row.errors for row in rows)
    return [row.data for row in rows]


def csv_file(bodies: Sequence[bytes], *, for_excel: bool = False) -> bytes:
    writer = CsvWriter(tuple(custom_field_names(bodies)), for_excel=for_excel)
    return writer.header() + writer.rows(bodies)


def csv_for_excel(bodies: Sequence[bytes]) -> bytes:
    return csv_file(bodies, for_excel=True)


def workbook(bodies: Sequence[bytes]) -> bytes:
    with XlsxWriter(tuple(custom_field_names(bodies))) as writer:
        writer.write(bodies)
        return writer.finish().read()


def cards(bodies: Sequence[bytes]) -> bytes:
    return b"".join(map(write_vcard, bodies))


def cards_of_version_3(bodies: Sequence[bytes]) -> bytes:
    return b"".join(write_vcard(body, "3.0") for body in bodies)


def patients(bodies: Sequence[bytes]) -> bytes:
    return b"".join(write_patient(body) + b"\n" for body in bodies)


def bundle(bodies: Sequence[bytes]) -> bytes:
    entries = b",".join(b'{"resource":%b}' % write_patient(body) for body in bodies)
    return b'{"resourceType":"Bundle","type":"collection","entry":[%b]}' % entries


def as_cells(fields: dict[str, Any]) -> dict[str, str]:
    """Return the fields as a table holds them: as text, without empty ones."""
    return {name: text for name, value in fields.items() if (text := cell_text(value))}


@pytest.mark.parametrize("write", [cards, cards_of_version_3, patients, bundle])
@given(body=records())
def test_object_format_holds_every_value(write: Callable[[list[bytes]], bytes], body: bytes) -> None:
    assert list(map(parsed, people(write([body])))) == [importable(body)]


@pytest.mark.parametrize("write", [csv_file, csv_for_excel, workbook])
@given(bodies=st.lists(records(is_table=True), min_size=1, max_size=3))
@example(bodies=[record_like_missing_values()])
def test_table_holds_every_value_as_text(write: Callable[[list[bytes]], bytes], bodies: list[bytes]) -> None:
    found = [{name: text for name, text in fields.items() if text} for fields in people(write(bodies))]
    for fields in found:
        for name in ("created_at", "updated_at"):
            del fields[name]
    assert found == [as_cells(importable(body)) for body in bodies]


# The figures of the docs are those of ROUND_TRIP_PEOPLE=10000.
PEOPLE = int(os.environ.get("ROUND_TRIP_PEOPLE", "300"))


@pytest.mark.parametrize("write", [cards, cards_of_version_3, patients, bundle])
def test_object_format_holds_people_of_twenty_scripts(write: Callable[[list[bytes]], bytes]) -> None:
    bodies = people_of_all_scripts(PEOPLE)
    assert list(map(parsed, people(write(bodies)))) == list(map(importable, bodies))


@pytest.mark.parametrize("write", [csv_file, csv_for_excel, workbook])
def test_table_holds_people_of_twenty_scripts(write: Callable[[list[bytes]], bytes]) -> None:
    bodies = people_of_all_scripts(PEOPLE)
    times = {"created_at", "updated_at"}
    found = [{name: text for name, text in fields.items() if name not in times} for fields in people(write(bodies))]
    assert found == [as_cells(importable(body)) for body in bodies]
