"""Connections to the store's files, which only their owner can read."""

from __future__ import annotations

import sqlite3
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from peopleinfo.errors import StoreMissing
from peopleinfo.stores.sqlite import schema

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

T = TypeVar("T")

BUSY_TIMEOUT: Final = 5.0  # seconds that a write waits for a write of another process
MAX_LOG_SIZE: Final = 40 * 1024 * 1024  # bytes of the write-ahead log that SQLite keeps for reuse
_CACHE_KIB: Final = 16 * 1024  # page cache of each connection


class ReadInThread(Protocol):
    """Function that runs a read in another thread, with a connection of that thread."""

    def __call__(self, read: Callable[[sqlite3.Connection], T]) -> Awaitable[T]:
        """Return the result of `read`, and raise its errors."""


def connect(path: Path, application: int = schema.APPLICATION_ID) -> sqlite3.Connection:
    """Open a file with the id `application` in its header, or an empty file. Raises sqlite3.Error, StoreConfigurationError."""
    db = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
    try:
        if db.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            schema.schema_version(
                db, path, application=application
            )  # checked first: a rejected file must not be changed
            _enable_wal(db)
        db.execute("PRAGMA synchronous = FULL")  # sync each commit before it is acknowledged
        db.execute("PRAGMA secure_delete = ON")  # overwrite deleted records
        db.execute("PRAGMA temp_store = MEMORY")  # no personal data in temporary files
        db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        db.execute(f"PRAGMA journal_size_limit = {MAX_LOG_SIZE}")
    except BaseException:
        db.close()
        raise
    return db


def attach(db: sqlite3.Connection, path: Path, name: str) -> None:
    """Attach a second file, already in WAL mode, to a connection."""
    db.execute(f"ATTACH DATABASE ? AS {name}", (str(path),))
    db.execute(f"PRAGMA {name}.synchronous = FULL")
    db.execute(f"PRAGMA {name}.secure_delete = ON")
    db.execute(f"PRAGMA {name}.cache_size = -{_CACHE_KIB}")
    db.execute(f"PRAGMA {name}.journal_size_limit = {MAX_LOG_SIZE}")


def make_private(path: Path) -> None:
    """Create an empty file that only its owner can read, unless the file exists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():  # opening and closing it here would release SQLite's locks
        path.touch(mode=0o600)


def require_exists(path: Path) -> None:
    """Raise StoreMissing if the file is missing or empty. Raises OSError."""
    if not path.exists() or path.stat().st_size == 0:
        raise StoreMissing(str(path))


def _enable_wal(db: sqlite3.Connection) -> None:
    """Enable the write-ahead log. When several processes do so at once, SQLite rejects some without waiting: retry those."""
    deadline = monotonic() + BUSY_TIMEOUT
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_BUSY" or monotonic() > deadline:
                raise
            sleep(0.01)
        else:
            return
