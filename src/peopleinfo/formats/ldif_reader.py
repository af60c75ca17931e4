"""LDIF (RFC 2849): read the people of a directory or of Thunderbird's address book."""

from __future__ import annotations

import base64
import binascii
import io
import re
from typing import IO, TYPE_CHECKING, Any, Final

from peopleinfo.bulk.rows import InvalidRow, Row, SkippedRow
from peopleinfo.formats.contact_fields import add, joined, set_name
from peopleinfo.formats.rejects import reject_reasons
from peopleinfo.formats.vcard_reader import iso_date

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Iterator

    from peopleinfo.bulk.rows import RowResult

_MAX_RECORD_SIZE: Final = 1024 * 1024  # characters; larger than any record with a picture of usual size
_START: Final = re.compile(rb"(?:\xef\xbb\xbf)?(?:(?:#[^\n]*|version:[^\n]*|[ \t][^\n]*|\r?)\n)*dn:", re.IGNORECASE)
_COMPUTER: Final = re.compile("computer", re.IGNORECASE)
_PEOPLE: Final = re.compile(r"person|account|user|contact|mozillaab", re.IGNORECASE)
_FIELDS: Final = {
    "mail": "email",
    "mozillasecondemail": "email",
    "telephonenumber": "phone_work",
    "homephone": "phone_home",
    "mobile": "phone_cell",
    "cellphone": "phone_cell",
    "facsimiletelephonenumber": "phone_fax",
    "fax": "phone_fax",
    "pager": "phone_pager",
    "pagerphone": "phone_pager",
    "o": "organization",
    "company": "organization",
    "description": "note",
    "notes": "note",
    "mozillanickname": "nickname",
    "xmozillanickname": "nickname",
    "labeleduri": "url",
    "mozillahomeurl": "url_home",
    "homeurl": "url_home",
    "mozillaworkurl": "url_work",
    "workurl": "url_work",
}
_FAMILY: Final = ("sn", "surname")
_DISPLAY: Final = ("displayname", "cn", "commonname")
_BIRTHDATE: Final = ("birthyear", "birthmonth", "birthday")
_OTHER_BIRTHDATES: Final = ("dateofbirth", "schacdateofbirth", "birthdate")
_HOME: Final = tuple(
    f"mozillahome{part}" for part in ("street", "street2", "localityname", "state", "postalcode", "countryname")
)
_WORK: Final = ("street", "streetaddress", "mozillaworkstreet2", "l", "st", "postalcode", "c", "countryname", "co")
_POSTAL: Final = ("homepostaladdress", "postaladdress")
# Attributes of the result that ldapsearch writes below the entries.
_RESULT: Final = frozenset(("search", "result", "control", "matcheddn", "text", "ref"))
_CONTROL: Final = re.compile(r"[\0-\x08\x0e-\x1f]")
_SECRET: Final = re.compile(r".*password.*", re.IGNORECASE)

_Attributes = dict[str, list[str]]


class _InvalidRecord(ValueError):
    """A record that cannot be read; the message is the reason."""


def is_ldif(start: bytes) -> bool:
    """Return whether the start of an input is LDIF."""
    return _START.match(start) is not None


def read(stream: IO[bytes], *, omitted: Counter[str] | None = None) -> Iterator[Row]:
    """Yield a row per record. A damaged record is a rejected row. `omitted` counts passwords and binary data, which are not stored."""
    text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
    for line, lines in _records(text):
        yield Row(line, _data(lines, omitted), "".join(lines).encode("utf-8", "surrogateescape"))


class LdifRejects:
    """Writes rejected records unchanged, with line number and reasons as comments, for correction and another import."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def write(self, result: RowResult) -> None:
        """Write a rejected record."""
        source = result.row.raw if isinstance(result.row.raw, bytes) else b""
        reason = " ".join(reject_reasons(result).split())
        self._stream.write(
            f"# reject_line: {result.row.line}\n# reject_reason: {reason}\n".encode() + source.rstrip() + b"\n\n"
        )


def person(attributes: _Attributes) -> dict[str, Any]:
    """Return the fields of a person; attributes have lower-case names."""
    rest = dict(attributes)
    fields: dict[str, Any] = {}
    names = [value for name in _DISPLAY for value in rest.pop(name, [])]
    family = joined(value for name in _FAMILY for value in rest.pop(name, []))
    set_name(fields, joined(rest.pop("givenname", [])), family, names[0] if names else "")
    for name in names[1:]:
        if name != names[0]:
            add(fields, "display_name", name)
    _read_birthdate(fields, rest)
    _read_addresses(fields, rest)
    for name, values in rest.items():
        for value in values:
            if value.strip():
                add(fields, _FIELDS.get(name, name.replace("-", "_").replace(";", "_")), value)
    return fields


def _read_birthdate(fields: dict[str, Any], rest: _Attributes) -> None:
    """Read the birthdate from Thunderbird's three attributes, or from one attribute."""
    year, month, day = (joined(rest.pop(name, [])).lstrip("0") for name in _BIRTHDATE)
    parts = [year.zfill(4) if year else "-", month.zfill(2), day.zfill(2)]
    if month and day:
        fields["person_birthdate"] = "-".join(parts)
    elif year:
        fields["person_birthdate"] = "-".join(parts[: 2 if month else 1])
    elif month or day:
        add(fields, "birthmonth" if month else "birthday", month or day)
    for name in _OTHER_BIRTHDATES:
        if name in rest and "person_birthdate" not in fields:
            fields["person_birthdate"] = iso_date(joined(rest.pop(name)))


def _read_addresses(fields: dict[str, Any], rest: _Attributes) -> None:
    """Read the home address, else the work address, as the address of the person."""
    home, work = (joined((value for name in names for value in rest.pop(name, [])), ", ") for names in (_HOME, _WORK))
    postal = [value.replace("$", "\n") for name in _POSTAL for value in rest.pop(name, [])]
    first, *others = [text for text in (home, work, *postal) if text] or [""]
    if first:
        fields["person_address"] = first
    for text in others:
        add(fields, "address_work" if text == work else "address", text)


def _data(lines: list[str], omitted: Counter[str] | None) -> dict[str, Any] | InvalidRow | SkippedRow:
    if sum(map(len, lines)) > _MAX_RECORD_SIZE:
        return InvalidRow(f"is larger than {_MAX_RECORD_SIZE // 1024} KiB")
    try:
        attributes, others = _attributes(lines)
    except _InvalidRecord as invalid:
        return InvalidRow(str(invalid))
    attributes.pop("version", None)  # of LDIF
    if attributes.keys() <= _RESULT:
        return SkippedRow("the record is the result of a search" if attributes else "the record is empty")
    change = attributes.pop("changetype", ["add"])[0].strip().lower()
    if change != "add":
        return InvalidRow("describes a change of an entry, not a person")
    classes = attributes.get("objectclass", [])
    if any(map(_COMPUTER.fullmatch, classes)) or (classes and not any(map(_PEOPLE.search, classes))):
        return SkippedRow("the entry describes no person")
    if omitted is not None:
        omitted.update(others)
    return person(attributes)


def _attributes(lines: Iterable[str]) -> tuple[_Attributes, set[str]]:
    """Return the values of each attribute that is text, and the names of passwords and binary data. Raises _InvalidRecord."""
    attributes: _Attributes = {}
    others: set[str] = set()
    for line in _unfold(lines):
        name, colon, value = line.partition(":")
        if not colon or not re.fullmatch(r"[\w.;-]+", name, re.ASCII):
            raise _InvalidRecord("contains a line that is not an attribute with a colon after its name")
        text = _decode(name, value[1:]) if value.startswith(":") else value.lstrip(" ")
        if text is not None and not _SECRET.fullmatch(name):
            attributes.setdefault(name.lower(), []).append(text)
        else:
            others.add(name)
    return attributes, others


def _decode(name: str, value: str) -> str | None:
    """Return the text of a value in base64; None for binary data such as a picture."""
    try:
        text = base64.b64decode(value.strip(), validate=True).decode()
    except UnicodeDecodeError:
        return None
    except (binascii.Error, ValueError):
        raise _InvalidRecord(f"contains invalid base64 in {name}") from None
    return None if _CONTROL.search(text) else text


def _unfold(lines: Iterable[str]) -> Iterator[str]:
    current = ""
    for physical in lines:
        line = physical.rstrip("\r\n")
        if line[:1] == " ":
            current += line[1:]
            continue
        if current and not current.startswith("#"):
            yield _checked(current)
        current = line
    if current and not current.startswith("#"):
        yield _checked(current)


def _checked(line: str) -> str:
    try:
        line.encode()
    except UnicodeEncodeError:
        raise _InvalidRecord("is not valid UTF-8: set the encoding, for example cp1252") from None
    return line


def _records(text: io.TextIOWrapper) -> Iterator[tuple[int, list[str]]]:
    """Yield the first line number and the lines of each record, of a long record only the first."""
    lines: list[str] = []
    start = number = size = 0
    while line := text.readline(_MAX_RECORD_SIZE):
        number += 1
        if line.strip("\r\n"):
            start = start if lines else number
            size += len(line)
            if size <= 2 * _MAX_RECORD_SIZE:
                lines.append(line)
        elif lines:
            yield start, lines
            lines, size = [], 0
    if lines:
        yield start, lines
