"""Reads and stores the histories of many people in the database file."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from peopleinfo.people.version_archive import PersonHistory, replaced_versions
from peopleinfo.stores.sqlite.history import version_of_row
from peopleinfo.stores.sqlite.merge_rows import merged_versions

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from peopleinfo.people.history import HistoryLimits, PersonVersion
    from peopleinfo.stores.sqlite.person_keys import EncryptingWriter
    from peopleinfo.stores.sqlite.writer import GroupCommitWriter

_COLUMNS: Final = "seq, version, operation, principal, import_id, body"
_BATCH: Final = 500  # people in a query
_PER_MILLISECOND: Final = 1 << 20
_INSERT: Final = """
    INSERT INTO history (n, seq, version, operation, principal, import_id, replaced_at, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_ORIGIN: Final = "UPDATE people SET operation = ?, principal = ?, import_id = ? WHERE seq = ? AND version = ?"
_TRASHED: Final = "SELECT version, 'deleted', principal, NULL, body FROM readable_trash WHERE seq = ?"
_LAST: Final = "SELECT max(n) FROM history WHERE n >= ? AND n < ?"


class SqliteVersionArchive:
    """Implements `peopleinfo.people.version_archive.VersionArchive` on a database file."""

    def __init__(
        self,
        in_thread: Callable[[Callable[[sqlite3.Connection], Any]], Awaitable[Any]],
        seqs: Callable[[Sequence[str]], list[int]],
        writer: GroupCommitWriter,
        encryptor: EncryptingWriter | None,
        limits: HistoryLimits,
        now: Callable[[], datetime],
    ) -> None:
        """`seqs` returns the seqs of ids, 0 for an unknown one; `in_thread` runs a read."""
        self._in_thread = in_thread
        self._seqs = seqs
        self._writer = writer
        self._encryptor = encryptor
        self._limits = limits
        self._now = now

    async def read_histories(self, person_ids: Sequence[str]) -> list[PersonHistory]:
        by_seq = {seq: person_id for person_id, seq in zip(person_ids, self._seqs(person_ids), strict=True) if seq}
        seqs = list(by_seq)
        histories: list[PersonHistory] = []
        for start in range(0, len(seqs), _BATCH):
            batch = seqs[start : start + _BATCH]
            histories += await self._in_thread(partial(self._read, ids={seq: by_seq[seq] for seq in batch}))
        return histories

    async def store_histories(self, histories: Sequence[PersonHistory]) -> None:
        seqs = self._seqs([history.person_id for history in histories])

        def change(db: sqlite3.Connection) -> None:
            for seq, history in zip(seqs, histories, strict=True):
                row = db.execute("SELECT version FROM people WHERE seq = ?", (seq,)).fetchone()
                if row is not None:
                    self._store(db, seq, history, row[0])

        await self._writer.run(change)

    def _read(self, db: sqlite3.Connection, ids: Mapping[int, str]) -> list[PersonHistory]:
        seqs = list(ids)
        marks = ", ".join("?" * len(seqs))
        current = f"SELECT {_COLUMNS} FROM readable WHERE seq IN ({marks})"  # noqa: S608 - placeholders
        earlier = f"SELECT {_COLUMNS} FROM readable_history WHERE seq IN ({marks}) AND replaced_at > ? ORDER BY version"  # noqa: S608
        db.execute("BEGIN")  # both queries read the same state
        try:
            last = {row[0]: [version_of_row(*row[1:])] for row in db.execute(current, seqs)}
            last |= {seq: _other_versions(db, ids[seq], seq) for seq in seqs if seq not in last}
            versions: dict[int, list[PersonVersion]] = {seq: [] for seq in seqs if last[seq]}
            for seq, *row in db.execute(earlier, [*seqs, self._limits.replaced_after(self._now())]):
                if (
                    seq in versions
                    and self._limits.oldest_version(last[seq][-1].version) <= row[0] < last[seq][0].version
                ):
                    versions[seq].append(version_of_row(*row))
        finally:
            db.execute("COMMIT")
        return [PersonHistory(ids[seq], [*found, *last[seq]]) for seq, found in versions.items()]

    def _store(self, db: sqlite3.Connection, seq: int, history: PersonHistory, current: int) -> None:
        for version, replaced_at in replaced_versions(history, current, self._limits, self._now()):
            body = version.body
            if self._encryptor:
                body = self._encryptor.encrypt_record(db, seq, version.version, body)
            db.execute("DELETE FROM history WHERE seq = ? AND version = ?", (seq, version.version))
            values = (_number(db, replaced_at), seq, version.version, *version.origin, replaced_at, body)
            db.execute(_INSERT, values)
        last = history.versions[-1]
        db.execute(_ORIGIN, (*last.origin, seq, last.version))


def _other_versions(db: sqlite3.Connection, person_id: str, seq: int) -> list[PersonVersion]:
    """Return the versions of a record in the trash or of a merged one that are not in the history."""
    row = db.execute(_TRASHED, (seq,)).fetchone()
    return [version_of_row(*row)] if row else merged_versions(db, person_id, seq)


def _number(db: sqlite3.Connection, replaced_at: int) -> int:
    """Return an unused number that is in the order of the replacements, because the versions with the lowest numbers expire first."""
    first = replaced_at * _PER_MILLISECOND
    (last,) = db.execute(_LAST, (first, first + _PER_MILLISECOND)).fetchone()
    return first if last is None else int(last) + 1
