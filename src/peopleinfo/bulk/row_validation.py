"""Validation of the rows of an import, including records that an export of this service wrote."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from peopleinfo.bulk.rows import InvalidRow, as_cell, unused_name
from peopleinfo.errors import FieldError, InvalidPerson
from peopleinfo.people.fields import READ_ONLY_FIELDS
from peopleinfo.people.person import PersonData, is_id, normalize, parse_person

if TYPE_CHECKING:
    from datetime import date

    from peopleinfo.bulk.rows import Row

_VERSION: Final = re.compile(r"[1-9]\d{0,17}", re.ASCII)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_FORMATS: Final = {"version": _VERSION, "created_at": _TIME, "updated_at": _TIME}


def validate(row: Row, today: date) -> tuple[PersonData | None, tuple[FieldError, ...]]:
    """Return the person of a row, or None and every error."""
    data, current_birthdate = row.data, None
    if isinstance(data, InvalidRow):
        return None, (data.error,)
    if isinstance(data, dict) and not data.keys().isdisjoint(READ_ONLY_FIELDS):
        data, is_record = without_read_only_fields(data)
        # The birthdate of a record may come from POST /data, which accepts any text.
        birthdate = data.get("person_birthdate") if is_record else None
        current_birthdate = normalize(birthdate) if isinstance(birthdate, str) else None
    try:
        person = parse_person(data, today=today, current_birthdate=current_birthdate)
    except InvalidPerson as invalid:
        return None, (*row.errors, *invalid.errors)
    return (None, row.errors) if row.errors else (person, ())


def without_read_only_fields(data: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Remove the read-only fields of a record of this service; rename those of another system.

    Example: `person_id` 7 becomes `source_person_id`. The second value is true for a complete record of this service.
    """
    own = own_fields(data)
    kept = {name: value for name, value in data.items() if name not in READ_ONLY_FIELDS}
    for name in READ_ONLY_FIELDS:
        if name in data and name not in own:
            kept[unused_name(f"source_{name}", data)] = data[name]
    return kept, len(own) == len(READ_ONLY_FIELDS)


def own_fields(data: dict[str, Any]) -> dict[str, str]:
    """Return the read-only fields whose values this service can have written. They require the id of a record."""
    person_id = data.get("person_id")
    if not (isinstance(person_id, str) and is_id(person_id)):
        return {}
    texts = {name: as_cell(data[name]) for name in _FORMATS if name in data}
    return {"person_id": person_id} | {name: text for name, text in texts.items() if _FORMATS[name].fullmatch(text)}
