"""History of a record: its versions, their differences, and the feed of changes of all records."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import msgspec

from peopleinfo.people import strict_json
from peopleinfo.people.field_access import visible_fields
from peopleinfo.people.fields import FIELDS, READ_ONLY_FIELDS
from peopleinfo.people.person import decode_fields, decode_stored

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CHANGES_AGE: Final = timedelta(days=35)
HISTORY_AGE: Final = timedelta(days=365)


class Operation(StrEnum):
    """The operation that created a version of a record, or that deleted the record."""

    CREATED = "created"
    UPDATED = "updated"
    RESTORED = "restored"
    MERGED = "merged"
    UNMERGED = "unmerged"
    DELETED = "deleted"

    __hash__ = str.__hash__  # Enum.__hash__ is a Python function


def feed_operation(operation: Operation) -> Operation:
    """Return the operation of a record's new version in the feed: the survivor of a merge or an undo is updated."""
    return Operation.UPDATED if operation in (Operation.MERGED, Operation.UNMERGED) else operation


def default_operation(version: int) -> Operation:
    """Return the operation of a version whose operation is unknown: an earlier release or another store wrote it."""
    return Operation.CREATED if version == 1 else Operation.UPDATED


class Origin(NamedTuple):
    """The operation that created a version, and its principal; None if the principal is unknown."""

    operation: Operation
    principal: str | None = None
    import_id: bytes | None = None
    """The id of the import that created the version, or whose undo did; None for any other operation."""


UPDATED: Final = Origin(Operation.UPDATED)


class HistoryLimits(NamedTuple):
    """The limits of a history: the number of earlier versions and their age since they were replaced. None: unlimited.

    `max_versions` of 0 turns the history off. `changes_age` is the retention of the feed.
    """

    max_versions: int | None = None
    max_age: timedelta | None = HISTORY_AGE
    changes_age: timedelta = CHANGES_AGE

    def replaced_after(self, now: datetime) -> int:
        """Return the time before which replaced versions have expired, in milliseconds since 1970; 0 without a limit."""
        return milliseconds(now - self.max_age) if self.max_age is not None else 0

    def oldest_version(self, current: int) -> int:
        """Return the oldest version within the limit of the number of versions."""
        return current - self.max_versions if self.max_versions is not None else 1


DEFAULT_LIMITS: Final = HistoryLimits()


class PersonVersion(NamedTuple):
    """A version of a record; `body` is its JSON."""

    version: int
    origin: Origin
    body: bytes


class VersionSummary(NamedTuple):
    """A version without its values: its time, its origin and the names of the changed fields.

    `fields` is None if the previous version is no longer stored.
    """

    version: int
    at: str
    by: str | None
    operation: Operation
    fields: list[str] | None


class VersionPage(NamedTuple):
    """Versions of a record, oldest first. Without `more`, the last one is the current version."""

    versions: list[PersonVersion]
    more: bool


class Change(NamedTuple):
    """An entry of the feed: an operation created this version of a record, or deleted the record. `at` is RFC 3339.

    A record that is `merged` is no longer current; `merged_into` is the surviving record.
    """

    person_id: str
    version: int
    operation: Operation
    at: str
    merged_into: str | None = None

    def to_dict(self) -> dict[str, str | int]:
        """Return the members of the entry that are present."""
        return {name: value for name, value in self._asdict().items() if value is not None}


class ChangePage(NamedTuple):
    """Changes, the position after them, and whether more changes follow."""

    changes: list[Change]
    next: bytes
    more: bool


class VersionReader(Protocol):
    """Reads of the versions of a record."""

    async def read_versions(self, person_id: str, *, after: int, limit: int) -> VersionPage:
        """Return up to `limit` stored versions above `after`. The history always ends with the current version.

        A page ends early with the version that brings it to `PAGE_SIZE` bytes. Raises PersonNotFound.
        """


class ChangeReader(Protocol):
    """Reads of the feed of changes."""

    async def read_changes(self, *, since: bytes | None, limit: int) -> ChangePage:
        """Return up to `limit` changes after a position; without one, no changes and the current position.

        Reads from a position return every change that was acknowledged after the store returned the position, the changes of a
        record by version. A change may be repeated, for example after a write of unknown outcome. Raises ChangesExpired.
        """


class HistoryExpiry(Protocol):
    """Deletion of expired versions and changes."""

    async def expire_history(self) -> bool:
        """Delete a batch of the expired versions and changes; return whether there may be more."""


class _Dated(msgspec.Struct):
    updated_at: str


_decode_time: Final = msgspec.json.Decoder(_Dated).decode


def update_time(body: bytes) -> str:
    """Return the time at which a version was stored. Raises StoreDamaged."""
    return decode_stored(_decode_time, body).updated_at


def changed_fields(before: bytes, after: bytes, hidden: frozenset[str] = frozenset()) -> list[str]:
    """Return the names of the visible fields that differ between two versions: standard fields first, then by name."""
    old, new = _encoded_fields(before, hidden), _encoded_fields(after, hidden)
    return _ordered(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def summaries(
    versions: Sequence[PersonVersion], previous: PersonVersion | None, hidden: frozenset[str] = frozenset()
) -> list[VersionSummary]:
    """Return the summaries of consecutive versions; `previous` is the version before the first one, None if not stored."""
    summarized = []
    for version in versions:
        summarized.append(_summary(version, previous, hidden))
        previous = version
    return summarized


def milliseconds(moment: datetime) -> int:
    """Return a time in milliseconds since 1970."""
    return int(moment.timestamp() * 1_000)


def _summary(version: PersonVersion, previous: PersonVersion | None, hidden: frozenset[str]) -> VersionSummary:
    fields: list[str] | None = None
    if previous is not None and previous.version == version.version - 1:
        fields = changed_fields(previous.body, version.body, hidden)
    elif version.version == 1:
        fields = _ordered(_encoded_fields(version.body, hidden))
    operation, principal, _ = version.origin
    return VersionSummary(version.version, update_time(version.body), principal, operation, fields)


def _encoded_fields(body: bytes, hidden: frozenset[str]) -> dict[str, bytes]:
    """Return the JSON of each field that a client sets. In Python, true equals 1 and 1.0 equals 1."""
    fields: dict[str, Any] = visible_fields(decode_fields(body), hidden)
    return {name: strict_json.encode(value) for name, value in fields.items() if name not in READ_ONLY_FIELDS}


def _ordered(names: Iterable[str]) -> list[str]:
    found = set(names)
    return [name for name in FIELDS if name in found] + sorted(found.difference(FIELDS))
