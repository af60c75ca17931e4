"""Undo of an import: deletes the people that it created, and restores those that it updated, unless they changed since."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from peopleinfo.bulk.import_log_entry import count_people, iter_batches
from peopleinfo.errors import (
    IdentifierConflict,
    PersonMerged,
    PersonNotFound,
    VersionConflict,
    VersionNotFound,
)
from peopleinfo.people import strict_json
from peopleinfo.people.fields import READ_ONLY_FIELDS
from peopleinfo.people.history import Operation
from peopleinfo.people.import_log import ImportState, LeftPerson, LeftReason, UndoOutcome
from peopleinfo.people.person import decode_fields
from peopleinfo.people.store import Checkpoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from peopleinfo.bulk.keyed_updates import ImportStore
    from peopleinfo.people.history import PersonVersion
    from peopleinfo.people.history_service import HistoryService
    from peopleinfo.people.import_log import ImportBatch, ImportEntry, ImportLog
    from peopleinfo.people.person import StoredPerson
    from peopleinfo.people.preconditions import Precondition
    from peopleinfo.people.service import PeopleService

_CONCURRENT: Final = 50  # people that are undone at the same time
_MAX_ATTEMPTS: Final = 5  # for a person that another process changes or undoes at the same time
_ALL_STATES: Final = (ImportState.STARTED, ImportState.FINISHED, ImportState.UNDOING)

_REASONS: Final[dict[type[Exception], LeftReason]] = {  # why an updated person cannot be restored
    PersonNotFound: LeftReason.DELETED,
    PersonMerged: LeftReason.CHANGED,
    VersionNotFound: LeftReason.NO_HISTORY,
    IdentifierConflict: LeftReason.IDENTIFIER_TAKEN,
}


class UndoStep(NamedTuple):
    """The ids of the people that a step of an undo deleted or restored, and the people that it left unchanged."""

    changed: tuple[str, ...]
    left: list[LeftPerson]


class _Versions(NamedTuple):
    """Versions of a person: the current one, the last one that the import stored, and the one before the import."""

    current: PersonVersion | None = None
    imported: PersonVersion | None = None
    earlier: int | None = None


class ImportUndo:
    """Undoes imports. Every step can be repeated, so an interrupted undo resumes, and two at once do no harm."""

    def __init__(self, people: PeopleService, history: HistoryService, store: ImportStore, log: ImportLog) -> None:
        self._people = people
        self._history = history
        self._store = store
        self._log = log

    async def run(self, import_id: bytes, *, principal: str | None) -> AsyncIterator[UndoStep]:
        """Undo the rest of an import and yield each step. Does nothing if the import is undone. Raises ImportNotFound."""
        entry = await self._log.read_import(import_id)
        if entry.state is ImportState.UNDONE:
            return
        await self._change(entry, ImportState.UNDOING)
        async for batch in iter_batches(self._log, import_id):
            if batch.outcome is None:
                yield await self._undo_batch(import_id, batch, principal)
        await self._delete_checkpoint(entry)
        counts = await count_people(self._log, import_id)
        await self._change(msgspec.structs.replace(entry, counts=counts), ImportState.UNDONE)

    async def _change(self, entry: ImportEntry, state: ImportState) -> None:
        await self._log.update_import(msgspec.structs.replace(entry, state=state), expected=_ALL_STATES)

    async def _delete_checkpoint(self, entry: ImportEntry) -> None:
        """Let the file of an interrupted import be imported again from its start."""
        if entry.operation_id and entry.state is not ImportState.FINISHED:
            checkpoint = await self._store.read_checkpoint(entry.operation_id)
            if checkpoint != Checkpoint(entry.operation_id):
                await self._store.delete_checkpoint(checkpoint)

    async def _undo_batch(self, import_id: bytes, batch: ImportBatch, principal: str | None) -> UndoStep:
        created = batch.people.created
        updated = [person_id for person_id, _ in batch.people.updated]
        deletions = await self._each([partial(self._delete, principal, person_id) for person_id in created])
        restore = partial(self._restore, import_id, principal)
        restores = await self._each(
            [partial(restore, person_id, version) for person_id, version in batch.people.updated]
        )
        reasons = list(zip([*created, *updated], [*deletions, *restores], strict=True))
        left = [LeftPerson(person_id, reason) for person_id, reason in reasons if reason]
        outcome = UndoOutcome(deletions.count(None), restores.count(None), left)
        await self._log.save_outcome(import_id, batch.key, outcome)
        return UndoStep(tuple(person_id for person_id, reason in reasons if not reason), left)

    async def _each(self, jobs: Sequence[Callable[[], Awaitable[LeftReason | None]]]) -> list[LeftReason | None]:
        """Run the jobs, some at a time, and return their results in order."""
        results: list[LeftReason | None] = []
        for start in range(0, len(jobs), _CONCURRENT):
            batch = jobs[start : start + _CONCURRENT]
            done = await asyncio.gather(*(_attempt(job) for job in batch), return_exceptions=True)
            for one in done:
                if isinstance(one, BaseException):
                    raise one
                results.append(one)
        return results

    async def _delete(self, principal: str | None, person_id: str) -> LeftReason | None:
        """Delete a person that the import created; return why the person is left unchanged, None if not."""
        try:
            current = await self._people.get(person_id)
            if current.version > 1 and not await self._can_be_deleted(current):
                return LeftReason.CHANGED
            await self._people.delete(person_id, precondition=_at_version(current.version), principal=principal)
        except PersonNotFound:
            return None
        except PersonMerged:
            return LeftReason.CHANGED
        return None

    async def _can_be_deleted(self, current: StoredPerson) -> bool:
        """Return whether a person is as the import created it, and no other record is merged into it."""
        if len(await self._store.merge_group(current.person_id)) > 1:
            return False
        try:
            first = await self._history.version(current.person_id, 1)
        except VersionNotFound:
            return False
        return _fields(first.body) == _fields(current.body)

    async def _restore(
        self, import_id: bytes, principal: str | None, person_id: str, version: int
    ) -> LeftReason | None:
        """Restore a person that the import updated to a version; return why the person is left unchanged, None if not."""
        try:
            found = await self._versions(import_id, person_id, version - 2)
            if found.earlier is None:
                found = await self._versions(import_id, person_id, 0)
            if _is_restored(found, import_id):
                return None
            if reason := _reason(found):
                return reason
            await self._history.restore(
                person_id,
                found.earlier or 0,
                precondition=_at_version(found.current.version if found.current else 0),
                principal=principal,
                import_id=import_id,
            )
        except tuple(_REASONS) as error:
            return _REASONS[type(error)]
        return None

    async def _versions(self, import_id: bytes, person_id: str, after: int) -> _Versions:
        """Read the versions above `after`."""
        current = imported = earlier = other = None
        async for one in self._history.versions(person_id, after=max(0, after)):
            current = one
            if one.origin.import_id != import_id:
                other = one.version
            elif one.origin.operation is not Operation.RESTORED:
                imported, earlier = one, other
        return _Versions(current, imported, earlier)


def _is_restored(found: _Versions, import_id: bytes) -> bool:
    """Return whether an earlier run of the undo has restored the person."""
    origin = found.current.origin if found.current else None
    return origin is not None and origin.operation is Operation.RESTORED and origin.import_id == import_id


def _reason(found: _Versions) -> LeftReason | None:
    """Return why a person cannot be restored, None if it can."""
    if found.current is None or found.imported is None:
        return LeftReason.CHANGED
    if _fields(found.current.body) != _fields(found.imported.body):
        return LeftReason.CHANGED
    return LeftReason.NO_HISTORY if found.earlier is None else None


async def _attempt(job: Callable[[], Awaitable[LeftReason | None]]) -> LeftReason | None:
    """Run a job; repeat it after a concurrent change."""
    for _ in range(_MAX_ATTEMPTS):
        with suppress(VersionConflict):
            return await job()
    return LeftReason.CHANGED


def _at_version(version: int) -> Precondition:
    """Return the precondition that a person has a version."""

    def check(record: StoredPerson) -> None:
        if record.version != version:
            raise VersionConflict(record.person_id, actual=record.version)

    return check


def _fields(body: bytes) -> dict[str, bytes]:
    """Return the JSON of each field that a client sets. In Python, true equals 1."""
    return {
        name: strict_json.encode(value) for name, value in decode_fields(body).items() if name not in READ_ONLY_FIELDS
    }
