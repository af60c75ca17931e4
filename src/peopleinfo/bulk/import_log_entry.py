"""The entry of an import in the log: stored with its first change, completed at its end."""

from __future__ import annotations

import secrets
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from peopleinfo.crypto.cipher import Cipher
from peopleinfo.crypto.person_ids import derive_key
from peopleinfo.people.import_log import ImportCounts, ImportEntry, ImportState, new_import_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from peopleinfo.people.import_log import ImportBatch, ImportLog

_SUFFIX_SIZE: Final = 8  # bytes
_PAGE: Final = 100  # batches


class ImportFile(NamedTuple):
    """The name of an imported file and its SHA-256; None if unknown."""

    name: str | None = None
    digest: str | None = None


UNKNOWN_FILE: Final = ImportFile()


class ImportEntryWriter:
    """Writes the entry of one import. Each run of a resumed import writes the same entry."""

    def __init__(self, log: ImportLog, secret: bytes, operation_id: bytes | None, started_at: str) -> None:
        """`operation_id` and `started_at` are those of the checkpoint, None and the current time without one."""
        suffix = sha256(operation_id).digest()[:_SUFFIX_SIZE] if operation_id else secrets.token_bytes(_SUFFIX_SIZE)
        self._log = log
        self._secret = secret
        self._operation_id = operation_id
        self._started_at = started_at
        self.import_id = new_import_id(datetime.fromisoformat(started_at), suffix)

    async def start(self, file: ImportFile, principal: str | None) -> None:
        """Store the entry unless an earlier run did. Raises ImportUndone."""
        entry = ImportEntry(
            import_id=self.import_id,
            started_at=self._started_at,
            principal=principal,
            operation_id=self._operation_id,
            file=encrypt_file(self._secret, self.import_id, file),
        )
        await self._log.start_import(entry)

    async def finish(self, file: ImportFile) -> None:
        """Complete the entry, or delete it if the import changed no person."""
        counts = await count_people(self._log, self.import_id)
        if counts == ImportCounts():
            await self._log.delete_import(self.import_id)
            return
        entry = msgspec.structs.replace(
            await self._log.read_import(self.import_id),
            state=ImportState.FINISHED,
            file=encrypt_file(self._secret, self.import_id, file),
            counts=counts,
        )
        await self._log.update_import(entry, expected=(ImportState.STARTED, ImportState.FINISHED))


def encrypt_file(secret: bytes, import_id: bytes, file: ImportFile) -> bytes:
    """Encrypt the name and the digest of a file, which may be personal data."""
    return _cipher(secret).encrypt(msgspec.json.encode(file), import_id)


def decrypt_file(secret: bytes, entry: ImportEntry) -> ImportFile:
    """Return the file of an import."""
    if not entry.file:
        return UNKNOWN_FILE
    return msgspec.json.decode(_cipher(secret).decrypt(entry.file, entry.import_id), type=ImportFile)


async def iter_batches(log: ImportLog, import_id: bytes) -> AsyncIterator[ImportBatch]:
    """Yield all batches of an import."""
    after: bytes | None = None
    while True:
        batches = await log.read_batches(import_id, after=after, limit=_PAGE)
        for batch in batches:
            yield batch
        if len(batches) < _PAGE:
            return
        after = batches[-1].key


async def count_people(log: ImportLog, import_id: bytes) -> ImportCounts:
    """Count the people of an import, and those that its undo has processed.

    An interrupted import may have recorded an update twice, so updated people are counted by id.
    """
    created = deleted = left_created = 0
    updated, undone, left = set[str](), set[str](), set[str]()
    async for batch in iter_batches(log, import_id):
        ids = {person_id for person_id, _ in batch.people.updated}
        created += batch.people.counts.created
        updated |= ids
        if batch.outcome:
            kept = {person.person_id for person in batch.outcome.left}
            deleted += batch.outcome.deleted
            left_created += len(kept - ids)
            left |= kept & ids
            undone |= ids
    return ImportCounts(created, len(updated), deleted, len(undone - left), left_created + len(left))


def _cipher(secret: bytes) -> Cipher:
    return Cipher(derive_key(secret, "import files"))
