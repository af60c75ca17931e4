"""The people of a backup back into a store, with their ids, versions and times."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Final

from peopleinfo.bulk.checksum import SetChecksum
from peopleinfo.bulk.copy import TargetNotEmpty, is_not_empty, iter_pages, upsert_with_checkpoint
from peopleinfo.bulk.manifest import InvalidBackup, Manifest, Part, read_manifest, read_part
from peopleinfo.people.store import Checkpoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from peopleinfo.bulk.backup_storage import BackupStorage
    from peopleinfo.people.store import Store

_TOGETHER: Final = 2_000  # people stored at a time


class Restore:
    """What a backup holds, put into a store. How far it has come is kept there, so whoever runs it again goes on there."""

    def __init__(self, depot: BackupStorage, *, key: bytes | None) -> None:
        self._depot = depot
        self._key = key

    async def manifest(self) -> Manifest:
        """Return what the backup holds. Raises BackupUnusable when there is none, or not a whole one."""
        manifest = await asyncio.to_thread(read_manifest, self._depot, self._key)
        if manifest is None:
            raise InvalidBackup("there is no backup here")
        if not manifest.is_complete:
            raise InvalidBackup(
                "the backup was never finished: run `peopleinfo backup` again, which goes on where it stopped"
            )
        return manifest

    async def check(self, manifest: Manifest) -> AsyncIterator[int]:
        """Read every part and yield how many people are in it. Raises BackupUnusable at the first thing that is not as it was written."""
        digest = SetChecksum()
        for part in manifest.parts:
            bodies = await self._read(manifest, part)
            digest.add(bodies)
            yield len(bodies)
        if (digest.people, digest.hex) != (manifest.people, manifest.digest):
            raise InvalidBackup("the people in the parts are not those that the manifest vouches for")

    async def run(self, manifest: Manifest, target: Store, *, merge: bool) -> AsyncIterator[int]:
        """Put everybody who is not there, or there at an earlier version, into the store, and yield how many were dealt with.

        Raises BackupUnusable, TargetNotEmpty unless it is to `merge`, ImportOverlap when the same restore runs somewhere else.
        """
        restore_id = hashlib.sha256(f"restore {manifest.backup_id}".encode()).digest()
        before = await target.progress(restore_id)
        if not (merge or before.rows) and await is_not_empty(target):
            raise TargetNotEmpty("name a new store, or say --merge to bring back those of the backup who are not there")
        yield before.rows
        passed = 0
        for part in manifest.parts:
            passed += part.people
            if passed <= before.rows:
                continue
            bodies = (await self._read(manifest, part))[before.rows - passed :]
            for start in range(0, len(bodies), _TOGETHER):
                some = bodies[start : start + _TOGETHER]
                after = Checkpoint(restore_id, before.rows + len(some), before.rows + len(some), b"restore")
                await upsert_with_checkpoint(target, some, before, after)
                before = after
                yield len(some)

    async def _read(self, manifest: Manifest, part: Part) -> list[bytes]:
        return await asyncio.to_thread(read_part, self._depot, manifest, part, self._key)


async def digest_of(store: Store, seen: Callable[[int], None]) -> SetChecksum:
    """Look at everybody in a store; `seen` is told how many, as it goes."""
    digest = SetChecksum()
    async for people in iter_pages(store):
        digest.add(people)
        seen(len(people))
    return digest
