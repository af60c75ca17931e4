"""Restore the records of a backup into a store, with their ids, versions and timestamps."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Final, Protocol

from peopleinfo.bulk.checksum import SetChecksum
from peopleinfo.bulk.copy import is_not_empty, iter_pages, upsert_with_checkpoint
from peopleinfo.bulk.manifest import Manifest, Part, read_manifest, read_part
from peopleinfo.errors import InvalidBackup, TargetNotEmpty
from peopleinfo.people.store import BulkStore, Checkpoint, PersonReader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from peopleinfo.bulk.backup_storage import BackupStorage

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
            bodies = await self._read(manifest, part)
            checksum.add(bodies)
            yield len(bodies)
        if (checksum.people, checksum.hex) != (manifest.people, manifest.digest):
            raise InvalidBackup("the digest of the parts differs from that of the manifest: the backup is damaged")

    async def run(self, manifest: Manifest, target: RestoreTarget, *, merge: bool) -> AsyncIterator[int]:
        """Store records that are missing from the target or older there, and yield the number of records processed.

        Raises InvalidBackup, TargetNotEmpty unless `merge` is set, and ImportAlreadyRunning when another process runs the same restore.
        """
        restore_id = hashlib.sha256(f"restore {manifest.backup_id}".encode()).digest()
        before = await target.read_checkpoint(restore_id)
        if not (merge or before.rows) and await is_not_empty(target):
            raise TargetNotEmpty("restore into a new store, or set --merge to add missing records")
        yield before.rows
        processed = 0
        for part in manifest.parts:
            processed += part.people
            if processed <= before.rows:
                continue
            bodies = (await self._read(manifest, part))[before.rows - processed :]
            for start in range(0, len(bodies), _BATCH_ROWS):
                batch = bodies[start : start + _BATCH_ROWS]
                after = Checkpoint(restore_id, rows=(done := before.rows + len(batch)), stored=done)
                await upsert_with_checkpoint(target, batch, before, after)
                before = after
                yield len(batch)

    async def _read(self, manifest: Manifest, part: Part) -> list[bytes]:
        return await asyncio.to_thread(read_part, self._storage, manifest, part, self._key)


async def checksum_of(store: PersonReader, on_progress: Callable[[int], None]) -> SetChecksum:
    """Return the checksum of a store; call `on_progress` with the number of records of each page."""
    checksum = SetChecksum()
    async for people in iter_pages(store):
        checksum.add(people)
        on_progress(len(people))
    return checksum
