"""What comes back: people, pages of them, and what became of an import's rows."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Self

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

_EXACT: Final = (
    18  # digits of a whole number that is read as int; longer ones are read as Decimal, which also keeps them
)
_OWN: Final = ("person_name", "person_surname", "person_birthdate", "person_address")
encode: Final = msgspec.json.Encoder(decimal_format="number").encode
"""Makes JSON of what `Person.more` may hold."""


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A person as it is stored. `more` has every other member; numbers in it are int or Decimal, so that none is rounded."""

    person_id: str
    version: int
    created_at: datetime
    updated_at: datetime
    person_name: str | None = None
    person_surname: str | None = None
    person_birthdate: str | None = None
    person_address: str | None = None
    more: dict[str, Any] = {}

    def details(self) -> dict[str, Any]:
        """Return the members that are people's to change, as `replace` takes them."""
        own = {name: getattr(self, name) for name in _OWN}
        return {name: value for name, value in own.items() if value is not None} | self.more

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read a person's JSON."""
        return cls.from_members(read_json(text))

    @classmethod
    def from_members(cls, members: Mapping[str, Any]) -> Self:
        """Make a person of the members of its JSON."""
        rest = dict(members)
        given: dict[str, Any] = {name: rest.pop(name, None) for name in (*_OWN, "person_id", "version")}
        created_at, updated_at = (datetime.fromisoformat(rest.pop(name)) for name in ("created_at", "updated_at"))
        return cls(**given, created_at=created_at, updated_at=updated_at, more=rest)


class Page(NamedTuple):
    """Some of the people found, and the cursor of the next page: None when there are no more."""

    people: list[Person]
    next_cursor: str | None


class ImportResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one row of an import (`line` counts from 1), or, as the last result ("done"), of the whole."""

    result: Literal["stored", "already", "rejected", "done"]
    line: int | None = None
    person_id: str | None = None
    errors: list[dict[str, str]] = []
    stored: int | None = None
    rejected: int | None = None


def read_page(text: bytes) -> Page:
    """Read a page's JSON."""
    members = read_json(text)
    return Page([Person.from_members(person) for person in members["people"]], members["next_cursor"])


def read_result(line: bytes) -> ImportResult:
    """Read a line of the answer to an import."""
    return msgspec.json.decode(line, type=ImportResult)


def read_json(text: bytes) -> Any:
    """Return the value of a JSON text with its numbers as they are."""
    return json.loads(text, parse_int=_whole, parse_float=Decimal)


def _whole(digits: str) -> int | Decimal:
    return int(digits) if len(digits) <= _EXACT else Decimal(digits)
