"""Back up a store in parts: its records, then its supplement. Another run resumes after the last complete part of records."""

from __future__ import annotations

import asyncio
import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from peopleinfo.bulk.checksum import SetChecksum
from peopleinfo.bulk.copy import PAGE_SIZE, iter_histories, scan
from peopleinfo.bulk.manifest import (
    FORMAT,
    Manifest,
    PartLines,
    key_fingerprint,
    read_manifest,
    read_part,
    write_manifest,
    write_part,
)
from peopleinfo.bulk.supplement import encode_entry, iter_supplement
from peopleinfo.errors import InvalidBackup
from peopleinfo.people.person import decode_header, timestamp
from peopleinfo.people.version_archive import encode_history

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from peopleinfo.bulk.archived_store import ArchivedStore
    from peopleinfo.bulk.backup_storage import BackupStorage
    from peopleinfo.bulk.supplement import SupplementBatch
    from peopleinfo.people.store import PersonReader

PART_ROWS: Final = 20_000  # records
_MAX_SKEW: Final = timedelta(hours=1)  # between the clocks of this process and of the writers
_PART_SIZE: Final = 8 * 1024 * 1024  # bytes of JSON; bounds the memory of a backup


class Backup:
    """A backup of all records of a store, and of its supplement.

    It contains every record that exists throughout the backup, at a version that was current at some time during the backup.
    A record that is deleted or merged after it was read is in the supplement.
    """

    def __init__(
        self,
        people: PersonReader,
        store: ArchivedStore,
        storage: BackupStorage,
        *,
        key: bytes | None,
        now: Callable[[], datetime],
        part_rows: int = PART_ROWS,
    ) -> None:
        """Encrypt the parts with `key` (32 bytes), or store them unencrypted if it is None."""
        self._part_rows = part_rows
        self._people = people
        self._store = store
        self._source = key_fingerprint(store.secret)
        self._storage = storage
        self._key = key
        self._now = now

    async def start(self) -> Manifest:
        """Return the manifest of the backup to resume, or of a new one.

        Raises InvalidBackup when the storage holds a complete backup, a backup of another store or one with other encryption.
        """
        manifest = await asyncio.to_thread(read_manifest, self._storage, self._key)
        if manifest is None:
            return Manifest(
                backup_id=secrets.token_hex(16),
                source=self._source,
                sealed=self._key is not None,
                started_at=timestamp(self._now()),
            )
        if manifest.is_complete:
            raise InvalidBackup(
                f"the storage already holds a complete backup of {manifest.people:,} records, finished at"
                f" {manifest.finished_at}, digest {manifest.digest}: use another location"
            )
        if manifest.source != self._source:
            raise InvalidBackup("the storage holds a backup of another store: use another location")
        if manifest.sealed != (self._key is not None):
            raise InvalidBackup(
                f"the backup was started {'with' if manifest.sealed else 'without'} --key: resume it the same way"
            )
        return manifest

    async def run(self, manifest: Manifest) -> AsyncIterator[Manifest]:
        """Save the remaining records and yield the updated manifest after each part; the last one is complete."""
        checksum = SetChecksum(manifest.people, int(manifest.digest, 16))
        while not manifest.is_complete:
            lines, after = await self._read(manifest.after)
            if lines.people:
                manifest = await self._with_part(manifest, lines)
            checksum.add(lines.people)
            manifest = msgspec.structs.replace(manifest, format=FORMAT, after=after)
            if after is None:
                manifest = await self._with_supplement(manifest, checksum)
                manifest = msgspec.structs.replace(manifest, finished_at=timestamp(self._now()))
            manifest = msgspec.structs.replace(manifest, people=checksum.people, digest=checksum.hex)
            await asyncio.to_thread(write_manifest, self._storage, manifest, self._key)
            yield manifest

    async def _with_part(self, manifest: Manifest, lines: PartLines) -> Manifest:
        part = await asyncio.to_thread(write_part, self._storage, manifest, lines, self._key)
        return msgspec.structs.replace(manifest, parts=[*manifest.parts, part])

    async def _with_supplement(self, manifest: Manifest, checksum: SetChecksum) -> Manifest:
        """Save the supplement, and correct the checksum for its people that have changed since they were saved."""
        since = timestamp(datetime.fromisoformat(manifest.started_at) - _MAX_SKEW)
        changed: dict[str, bytes | None] = {}
        pending = _SupplementPart()
        parts = len(manifest.parts)
        async for batch in iter_supplement(self._store):
            if not pending.accepts(batch):
                manifest, pending = await self._with_part(manifest, pending.lines), _SupplementPart()
            pending.add(batch)
            changed |= batch.changed_since(since)
        if pending.lines.entries:
            manifest = await self._with_part(manifest, pending.lines)
        return await self._correct(checksum, manifest, parts, changed)

    async def _correct(
        self, checksum: SetChecksum, manifest: Manifest, parts: int, changed: dict[str, bytes | None]
    ) -> Manifest:
        """Replace people among the first `parts` in the checksum by their records in the supplement."""
        if not changed:
            return manifest
        saved: dict[str, bytes] = {}
        for part in manifest.parts[:parts]:
            people = (await asyncio.to_thread(read_part, self._storage, manifest, part, self._key)).people
            found = ((decode_header(body).person_id, body) for body in people)
            saved |= {person_id: body for person_id, body in found if person_id in changed}
        manifest = msgspec.structs.replace(manifest, saved=(checksum.people, checksum.hex))
        checksum.remove(saved.values())
        checksum.add(body for body in changed.values() if body is not None)
        return manifest

    async def _read(self, after: bytes | None) -> tuple[PartLines, bytes | None]:
        """Return the records of a part with their versions, and the position of the next one."""
        lines = PartLines([], [], [])
        size = 0
        while True:
            page = await scan(self._people, after, min(PAGE_SIZE, self._part_rows))
            lines.people.extend(page.people)
            async for histories in iter_histories(self._store.archive, page.people):
                versions = [line for history in histories for line in encode_history(history)]
                lines.versions.extend(versions)
                size += sum(map(len, versions))
            size += sum(map(len, page.people))
            after = page.next
            if after is None or len(lines.people) >= self._part_rows or size >= _PART_SIZE:
                return lines, after


class _SupplementPart:
    """A part of the supplement. It contains each person once, although several entries may refer to it."""

    def __init__(self) -> None:
        self.lines = PartLines([], [], [])
        self._people: dict[str, bytes] = {}
        self._size = 0

    def accepts(self, batch: SupplementBatch) -> bool:
        """Return whether the part has space for a batch, and none of its people at another version."""
        same = all(self._people.get(person_id, body) == body for person_id, body in batch.people.items())
        return same and self._size < _PART_SIZE

    def add(self, batch: SupplementBatch) -> None:
        """Add a batch."""
        new = {person_id: body for person_id, body in batch.people.items() if person_id not in self._people}
        histories = [history for history in batch.histories if history.person_id in new]
        versions = [line for history in histories for line in encode_history(history)]
        entries = list(map(encode_entry, batch.entries))
        self._people |= new
        self._size += sum(map(len, (*new.values(), *versions, *entries)))
        for lines, more in zip(self.lines, (new.values(), versions, entries), strict=True):
            lines.extend(more)
