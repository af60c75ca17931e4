"""The record: what is known about a person, the rules it obeys, and its JSON.

`Details` is what people tell us (checked), `Person` is what the service answers: the details with an id, a version and two times.
The JSON of a person is made once, when it is stored, and sent as it is from then on.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import msgspec

from peopleinfo.errors import FieldError, InvalidJson, InvalidPerson, StoreDamaged
from peopleinfo.people import birthdate, strict_json
from peopleinfo.people.fields import FIELDS, READ_ONLY_FIELDS
from peopleinfo.people.names import fold

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date

T = TypeVar("T")

MAX_NAME_LENGTH: Final = 256  # code points; UTF-8 makes at most 1,024 bytes of them
MAX_ADDRESS_LENGTH: Final = 2_000  # code points; at most 8,000 bytes
MAX_RECORD_SIZE: Final = 64 * 1024  # bytes of the JSON of the details that one principal sees
MAX_STORED_SIZE: Final = (
    256 * 1024
)  # bytes of all details; more than RECORD_SIZE only if principals with different hidden members wrote them

NAME_FIELDS: Final = frozenset(("person_name", "person_surname"))
_FIELDS: Final = dict.fromkeys(FIELDS).keys()
_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)

# Around a text; the separators U+001C to U+001F count as control characters here, unlike in str.strip().
_BLANK: Final = (
    " \t\n\r\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000\ufeff"
)
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LINE_BREAKS: Final = re.compile("[\t\n\r\u2028\u2029]")


class PersonData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known about a person, checked. Absent members are None; `more` holds every other member as it was sent."""

    person_name: str | None = None
    person_surname: str | None = None
    person_birthdate: str | None = None
    person_address: str | None = None
    extra: dict[str, Any] = {}

    @property
    def surname_key(self) -> str:
        """The key by which the person is found: the folded surname, or the one name of a person who has but one."""
        return fold(self.person_surname or self.person_name or "")

    @property
    def size(self) -> int:
        """How many bytes the JSON has; 0 without further members, since the limits of the other four are far below RECORD_SIZE."""
        return len(strict_json.encode(self.to_dict())) if self.extra else 0

    def to_dict(self) -> dict[str, Any]:
        """Return the members as the JSON object has them, in its order."""
        values = (self.person_name, self.person_surname, self.person_birthdate, self.person_address)
        own = {name: value for name, value in zip(FIELDS, values, strict=True) if value is not None}
        return own | self.extra if self.extra else own


class StoredPerson(NamedTuple):
    """A person as the store gives it back: `body` is the JSON that is sent, made when the person was stored."""

    person_id: str
    version: int
    body: bytes


class PersonHeader(msgspec.Struct, frozen=True):
    """What a store has to know of a person that it takes over from another one, read from the JSON of a `Record`."""

    person_id: str
    version: int
    created_at: str
    person_surname: str | None = None
    person_name: str | None = None

    @property
    def surname_key(self) -> str:
        """The key by which the person is found, as `Details` has it."""
        return fold(self.person_surname or self.person_name or "")

    @property
    def creation_time(self) -> datetime:
        """When the person was created."""
        return datetime.fromisoformat(self.created_at)


_outline: Final = msgspec.json.Decoder(PersonHeader).decode
_BEGINNING: Final = b'{"person_id":"'  # of every record, as `render` makes it


def decode_header(body: bytes) -> PersonHeader:
    """Return the outline of a stored record. Raises StoreDamaged."""
    return decode_stored(_outline, body)


def decode_stored(decode: Callable[[bytes], T], body: bytes) -> T:
    """Return what a decoder of msgspec makes of a stored record. Raises StoreDamaged when this service did not write it so."""
    try:
        return decode(body)
    except strict_json.DECODE_ERRORS as error:
        raise _damaged() from error


def check_stored(body: bytes, person_id: str = "") -> bytes:
    """Return a stored record that begins and ends as every record does, and is of this person. Raises StoreDamaged."""
    if not body.startswith(_BEGINNING + person_id.encode()) or body[-1:] != b"}":
        raise _damaged()
    return body


def decode_fields(body: bytes) -> dict[str, Any]:
    """Return the members of a stored record. Raises StoreDamaged."""
    try:
        members = strict_json.parse(body)
    except InvalidJson as error:
        raise _damaged() from error
    if not isinstance(members, dict):
        raise _damaged()
    return members


def _damaged() -> StoreDamaged:
    return StoreDamaged("a record in the store is not one that this service wrote")


def parse_person(
    data: Any,
    *,
    today: date,
    current_birthdate: str | None = None,
    read_only_values: Mapping[str, Any] | None = None,
    size_limit: int = MAX_RECORD_SIZE,
    require_name: bool = True,
) -> PersonData:
    """Check a JSON value (of `strictjson.parse`) by the rules of the record; `needs_name` is false where its names may be hidden.

    `known_birthdate` is accepted whatever its form: a birthdate that came in through `POST /data` may be any text, and stays when it is
    not changed. `server_members` are the values that the server has given to this person; they may be sent back but not changed.
    Raises InvalidPerson with every reason.
    """
    if not isinstance(data, dict):
        raise InvalidPerson([FieldError("", "must be a JSON object")])
    given = read_only_values or {}
    further = data.keys() - _FIELDS
    errors = [
        FieldError(f"/{member}", "is given by the server: leave it out")
        for member in READ_ONLY_FIELDS
        if member in further and data[member] != given.get(member)
    ]
    name = _text(data, "person_name", MAX_NAME_LENGTH, errors)
    surname = _text(data, "person_surname", MAX_NAME_LENGTH, errors)
    born = _text(data, "person_birthdate", MAX_NAME_LENGTH, errors)
    address = _text(data, "person_address", MAX_ADDRESS_LENGTH, errors, lines=True)
    if require_name and data.get("person_name") is None and data.get("person_surname") is None:
        errors.append(FieldError("", "needs person_name or person_surname: a person has at least one name"))
    if born is not None and born != current_birthdate:
        try:
            birthdate.check_not_future(born, today)
        except ValueError as reason:
            errors.append(FieldError("/person_birthdate", str(reason)))
    extra = {}
    if further:
        extra = {key: value for key, value in data.items() if key in further and key not in READ_ONLY_FIELDS}
    details = PersonData(
        person_name=name, person_surname=surname, person_birthdate=born, person_address=address, extra=extra
    )
    if not errors and details.size > size_limit:
        errors.append(FieldError("", f"is larger than {size_limit // 1024} KiB"))
    if errors:
        raise InvalidPerson(errors)
    return details


def parse_legacy_person(data: Any, *, today: date) -> PersonData:
    """Check what `POST /data` takes: all four members are required, and the birthdate may be any text.

    Raises InvalidPerson; `missing_members` tells which of the four are not there.
    """
    known = data.get("person_birthdate") if isinstance(data, dict) else None
    kept = normalize(known) if isinstance(known, str) else None
    return parse_person(data, today=today, current_birthdate=kept)


def missing_fields(data: Any) -> list[str]:
    """Return which of the four members of the seed's person are absent, empty or not strings."""
    members = data if isinstance(data, dict) else {}
    return [name for name in FIELDS if not (isinstance(text := members.get(name), str) and normalize(text))]


def normalize(text: str) -> str:
    """Return text as it is stored: NFC, without blanks around it."""
    return (text if text.isascii() else unicodedata.normalize("NFC", text)).strip(_BLANK)


def encode_person(
    person_id: str, version: int, details: PersonData, *, created_at: str, updated_at: str
) -> StoredPerson:
    """Make the record that is stored and sent. Times are RFC 3339 in UTC with milliseconds (`timestamp`)."""
    # Put together as text: this is done for everybody who is imported, and a dict of it all would cost twice as much.
    told = strict_json.encode(details.to_dict() if details.extra else details)[1:-1]
    given = person_id.encode(), b"," + told if told else b"", version, created_at.encode(), updated_at.encode()
    return StoredPerson(
        person_id, version, b'{"person_id":"%b"%b,"version":%d,"created_at":"%b","updated_at":"%b"}' % given
    )


def split_record(record: StoredPerson) -> tuple[PersonData, dict[str, Any]]:
    """Take a record apart: what people told us, and what the server added (`SERVER_MEMBERS`). Raises StoreDamaged."""
    members = decode_fields(record.body)
    if not members.keys() >= set(READ_ONLY_FIELDS):
        raise _damaged()
    given = {name: members.pop(name) for name in READ_ONLY_FIELDS}
    return person_data_from_fields(members), given


def person_data_from_fields(members: Mapping[str, Any]) -> PersonData:
    """Return the details whose members were checked before."""
    extra = dict(members)
    own = {name: extra.pop(name, None) for name in FIELDS}
    return PersonData(**own, extra=extra)


def timestamp(moment: datetime) -> str:
    """Return a moment as RFC 3339 in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(data: dict[str, Any], name: str, limit: int, errors: list[FieldError], *, lines: bool = False) -> str | None:
    value = data.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        kind = strict_json.TYPE_NAMES.get(type(value), "something else")
        errors.append(FieldError(f"/{name}", f"must be a string, not {kind}"))
        return None
    text = normalize(value)
    if not text:
        refusal = "must not be empty: leave it out when it is not known"
    elif len(text) > limit:
        refusal = f"must not be longer than {limit} characters"
    elif not (text.isascii() and text.isprintable()) and (
        _FORBIDDEN.search(value) or (not lines and _LINE_BREAKS.search(text))
    ):
        refusal = "must not hold control characters or direction overrides"
    else:
        return text
    errors.append(FieldError(f"/{name}", refusal))
    return None


def is_id(text: str) -> bool:
    """Say whether a text has the form of an id, of whichever deployment."""
    return _ID.fullmatch(text) is not None
