"""Back up all records of a store in parts; another run resumes after the last complete part."""

from __future__ import annotations

import asyncio
import secrets
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
    write_manifest,
    write_part,
)
from peopleinfo.errors import InvalidBackup
from peopleinfo.people.person import timestamp
from peopleinfo.people.version_archive import encode_history

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime

    from peopleinfo.bulk.backup_storage import BackupStorage
    from peopleinfo.people.store import PersonReader
    from peopleinfo.people.version_archive import VersionArchive

PART_ROWS: Final = 20_000  # records
_PART_SIZE: Final = 8 * 1024 * 1024  # bytes of JSON; bounds the memory of a backup


class Backup:
    """A backup of all records of a store.

    It contains every record that exists throughout the backup, at a version that was current at some time during the backup.
    """

    def __init__(
        self,
        store: PersonReader,
        archive: VersionArchive,
        storage: BackupStorage,
        *,
        source_secret: bytes,
        key: bytes | None,
        now: Callable[[], datetime],
        part_rows: int = PART_ROWS,
    ) -> None:
        """Encrypt the parts with `key` (32 bytes), or store them unencrypted if it is None. `source_secret` identifies the store."""
        self._part_rows = part_rows
        self._store = store
        self._archive = archive
        self._source = key_fingerprint(source_secret)
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
            parts = manifest.parts
            if lines.people:
                part = await asyncio.to_thread(write_part, self._storage, manifest, lines, self._key)
                parts = [*parts, part]
            checksum.add(lines.people)
            manifest = msgspec.structs.replace(
                manifest,
                format=FORMAT,
                after=after,
                people=checksum.people,
                digest=checksum.hex,
                parts=parts,
                finished_at=None if after else timestamp(self._now()),
            )
            await asyncio.to_thread(write_manifest, self._storage, manifest, self._key)
            yield manifest

    async def _read(self, after: bytes | None) -> tuple[PartLines, bytes | None]:
        """Return the records of a part with their versions, and the position of the next one."""
        lines = PartLines([], [])
        size = 0
        while True:
            page = await scan(self._store, after, min(PAGE_SIZE, self._part_rows))
            lines.people.extend(page.people)
            async for histories in iter_histories(self._archive, page.people):
                versions = [line for history in histories for line in encode_history(history)]
                lines.versions.extend(versions)
                size += sum(map(len, versions))
            size += sum(map(len, page.people))
            after = page.next
            if after is None or len(lines.people) >= self._part_rows or size >= _PART_SIZE:
                return lines, after
