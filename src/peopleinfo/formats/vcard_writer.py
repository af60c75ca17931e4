"""Write people as vCard 4.0 or 3.0. Fields without a property are JSON in X-PEOPLEINFO-FIELDS, so that an import reads every value."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal

from peopleinfo.formats.contact_fields import is_other_display_name, joined, types_of
from peopleinfo.formats.vcard_reader import FIELDS, ID, TEXT_FIELDS, TYPED_FIELDS, VERSION
from peopleinfo.formats.vcard_syntax import escape, write_card
from peopleinfo.people import strict_json
from peopleinfo.people.fields import READ_ONLY_FIELDS
from peopleinfo.people.person import decode_fields

if TYPE_CHECKING:
    from collections.abc import Iterator

VcardVersion = Literal["4.0", "3.0"]

_PROPERTIES: Final = {field: name for name, field in TEXT_FIELDS.items()}
_TYPED_PROPERTIES: Final = {field: name for name, field in TYPED_FIELDS.items()}
_DATE: Final = re.compile(r"(\d{4})-\d{2}-\d{2}|--(\d{2})-(\d{2})|\d{4}(?:-\d{2})?", re.ASCII)


def write_vcard(body: bytes, version: VcardVersion = "4.0") -> bytes:
    """Return a stored record as a card."""
    fields = decode_fields(body)
    person_id, number, *_ = (fields.pop(name) for name in READ_ONLY_FIELDS)
    lines = [f"VERSION:{version}", f"{ID}:{person_id}", f"{VERSION}:{strict_json.encode(number).decode()}"]
    lines += [f"UID:{person_id}", *_name(fields), *_birthdate(fields, version), *_addresses(fields, version)]
    for field in list(fields):
        if values := _texts(fields[field]):
            properties = list(_custom_field(field, values, fields[field]))
            if properties:
                del fields[field]
                lines += properties
    if fields:
        lines.append(f"{FIELDS}:{escape(strict_json.encode(fields).decode())}")
    return write_card(lines)


def _name(fields: dict[str, Any]) -> Iterator[str]:
    """Take the fields of the name and yield N and FN."""
    given, family = fields.pop("person_name", ""), fields.pop("person_surname", "")
    affixes = {name: fields[name] for name in ("name_prefix", "name_suffix") if _is_stripped(fields.get(name))}
    prefix, suffix = affixes.get("name_prefix", ""), affixes.get("name_suffix", "")
    display = joined((prefix, given, family, suffix))
    for name in affixes:
        del fields[name]
    other: Any = fields.get("display_name")
    if _is_text(other) and other != display and (given or family) and is_other_display_name(other, given, family):
        display = fields.pop("display_name")
    yield "N:" + ";".join(map(escape, (family, given, "", prefix, suffix)))
    yield f"FN:{escape(display)}"


def _birthdate(fields: dict[str, Any], version: VcardVersion) -> Iterator[str]:
    """Take the birthdate and yield BDAY. vCard 3.0 has only complete dates, and Apple's notation without a year."""
    text = fields.get("person_birthdate", "")
    match = _DATE.fullmatch(text)
    if match is None:
        return
    year, bare_month, bare_day = match.groups()
    if version == "4.0":
        yield f"BDAY:{text.replace('-', '') if year else f'--{bare_month}{bare_day}' if bare_month else text}"
    elif year:
        yield f"BDAY:{text}"
    elif bare_month:
        yield f"BDAY;X-APPLE-OMIT-YEAR=1604:1604-{bare_month}-{bare_day}"
    else:
        return
    del fields["person_birthdate"]


def _addresses(fields: dict[str, Any], version: VcardVersion) -> Iterator[str]:
    """Take the address, with a mark as the preferred one, and the other addresses."""
    address = fields.get("person_address", "")
    if not _is_stripped(address):
        return
    del fields["person_address"]
    preferred = "ADR;PREF=1" if version == "4.0" else "ADR;TYPE=pref"
    yield f"{preferred}:;;{escape(address)};;;;"
    for field in list(fields):
        types = types_of(field, "address")
        values = _texts(fields[field])
        if types is not None and not _is_single(fields[field]) and values and all(map(_is_stripped, values)):
            del fields[field]
            for value in values:
                yield f"{_with_types('ADR', types)}:;;{escape(value)};;;;"


def _custom_field(field: str, values: list[str], value: Any) -> Iterator[str]:
    """Yield the properties of a field, or nothing if it has none."""
    prefix = field.partition("_")[0]
    types = types_of(field, prefix)
    if field == "categories" and isinstance(value, list):
        yield f"CATEGORIES:{','.join(map(escape, values))}"
    elif _is_single(value):
        return
    elif prefix in _TYPED_PROPERTIES and types is not None:
        name = _with_types(_TYPED_PROPERTIES[prefix], types)
        if not any(text.startswith("tel:") for text in values):
            yield from (f"{name}:{text if _is_plain(text) else escape(text)}" for text in values)
    elif field in _PROPERTIES and (field != "organization" or all(map(_is_stripped, values))):
        yield from (f"{_PROPERTIES[field]}:{escape(text)}" for text in values)


def _with_types(name: str, types: list[str]) -> str:
    return f"{name};TYPE={','.join(types)}" if types else name


def _texts(value: Any) -> list[str]:
    """Return the texts of a field that a card can hold; else nothing."""
    values = value if isinstance(value, list) else [value]
    return values if all(map(_is_text, values)) else []


def _is_single(value: Any) -> bool:
    """Return whether a list has one item: an import reads one property as a text."""
    return isinstance(value, list) and len(value) == 1


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip(" ;")) and "\r" not in value


def _is_stripped(value: Any) -> bool:
    return _is_text(value) and value == value.strip()


def _is_plain(text: str) -> bool:
    return "\\" not in text and "\n" not in text
