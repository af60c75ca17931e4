"""The review queue of possible duplicates, and the merges of a record."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from peopleinfo_client._json import decode
from peopleinfo_client.models import Evidence, Person, evidence_from_fields

if TYPE_CHECKING:
    from collections.abc import Mapping


class Pair(NamedTuple):
    """Two records that may be of one person. `state` is open, later or different; `by` is None before the first decision.

    `grade` is certain, probable or possible, and `relatives` the probability of two relatives. `evidence` holds no values.
    """

    pair: str
    version: int
    state: str
    grade: str
    score: float
    relatives: float
    evidence: list[Evidence]
    by: str | None
    at: datetime
    note: str
    people: list[Person]

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Parse the JSON of a pair."""
        return cls.from_fields(decode(text))

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Self:
        """Make a pair of its JSON fields."""
        values = {name: fields[name] for name in cls._fields}
        values |= {name: float(fields[name]) for name in ("score", "relatives")}
        values["evidence"] = evidence_from_fields(fields["evidence"])
        values["people"] = [Person.from_fields(person) for person in fields["people"]]
        return cls(**values | {"at": datetime.fromisoformat(fields["at"])})


class PairPage(NamedTuple):
    """A page of pairs; `next_cursor` is None on the last page."""

    pairs: list[Pair]
    next_cursor: str | None

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Parse the JSON of a page."""
        page = decode(text)
        return cls([Pair.from_fields(pair) for pair in page["duplicates"]], page["next_cursor"])


class VersionOfPerson(NamedTuple):
    """A record and the version that a merge created."""

    person_id: str
    version: int


class MergeSummary(NamedTuple):
    """A merge without values. `undone_at` is None while the merge is in effect."""

    merge_id: str
    survivor: VersionOfPerson
    merged: list[VersionOfPerson]
    at: datetime
    by: str | None
    undone_at: datetime | None
    undone_by: str | None

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Parse the JSON of a merge."""
        return cls.from_fields(decode(text))

    @classmethod
    def list_from_json(cls, text: bytes) -> list[Self]:
        """Parse the JSON of the merges of a person."""
        return [cls.from_fields(merge) for merge in decode(text)["merges"]]

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Self:
        """Make a merge of its JSON fields."""
        values = {name: fields[name] for name in cls._fields}
        values["survivor"] = VersionOfPerson(**fields["survivor"])
        values["merged"] = [VersionOfPerson(**record) for record in fields["merged"]]
        times = {name: datetime.fromisoformat(fields[name]) for name in ("at", "undone_at") if fields[name]}
        return cls(**values | times)
