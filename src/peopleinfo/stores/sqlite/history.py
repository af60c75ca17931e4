"""The versions of records in the database file. The transaction of a write stores the replaced version and the change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from peopleinfo.errors import PersonNotFound
from peopleinfo.people.history import (
    Operation,
    Origin,
    PersonVersion,
    VersionPage,
    default_operation,
    feed_operation,
    milliseconds,
)
from peopleinfo.people.import_log import first_id, retention
from peopleinfo.people.person import check_stored
from peopleinfo.people.store import PAGE_SIZE
from peopleinfo.stores.sqlite.changes import append_changes, expire_changes
from peopleinfo.stores.sqlite.import_log import expire_imports
from peopleinfo.stores.sqlite.merge_rows import merged_versions

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from peopleinfo.people.history import HistoryLimits
    from peopleinfo.people.person import StoredPerson

    _Numbered = tuple[int, StoredPerson]  # a record after its seq

# An encrypted record stays encrypted with its key: the ciphertext is bound to its version.
_ARCHIVE: Final = """
    INSERT OR REPLACE INTO history (seq, version, operation, principal, import_id, replaced_at, body)
    SELECT seq, version, operation, principal, import_id, ?, body FROM people WHERE seq = ?
"""
_ARCHIVE_DELETION: Final = """
    INSERT OR REPLACE INTO history (seq, version, operation, principal, replaced_at, body)
    SELECT seq, version, 'deleted', principal, ?, body FROM trash WHERE seq = ?
"""
_INSERT: Final = """
    INSERT OR REPLACE INTO history (seq, version, operation, principal, import_id, replaced_at, body) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_EXCEEDING: Final = "DELETE FROM history WHERE seq = ? AND version < ?"
_ERASE: Final = "DELETE FROM history WHERE seq = ?"
_CURRENT: Final = "SELECT version, operation, principal, import_id, body FROM readable WHERE seq = ?"
_EARLIER: Final = """
    SELECT version, operation, principal, import_id, body FROM readable_history
    WHERE seq = ? AND version > ? AND version < ? AND replaced_at > ? ORDER BY version LIMIT ?
"""
# Versions are stored in the order of their replacement, so the oldest rows expire first.
_EXPIRE: Final = "DELETE FROM history WHERE n IN (SELECT n FROM history ORDER BY n LIMIT ?) AND replaced_at < ?"
_EXPIRY_ROWS: Final = 1_000  # oldest rows examined at a time


class Recorder:
    """Stores versions and changes in the transaction of the write that causes them."""

    def __init__(self, limits: HistoryLimits, now: Callable[[], datetime]) -> None:
        self.limits = self._limits = limits
        self._now = now

    def created(self, db: sqlite3.Connection, people: Sequence[tuple[str, int]], now: datetime) -> None:
        """Record new people by id and version. Call this after their rows are stored."""
        append_changes(db, people, Operation.CREATED, now)

    def replacing(
        self, db: sqlite3.Connection, people: Sequence[_Numbered], operation: Operation, now: datetime
    ) -> None:
        """Record the replacement of records by their next versions. Call this before their rows are updated."""
        self._archive(db, _ARCHIVE, people, now)
        changes = [(record.person_id, record.version) for _, record in people]
        append_changes(db, changes, feed_operation(operation), now)

    def archive(self, db: sqlite3.Connection, seq: int, version: PersonVersion, current: int, now: datetime) -> None:
        """Store an earlier version of a record whose current version is `current`; its body is in the stored form."""
        if self._limits.max_versions != 0 and version.version >= self._limits.oldest_version(current):
            row = (seq, version.version, *version.origin, milliseconds(now), version.body)
            db.execute(_INSERT, row)

    def restoring(self, db: sqlite3.Connection, seq: int, record: StoredPerson, now: datetime) -> None:
        """Record the next version of a person in the trash. Call this before its row in the trash is deleted."""
        self._archive(db, _ARCHIVE_DELETION, [(seq, record)], now)
        append_changes(db, [(record.person_id, record.version)], Operation.RESTORED, now)

    def deleted(self, db: sqlite3.Connection, seq: int, person_id: str, version: int, now: datetime) -> None:
        """Delete the versions of a record, and record the deletion of its last `version`."""
        erase_history(db, seq)
        append_changes(db, [(person_id, version + 1)], Operation.DELETED, now)

    def _archive(self, db: sqlite3.Connection, archive: str, people: Sequence[_Numbered], now: datetime) -> None:
        time, limits = milliseconds(now), self._limits
        if limits.max_versions != 0:
            db.executemany(archive, [(time, seq) for seq, _ in people])
        if limits.max_versions is not None:
            db.executemany(_EXCEEDING, [(seq, limits.oldest_version(record.version)) for seq, record in people])

    def read(self, db: sqlite3.Connection, person_id: str, seq: int, after: int, limit: int) -> VersionPage:
        """Return a page of versions; see `VersionReader.read_versions`."""
        db.execute("BEGIN")  # both queries read the same state
        try:
            last = _last_versions(db, person_id, seq)
            first = max(after, self._limits.oldest_version(last[-1].version) - 1)
            bounds = (seq, first, last[0].version, self._limits.replaced_after(self._now()), limit)
            versions, size = [], 0
            for row in db.execute(_EARLIER, bounds):
                versions.append(version_of_row(*row))
                size += len(row[-1])
                if size >= PAGE_SIZE:
                    break
        finally:
            db.execute("COMMIT")
        if len(versions) == limit or size >= PAGE_SIZE:
            return VersionPage(versions, more=True)
        versions += [version for version in last if version.version > after]
        return VersionPage(versions[:limit], more=len(versions) > limit)

    def expire(self, db: sqlite3.Connection) -> bool:
        """Delete some of the expired versions and changes; return whether there may be more."""
        now, limits = self._now(), self._limits
        before = milliseconds(now) + 1 if limits.max_versions == 0 else limits.replaced_after(now)
        versions = db.execute(_EXPIRE, (_EXPIRY_ROWS, before)).rowcount
        changes = expire_changes(db, now - limits.changes_age, _EXPIRY_ROWS)
        imports = expire_imports(db, first_id(now - retention(limits)), _EXPIRY_ROWS)
        return _EXPIRY_ROWS in (versions, changes, imports)


def erase_history(db: sqlite3.Connection, seq: int) -> None:
    """Delete all earlier versions of a record."""
    db.execute(_ERASE, (seq,))


def _last_versions(db: sqlite3.Connection, person_id: str, seq: int) -> list[PersonVersion]:
    """Return the versions of a record that are not in the history. Raises PersonNotFound."""
    current = db.execute(_CURRENT, (seq,)).fetchone()
    last = [version_of_row(*current)] if current else merged_versions(db, person_id, seq)
    if not last:
        raise PersonNotFound(person_id)
    return last


def version_of_row(
    version: int, operation: str | None, principal: str | None, import_id: bytes | None, body: Any
) -> PersonVersion:
    """Return the version in a row. A row without an operation was created, or stored by an earlier release."""
    default = default_operation(version)
    origin = Origin(Operation(operation) if operation else default, principal, import_id)
    return PersonVersion(version, origin, check_stored(body))
