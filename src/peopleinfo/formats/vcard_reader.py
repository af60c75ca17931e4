"""vCard 2.1, 3.0 and 4.0: read the cards of an address book as people."""

from __future__ import annotations

import io
import re
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec

from peopleinfo.bulk.rows import InvalidRow, Row, SkippedRow
from peopleinfo.errors import InvalidJson
from peopleinfo.formats.contact_fields import add, joined, set_name, typed_name
from peopleinfo.formats.rejects import reject_reasons
from peopleinfo.formats.vcard_syntax import (
    LABEL,
    UTF8,
    InvalidCard,
    escape,
    fold,
    properties,
    read_cards,
    split,
    split_list,
    unescape,
)
from peopleinfo.people import strict_json

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from peopleinfo.bulk.rows import RowResult
    from peopleinfo.formats.vcard_syntax import Card, Property

ID: Final = "X-PEOPLEINFO-ID"
VERSION: Final = "X-PEOPLEINFO-VERSION"
FIELDS: Final = "X-PEOPLEINFO-FIELDS"  # JSON of the fields that have no property
_REJECT_LINE: Final = "X-PEOPLEINFO-REJECT-LINE"
_REJECT_REASON: Final = "X-PEOPLEINFO-REJECT-REASON"
# Properties that describe the file, or that are read together with others.
_READ: Final = frozenset(("VERSION", "PRODID", "N", "FN", "ADR", LABEL, "X-ABADR", _REJECT_LINE, _REJECT_REASON))
_START: Final = re.compile(rb"(?:^|\r|\xef\xbb\xbf)BEGIN\s*:\s*VCARD\s*?(?:$|\r)", re.IGNORECASE | re.MULTILINE)
_UNKNOWN_YEARS: Final = (
    "1604-",
    "0001-",
)  # that programs write without a parameter, unless a card is an export of this service
_KINDS: Final = frozenset(("KIND", "X-ADDRESSBOOKSERVER-KIND"))

# Properties whose text is one custom field, or several with the types in their names.
TEXT_FIELDS: Final = {
    "NOTE": "note",
    "ORG": "organization",
    "TITLE": "title",
    "ROLE": "role",
    "NICKNAME": "nickname",
    "ANNIVERSARY": "anniversary",
    "GENDER": "gender",
}
TYPED_FIELDS: Final = {"TEL": "phone", "EMAIL": "email", "URL": "url", "IMPP": "impp"}


def is_vcard(start: bytes) -> bool:
    """Return whether the start of an input has the first line of a vCard."""
    return _START.search(start) is not None


def read(stream: IO[bytes], *, charset: str = UTF8, omitted: Counter[str] | None = None) -> Iterator[Row]:
    """Yield a row per card of a UTF-8 text. A damaged card is a rejected row.

    `charset` is the one of values in quoted-printable that do not name theirs. `omitted` counts the properties with binary data,
    which are not stored.
    """
    text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
    for card in read_cards(text):
        yield Row(card.line, _data(card, charset, omitted), "".join(card.lines).encode("utf-8", "surrogateescape"))


def _data(card: Card, charset: str, omitted: Counter[str] | None) -> dict[str, Any] | InvalidRow | SkippedRow:
    if card.problem:
        return InvalidRow(card.problem)
    try:
        content = properties(card, charset)
        if any(one.name in _KINDS and (one.value or "").strip().lower() == "group" for one in content):
            return SkippedRow("the card describes a group of people")
        if omitted is not None:
            omitted.update(one.name for one in content if one.value is None)
        return person(content)
    except InvalidCard as invalid:
        return InvalidRow(str(invalid))


class VcardRejects:
    """Writes rejected cards unchanged, with line number and reasons, for correction and another import."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def write(self, result: RowResult) -> None:
        """Write a rejected card."""
        source = result.row.raw if isinstance(result.row.raw, bytes) else b""
        card, end, rest = source.rstrip().rpartition(b"END:")
        notes = fold(f"{_REJECT_LINE}:{result.row.line}") + fold(f"{_REJECT_REASON}:{escape(reject_reasons(result))}")
        text = card + notes + end + rest if end else source.rstrip() + b"\r\n" + notes
        self._stream.write(text + b"\r\n")


def person(card: Sequence[Property]) -> dict[str, Any]:
    """Return the fields of a person. Properties with binary data, such as a picture, are not stored. Raises InvalidCard."""
    fields: dict[str, Any] = {}
    labels = {one.group: _label(one.value or "") for one in card if one.name == LABEL}
    typed = [one if one.group not in labels else one.relabelled(labels[one.group]) for one in card]
    _read_name(fields, {one.name: one.value for one in reversed(card) if one.value})
    _read_other_names(fields, card)
    _read_addresses(fields, [one for one in typed if one.name == "ADR"])
    for one in typed:
        if one.value and one.name not in _READ and one.value.strip(" ;"):
            _READERS.get(one.name, _read_other)(fields, one)
    if "person_id" not in fields and fields.get("person_birthdate", "")[:5] in _UNKNOWN_YEARS:
        fields["person_birthdate"] = f"--{fields['person_birthdate'][5:]}"
    if "person_id" in fields and fields.get("uid") == fields["person_id"]:
        del fields["uid"]
    return fields


def _read_name(fields: dict[str, Any], first: Mapping[str, str]) -> None:
    """Read the name from N, else from FN, ORG or NICKNAME."""
    family, given, additional, prefix, suffix, *others = [*map(_name_part, split(first.get("N", ""))), *[""] * 5]
    names = joined((given, additional))
    display = unescape(first.get("FN", ""))
    if not (family or names or display.strip()):
        display = _organization(first.get("ORG", "")) or unescape(first.get("NICKNAME", ""))
    complete = joined((prefix, names, family, suffix))
    set_name(fields, names, family, "" if (names or family) and display == complete else display)
    for name, value in (("name_prefix", prefix), ("name_suffix", suffix), ("name_parts", joined(others))):
        if value:
            add(fields, name, value)


def _read_other_names(fields: dict[str, Any], card: Sequence[Property]) -> None:
    """Keep the names after the first ones, for example those in another script."""
    for one in [one for one in card if one.name == "N" and one.value][1:]:
        family, given, *_ = [*map(_name_part, split(one.value or "")), ""]
        if text := joined((given, family)):
            add(fields, "other_name", text)
    for one in [one for one in card if one.name == "FN" and one.value][1:]:
        add(fields, "other_name", unescape(one.value or ""))


def _read_addresses(fields: dict[str, Any], addresses: Sequence[Property]) -> None:
    """Read the preferred, else the home, else the first address as the address of the person, and others as custom fields."""
    for one in sorted(addresses, key=lambda one: (not one.is_preferred, "home" not in one.types)):
        text = joined(map(unescape, split(one.value or "")), ", ") or "\n".join(one.parameters.get("LABEL", ()))
        if text and "person_address" not in fields:
            fields["person_address"] = text
        elif text:
            add(fields, typed_name("address", one.types), text)


def _read_birthdate(fields: dict[str, Any], one: Property) -> None:
    text = unescape(one.value or "").strip()
    omits_year = text[:4] in ("0000", *one.parameters.get("X-APPLE-OMIT-YEAR", ()))
    fields["person_birthdate"] = iso_date(text, omits_year=omits_year)


def _read_typed(fields: dict[str, Any], one: Property) -> None:
    value = unescape(one.value or "")
    value = value.removeprefix("tel:") if one.name == "TEL" else value
    add(fields, typed_name(TYPED_FIELDS[one.name], one.types), value, first=one.is_preferred)


def _read_text(fields: dict[str, Any], one: Property) -> None:
    add(fields, TEXT_FIELDS[one.name], unescape(one.value or ""))


def _read_organization(fields: dict[str, Any], one: Property) -> None:
    add(fields, TEXT_FIELDS[one.name], _organization(one.value or ""))


def _read_categories(fields: dict[str, Any], one: Property) -> None:
    fields.setdefault("categories", []).extend(map(unescape, split_list(one.value or "")))


def _read_id(fields: dict[str, Any], one: Property) -> None:
    fields["person_id"] = one.value


def _read_version(fields: dict[str, Any], one: Property) -> None:
    text = one.value or ""
    fields["version"] = msgspec.Raw(text.encode()) if re.fullmatch(r"[1-9][0-9]*", text, re.ASCII) else text


def _read_fields(fields: dict[str, Any], one: Property) -> None:
    try:
        values = strict_json.parse(unescape(one.value or "").encode())
    except InvalidJson as error:
        raise InvalidCard(f"has an invalid {FIELDS}: {error}") from None
    if not isinstance(values, dict):
        raise InvalidCard(f"has an invalid {FIELDS}: must be a JSON object")
    fields |= values


def _read_other(fields: dict[str, Any], one: Property) -> None:
    name = one.name.lower().replace("-", "_")
    add(fields, typed_name(name, one.parameters.get(LABEL, ())), unescape(one.value or ""))


_READERS: Final[dict[str, Callable[[dict[str, Any], Property], None]]] = {
    **dict.fromkeys(TYPED_FIELDS, _read_typed),
    **dict.fromkeys(TEXT_FIELDS, _read_text),
    "ORG": _read_organization,
    "BDAY": _read_birthdate,
    "CATEGORIES": _read_categories,
    ID: _read_id,
    VERSION: _read_version,
    FIELDS: _read_fields,
}


def _name_part(value: str) -> str:
    """Return a component of a name; several values in it are separated by commas."""
    return joined(map(unescape, split_list(value)))


def _organization(value: str) -> str:
    """Return the organization with its units."""
    return joined(map(unescape, split(value)), ", ")


def _label(value: str) -> str:
    """Return a label of Apple's address book, for example HomePage for _$!<HomePage>!$_."""
    return unescape(value).removeprefix("_$!<").removesuffix(">!$_")


def iso_date(text: str, *, omits_year: bool = False) -> str:
    """Return a date of vCard as ISO text, for example 1984-02-14 or --02-14. Return other text unchanged."""
    match = _DATE.fullmatch(text)
    if match is None:
        return text
    year, *month_and_day = match.groups()[:3] if match[1] else ("-", *match.groups()[3:])
    return "-".join(part for part in ("-" if omits_year and match[3] else year, *month_and_day) if part)


# RFC 6350, section 4.3.1. A time after the date is not part of a birthdate.
_DATE: Final = re.compile(
    r"(?:(\d{4})(?:-?(\d{2})(?:-?(\d{2}))?)?|--(\d{2})-?(\d{2}))(?:[T ].*)?", re.ASCII | re.DOTALL
)
