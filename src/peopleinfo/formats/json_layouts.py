"""Layouts of JSON objects that describe people: FHIR, SCIM, and objects with a nested name or with their fields in a member."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from peopleinfo.bulk.rows import SkippedRow
from peopleinfo.formats import fhir_reader, headings, scim_reader

# Members with the fields of a record in responses of APIs: JSON:API, Strapi, HubSpot, Elasticsearch.
_WRAPPERS: Final = (
    "attributes", "properties", "_source", "fields", "person", "user", "contact", "member", "patient", "customer", "employee", "student",
    "node",
)  # fmt: skip
_MILLISECONDS: Final = re.compile(r"-?\d{1,13}", re.ASCII)
_TEXT_ROLES: Final = {"birthdate": "person_birthdate", "address": "person_address"}
_DATE_PARTS: Final = ("year", "month", "day")


def flattened(value: Any) -> Any:
    """Return the fields of a person in a known layout, or a SkippedRow; return any other value unchanged."""
    if not isinstance(value, dict):
        return value
    if fhir_reader.is_resource(value):
        return fhir_reader.person(value)
    if scim_reader.is_group(value):
        return SkippedRow("the SCIM group describes no person")
    if scim_reader.is_user(value):
        return _with_fields(_with_dates(scim_reader.person(value)))
    if any(type(member) is dict for member in value.values()):
        return _with_dates(_unwrapped(value))
    return value


def _with_fields(person: dict[str, Any]) -> dict[str, Any]:
    """Return a person whose birthdate and address, with usual names and as text, are fields."""
    fields: dict[str, str] = {}
    for name, value in person.items():
        found = headings.role(name) if isinstance(value, str) else None
        if found and (field := _TEXT_ROLES.get(found.name)) and field not in person:
            fields.setdefault(field, name)
    names = {name: field for field, name in fields.items()}
    return {names.get(name, name): value for name, value in person.items()}


def _with_dates(value: dict[str, Any]) -> dict[str, Any]:
    return {name: _date(name, member) if type(member) is dict else member for name, member in value.items()}


def _unwrapped(value: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a record that are in a member, with the other members, unless the record has a name without it.

    If another member has the name of a field and another value, its name gets a number, for example `id 2`.
    """
    if any((found := headings.role(name)) and found.name != "address" for name in value):
        return value
    for name in _WRAPPERS:
        inner = value.get(name)
        if isinstance(inner, dict):
            fields = flattened(inner)
            return (
                _joined(fields, {other: value[other] for other in value if other != name})
                if isinstance(fields, dict)
                else value
            )
    return value


def _joined(fields: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    joined = dict(fields)
    for name, member in others.items():
        if name not in fields or fields[name] != member:
            names = itertools.chain([name], (f"{name} {number}" for number in itertools.count(2)))
            joined[next(one for one in names if one not in joined)] = member
    return joined


def _date(name: str, value: dict[str, Any]) -> Any:
    """Return the text of a date of MongoDB, or of the parts of a birthdate; return any other object unchanged."""
    if value.keys() == {"$date"}:
        return _date_of_mongo(value["$date"]) or value
    found = headings.role(name)
    if found is None or found.name != "birthdate":
        return value
    if isinstance(value.get("date"), str):
        return value["date"]
    if value and value.keys() <= set(_DATE_PARTS):
        year, month, day = (_number(value.get(part)) for part in _DATE_PARTS)
        month = month or "0" * len(day)  # a day without its month is invalid
        return "-".join([year.zfill(4) if year else "-", *(part.zfill(2) for part in (month, day) if part)])
    return value


def _date_of_mongo(value: Any) -> str | None:
    """Return the day of a timestamp: a text, or a number of milliseconds since 1970."""
    if isinstance(value, dict) and value.keys() == {"$numberLong"}:
        value = value["$numberLong"]
    text = bytes(value).decode() if isinstance(value, msgspec.Raw) else value
    if not isinstance(text, str) or not _MILLISECONDS.fullmatch(text):
        return text if isinstance(text, str) else None
    return (datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(text))).date().isoformat()


def _number(value: Any) -> str:
    text = bytes(value).decode() if isinstance(value, msgspec.Raw) else value
    return text if isinstance(text, str) and text != "0" else ""
