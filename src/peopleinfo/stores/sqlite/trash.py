"""The trash in the database file. Implements `peopleinfo.people.trash.TrashStore`.

The move of a person replaces its version like a change, so a deletion and a restore are versions of the history.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from peopleinfo.errors import PersonNotFound, VersionConflict
from peopleinfo.people.folding import FOLD_VERSION
from peopleinfo.people.history import Operation, milliseconds
from peopleinfo.people.person import PersonData, StoredPerson, check_stored, encode_person, split_record, timestamp
from peopleinfo.people.store import PAGE_SIZE
from peopleinfo.people.trash import TrashedPerson, TrashPage
from peopleinfo.stores.sqlite import batches
from peopleinfo.stores.sqlite.deletion import clear_responses
from peopleinfo.stores.sqlite.merge_rows import outermost

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from peopleinfo.stores.sqlite.connection import ReadInThread
    from peopleinfo.stores.sqlite.deletion import Eraser
    from peopleinfo.stores.sqlite.history import Recorder
    from peopleinfo.stores.sqlite.person_keys import EncryptingWriter
    from peopleinfo.stores.sqlite.search_entries import SearchEntries
    from peopleinfo.stores.sqlite.writer import GroupCommitWriter


_POSITION: Final = Struct(">QQ")  # time of the deletion and seq of the last person on a page
_FIRST: Final = ((1 << 63) - 1, 0)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS: Final = "seq, person_id, version, body, principal, deleted_at, expires_at"
_GET: Final = f"SELECT {_COLUMNS} FROM readable_trash WHERE seq = ? AND expires_at > ?"  # noqa: S608 - a constant
_PAGE: Final = f"""
    SELECT {_COLUMNS} FROM readable_trash WHERE (deleted_at, seq) < (?, ?) AND expires_at > ?
    ORDER BY deleted_at DESC, seq DESC LIMIT ?
"""  # noqa: S608 - a constant
_VERSION: Final = "SELECT version FROM trash WHERE seq = ?"
_EXPIRED: Final = "SELECT person_id, version FROM trash WHERE expires_at <= ? ORDER BY expires_at LIMIT ?"
_ADD: Final = """
    INSERT INTO trash (seq, person_id, version, body, principal, deleted_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_RESTORE: Final = """
    INSERT INTO people (surname_key, seq, fold, version, body, operation, principal, plan) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""


class SqliteTrash:
    """Deleted people in the file."""

    def __init__(
        self,
        writer: GroupCommitWriter,
        run: ReadInThread,
        seq_of: Callable[[str], int],
        now: Callable[[], datetime],
        *,
        encryptor: EncryptingWriter | None,
        recorder: Recorder,
        entries: SearchEntries,
        eraser: Eraser,
    ) -> None:
        """`run` runs a read in the thread of long reads; `seq_of` raises PersonNotFound."""
        self._writer = writer
        self._run = run
        self._seq = seq_of
        self._now = now
        self._encryptor = encryptor
        self._recorder = recorder
        self._entries = entries
        self._eraser = eraser

    async def add(
        self,
        person_id: str,
        *,
        expected: int | None = None,
        expires_at: datetime,
        principal: str | None = None,
        deleted_at: datetime | None = None,
    ) -> None:
        seq = self._seq(person_id)

        def change(db: sqlite3.Connection) -> None:
            version, body, plan = batches.read_expected(db, person_id, seq, expected)
            now = self._now()
            _, record = self._next(StoredPerson(person_id, version, body), deleted_at or now)
            self._recorder.replacing(db, [(seq, record)], Operation.DELETED, now)
            self._entries.remove(db, seq, body, plan)
            db.execute("DELETE FROM people WHERE seq = ?", (seq,))
            times = milliseconds(deleted_at or now), milliseconds(expires_at)
            body = self._encrypted(db, seq, record)
            db.execute(_ADD, (seq, bytes.fromhex(person_id), record.version, body, principal, *times))
            clear_responses(db, seq)

        await self._writer.run(change)

    async def get(self, person_id: str) -> TrashedPerson:
        seq = self._seq(person_id)
        return await self._run(lambda db: self._read(db, person_id, seq))

    async def page(self, *, after: bytes | None, limit: int) -> TrashPage:
        position = _POSITION.unpack(after) if after else _FIRST
        bounds = (*position, milliseconds(self._now()), limit + 1)
        return await self._run(lambda db: _page(db, bounds, limit))

    async def restore(self, person_id: str, *, expected: int, principal: str | None = None) -> StoredPerson:
        seq = self._seq(person_id)

        def change(db: sqlite3.Connection) -> StoredPerson:
            deleted = self._read(db, person_id, seq)
            if deleted.version != expected:
                raise VersionConflict(person_id, actual=deleted.version)
            data, record = self._next(deleted.record, now := self._now())
            self._entries.check_unique(db, seq, data)
            self._recorder.restoring(db, seq, record, now)
            self._entries.add(db, [(seq, data)])
            key, body = data.surname_key, self._encrypted(db, seq, record)
            if self._encryptor:
                key = self._encryptor.index(key)
            origin = (Operation.RESTORED, principal, self._entries.number)
            db.execute(_RESTORE, (key, seq, FOLD_VERSION, record.version, body, *origin))
            db.execute("DELETE FROM trash WHERE seq = ?", (seq,))
            return record

        return await self._writer.run(change)

    async def erase(self, person_id: str, *, expected: int | None = None) -> None:
        seq = self._seq(person_id)

        def change(db: sqlite3.Connection) -> None:
            survivor_id, survivor = outermost(db, person_id, seq)
            row = db.execute(_VERSION, (survivor,)).fetchone()
            if row is None:
                raise PersonNotFound(person_id)
            if expected not in (None, row[0]):
                raise VersionConflict(person_id, actual=row[0])
            db.execute("DELETE FROM trash WHERE seq = ?", (survivor,))
            self._eraser.erase_copies(db, survivor_id, survivor, row[0])

        await self._eraser.run(change)

    async def expired(self, *, limit: int) -> list[tuple[str, int]]:
        now = milliseconds(self._now())
        rows = await self._run(lambda db: db.execute(_EXPIRED, (now, limit)).fetchall())
        return [(person_id.hex(), version) for person_id, version in rows]

    def _read(self, db: sqlite3.Connection, person_id: str, seq: int) -> TrashedPerson:
        row = db.execute(_GET, (seq, milliseconds(self._now()))).fetchone()
        if row is None:
            raise PersonNotFound(person_id)
        return _trashed(row)

    def _next(self, record: StoredPerson, now: datetime) -> tuple[PersonData, StoredPerson]:
        """Return the fields of a record, and its next version with the same fields."""
        data, given = split_record(record)
        created = given["created_at"]
        version = record.version + 1
        return data, encode_person(record.person_id, version, data, created_at=created, updated_at=timestamp(now))

    def _encrypted(self, db: sqlite3.Connection, seq: int, record: StoredPerson) -> bytes:
        if self._encryptor is None:
            return record.body
        return self._encryptor.encrypt_record(db, seq, record.version, record.body)


def _page(db: sqlite3.Connection, bounds: tuple[int, ...], limit: int) -> TrashPage:
    people: list[TrashedPerson] = []
    size, last = 0, b""
    for row in db.execute(_PAGE, bounds):
        if len(people) == limit or size >= PAGE_SIZE:
            return TrashPage(people, last)
        people.append(_trashed(row))
        size += len(people[-1].body)
        last = _POSITION.pack(row[5], row[0])
    return TrashPage(people, None)


def _trashed(row: Any) -> TrashedPerson:
    _, person_id, version, body, principal, _, expires_at = row
    expiry = _EPOCH + timedelta(milliseconds=expires_at)
    return TrashedPerson(person_id.hex(), version, check_stored(body, person_id.hex()), principal, expiry)
