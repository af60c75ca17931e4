"""Merges and their undo: reads the records, plans the effect and stores it in one transaction."""

from __future__ import annotations

import secrets
from contextlib import suppress
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec.structs import replace

from peopleinfo.errors import (
    IdempotencyKeyConflict,
    MergeNotFound,
    PersonMerged,
    PersonNotFound,
    VersionConflict,
)
from peopleinfo.matching.merge_rules import (
    Merge,
    Record,
    check_size,
    check_versions,
    differences_of,
    is_same_merge,
    plan_merge,
    plan_undo,
    redaction_of,
)
from peopleinfo.matching.merge_store import (
    Member,
    MergedVersion,
    MergeLog,
    MergeRecord,
    MergeWrite,
    RecordChange,
    UndoWrite,
    reencoded,
)
from peopleinfo.matching.record_events import content, created
from peopleinfo.people import strict_json
from peopleinfo.people.birthdate import earliest_date
from peopleinfo.people.person import (
    MAX_RECORD_SIZE,
    StoredPerson,
    parse_person,
    person_data_from_fields,
    split_record,
    timestamp,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from peopleinfo.matching.merge_rules import Difference, Keep, MergePlan, UndoPlan
    from peopleinfo.matching.merge_store import MergeStore
    from peopleinfo.people.idempotency import ClientKey
    from peopleinfo.people.person import PersonData

_MERGE_ID_SIZE: Final = 16  # bytes


class MergeRequest(NamedTuple):
    """A merge as a client requests it: the version of each record by id, the survivor first."""

    survivor: str
    merged: tuple[str, ...]
    versions: Mapping[str, int]
    take: Mapping[str, str]
    result: Any = None
    """The complete fields of the survivor, None for those that `take` selects."""


class MergeResult(NamedTuple):
    """A merge or its preview, which has no merge id. `replaces` are the records merged into the survivor."""

    merge_id: str | None
    survivor: StoredPerson
    replaces: list[str]
    merged: Sequence[MergedVersion]
    differences: list[Difference]


class UndoResult(NamedTuple):
    """An undo or its preview: the records after it, and the fields that were edited after the merge."""

    merge_id: str
    survivor: StoredPerson | None
    merged: list[StoredPerson]
    edited: tuple[str, ...]


class MergeService:
    """Merges the records of a store and undoes merges. `now` returns the current time as an aware datetime."""

    def __init__(self, store: MergeStore, *, secret: bytes, now: Callable[[], datetime]) -> None:
        """Derive the ids of repeatable merges from `secret`."""
        self._store = store
        self._secret = secret
        self._now = now

    async def merge(
        self, request: MergeRequest, *, key: ClientKey | None = None, principal: str | None = None
    ) -> tuple[MergeResult, bool]:
        """Merge records; return the result and whether this call applied it. A repetition returns the first result.

        Raises PersonNotFound, PersonMerged, MergeCycle, MergeTooLarge, VersionConflict, InvalidPerson, IdempotencyKeyConflict,
        IdentifierConflict.
        """
        digest = self._digest(strict_json.encode(request), b"merge content")
        merge_id = self._merge_id(key)
        if key and (known := await self._store.read_merge(merge_id)):
            return await self._repeated(known, digest), False
        members = await self._members((request.survivor, *request.merged))
        if known := await self._same(request, members, digest):
            return await self._repeated(known, digest), False
        plan, change = self._plan(merge_id, request, members)
        replaces = await self._replaces(members[0], plan.merge)
        record = self._record(plan.merge, request.versions, digest, principal)
        survivor = await self._store.merge(MergeWrite(record, change, principal))
        if survivor is None:  # a concurrent request with the same key
            return await self._repeated(await self.get(merge_id), digest), False
        return MergeResult(merge_id, survivor, replaces, record.merged, plan.differences), True

    async def preview(self, request: MergeRequest) -> MergeResult:
        """Return the result that a merge would have. Raises the errors of `merge`."""
        members = await self._members((request.survivor, *request.merged))
        plan, change = self._plan("", request, members)
        record = self._record(plan.merge, request.versions, b"", None)
        survivor = reencoded(members[0].record, record.survivor.version, record.at, change.data.to_dict())
        replaces = await self._replaces(members[0], plan.merge)
        return MergeResult(None, survivor, replaces, record.merged, plan.differences)

    async def undo(
        self, merge_id: str, *, keep: Mapping[str, Keep], principal: str | None = None
    ) -> tuple[UndoResult, bool]:
        """Undo a merge; return the result and whether this call applied it.

        Raises MergeNotFound, UndoFirst, ChangedSinceMerge, IdentifierConflict.
        """
        while True:
            record = await self.get(merge_id)
            if record.undone_at is not None:
                return await self._undone(record), False
            members, plan = await self._plan_undo(record, keep)
            write = self._undo_write(record, members, plan, keep, principal)
            with suppress(VersionConflict, PersonMerged):  # after a concurrent change, plan the undo again
                people = await self._store.undo(write)
                if people is not None:
                    return UndoResult(merge_id, people[0], people[1:], plan.edited), True

    async def preview_undo(self, merge_id: str, *, keep: Mapping[str, Keep]) -> UndoResult:
        """Return the result that an undo would have. Raises the errors of `undo`."""
        record = await self.get(merge_id)
        if record.undone_at is not None:
            return await self._undone(record)
        members, plan = await self._plan_undo(record, keep)
        at = timestamp(self._now())
        survivor, *merged = (
            reencoded(member.record, after.version, at, after.content)
            for member, after in zip(members, (plan.survivor, *plan.merged), strict=True)
        )
        return UndoResult(merge_id, survivor, merged, plan.edited)

    async def get(self, merge_id: str) -> MergeRecord:
        """Return a merge record. Raises MergeNotFound."""
        if (record := await self._store.read_merge(merge_id)) is None:
            raise MergeNotFound
        return record

    async def merges_of(self, person_id: str) -> list[MergeRecord]:
        """Return the merges in which a record took part, newest first. Raises PersonNotFound."""
        await self._members((person_id,))
        return await self._store.merges_of(person_id)

    async def versions(self, person_ids: Sequence[str]) -> dict[str, int]:
        """Return the versions of records by id. Raises PersonNotFound."""
        members = await self._members(person_ids)
        return {member.record.person_id: member.version for member in members}

    async def before_merge(self, person_id: str) -> StoredPerson:
        """Return a merged record as it was before its merge; the current record if it is not merged. Raises PersonNotFound."""
        (member,) = await self._members((person_id,))
        return member.record

    async def _members(self, person_ids: Sequence[str]) -> list[Member]:
        check_size(len(person_ids))
        found = await self._store.read_members(person_ids)
        for person_id, member in zip(person_ids, found, strict=True):
            if member is None:
                raise PersonNotFound(person_id)
        return [member for member in found if member is not None]

    async def _same(self, request: MergeRequest, members: Sequence[Member], digest: bytes) -> MergeRecord | None:
        """Return the merge in effect that a request without a known key repeats."""
        merge_id = members[1].merge_id if len(members) > 1 else None
        known = await self._store.read_merge(merge_id) if merge_id else None
        same = known is not None and is_same_merge(known.merge, request.survivor, request.merged)
        return known if known and same and known.content == digest else None

    def _plan(self, merge_id: str, request: MergeRequest, members: Sequence[Member]) -> tuple[MergePlan, RecordChange]:
        records = [_record(member) for member in members]
        graph = _Graph(members)
        result = self._parse(request.result, members[0]).to_dict() if request.result is not None else None
        plan = plan_merge(merge_id, records[0], records[1:], graph, take=request.take, result=result)
        check_versions(records, request.versions)
        height = 1 + max(map(graph.height, request.merged))
        log = members[0].log or MergeLog((), {})
        log = MergeLog(plan.survivor.events, {**log.heights, merge_id: height})
        data = self._parse(plan.survivor.content, members[0])
        return plan, RecordChange(request.survivor, records[0].version, data, log)

    def _parse(self, fields: Any, survivor: Member) -> PersonData:
        """Validate the fields of a survivor; its birthdate may have any format that a record already has."""
        data, read_only = split_record(survivor.record)
        born = fields.get("person_birthdate") if isinstance(fields, dict) else None
        return parse_person(
            fields,
            today=earliest_date(self._now()),
            current_birthdate=born if isinstance(born, str) else None,
            read_only_values=read_only,
            size_limit=max(MAX_RECORD_SIZE, data.size),
        )

    def _record(self, merge: Merge, versions: Mapping[str, int], digest: bytes, principal: str | None) -> MergeRecord:
        after = [MergedVersion(each, versions[each] + 1) for each in (merge.survivor, *merge.merged)]
        return MergeRecord(
            merge_id=merge.merge_id,
            survivor=after[0],
            merged=tuple(after[1:]),
            at=timestamp(self._now()),
            by=principal,
            content=digest,
        )

    async def _plan_undo(self, record: MergeRecord, keep: Mapping[str, Keep]) -> tuple[list[Member], UndoPlan]:
        members = await self._members(record.people)
        outer = await self._outer_merges(members[0])
        survivor, *merged = (_record(member) for member in members)
        return members, plan_undo(record.merge, survivor, merged, _Graph(members, outer), keep)

    async def _outer_merges(self, member: Member) -> list[Merge]:
        """Return the merges that lead from a record to its outermost survivor."""
        merges: list[Merge] = []
        while member.merge_id is not None:
            merges.append((await self.get(member.merge_id)).merge)
            (member,) = await self._members((member.merged_into,))
        return merges

    def _undo_write(
        self,
        record: MergeRecord,
        members: Sequence[Member],
        plan: UndoPlan,
        keep: Mapping[str, Keep],
        principal: str | None,
    ) -> UndoWrite:
        undone = replace(record, undone_at=timestamp(self._now()), undone_by=principal)
        survivor, *merged = (
            _change_of(member, after, record.merge_id)
            for member, after in zip(members, (plan.survivor, *plan.merged), strict=True)
        )
        events = _record(members[0]).events
        redaction = redaction_of(record.merge_id, events, keep, record.survivor.version)
        return UndoWrite(undone, survivor, merged, redaction, principal)

    async def _repeated(self, record: MergeRecord, digest: bytes) -> MergeResult:
        """Return the result of a merge that is already stored. Raises IdempotencyKeyConflict for another request."""
        if record.content != digest:
            raise IdempotencyKeyConflict
        survivor, *merged = await self._members(record.people)
        log = survivor.log
        if log is None or record.undone_at is not None:
            return MergeResult(record.merge_id, survivor.record, [], record.merged, [])
        contents = {member.record.person_id: member.fields for member in merged}
        differences = differences_of(record.merge, log.events, contents)
        replaces = await self._replaced(record.survivor.person_id)
        return MergeResult(record.merge_id, survivor.record, replaces, record.merged, differences)

    async def _replaces(self, survivor: Member, merge: Merge) -> list[str]:
        """Return the records merged into a survivor after a merge."""
        earlier = await self._replaced(merge.survivor) if survivor.log else []
        return [*earlier, *merge.merged]

    async def _replaced(self, person_id: str) -> list[str]:
        merges = await self._store.merges_of(person_id)
        return [
            merged.person_id
            for record in reversed(merges)
            if record.undone_at is None and record.survivor.person_id == person_id
            for merged in record.merged
        ]

    async def _undone(self, record: MergeRecord) -> UndoResult:
        """Return the records of a merge that was undone before."""
        survivor, *merged = await self._store.read_members(record.people)
        people = [member.record for member in merged if member]
        return UndoResult(record.merge_id, survivor.record if survivor else None, people, ())

    def _merge_id(self, key: ClientKey | None) -> str:
        """Return the id of a merge, which follows from the Idempotency-Key of the client."""
        if key is None:
            return secrets.token_hex(_MERGE_ID_SIZE)
        return self._digest(key.encoded, b"merge id")[:_MERGE_ID_SIZE].hex()

    def _digest(self, text: bytes, purpose: bytes) -> bytes:
        return blake2b(text, key=self._secret, person=purpose, digest_size=32).digest()


class _Graph:
    """The merges around the records of one merge or undo."""

    def __init__(self, members: Sequence[Member], outer: Sequence[Merge] = ()) -> None:
        """`outer` are the merges from the first record to its outermost survivor."""
        self._members = {member.record.person_id: member for member in members}
        self._first = members[0].record.person_id
        self._outer = list(outer)

    def chain(self, person_id: str) -> list[Merge]:
        """Return the merges that lead from a record to its survivor, as far as they are known."""
        member = self._members[person_id]
        if person_id == self._first and self._outer:
            return self._outer
        return [_merge_into(member)] if member.merge_id else []

    def survivor(self, person_id: str) -> str:
        """Return the record into which a record is merged."""
        return self._members[person_id].merged_into or person_id

    def height(self, person_id: str) -> int:
        """Return the number of merges from a record down to the innermost merged record."""
        log = self._members[person_id].log
        return log.height if log else 0


def _merge_into(member: Member) -> Merge:
    return Merge(member.merge_id or "", member.merged_into, (member.record.person_id,))


def _record(member: Member) -> Record:
    events = member.log.events if member.log else created(member.fields)
    return Record(member.record.person_id, member.version, events)


def _change_of(member: Member, after: Record, undone: str) -> RecordChange:
    """Return the change of a record by an undo."""
    log = member.log
    heights = {merge_id: height for merge_id, height in log.heights.items() if merge_id != undone} if log else {}
    data = person_data_from_fields(content(after.events))
    new_log = MergeLog(after.events, heights) if heights else None
    return RecordChange(after.person_id, member.version, data, new_log)
