"""Connections to the store's files, which nobody but their owner may read."""

from __future__ import annotations

import sqlite3
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

from peopleinfo.errors import StoreMissing
from peopleinfo.stores.sqlite import schema

if TYPE_CHECKING:
    from pathlib import Path

BUSY_TIMEOUT: Final = 5.0  # how long a write waits for another process's
LOG_SIZE: Final = (
    40 * 1024 * 1024
)  # bytes of a write-ahead log that are reused; the rest of a longer one is returned to the disk
_CACHE_KIB: Final = 16 * 1024  # of the file's pages, a connection


def connect(path: Path, application: int = schema.APPLICATION_ID) -> sqlite3.Connection:
    """Open a file that `application` has made, or an empty one. Raises sqlite3.Error, StoreUnusable."""
    db = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
    try:
        if db.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            schema.schema_version(db, path, application=application)  # a file that is refused is left as it was
            _enable_wal(db)
        db.execute("PRAGMA synchronous = FULL")  # a commit is synced before it is acknowledged
        db.execute("PRAGMA secure_delete = ON")  # an erased person's bytes are overwritten in the file
        db.execute("PRAGMA temp_store = MEMORY")  # nothing of a person goes to a file that is not ours
        db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        db.execute(f"PRAGMA journal_size_limit = {LOG_SIZE}")
    except BaseException:
        db.close()
        raise
    return db


def attach(db: sqlite3.Connection, path: Path, name: str) -> None:
    """Open a second file, which is in WAL mode already, beside the one that a connection has."""
    db.execute(f"ATTACH DATABASE ? AS {name}", (str(path),))
    db.execute(f"PRAGMA {name}.synchronous = FULL")
    db.execute(f"PRAGMA {name}.secure_delete = ON")
    db.execute(f"PRAGMA {name}.cache_size = -{_CACHE_KIB}")
    db.execute(f"PRAGMA {name}.journal_size_limit = {LOG_SIZE}")


def make_private(path: Path) -> None:
    """Make an empty file for its owner alone, unless there is one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():  # closing a file that this process has open would release SQLite's locks
        path.touch(mode=0o600)


def require_exists(path: Path) -> None:
    """Raise StoreMissing when there is no file, or an empty one. Raises OSError."""
    if not path.exists() or path.stat().st_size == 0:
        raise StoreMissing(str(path))


def _enable_wal(db: sqlite3.Connection) -> None:
    """Turn the write-ahead log on. Of several that try at once SQLite refuses some at once instead of letting them wait."""
    patience = monotonic() + BUSY_TIMEOUT
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_BUSY" or monotonic() > patience:
                raise
            sleep(0.01)
        else:
            return
