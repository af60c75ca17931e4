"""Write people as FHIR Patient. Fields without an element are JSON in an extension, so that an import reads every value."""

from __future__ import annotations

import re
from typing import Any, Final

from peopleinfo.formats.contact_fields import is_other_display_name, joined, types_of
from peopleinfo.formats.fhir_reader import ELEMENTS, PREFIX, RECORD
from peopleinfo.people import strict_json
from peopleinfo.people.fields import READ_ONLY_FIELDS
from peopleinfo.people.person import decode_fields

_DATE: Final = re.compile(r"\d{4}(?:-\d{2}(?:-\d{2})?)?", re.ASCII)
_GENDERS: Final = frozenset(("male", "female", "other", "unknown"))
_SYSTEMS: Final = frozenset(("phone", "email", "url"))
_USES: Final = {"": "", "home": "home", "work": "work", "temp": "temp", "old": "old", "cell": "mobile"}
_ELEMENT: Final = re.compile(r"_?[a-z][A-Za-z]{0,63}", re.ASCII)


def write_patient(body: bytes) -> bytes:
    """Return the JSON of a stored record as a Patient."""
    return strict_json.encode(patient_of(body))


def patient_of(body: bytes) -> dict[str, Any]:
    """Return a stored record as a Patient."""
    fields = decode_fields(body)
    person_id, version, _, updated_at = (fields.pop(name) for name in READ_ONLY_FIELDS)
    number = strict_json.encode(version).decode()
    patient: dict[str, Any] = {
        "resourceType": "Patient",
        "id": person_id,
        "meta": {"versionId": number, "lastUpdated": updated_at},
    }
    elements = {"name": _name(fields), "telecom": _telecom(fields), "gender": _gender(fields)}
    patient |= {name: value for name, value in elements.items() if value}
    if isinstance(fields.get("person_birthdate"), str) and _DATE.fullmatch(fields["person_birthdate"]):
        patient["birthDate"] = fields.pop("person_birthdate")
    patient |= _deceased(fields)
    if _is_text(fields.get("person_address")):
        patient["address"] = [{"text": fields.pop("person_address")}]
    for name in [name for name in fields if _is_element(name)]:
        patient[name.removeprefix(PREFIX)] = fields.pop(name)
    record = {"person_id": person_id, "version": version} | fields
    patient["extension"] = [{"url": RECORD, "valueString": strict_json.encode(record).decode()}]
    return patient


def _name(fields: dict[str, Any]) -> list[dict[str, Any]]:
    """Take the fields of the name and return the element."""
    name: dict[str, Any] = {"use": "official"}
    given, family = fields.get("person_name", ""), fields.get("person_surname", "")
    if family:
        name["family"] = fields.pop("person_surname")
    if given:
        words = given.split(" ")
        name["given"] = words if joined(words) == given and all(word.strip() == word for word in words) else [given]
        del fields["person_name"]
    for part in ("prefix", "suffix"):
        if _is_text(fields.get(f"name_{part}")):
            name[part] = [fields.pop(f"name_{part}")]
    display: Any = fields.get("display_name")
    parts = (*name.get("prefix", ()), given, family, *name.get("suffix", ()))
    has_name = bool(given or family)
    if _is_text(display) and has_name and display != joined(parts) and is_other_display_name(display, given, family):
        name["text"] = fields.pop("display_name")
    return [name] if len(name) > 1 else []


def _telecom(fields: dict[str, Any]) -> list[dict[str, str]]:
    """Take the telephone numbers, e-mail addresses and web addresses and return the element."""
    telecom = []
    for field in list(fields):
        system = field.partition("_")[0]
        types = types_of(field, system) if system in _SYSTEMS else None
        value = fields[field]
        values = value if isinstance(value, list) else [value]
        is_list_of_one = isinstance(value, list) and len(value) == 1
        if (
            types is None
            or "_".join(types) not in _USES
            or is_list_of_one
            or not values
            or not all(map(_is_text, values))
        ):
            continue
        del fields[field]
        use = _USES["_".join(types)]
        telecom += [{"system": system, "value": text} | ({"use": use} if use else {}) for text in values]
    return telecom


def _gender(fields: dict[str, Any]) -> str | None:
    gender = fields.get("gender")
    return fields.pop("gender") if isinstance(gender, str) and gender in _GENDERS else None


def _deceased(fields: dict[str, Any]) -> dict[str, Any]:
    deceased = fields.get("deceased")
    if isinstance(deceased, bool):
        return {"deceasedBoolean": fields.pop("deceased")}
    if isinstance(deceased, str) and _DATE.fullmatch(deceased):
        return {"deceasedDateTime": fields.pop("deceased")}
    return {}


def _is_element(name: str) -> bool:
    """Return whether a custom field is an element that an import kept."""
    element = name.removeprefix(PREFIX)
    return name.startswith(PREFIX) and element not in ELEMENTS and _ELEMENT.fullmatch(element) is not None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value == value.strip() != ""
