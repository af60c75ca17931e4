"""The files of an open store. SQLite opens each by its name, and neither removes nor replaces one while a connection is open."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from peopleinfo.errors import StoreUnavailable

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from pathlib import Path

_LOG: Final = "-wal"  # the write-ahead log: acknowledged writes are only in it until a checkpoint
_INDEX: Final = "-shm"  # the locks and the index of the log: with two of them, processes do not exclude each other

FileId = tuple[int, int]  # device and inode


class Files:
    """The database files of a store, each with its write-ahead log and the index of that log."""

    def __init__(self, databases: Sequence[Path]) -> None:
        """Note which files are open. A connection must have read from each database, which opens the log. Raises OSError."""
        self._logs = [f"{database}{_LOG}" for database in databases]
        names = [f"{database}{suffix}" for database in databases for suffix in ("", _LOG, _INDEX)]
        self._opened: dict[str, FileId | None] = {name: _id(os.stat(name)) for name in names}  # noqa: PTH116 - hot

    def have_changed(self) -> bool:
        """Return whether a file was removed or replaced."""
        return any(_current_id(name) != opened for name, opened in self._opened.items())

    def check(self) -> None:
        """Raise StoreUnavailable when a file was removed or replaced: the next start would not find what is written to it."""
        for name, opened in self._opened.items():
            if _current_id(name) != opened:
                raise StoreUnavailable(f"{name} was removed or replaced while it was open: restart the service")

    def log_size(self) -> int:
        """Return the size of all write-ahead logs in bytes."""
        return sum(_size(name) for name in self._logs)

    def guard(self, db: sqlite3.Connection) -> Callable[[], None]:
        """Return `check` for the thread that writes through `db`: before it raises, it rescues the content of a removed log."""

        def guard() -> None:
            try:
                self.check()
            except StoreUnavailable:
                self._rescue(db)
                raise

        return guard

    def _rescue(self, db: sqlite3.Connection) -> None:
        """Copy acknowledged writes from a removed log, which is still open, to the database file, unless any file was replaced."""
        changed = {name: there for name, opened in self._opened.items() if (there := _current_id(name)) != opened}
        if not any(changed.values()) and all(name.endswith((_LOG, _INDEX)) for name in changed):
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")


def _current_id(name: str) -> FileId | None:
    try:
        return _id(os.stat(name))  # noqa: PTH116 - called several times for each commit
    except OSError:
        return None


def _id(stat: os.stat_result) -> FileId:
    return stat.st_dev, stat.st_ino


def _size(name: str) -> int:
    try:
        return os.stat(name).st_size  # noqa: PTH116 - as above
    except OSError:
        return 0
