"""The write-ahead log of a store: emptied after an erasure and when it has grown, so that neither data nor size remain."""

from __future__ import annotations

import sqlite3
from time import monotonic
from typing import TYPE_CHECKING, Final

from peopleinfo.stores.sqlite.connection import LOG_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

RETRY_INTERVAL: Final = 0.25  # seconds between attempts to empty the log while a reader holds it
_IDLE_SIZE: Final = 4 * 1024 * 1024  # bytes that remain while there are no writes: later writes reuse them
_COMPLETE: Final = 0  # the first value of a checkpoint: not blocked by a reader or another writer


class WriteAheadLog:
    """The write-ahead log that a connection writes. No attempt to empty it waits for a reader or another writer."""

    def __init__(self, db: sqlite3.Connection, size: Callable[[], int]) -> None:
        """`size` returns the bytes in the log now."""
        self._db = db
        self._size = size
        self._contains_erased = False
        self._retry_at = 0.0
        self.is_due = False
        """Whether the log is to be emptied as soon as the writer is idle or a reader has ended."""

    def after_commit(self, *, erased: bool) -> None:
        """Note that a group was committed. The log is emptied now if the group `erased` a record or the log is too long."""
        self._contains_erased |= erased
        size = self._size()
        self.is_due = self._contains_erased or size > _IDLE_SIZE
        if erased or ((self._contains_erased or size > LOG_SIZE) and monotonic() >= self._retry_at):
            self.empty()

    def empty(self) -> None:
        """Write the log back to the database and truncate it, unless a reader needs it; then `is_due` stays set."""
        self._retry_at = monotonic() + RETRY_INTERVAL
        try:
            self.is_due = not self._truncate()
        except sqlite3.Error:  # a full disk, for example, which the next write reports
            return
        self._contains_erased &= self.is_due

    def _truncate(self) -> bool:
        (timeout,) = self._db.execute("PRAGMA busy_timeout").fetchone()
        self._db.execute("PRAGMA busy_timeout = 0")
        try:
            # The first one copies without keeping other processes from writing, so the second one holds their lock for a moment.
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            return bool(self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == _COMPLETE)
        finally:
            self._db.execute(f"PRAGMA busy_timeout = {timeout}")
