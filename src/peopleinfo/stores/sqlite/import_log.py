"""The log of imports in the database file. The transaction that changes people records them."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from peopleinfo.errors import ImportNotFound, ImportUndone
from peopleinfo.people.import_log import (
    UNDO_STATES,
    ImportBatch,
    ImportEntry,
    decode_entry,
    decode_outcome,
    decode_people,
    encode_entry,
    encode_outcome,
    encode_people,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from peopleinfo.people.import_log import ImportedPeople, ImportState, UndoOutcome
    from peopleinfo.stores.sqlite.errors import ErrorTranslator
    from peopleinfo.stores.sqlite.writer import GroupCommitWriter

_STATE: Final = "SELECT state FROM imports WHERE import_id = ?"
_RECORD: Final = """
    INSERT INTO imported (import_id, n, people)
    SELECT ?, coalesce(max(n), 0) + 1, ? FROM imported WHERE import_id = ?
"""
_LIST: Final = "SELECT body FROM imports WHERE import_id < ? ORDER BY import_id DESC LIMIT ?"
_BATCHES: Final = "SELECT n, people, outcome FROM imported WHERE import_id = ? AND n > ? ORDER BY n LIMIT ?"
_EXPIRE: Final = (
    "DELETE FROM imported WHERE (import_id, n) IN (SELECT import_id, n FROM imported WHERE import_id < ? LIMIT ?)",
    "DELETE FROM imports WHERE import_id < ?",
)
_KEY_SIZE: Final = 8  # bytes
_LAST: Final = b"\xff" * 17  # above all ids


class SqliteImportLog:
    """Implements `peopleinfo.people.import_log.ImportLog` on a database file."""

    def __init__(self, reader: sqlite3.Connection, writer: GroupCommitWriter, errors: ErrorTranslator) -> None:
        self._reader = reader
        self._writer = writer
        self._errors = errors

    async def start_import(self, entry: ImportEntry) -> None:
        def change(db: sqlite3.Connection) -> None:
            check_not_undone(db, entry.import_id)
            values = (entry.import_id, entry.state, encode_entry(entry))
            db.execute("INSERT OR IGNORE INTO imports VALUES (?, ?, ?)", values)

        await self._writer.run(change)

    async def read_import(self, import_id: bytes) -> ImportEntry:
        with self._store_errors():
            row = self._reader.execute("SELECT body FROM imports WHERE import_id = ?", (import_id,)).fetchone()
        if row is None:
            raise ImportNotFound
        return decode_entry(row[0])

    async def list_imports(self, *, before: bytes | None, limit: int) -> list[ImportEntry]:
        with self._store_errors():
            return [decode_entry(body) for (body,) in self._reader.execute(_LIST, (before or _LAST, limit))]

    async def update_import(self, entry: ImportEntry, *, expected: Sequence[ImportState]) -> bool:
        def change(db: sqlite3.Connection) -> bool:
            row = db.execute(_STATE, (entry.import_id,)).fetchone()
            if row is None or row[0] not in expected:
                return False
            values = (entry.state, encode_entry(entry), entry.import_id)
            db.execute("UPDATE imports SET state = ?, body = ? WHERE import_id = ?", values)
            return True

        return await self._writer.run(change)

    async def delete_import(self, import_id: bytes) -> None:
        await self._writer.run(lambda db: db.execute("DELETE FROM imports WHERE import_id = ?", (import_id,)))

    async def read_batches(self, import_id: bytes, *, after: bytes | None, limit: int) -> list[ImportBatch]:
        bounds = (import_id, int.from_bytes(after or b""), limit)
        with self._store_errors():
            return [_batch(*row) for row in self._reader.execute(_BATCHES, bounds)]

    async def save_outcome(self, import_id: bytes, key: bytes, outcome: UndoOutcome) -> None:
        values = (encode_outcome(outcome), import_id, int.from_bytes(key))
        update = "UPDATE imported SET outcome = ? WHERE import_id = ? AND n = ?"
        await self._writer.run(lambda db: db.execute(update, values))

    async def store_batches(self, import_id: bytes, batches: Sequence[ImportBatch]) -> None:
        rows = [
            (import_id, int.from_bytes(key), encode_people(people), _outcome(outcome))
            for key, people, outcome in batches
        ]
        insert = "INSERT OR REPLACE INTO imported (import_id, n, people, outcome) VALUES (?, ?, ?, ?)"
        await self._writer.run(lambda db: db.executemany(insert, rows))

    @contextmanager
    def _store_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._errors.translate(error) from error


def check_not_undone(db: sqlite3.Connection, import_id: bytes | None) -> None:
    """Raise ImportUndone if the undo of an import has started."""
    row = db.execute(_STATE, (import_id,)).fetchone() if import_id else None
    if row is not None and row[0] in UNDO_STATES:
        raise ImportUndone


def record_imported(db: sqlite3.Connection, import_id: bytes | None, batches: Iterable[ImportedPeople]) -> None:
    """Record people of an import, in the transaction that changes them."""
    if import_id is not None:
        for people in batches:
            db.execute(_RECORD, (import_id, encode_people(people), import_id))


def expire_imports(db: sqlite3.Connection, before: bytes, limit: int) -> int:
    """Delete imports with ids below `before`, up to `limit` batches of people; return the number of batches."""
    batches = db.execute(_EXPIRE[0], (before, limit)).rowcount
    if batches < limit:
        db.execute(_EXPIRE[1], (before,))
    return batches


def _outcome(outcome: UndoOutcome | None) -> bytes | None:
    return encode_outcome(outcome) if outcome is not None else None


def _batch(number: int, people: bytes, outcome: bytes | None) -> ImportBatch:
    key = number.to_bytes(_KEY_SIZE)
    return ImportBatch(key, decode_people(people), decode_outcome(outcome) if outcome is not None else None)
