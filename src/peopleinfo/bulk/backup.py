"""The making of a backup: everybody is read once, part by part, and whoever runs it again goes on after the last part that is whole."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Final

import msgspec

from peopleinfo.bulk.checksum import SetChecksum
from peopleinfo.bulk.copy import PAGE_SIZE, scan
from peopleinfo.bulk.manifest import InvalidBackup, Manifest, key_fingerprint, read_manifest, write_manifest, write_part
from peopleinfo.people.person import timestamp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime

    from peopleinfo.bulk.backup_storage import BackupStorage
    from peopleinfo.people.store import Store

PART_PEOPLE: Final = 20_000
_PART_SIZE: Final = 8 * 1024 * 1024  # bytes of JSON; bounds the memory of a backup, whatever the people are


class Backup:
    """A backup of everybody in a store.

    Each person who is there throughout is in it, at a version that was current at some moment between its begin and its end.
    """

    def __init__(
        self,
        store: Store,
        depot: BackupStorage,
        *,
        key: bytes | None,
        now: Callable[[], datetime],
        part_people: int = PART_PEOPLE,
    ) -> None:
        """`key` (32 bytes) seals the parts; None leaves them to be read by everybody who can read the files."""
        self._part_people = part_people
        self._store = store
        self._depot = depot
        self._key = key
        self._now = now

    async def start(self) -> Manifest:
        """Return the manifest of the backup that is gone on with, or of a new one.

        Raises BackupUnusable when the place holds a backup that is finished, or is of another store, or differently sealed.
        """
        manifest = await asyncio.to_thread(read_manifest, self._depot, self._key)
        if manifest is None:
            new = secrets.token_hex(16)
            begun_at = timestamp(self._now())
            return Manifest(
                backup_id=new,
                source=key_fingerprint(self._store.secret),
                sealed=self._key is not None,
                started_at=begun_at,
            )
        if manifest.is_complete:
            raise InvalidBackup(
                f"a backup of {manifest.people:,} people was finished here at {manifest.finished_at},"
                f" digest {manifest.digest}: choose another place for a new one"
            )
        if manifest.source != key_fingerprint(self._store.secret):
            raise InvalidBackup("a backup of another store was begun here: choose another place")
        if manifest.sealed != (self._key is not None):
            raise InvalidBackup(
                f"the backup was begun {'with' if manifest.sealed else 'without'} a key: go on like that"
            )
        return manifest

    async def run(self, manifest: Manifest) -> AsyncIterator[Manifest]:
        """Read everybody, from where the manifest says, and yield it as it stands after each part; the last one is whole."""
        digest = SetChecksum(manifest.people, int(manifest.digest, 16))
        while not manifest.is_complete:
            bodies, after = await self._read(manifest.after)
            parts = manifest.parts
            if bodies:
                part = await asyncio.to_thread(write_part, self._depot, manifest, bodies, self._key)
                parts = [*parts, part]
            digest.add(bodies)
            manifest = msgspec.structs.replace(
                manifest,
                after=after,
                people=digest.people,
                digest=digest.hex,
                parts=parts,
                finished_at=None if after else timestamp(self._now()),
            )
            await asyncio.to_thread(write_manifest, self._depot, manifest, self._key)
            yield manifest

    async def _read(self, after: bytes | None) -> tuple[list[bytes], bytes | None]:
        """Return the people of a part, and where the next one begins."""
        bodies: list[bytes] = []
        size = 0
        while True:
            page = await scan(self._store, after, min(PAGE_SIZE, self._part_people))
            bodies += page.people
            size += sum(map(len, page.people))
            after = page.next
            if after is None or len(bodies) >= self._part_people or size >= _PART_SIZE:
                return bodies, after
