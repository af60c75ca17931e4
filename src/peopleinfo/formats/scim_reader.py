"""SCIM (RFC 7643): read the resource User, and other JSON objects with a nested name, as records."""

from __future__ import annotations

from typing import Any, Final

from peopleinfo.formats.contact_fields import add, joined, set_name, typed_name

_GIVEN: Final = ("givenName", "given", "first", "firstName", "given_name", "first_name")
_MIDDLE: Final = ("middleName", "middle", "middle_name")
_FAMILY: Final = ("familyName", "family", "last", "lastName", "family_name", "last_name", "surname")
_PREFIX: Final = ("honorificPrefix", "prefix", "title")
_SUFFIX: Final = ("honorificSuffix", "suffix")
_FORMATTED: Final = ("formatted", "display", "full")
_NAME_PARTS: Final = frozenset((*_GIVEN, *_MIDDLE, *_FAMILY, *_PREFIX, *_SUFFIX, *_FORMATTED))
_ADDRESS_PARTS: Final = ("streetAddress", "locality", "region", "postalCode", "country")
_LISTS: Final = {"emails": "email", "phoneNumbers": "phone", "ims": "impp"}
_ITEM_PARTS: Final = frozenset(("value", "type", "primary", "display"))
_SCHEMA: Final = "urn:ietf:params:scim:schemas:"


def is_user(value: dict[str, Any]) -> bool:
    """Return whether a JSON object is a SCIM user, or has its name as an object."""
    schemas = value.get("schemas")
    name = value.get("name")
    return (isinstance(schemas, list) and any(isinstance(one, str) and one.startswith(_SCHEMA) for one in schemas)) or (
        isinstance(name, dict) and not _NAME_PARTS.isdisjoint(name)
    )


def is_group(value: dict[str, Any]) -> bool:
    """Return whether a JSON object is a SCIM group."""
    schemas = value.get("schemas")
    return isinstance(schemas, list) and any(
        isinstance(one, str) and one.startswith(_SCHEMA) and one.endswith(":Group") for one in schemas
    )


def person(user: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a person. Attributes without a field remain as they are."""
    rest = dict(user)
    fields: dict[str, Any] = {}
    _read_name(fields, rest)
    for attribute, field in _LISTS.items():
        if isinstance(rest.get(attribute), list):
            _read_list(fields, rest, attribute, field)
    _read_addresses(fields, rest)
    return fields | {name: value for name, value in rest.items() if name not in fields}


def _read_name(fields: dict[str, Any], rest: dict[str, Any]) -> None:
    name = rest.get("name")
    parts = name if isinstance(name, dict) else {}
    given, family = joined((_first(parts, _GIVEN), _first(parts, _MIDDLE))), _first(parts, _FAMILY)
    display = _first(rest, ("displayName",)) or _first(parts, _FORMATTED)
    prefix, suffix = _first(parts, _PREFIX), _first(parts, _SUFFIX)
    if display == joined((prefix, given, family, suffix)):
        display = ""
    set_name(fields, given, family, display)
    fields |= {field: text for field, text in (("name_prefix", prefix), ("name_suffix", suffix)) if text}
    if parts.keys() <= _NAME_PARTS and all(isinstance(part, str) for part in parts.values()):
        rest.pop("name", None)
    if isinstance(rest.get("displayName"), str):
        del rest["displayName"]


def _read_list(fields: dict[str, Any], rest: dict[str, Any], attribute: str, field: str) -> None:
    """Read values with types. Those with other parts remain."""
    remaining = []
    for one in rest.pop(attribute):
        is_known = isinstance(one, dict) and one.keys() <= _ITEM_PARTS and isinstance(one.get("value"), str)
        if is_known and isinstance(one.get("type", ""), str):
            add(fields, typed_name(field, [one.get("type", "")]), one["value"], first=one.get("primary") is True)
        else:
            remaining.append(one)
    if remaining:
        rest[attribute] = remaining


def _read_addresses(fields: dict[str, Any], rest: dict[str, Any]) -> None:
    """Read the primary, else the home, else the first address. All addresses remain if there are several."""
    addresses = rest.get("addresses")
    if not (isinstance(addresses, list) and (found := [one for one in addresses if isinstance(one, dict)])):
        return
    address = min(found, key=lambda one: (one.get("primary") is not True, one.get("type") != "home"))
    text = joined((_first(address, (part,)) for part in _ADDRESS_PARTS), ", ") or _first(address, ("formatted",))
    if text:
        fields["person_address"] = text
    if len(found) == len(addresses) == 1 and address.keys() <= {*_ADDRESS_PARTS, "formatted", "type", "primary"}:
        del rest["addresses"]


def _first(parts: dict[str, Any], names: tuple[str, ...]) -> str:
    return next((text for name in names if isinstance(text := parts.get(name), str) and text.strip()), "")
