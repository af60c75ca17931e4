"""The write-ahead log of a store. It is truncated after a deletion and when it is too long."""

from __future__ import annotations

import sqlite3
from time import monotonic
from typing import TYPE_CHECKING, Final

from peopleinfo.stores.sqlite.connection import MAX_LOG_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

RETRY_INTERVAL: Final = 0.25  # seconds between attempts to truncate the log while a reader uses it
_IDLE_SIZE: Final = 4 * 1024 * 1024  # bytes that an idle log keeps for reuse
_COMPLETE: Final = 0  # result of a checkpoint not blocked by a reader or another writer


class WriteAheadLog:
    """The write-ahead log of a connection. Truncation never waits for a reader or another writer."""

    def __init__(self, db: sqlite3.Connection, size: Callable[[], int]) -> None:
        """`size` returns the current size of the log in bytes."""
        self._db = db
        self._size = size
        self._contains_deleted = False
        self._retry_at = 0.0
        self.is_due = False
        """Whether to truncate the log once the writer is idle or a reader has ended."""

    def after_commit(self, *, deleted: bool) -> None:
        """Truncate the log after a commit if the group `deleted` a record or the log is too long."""
        self._contains_deleted |= deleted
        size = self._size()
        self.is_due = self._contains_deleted or size > _IDLE_SIZE
        if deleted or ((self._contains_deleted or size > MAX_LOG_SIZE) and monotonic() >= self._retry_at):
            self.truncate()

    def truncate(self) -> None:
        """Copy the log to the database and truncate it. If a reader needs it, `is_due` stays set."""
        self._retry_at = monotonic() + RETRY_INTERVAL
        try:
            self.is_due = not self._try_truncate()
        except sqlite3.Error:  # a full disk, for example; the next write reports it
            return
        self._contains_deleted &= self.is_due

    def _try_truncate(self) -> bool:
        (timeout,) = self._db.execute("PRAGMA busy_timeout").fetchone()
        self._db.execute("PRAGMA busy_timeout = 0")
        try:
            # PASSIVE copies without blocking other writers, so that TRUNCATE holds the lock only briefly.
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            return bool(self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == _COMPLETE)
        finally:
            self._db.execute(f"PRAGMA busy_timeout = {timeout}")
