"""Restore a backup into a store: the records with their ids, versions and timestamps, then the supplement."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Final, Protocol

from peopleinfo.bulk.checksum import SetChecksum
from peopleinfo.bulk.copy import is_not_empty, iter_pages, upsert_with_histories
from peopleinfo.bulk.manifest import Manifest, Part, PartLines, read_manifest, read_part
from peopleinfo.bulk.supplement import decode_entry, store_entries
from peopleinfo.errors import InvalidBackup, TargetNotEmpty
from peopleinfo.people.person import decode_header
from peopleinfo.people.store import BulkStore, Checkpoint, PersonReader
from peopleinfo.people.version_archive import decode_histories

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from peopleinfo.bulk.archived_store import ArchivedStore
    from peopleinfo.bulk.backup_storage import BackupStorage
    from peopleinfo.people.version_archive import PersonHistory

_BATCH_ROWS: Final = 2_000  # records stored at a time


class RestoreTarget(PersonReader, BulkStore, Protocol):
    """The target of a restore."""


class Restore:
    """A restore of a backup. The target store holds a checkpoint, from which another run resumes."""

    def __init__(self, storage: BackupStorage, *, key: bytes | None) -> None:
        self._storage = storage
        self._key = key

    async def manifest(self) -> Manifest:
        """Return the manifest of the backup. Raises InvalidBackup when the backup is missing or incomplete."""
        manifest = await asyncio.to_thread(read_manifest, self._storage, self._key)
        if manifest is None:
            raise InvalidBackup("the location contains no backup")
        if not manifest.is_complete:
            raise InvalidBackup("the backup is incomplete: run `peopleinfo backup` again to resume it")
        return manifest

    async def check(self, manifest: Manifest) -> AsyncIterator[int]:
        """Verify every part and yield its number of records. Raises InvalidBackup at the first damaged part."""
        checksum = SetChecksum()
        for part in manifest.parts:
            lines = await self._read(manifest, part)
            if not part.entries:
                checksum.add(lines.people)
                yield len(lines.people)
        if (checksum.people, checksum.hex) != (manifest.saved or (manifest.people, manifest.digest)):
            raise InvalidBackup("the digest of the parts differs from that of the manifest: the backup is damaged")

    async def run(
        self, manifest: Manifest, target: RestoreTarget, store: ArchivedStore, *, merge: bool
    ) -> AsyncIterator[int]:
        """Store records that are missing from the target or older there, and yield the number of records processed.

        Raises InvalidBackup, TargetNotEmpty unless `merge` is set, and ImportAlreadyRunning when another process runs the same restore.
        """
        restore_id = hashlib.sha256(f"restore {manifest.backup_id}".encode()).digest()
        before = await target.read_checkpoint(restore_id)
        is_first_run = before == Checkpoint(restore_id)
        if is_first_run and not merge and await is_not_empty(target):
            raise TargetNotEmpty("restore into a new store, or set --merge to add missing records")
        yield min(before.rows, manifest.people)
        processed = 0
        for part in manifest.parts:
            processed += part.people
            if processed <= before.rows and not part.entries:
                continue
            lines = await self._read(manifest, part)
            remaining = lines.people[max(0, len(lines.people) + before.rows - processed) :]
            histories = _histories(lines)
            for start in range(0, len(remaining), _BATCH_ROWS):
                batch = remaining[start : start + _BATCH_ROWS]
                after = Checkpoint(restore_id, rows=(done := before.rows + len(batch)), stored=done)
                ids = [decode_header(body).person_id for body in batch]
                found = [histories[person_id] for person_id in ids if person_id in histories]
                await upsert_with_histories(target, store.archive, batch, found, (before, after))
                before = after
                yield 0 if part.entries else len(batch)
            await store_entries(store, [decode_entry(line) for line in lines.entries])

    async def _read(self, manifest: Manifest, part: Part) -> PartLines:
        return await asyncio.to_thread(read_part, self._storage, manifest, part, self._key)


def _histories(lines: PartLines) -> dict[str, PersonHistory]:
    """Return the histories in a part by id."""
    current = {decode_header(body).person_id: body for body in lines.people} if lines.versions else {}
    return {history.person_id: history for history in decode_histories(lines.versions, current)}


async def checksum_of(store: PersonReader, on_progress: Callable[[int], None]) -> SetChecksum:
    """Return the checksum of a store; call `on_progress` with the number of records of each page."""
    checksum = SetChecksum()
    async for people in iter_pages(store):
        checksum.add(people)
        on_progress(len(people))
    return checksum
