"""Data that the server returns: person records, pages of them, and results of imports."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol, Self, TypeVar

from peopleinfo_client._json import decode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FIELDS: Final = ("person_name", "person_surname", "person_birthdate", "person_address")


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """A person record as the server stores it.

    `extra` holds the custom fields. Each number in it is an `int` or a `Decimal`, so that no digit is lost.
    """

    person_id: str
    version: int
    created_at: datetime
    updated_at: datetime
    person_name: str | None = None
    person_surname: str | None = None
    person_birthdate: str | None = None
    person_address: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def data(self) -> dict[str, Any]:
        """Return the fields that a client may change, in the form that `replace` accepts."""
        standard = {name: getattr(self, name) for name in _FIELDS}
        return {name: value for name, value in standard.items() if value is not None} | self.extra

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Parse the JSON of a person record."""
        return cls.from_fields(decode(text))

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Self:
        """Make a person record of its JSON fields."""
        extra = dict(fields)
        known: dict[str, Any] = {name: extra.pop(name, None) for name in (*_FIELDS, "person_id", "version")}
        created_at, updated_at = (datetime.fromisoformat(extra.pop(name)) for name in ("created_at", "updated_at"))
        return cls(**known, created_at=created_at, updated_at=updated_at, extra=extra)


class _Page(Protocol):
    """A page of any list."""

    @property
    def next_cursor(self) -> str | None:
        """The position of the next page, None on the last page."""


AnyPage = TypeVar("AnyPage", bound=_Page)


class Page(NamedTuple):
    """A page of search results; `next_cursor` is None on the last page."""

    people: list[Person]
    next_cursor: str | None

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Parse the JSON of a page."""
        page = decode(text)
        return cls([Person.from_fields(person) for person in page["people"]], page["next_cursor"])


class Count(NamedTuple):
    """The number of people. Without `exact`, `people` is an estimate, or with a filter the number of people found so far."""

    people: int
    exact: bool

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Parse the JSON of a count."""
        found = decode(text)
        return cls(found["count"], found["exact"])


class Evidence(NamedTuple):
    """The evidence of one field that two records are of one person, in bits; it holds no values."""

    field: str
    agreement: str
    bits: float
    against_relatives: float
    because: str


class Candidate(NamedTuple):
    """A stored person that may be the same. `grade` is certain, probable or possible, `score` a probability."""

    person: Person
    grade: str
    score: float
    relatives: float
    evidence: list[Evidence]


class Matches(NamedTuple):
    """The candidates, the most certain first. `not_examined` has the number of people by the fields of a too common key."""

    candidates: list[Candidate]
    of_people: int
    examined: int
    not_examined: dict[str, int]

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Parse the JSON of a match."""
        fields = decode(text)
        not_examined = {rest["by"]: rest["people"] for rest in fields["not_examined"]}
        candidates = [_candidate(candidate) for candidate in fields["candidates"]]
        return cls(candidates, fields["of_people"], fields["examined"], not_examined)


def _candidate(fields: Mapping[str, Any]) -> Candidate:
    evidence = evidence_from_fields(fields["evidence"])
    score, relatives = float(fields["score"]), float(fields["relatives"])
    return Candidate(Person.from_fields(fields["person"]), fields["grade"], score, relatives, evidence)


def evidence_from_fields(evidence: Sequence[Mapping[str, Any]]) -> list[Evidence]:
    """Make the evidence of its JSON fields."""
    bits = ("bits", "against_relatives")
    return [Evidence(**item | {name: float(item[name]) for name in bits}) for item in map(dict, evidence)]


class VersionSummary(NamedTuple):
    """A version of a person without its values. `fields` is None if the previous version is not stored."""

    version: int
    at: datetime
    by: str | None
    operation: str
    fields: list[str] | None

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Self:
        """Make a summary of its JSON fields."""
        at = datetime.fromisoformat(fields["at"])
        return cls(fields["version"], at, fields["by"], fields["operation"], fields["fields"])


class DeletedPerson(NamedTuple):
    """A person in the trash. `version` is that of the deletion; after the time `erased_after` the person cannot be restored."""

    person_id: str
    person_name: str | None
    person_surname: str | None
    version: int
    deleted_at: datetime
    deleted_by: str | None
    erased_after: datetime

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Self:
        """Make a deleted person of its JSON fields."""
        deleted, erased = (datetime.fromisoformat(fields[name]) for name in ("deleted_at", "erased_after"))
        names = fields.get("person_name"), fields.get("person_surname")
        return cls(fields["person_id"], *names, fields["version"], deleted, fields["deleted_by"], erased)


class TrashPage(NamedTuple):
    """A page of deleted people; `next_cursor` is None on the last page."""

    people: list[DeletedPerson]
    next_cursor: str | None

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Parse the JSON of a page."""
        page = decode(text)
        return cls([DeletedPerson.from_fields(person) for person in page["people"]], page["next_cursor"])


class HistoryPage(NamedTuple):
    """A page of versions; `next_cursor` is None on the last page."""

    versions: list[VersionSummary]
    next_cursor: str | None

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Parse the JSON of a page."""
        page = decode(text)
        return cls([VersionSummary.from_fields(version) for version in page["versions"]], page["next_cursor"])


class Change(NamedTuple):
    """A change in the feed. `operation` is created, updated, restored, merged, unmerged or deleted; `person` is the current record if requested."""

    person_id: str
    version: int
    operation: str
    at: datetime
    person: Person | None = None
    merged_into: str | None = None

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Self:
        """Make a change of its JSON fields."""
        person = Person.from_fields(fields["person"]) if "person" in fields else None
        at = datetime.fromisoformat(fields["at"])
        return cls(fields["person_id"], fields["version"], fields["operation"], at, person, fields.get("merged_into"))


class FieldDifference(NamedTuple):
    """A field in which the records of a merge differ: the value of each record, and the id of the record with the taken value."""

    field: str
    values: dict[str, Any]
    taken: str | None


class Merge(NamedTuple):
    """A merge or its preview, which has no merge id. `replaces` are the ids of all records merged into the survivor."""

    merge_id: str | None
    survivor: Person
    replaces: list[str]
    differences: list[FieldDifference]

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Parse the JSON of a merge."""
        fields = decode(text)
        replaces = fields["survivor"].pop("replaces")
        differences = [FieldDifference(**difference) for difference in fields["differences"]]
        return cls(fields["merge_id"], Person.from_fields(fields["survivor"]), replaces, differences)


class UndoneMerge(NamedTuple):
    """The records after the undo of a merge, and the fields that a client changed after the merge."""

    survivor: Person | None
    merged: list[Person]
    edited: list[str]

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Parse the JSON of an undo."""
        fields = decode(text)
        survivor = Person.from_fields(fields["survivor"]) if fields["survivor"] else None
        return cls(survivor, [Person.from_fields(person) for person in fields["merged"]], fields["edited"])


class ChangePage(NamedTuple):
    """Changes, the token to continue with, and whether more changes follow."""

    changes: list[Change]
    next: str
    more: bool

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Parse the JSON of a page."""
        page = decode(text)
        return cls([Change.from_fields(change) for change in page["changes"]], page["next"], page["more"])


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportResult:
    """The result of one row of an import, or of the whole import in the last result (`result="done"`).

    `line` counts from 1. Each of the `errors` has a `pointer` to the field and a `reason`. The last result has the number of
    `rows` that this request read, which is the sum of the numbers after it. Each of its `warnings` has a `message`.
    """

    result: Literal["stored", "updated", "unchanged", "conflict", "rejected", "skipped", "done"]
    line: int | None = None
    person_id: str | None = None
    errors: list[dict[str, str]] = field(default_factory=list)
    duplicate: dict[str, Any] | None = None
    rows: int | None = None
    stored: int | None = None
    updated: int | None = None
    unchanged: int | None = None
    conflict: int | None = None
    rejected: int | None = None
    skipped: int | None = None
    warnings: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Parse a line of the response to an import. Fields of a newer server are ignored."""
        result = decode(text)
        return cls(**{known.name: result[known.name] for known in fields(cls) if known.name in result})
