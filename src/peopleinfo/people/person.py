"""The person record: its fields, its validation rules and its JSON encoding.

`PersonData` holds the validated fields that a client sets. `StoredPerson` is the complete record, with id, version and timestamps.
A record is encoded as JSON once, when it is stored; responses contain the stored bytes.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import msgspec

from peopleinfo.errors import FieldError, InvalidJson, InvalidPerson, StoreDamaged
from peopleinfo.people import birthdate, strict_json
from peopleinfo.people.fields import FIELD_TABLE, FIELDS, LEGACY_FIELDS, READ_ONLY_FIELDS, PersonFields
from peopleinfo.people.folding import fold, is_visible

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

T = TypeVar("T")

MAX_RECORD_SIZE: Final = 64 * 1024  # bytes of the JSON of the fields that one principal sees
# Bytes of the JSON of all fields. Exceeds MAX_RECORD_SIZE only if principals with different hidden fields wrote the record.
MAX_STORED_SIZE: Final = 256 * 1024

NAME_FIELDS: Final = frozenset(("person_name", "person_surname"))
_FIELDS: Final = FIELD_TABLE.keys()
_TEXTS: Final = [(name, field.max_length, field.is_multiline) for name, field in FIELD_TABLE.items()]
_DATES: Final = [name for name, field in FIELD_TABLE.items() if field.is_date]
_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)

# Stripped from both ends of a text. Unlike str.strip(), this excludes U+001C to U+001F, which are rejected as control characters.
_BLANK: Final = (
    " \t\n\r\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000\ufeff"
)
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LINE_BREAKS: Final = re.compile("[\t\n\r\u2028\u2029]")


class PersonData(PersonFields, frozen=True, kw_only=True, omit_defaults=True):
    """The validated fields of a person. An absent field is None; `extra` holds the custom fields as the client sent them."""

    extra: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def surname_key(self) -> str:
        """The key of a search by surname: the folded surname, or the name of a person without a surname."""
        return fold(self.person_surname or self.person_name or "")

    @property
    def size(self) -> int:
        """Size of the JSON in bytes; 0 without custom fields, since the standard fields cannot exceed MAX_RECORD_SIZE."""
        return len(strict_json.encode(self.to_dict())) if self.extra else 0

    def to_dict(self) -> dict[str, Any]:
        """Return the fields in the order of the JSON object."""
        standard = {name: value for name in FIELDS if (value := getattr(self, name)) is not None}
        return standard | self.extra if self.extra else standard


class StoredPerson(NamedTuple):
    """A record as a store returns it; `body` is its JSON, encoded when the record was stored."""

    person_id: str
    version: int
    body: bytes


class PersonHeader(msgspec.Struct, frozen=True):
    """The fields that a store needs to import a record of another store, decoded from the JSON of a `StoredPerson`."""

    person_id: str
    version: int
    created_at: str
    person_surname: str | None = None
    person_name: str | None = None

    @property
    def surname_key(self) -> str:
        """The key of a search by surname; see `PersonData.surname_key`."""
        return fold(self.person_surname or self.person_name or "")

    @property
    def creation_time(self) -> datetime:
        """The time at which the record was created."""
        return datetime.fromisoformat(self.created_at)


_decode_header: Final = msgspec.json.Decoder(PersonHeader).decode
RECORD_PREFIX: Final = b'{"person_id":"'  # of every record that `encode_person` returns
ID_END: Final = len(RECORD_PREFIX) + 33
"""Length of the prefix with the id and its closing quote."""


def decode_header(body: bytes) -> PersonHeader:
    """Return the header of a stored record. Raises StoreDamaged."""
    return decode_stored(_decode_header, body)


def decode_stored(decode: Callable[[bytes], T], body: bytes) -> T:
    """Decode a stored record with a msgspec decoder. Raises StoreDamaged if its JSON or a type is invalid."""
    try:
        return decode(body)
    except strict_json.DECODE_ERRORS as error:
        raise _damaged() from error


def check_stored(body: bytes, person_id: str = "") -> bytes:
    """Return a stored record after checking its first and last bytes and its id. Raises StoreDamaged."""
    if not body.startswith(RECORD_PREFIX + person_id.encode()) or body[-1:] != b"}":
        raise _damaged()
    return body


def check_all_stored(records: Sequence[StoredPerson]) -> None:
    """Check stored records like `check_stored`, all at once. Raises StoreDamaged."""
    starts = b"".join([record.body[:ID_END] for record in records])
    ends = b"".join([record.body[-1:] for record in records])
    expected = "".join([f'{{"person_id":"{record.person_id}"' for record in records]).encode()
    if starts != expected or ends != b"}" * len(records):
        raise _damaged()


def decode_fields(body: bytes) -> dict[str, Any]:
    """Return the fields of a stored record. Raises StoreDamaged."""
    try:
        fields = strict_json.parse(body)
    except InvalidJson as error:
        raise _damaged() from error
    if not isinstance(fields, dict):
        raise _damaged()
    return fields


def _damaged() -> StoreDamaged:
    return StoreDamaged("a record in the store has an invalid format")


def parse_person(
    data: Any,
    *,
    today: date,
    current_birthdate: str | None = None,
    read_only_values: Mapping[str, Any] | None = None,
    size_limit: int = MAX_RECORD_SIZE,
    require_name: bool = True,
) -> PersonData:
    """Validate a JSON value from `strict_json.parse` and return the fields of the person.

    `current_birthdate` is accepted in any format: `POST /data` accepts any text as a birthdate, and an update may repeat it unchanged.
    `read_only_values` are the values of the read-only fields; a client may send them back unchanged. `require_name` is false if
    the names may be hidden from the client. Raises InvalidPerson with every error.
    """
    if not isinstance(data, dict):
        raise InvalidPerson([FieldError("", "must be a JSON object")])
    errors: list[FieldError] = []
    values: dict[str, Any] = {}
    for name, limit, is_multiline in _TEXTS:
        value = data.get(name)
        if value is not None:
            values[name] = _text(name, value, limit, is_multiline, errors)
    if require_name and "person_name" not in values and "person_surname" not in values:
        errors.append(FieldError("", "must contain person_name or person_surname"))
    for name in _DATES:
        if (text := values.get(name)) is not None and text != current_birthdate:
            _check_date(name, text, today, errors)
    other_fields = data.keys() - _FIELDS
    if other_fields:
        _check_read_only(data, read_only_values or {}, errors)
        values["extra"] = {
            key: value for key, value in data.items() if key in other_fields and key not in READ_ONLY_FIELDS
        }
    person = PersonData(**values)
    if not errors and person.size > size_limit:
        errors.append(FieldError("", f"must not be larger than {size_limit // 1024} KiB"))
    if errors:
        raise InvalidPerson(errors)
    return person


def parse_legacy_person(data: Any, *, today: date) -> PersonData:
    """Validate a body of `POST /data`; its birthdate may be any text. Raises InvalidPerson.

    All four standard fields are required: see `missing_fields`.
    """
    born = data.get("person_birthdate") if isinstance(data, dict) else None
    return parse_person(data, today=today, current_birthdate=normalize(born) if isinstance(born, str) else None)


def missing_fields(data: Any) -> list[str]:
    """Return the standard fields that are absent, empty or not strings in a body of `POST /data`."""
    fields = data if isinstance(data, dict) else {}
    return [name for name in LEGACY_FIELDS if not (isinstance(text := fields.get(name), str) and normalize(text))]


def normalize(text: str) -> str:
    """Return the stored form of a text: NFC, without leading and trailing whitespace."""
    return (text if text.isascii() else unicodedata.normalize("NFC", text)).strip(_BLANK)


def encode_person(person_id: str, version: int, data: PersonData, *, created_at: str, updated_at: str) -> StoredPerson:
    """Encode a record. Timestamps are RFC 3339 in UTC with milliseconds, as `timestamp` returns them."""
    # Concatenated bytes: encoding one dict of all fields would double the cost of each imported row.
    fields = strict_json.encode(data.to_dict() if data.extra else data)[1:-1]
    values = person_id.encode(), b"," + fields if fields else b"", version, created_at.encode(), updated_at.encode()
    return StoredPerson(
        person_id, version, b'{"person_id":"%b"%b,"version":%d,"created_at":"%b","updated_at":"%b"}' % values
    )


def split_record(record: StoredPerson) -> tuple[PersonData, dict[str, Any]]:
    """Split a record into the fields of the client and the read-only fields. Raises StoreDamaged."""
    fields = decode_fields(record.body)
    if not fields.keys() >= set(READ_ONLY_FIELDS):
        raise _damaged()
    if not all(isinstance(fields.get(name), str | None) for name in FIELDS):
        raise _damaged()
    read_only = {name: fields.pop(name) for name in READ_ONLY_FIELDS}
    return person_data_from_fields(fields), read_only


def person_data_from_fields(fields: Mapping[str, Any]) -> PersonData:
    """Return the `PersonData` of validated fields."""
    extra = dict(fields)
    standard = {name: extra.pop(name, None) for name in FIELDS}
    return PersonData(**standard, extra=extra)


def timestamp(moment: datetime) -> str:
    """Return a time as RFC 3339 in UTC with milliseconds, for example `2026-11-24T09:00:00.000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _check_read_only(data: dict[str, Any], current: Mapping[str, Any], errors: list[FieldError]) -> None:
    errors += [
        FieldError(f"/{field}", "is set by the server: leave it out")
        for field in READ_ONLY_FIELDS
        if field in data and data[field] != current.get(field)
    ]


def _check_date(name: str, text: str, today: date, errors: list[FieldError]) -> None:
    try:
        birthdate.check_not_future(text, today)
    except ValueError as reason:
        errors.append(FieldError(f"/{name}", str(reason)))


def _text(name: str, value: object, limit: int, is_multiline: bool, errors: list[FieldError]) -> str | None:
    if not isinstance(value, str):
        kind = strict_json.TYPE_NAMES.get(type(value), "another type")
        errors.append(FieldError(f"/{name}", f"must be a string, not {kind}"))
        return None
    text = normalize(value)
    if not text:
        reason = "must not be empty: leave it out if unknown"
    elif len(text) > limit:
        reason = f"must not be longer than {limit} characters"
    elif not (text.isascii() and text.isprintable()) and (
        _FORBIDDEN.search(value) or (not is_multiline and _LINE_BREAKS.search(text))
    ):
        reason = "must not contain control characters or direction overrides"
    elif name in NAME_FIELDS and not (text.isascii() or is_visible(text)):
        reason = "must contain a visible letter, digit or sign"
    else:
        return text
    errors.append(FieldError(f"/{name}", reason))
    return None


def is_id(text: str) -> bool:
    """Return whether a text has the format of a person id, of this or another deployment."""
    return _ID.fullmatch(text) is not None


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)
