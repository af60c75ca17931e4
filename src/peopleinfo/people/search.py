"""What may be asked for: whose surname, and what else must be true of the people found."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from peopleinfo.errors import FieldError, InvalidSearch
from peopleinfo.people import birthdate, strict_json
from peopleinfo.people.names import fold
from peopleinfo.people.person import MAX_NAME_LENGTH, decode_stored, normalize

if TYPE_CHECKING:
    from datetime import date

Match = Literal["folded", "exact"]


class Search(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The filters of a search; all of them must hold. Names are compared folded unless `match` is "exact"."""

    surname: str | None = None
    surname_prefix: str | None = None
    name: str | None = None
    born_from: str | None = None
    born_to: str | None = None
    match: Match = "folded"


class PersonFilter:
    """A checked search: which key leads to the people, and which of those are meant.

    `surname_key` or `prefix_key` is the folded surname to look up; both None: everyone. `refines` is False when whoever lies under the
    key is meant, so that `matches` need not be asked.
    """

    def __init__(self, search: Search) -> None:
        """Raise InvalidSearch with every reason."""
        errors: list[FieldError] = []
        surname, prefix, name = (
            _text_param(search, member, errors) for member in ("surname", "surname_prefix", "name")
        )
        first, last = _day(search, "born_from", errors), _day(search, "born_to", errors)
        if surname and prefix:
            errors.append(FieldError("surname_prefix", "cannot be combined with surname: give one of them"))
        if errors:
            raise InvalidSearch(errors)
        self.surname_key = fold(surname) if surname else None
        self.prefix_key = fold(prefix) if prefix else None
        self._exact = search.match == "exact"
        self._surname = surname if self._exact else None
        self._prefix = prefix if self._exact else None
        self._name = name
        self._name_key = fold(name) if name and not self._exact else None
        self._born = (first[0] if first else None, last[1] if last else None) if first or last else None
        self.needs_row_check = bool(self._exact or self._name or self._born)
        self._search = search

    @property
    def fingerprint(self) -> bytes:
        """Bytes that tell this search from every other one."""
        return strict_json.encode(self._search)

    def matches(self, body: bytes) -> bool:
        """Say whether the person with this JSON (of a `Record`) is meant, beyond having the right key."""
        person = decode_stored(_decode, body)
        return self._has_surname(person) and self._has_name(person) and self._was_born(person.person_birthdate)

    def _has_surname(self, person: _Compared) -> bool:
        surname = person.person_surname or person.person_name or ""
        if self._surname is not None:
            return surname == self._surname
        return self._prefix is None or surname.startswith(self._prefix)

    def _has_name(self, person: _Compared) -> bool:
        if self._name is None:
            return True
        name = person.person_name or ""
        return name == self._name if self._exact else fold(name) == self._name_key

    def _was_born(self, text: str | None) -> bool:
        """A partial birthdate is meant when any day it can stand for lies in the range; an unknown year never is."""
        if self._born is None:
            return True
        try:
            days = birthdate.date_range(text or "")
        except ValueError:  # whatever text came in through POST /data
            return False
        first, last = self._born
        return days is not None and (first is None or days[1] >= first) and (last is None or days[0] <= last)


class _Compared(msgspec.Struct):
    """The members that a search looks at; the others are skipped unread."""

    person_name: str | None = None
    person_surname: str | None = None
    person_birthdate: str | None = None


_SURROGATES: Final = re.compile("[\ud800-\udfff]")  # what undecodable bytes of a command line become
_decode = msgspec.json.Decoder(_Compared).decode


def _text_param(search: Search, member: str, errors: list[FieldError]) -> str | None:
    text: str | None = getattr(search, member)
    if text is None:
        return None
    text = normalize(text)
    if not text:
        errors.append(FieldError(member, "must not be empty"))
    elif len(text) > MAX_NAME_LENGTH:
        errors.append(FieldError(member, f"must not be longer than {MAX_NAME_LENGTH} characters"))
    elif _SURROGATES.search(text):
        errors.append(FieldError(member, "is not text"))
    return text


def _day(search: Search, member: str, errors: list[FieldError]) -> tuple[date, date] | None:
    """Return the first and the last day that a bound can mean."""
    text = _text_param(search, member, errors)
    if not text:
        return None
    try:
        days = birthdate.date_range(text)
    except ValueError as reason:
        errors.append(FieldError(member, str(reason)))
        return None
    if days is None:
        errors.append(FieldError(member, "needs a year"))
    return days
