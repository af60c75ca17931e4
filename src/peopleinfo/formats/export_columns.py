"""The columns of exported tables, CSV and workbooks alike: the fields of every record, and the custom fields between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from peopleinfo.errors import InvalidInput
from peopleinfo.people.fields import FIELDS
from peopleinfo.people.person import decode_fields, decode_stored

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FIRST_COLUMNS: Final = ("person_id", *FIELDS)
LAST_COLUMNS: Final = ("version", "created_at", "updated_at")

_names = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def export_columns(custom_fields: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of a table, in their order."""
    return (*FIRST_COLUMNS, *custom_fields, *LAST_COLUMNS)


def table_fields(body: bytes, columns: frozenset[str]) -> dict[str, Any]:
    """Return the fields of a record. Raises InvalidInput for a field without a column: it was added after the columns were collected."""
    fields = decode_fields(body)
    if not fields.keys() <= columns:
        raise InvalidInput("a record with a new custom field was added during the export: run it again")
    return fields


def custom_field_names(people: Iterable[bytes]) -> dict[str, None]:
    """Return the names of the custom fields, in order of first occurrence."""
    return {
        name: None
        for body in people
        for name in decode_stored(_names, body)
        if name not in FIRST_COLUMNS and name not in LAST_COLUMNS
    }
