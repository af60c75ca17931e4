"""Search: the parameters, their validation, and the comparison of a record with them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from peopleinfo.errors import FieldError, InvalidSearch
from peopleinfo.people import birthdate, strict_json
from peopleinfo.people.fields import MAX_NAME_LENGTH
from peopleinfo.people.folding import fold, outdated_fold
from peopleinfo.people.person import decode_stored, normalize

if TYPE_CHECKING:
    from datetime import date

Match = Literal["folded", "exact"]


class Search(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters of a search; a record must match all of them. Names are compared folded unless `match` is "exact"."""

    surname: str | None = None
    surname_prefix: str | None = None
    name: str | None = None
    born_from: str | None = None
    born_to: str | None = None
    match: Match = "folded"


class PersonFilter:
    """A validated search: an index key and a predicate.

    `surname_key` or `prefix_key` is the folded surname to query; if both are None, every record is a candidate.
    `needs_row_check` is False if every record under the key matches, so that callers can skip `matches`.
    """

    def __init__(self, search: Search) -> None:
        """Validate a search. Raises InvalidSearch with every error."""
        errors: list[FieldError] = []
        surname, prefix, name = (
            _text_param(search, parameter, errors) for parameter in ("surname", "surname_prefix", "name")
        )
        first, last = _date_param(search, "born_from", errors), _date_param(search, "born_to", errors)
        if surname and prefix:
            errors.append(FieldError("surname_prefix", "cannot be combined with surname: leave out one of them"))
        if errors:
            raise InvalidSearch(errors)
        self.surname_key = fold(surname) if surname else None
        self.prefix_key = fold(prefix) if prefix else None
        self._surname_text = surname or prefix or ""
        self._exact = search.match == "exact"
        self._surname = surname if self._exact else None
        self._prefix = prefix if self._exact else None
        self._name = name
        self._name_key = fold(name) if name and not self._exact else None
        self._born = (first[0] if first else None, last[1] if last else None) if first or last else None
        self.needs_row_check = bool(self._exact or self._name or self._born)
        self._search = search

    @property
    def outdated_key(self) -> str | None:
        """The surname key or prefix under the previous fold version, None if it is the same."""
        key = outdated_fold(self._surname_text)
        return None if key in (self.surname_key, self.prefix_key) or not key else key

    @property
    def fingerprint(self) -> bytes:
        """Bytes that are unique to this search."""
        return strict_json.encode(self._search)

    def matches(self, body: bytes) -> bool:
        """Return whether a record (the JSON of a `StoredPerson`) under the key matches the search. Raises StoreDamaged."""
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
        """Return whether a partial birthdate overlaps the range. A date without a year never does."""
        if self._born is None:
            return True
        try:
            days = birthdate.date_range(text or "")
        except ValueError:  # POST /data accepts any text
            return False
        first, last = self._born
        return days is not None and (first is None or days[1] >= first) and (last is None or days[0] <= last)


class _Compared(msgspec.Struct):
    """The fields that a search compares. The decoder skips all others."""

    person_name: str | None = None
    person_surname: str | None = None
    person_birthdate: str | None = None


_SURROGATES: Final = re.compile(
    "[\ud800-\udfff]"
)  # Python decodes invalid bytes of command-line arguments to surrogates
_decode = msgspec.json.Decoder(_Compared).decode


def _text_param(search: Search, parameter: str, errors: list[FieldError]) -> str | None:
    text: str | None = getattr(search, parameter)
    if text is None:
        return None
    text = normalize(text)
    if not text:
        errors.append(FieldError(parameter, "must not be empty"))
    elif len(text) > MAX_NAME_LENGTH:
        errors.append(FieldError(parameter, f"must not be longer than {MAX_NAME_LENGTH} characters"))
    elif _SURROGATES.search(text):
        errors.append(FieldError(parameter, "must be valid Unicode text"))
    return text


def _date_param(search: Search, parameter: str, errors: list[FieldError]) -> tuple[date, date] | None:
    """Return the first and last day of a bound, which may be a partial date."""
    text = _text_param(search, parameter, errors)
    if not text:
        return None
    try:
        days = birthdate.date_range(text)
    except ValueError as reason:
        errors.append(FieldError(parameter, str(reason)))
        return None
    if days is None:
        errors.append(FieldError(parameter, "must contain a year"))
    return days
