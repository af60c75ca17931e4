"""FHIR: read the resource Patient, and other resources of people, as records.

A record keeps the elements that have no field of their own as custom fields with the prefix `fhir_`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

from peopleinfo.bulk.rows import InvalidRow, SkippedRow
from peopleinfo.errors import InvalidJson
from peopleinfo.formats.contact_fields import add, joined, set_name, typed_name
from peopleinfo.people import strict_json

PREFIX: Final = "fhir_"
RECORD: Final = "urn:peopleinfo:record"  # extension: JSON of the fields that have no element
# Elements that `_read` handles. All others are custom fields.
ELEMENTS: Final = frozenset(
    [
        "resourceType",
        "id",
        "meta",
        "name",
        "birthDate",
        "address",
        "telecom",
        "gender",
        "extension",
        "deceasedBoolean",
        "deceasedDateTime",
    ]
)
_PEOPLE: Final = frozenset(("Patient", "Person", "Practitioner", "RelatedPerson"))
_NAME_PARTS: Final = frozenset(("use", "text", "family", "given", "prefix", "suffix"))
_ADDRESS_PARTS: Final = (
    "line",
    "city",
    "district",
    "state",
    "postalCode",
    "country",
)
_TELECOM_PARTS: Final = frozenset(("system", "value", "use", "rank"))
_TELECOM_FIELDS: Final = {
    "phone": "phone",
    "email": "email",
    "url": "url",
    "fax": "phone",
    "sms": "phone",
    "pager": "phone",
}
_NAME_USES: Final = ("official", "usual", None, "nickname", "anonymous", "temp", "maiden", "old")
_ADDRESS_USES: Final = ("home", None, "temp", "work", "billing", "old")
_RESOURCE_TYPE: Final = re.compile(r"[A-Za-z]{1,64}", re.ASCII)


def is_resource(value: dict[str, Any]) -> bool:
    """Return whether a JSON object is a FHIR resource."""
    return isinstance(value.get("resourceType"), str)


def is_request(entry: dict[str, Any]) -> bool:
    """Return whether an entry of a Bundle without a resource describes a request such as a deletion."""
    request = entry.get("request")
    return isinstance(request, dict) and "method" in request


def subject(entry: dict[str, Any]) -> str | None:
    """Return the resource that an entry of a Bundle is about, for example `Patient/1`."""
    resource, request = entry.get("resource"), entry.get("request")
    if isinstance(resource, dict):
        return f"{resource.get('resourceType')}/{resource['id']}" if isinstance(resource.get("id"), str) else None
    url = request.get("url") if isinstance(request, dict) else None
    return "/".join(url.split("/")[-2:]) if isinstance(url, str) else None


def person(resource: dict[str, Any]) -> dict[str, Any] | InvalidRow | SkippedRow:
    """Return the fields of a person, or the reason if the resource describes another subject."""
    kind = resource["resourceType"]
    if kind == "Bundle":
        return InvalidRow("is a FHIR Bundle within NDJSON: import the input as JSON")
    if kind not in _PEOPLE:
        name = f" {kind}" if _RESOURCE_TYPE.fullmatch(kind) else ""
        return SkippedRow(f"the FHIR resource{name} describes no person")
    rest = {name: value for name, value in resource.items() if name != "resourceType" or kind != "Patient"}
    own = _own_fields(rest)
    if own:
        for name in ("id", "meta"):
            rest.pop(name, None)
    fields: dict[str, Any] = {}
    _read_name(fields, rest)
    if isinstance(rest.get("birthDate"), str):
        fields["person_birthdate"] = rest.pop("birthDate")
    _read_address(fields, rest)
    _read_telecom(fields, rest)
    if "gender" in rest:
        fields["gender"] = rest.pop("gender")
    for name in ("deceasedBoolean", "deceasedDateTime"):
        if name in rest:
            add(fields, "deceased", rest.pop(name))
    return fields | {f"{PREFIX}{name}": value for name, value in rest.items()} | own


def _own_fields(rest: dict[str, Any]) -> dict[str, Any]:
    """Take the extension of an export from the elements, and return its fields."""
    extensions = rest.get("extension")
    for one in extensions if isinstance(extensions, list) else ():
        if isinstance(one, dict) and one.get("url") == RECORD and isinstance(one.get("valueString"), str):
            others = [other for other in rest.pop("extension") if other is not one]
            if others:
                rest["extension"] = others
            try:
                fields = strict_json.parse(one["valueString"].encode())
            except InvalidJson:
                return {"fhir_record": one["valueString"]}
            return fields if isinstance(fields, dict) else {"fhir_record": fields}
    return {}


def _read_name(fields: dict[str, Any], rest: dict[str, Any]) -> None:
    """Read the official name. All names remain if there are several, or if the name has other parts."""
    names = [name for name in _items(rest.get("name")) if isinstance(name, dict)]
    if not names:
        return
    name = min(names, key=lambda one: (_has_ended(one), _rank(one, _NAME_USES)))
    texts = {part: joined(_texts(name.get(part))) for part in _NAME_PARTS}
    display = name["text"] if isinstance(name.get("text"), str) else ""
    if display == joined(texts[part] for part in ("prefix", "given", "family", "suffix")):
        display = ""
    set_name(fields, texts["given"], texts["family"], display)
    for part in ("prefix", "suffix"):
        if texts[part]:
            fields[f"name_{part}"] = texts[part]
    if len(names) == 1 and name.keys() <= _NAME_PARTS:
        del rest["name"]


def _read_address(fields: dict[str, Any], rest: dict[str, Any]) -> None:
    """Read the home address. All addresses remain if there are several, or if the address has other parts."""
    addresses = [one for one in _items(rest.get("address")) if isinstance(one, dict)]
    if not addresses:
        return
    address = min(addresses, key=lambda one: (_has_ended(one), _rank(one, _ADDRESS_USES)))
    text = address.get("text")
    if not isinstance(text, str) or not text.strip():
        text = joined((item for part in _ADDRESS_PARTS for item in _texts(address.get(part))), ", ")
    if text:
        fields["person_address"] = text
    only_text = {"use", "type", "text"}
    if len(addresses) == 1 and (
        address.keys() <= only_text or address.keys() <= only_text - {"text"} | set(_ADDRESS_PARTS)
    ):
        del rest["address"]


def _read_telecom(fields: dict[str, Any], rest: dict[str, Any]) -> None:
    """Read telephone numbers, e-mail addresses and web addresses. Those with other parts remain."""
    remaining = []
    for one in _items(rest.pop("telecom", [])):
        is_known = isinstance(one, dict) and one.keys() <= _TELECOM_PARTS and _are_texts(one, "system", "value", "use")
        system = one.get("system") if is_known else None
        if system in _TELECOM_FIELDS and "value" in one:
            types = [one.get("use", ""), *([system] if system in ("fax", "sms", "pager") else [])]
            add(fields, typed_name(_TELECOM_FIELDS[system], types), one["value"], first=_is_first(one))
        else:
            remaining.append(one)
    if remaining:
        rest["telecom"] = remaining


def _is_first(one: dict[str, Any]) -> bool:
    return "rank" in one and strict_json.encode(one["rank"]) == b"1"


def _are_texts(element: dict[str, Any], *parts: str) -> bool:
    return all(isinstance(element[part], str) for part in parts if part in element)


def _has_ended(one: dict[str, Any]) -> bool:
    """Return whether the period of a name or of an address has ended."""
    period = one.get("period")
    end = period.get("end") if isinstance(period, dict) else None
    return isinstance(end, str) and end[:10] < datetime.now(UTC).date().isoformat()


def _rank(one: dict[str, Any], uses: tuple[str | None, ...]) -> int:
    use = one.get("use")
    return uses.index(use) if use in uses else len(uses)


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _texts(value: Any) -> list[str]:
    return [item for item in _items(value) if isinstance(item, str)]
