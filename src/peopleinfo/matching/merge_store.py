"""The stored merges: merge records without values, the events of surviving records, and the interface of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import msgspec

from peopleinfo.errors import StoreDamaged
from peopleinfo.matching.merge_rules import Merge, Redaction
from peopleinfo.matching.record_events import Edit, Events, FieldChange, Taken, coalesced, edited
from peopleinfo.people import strict_json
from peopleinfo.people.person import StoredPerson, encode_person, person_data_from_fields, split_record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from peopleinfo.people.person import PersonData


class MergedVersion(msgspec.Struct, frozen=True):
    """A record of a merge, and the version that the merge created."""

    person_id: str
    version: int


class MergeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A merge without values. It remains after an undo, until one of its people is erased."""

    merge_id: str
    survivor: MergedVersion
    merged: tuple[MergedVersion, ...]
    at: str
    by: str | None = None
    undone_at: str | None = None
    undone_by: str | None = None
    content: bytes = b""
    """Keyed digest of the request, which detects another request with the same Idempotency-Key."""

    @property
    def people(self) -> list[str]:
        """The ids of all records, the survivor first."""
        return [self.survivor.person_id, *(record.person_id for record in self.merged)]

    @property
    def merge(self) -> Merge:
        """The merge for the planning functions."""
        return Merge(self.merge_id, self.survivor.person_id, tuple(record.person_id for record in self.merged))


class MergeLog(NamedTuple):
    """The events of a surviving record, with the heights of its merges in effect by merge id."""

    events: Events
    heights: Mapping[str, int]
    """The number of merges from the survivor down to the innermost record of each merge."""

    @property
    def height(self) -> int:
        """The height of the record."""
        return max(self.heights.values(), default=0)

    def edited(self, data: PersonData) -> MergeLog:
        """Return the log after a client changed the record."""
        return self._replace(events=coalesced(edited(self.events, data.to_dict())))


class Member(NamedTuple):
    """A record that a merge reads: the current record, or a merged record as it was before its merge."""

    record: StoredPerson
    log: MergeLog | None = None
    """Present if other records are merged into this one."""
    merge_id: str | None = None
    """The merge that merged this record, None for a current record."""
    merged_into: str = ""

    @property
    def version(self) -> int:
        """The version of the record. A merge increments it without a new body."""
        return self.record.version + (self.merge_id is not None)

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the record."""
        return fields_of(self.record)


class RecordChange(NamedTuple):
    """The new fields of a record at the version `expected`, and its log; None if no merge into it remains."""

    person_id: str
    expected: int
    data: PersonData
    log: MergeLog | None = None


class MergeWrite(NamedTuple):
    """A planned merge. The versions of `record` are those that it creates, one above the current ones."""

    record: MergeRecord
    survivor: RecordChange
    principal: str | None


class UndoWrite(NamedTuple):
    """A planned undo. `record` is the merge record after it."""

    record: MergeRecord
    survivor: RecordChange
    merged: Sequence[RecordChange]
    redaction: Redaction
    principal: str | None


class StoredLog(NamedTuple):
    """The log of a record at a version."""

    version: int
    log: MergeLog


class MergeArchive(Protocol):
    """All merges of a store, for backups and copies."""

    async def merge_ids(self) -> list[str]:
        """Return the ids of all merges, also undone ones, oldest first."""

    async def read_log(self, person_id: str) -> StoredLog | None:
        """Return the log of a record, which may be current, merged or in the trash; None if no record is merged into it."""

    async def store_merge(self, merge: MergeRecord, log: StoredLog | None) -> None:
        """Store a merge of another store, after its people, and the log of the survivor. Repeatable.

        The merged records must be current at the version before the merge, and the survivor at the version of the log. Otherwise the
        people remain as they are. An undone merge changes no person.
        """


class MergeStore(MergeArchive, Protocol):
    """Merges of a store. Every method may raise StoreUnavailable, a write also OutcomeUnknown."""

    async def read_members(self, person_ids: Sequence[str]) -> list[Member | None]:
        """Return the current or merged records with these ids, in order; None for an unknown id."""

    async def read_merge(self, merge_id: str) -> MergeRecord | None:
        """Return a merge record, None if it is unknown."""

    async def merges_of(self, person_id: str) -> list[MergeRecord]:
        """Return the merges in which a record took part, also undone ones, newest first."""

    async def merge(self, write: MergeWrite) -> StoredPerson | None:
        """Apply a merge in one transaction and return the survivor; return None if its merge id already exists.

        Raises PersonNotFound, PersonMerged, VersionConflict, IdentifierConflict.
        """

    async def undo(self, write: UndoWrite) -> list[StoredPerson] | None:
        """Apply an undo in one transaction; return the survivor and the restored records, None if it was undone before.

        Nothing of the restored records remains in the versions of the survivor, which gets a new encryption key.
        Raises PersonNotFound, PersonMerged, VersionConflict, IdentifierConflict.
        """


class _StoredEvent(msgspec.Struct, omit_defaults=True):
    """An event as JSON; `merge` is empty for an edit."""

    values: msgspec.Raw
    removed: list[str] = []
    order: list[str] = []
    merge: str = ""
    sources: dict[str, str] = {}


class _StoredLog(msgspec.Struct):
    heights: dict[str, int]
    events: list[_StoredEvent]


_decode_merge: Final = msgspec.json.Decoder(MergeRecord).decode
_decode_log: Final = msgspec.json.Decoder(_StoredLog).decode


def decode_merge(text: bytes) -> MergeRecord:
    """Return a merge record from its JSON. Raises StoreDamaged."""
    try:
        return _decode_merge(text)
    except strict_json.DECODE_ERRORS as error:
        raise _damaged() from error


def encode_log(log: MergeLog) -> bytes:
    """Return the JSON of a log."""
    return strict_json.encode(_StoredLog(dict(log.heights), [_stored(event) for event in log.events]))


def decode_log(text: bytes) -> MergeLog:
    """Return a log from its JSON. Raises StoreDamaged."""
    try:
        stored = _decode_log(text)
    except strict_json.DECODE_ERRORS as error:
        raise _damaged() from error
    return MergeLog(tuple(map(_event, stored.events)), stored.heights)


def fields_of(record: StoredPerson) -> dict[str, Any]:
    """Return the fields of a record that a client sets, in their order. Raises StoreDamaged."""
    data, _ = split_record(record)
    return data.to_dict()


def reencoded(
    record: StoredPerson, version: int, updated_at: str, fields: Mapping[str, Any] | None = None
) -> StoredPerson:
    """Return another version of a record with other `fields`, by default the same ones."""
    data, read_only = split_record(record)
    if fields is not None:
        data = person_data_from_fields(fields)
    return encode_person(record.person_id, version, data, created_at=read_only["created_at"], updated_at=updated_at)


def redacted(record: StoredPerson, redaction: Redaction) -> StoredPerson:
    """Return a version of a survivor without the values of an undone merge."""
    if record.version < redaction.since:
        return record
    data, read_only = split_record(record)
    return reencoded(record, record.version, read_only["updated_at"], redaction.apply(data.to_dict()))


def _stored(event: Edit | Taken) -> _StoredEvent:
    values = msgspec.Raw(strict_json.encode(event.change.values))
    removed, order = sorted(event.change.removed), list(event.change.order)
    if isinstance(event, Taken):
        return _StoredEvent(values, removed, order, event.merge_id, dict(event.sources))
    return _StoredEvent(values, removed, order)


def _event(stored: _StoredEvent) -> Edit | Taken:
    change = FieldChange(strict_json.parse(bytes(stored.values)), frozenset(stored.removed), tuple(stored.order))
    return Taken(stored.merge, change, stored.sources) if stored.merge else Edit(change)


def _damaged() -> StoreDamaged:
    return StoreDamaged("a merge in the store has an invalid format")
