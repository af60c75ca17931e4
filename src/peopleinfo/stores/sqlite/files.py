"""The files of an open store. SQLite opens each by name, and never removes or replaces one while a connection is open."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from struct import Struct
from typing import TYPE_CHECKING, Final

from peopleinfo.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import ExitStack
    from pathlib import Path

_LOG: Final = "-wal"  # write-ahead log: the only copy of acknowledged writes until a checkpoint
_INDEX: Final = "-shm"  # locks and log index: processes with different ones do not exclude each other
# sqlite.org/walformat.html: a log is a header and frames, each with a header and a page. The index contains the page size and the frame count.
_LOG_HEADER: Final = 32
_FRAME_HEADER: Final = 24
_INDEX_HEADER: Final = Struct("=HI")
_INDEX_OFFSET: Final = 14

FileId = tuple[int, int]  # device and inode


def path_of_keys(people: Path) -> Path:
    """Return the path of the key file. A glob pattern such as `people.db*` matches only the file of people."""
    return people.with_name(f"keys-of-{people.name}")


def file_names(databases: Sequence[Path]) -> list[str]:
    """Return the names of all files of these databases."""
    return [f"{database}{suffix}" for database in databases for suffix in ("", _LOG, _INDEX)]


class StoreFiles:
    """The database files of a store, each with its write-ahead log and the index of that log."""

    def __init__(self, databases: Sequence[Path], closing: ExitStack) -> None:
        """Record the identity of the open files. Read from each database first, which opens its log. Raises OSError.

        `closing` must exit after the last connection closes: closing an index releases the locks of this process.
        """
        self._opened: dict[str, FileId | None] = {name: _id(os.stat(name)) for name in file_names(databases)}  # noqa: PTH116
        self._indexes: dict[str, int] = {}  # name of a log → descriptor of its index
        for database in databases:
            index = os.open(f"{database}{_INDEX}", os.O_RDONLY)
            closing.callback(os.close, index)
            self._indexes[f"{database}{_LOG}"] = index

    def have_changed(self) -> bool:
        """Return whether a file was removed, replaced or truncated."""
        try:
            self.check()
        except StoreUnavailable:
            return True
        return False

    def check(self) -> None:
        """Raise StoreUnavailable if a file was removed, replaced or truncated: the next start would not find new writes."""
        for name, opened in self._opened.items():
            if _current_id(name) != opened:
                raise StoreUnavailable(f"{name} was removed or replaced while it was open; restart the service")
        for log, index in self._indexes.items():
            if _is_truncated(log, index):
                raise StoreUnavailable(f"{log} was truncated while it was open; restart the service")

    def log_size(self) -> int:
        """Return the size of all write-ahead logs in bytes."""
        return sum(map(_size, self._indexes))

    def guard(self, db: sqlite3.Connection) -> Callable[[], None]:
        """Return a check for the writer thread. Before it raises, it copies a removed log to the database through `db`."""

        def guard() -> None:
            try:
                self.check()
            except StoreUnavailable:
                self._rescue(db)
                raise

        return guard

    def _rescue(self, db: sqlite3.Connection) -> None:
        """Copy acknowledged writes from removed but open logs to the database files, unless other files have changed."""
        changed = [name for name, opened in self._opened.items() if _current_id(name) != opened]
        if changed and all(map(_is_gone, changed)):
            with suppress(sqlite3.Error):  # another process does the same; the next write or readiness check retries
                db.execute("PRAGMA wal_checkpoint(PASSIVE)")


def _is_gone(name: str) -> bool:
    """Return whether a log or an index was removed. A process that starts later creates an empty log and cannot write."""
    return (name.endswith(_LOG) and _size(name) == 0) or (name.endswith(_INDEX) and not os.path.lexists(name))


def _is_truncated(log: str, index: int) -> bool:
    """Return whether a log is shorter than its index requires. Another process may empty both between the reads."""
    page, frames = _INDEX_HEADER.unpack(os.pread(index, _INDEX_HEADER.size, _INDEX_OFFSET))
    if not frames or _size(log) >= _LOG_HEADER + frames * (_FRAME_HEADER + page):
        return False
    return (page, frames) == _INDEX_HEADER.unpack(os.pread(index, _INDEX_HEADER.size, _INDEX_OFFSET))


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
