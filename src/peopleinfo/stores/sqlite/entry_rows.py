"""Rows of the search index in two tables, which the view `search_entries` combines.

The rows of a batch belong to pages all over a large table, so that an import would change each page many times. It therefore inserts its
rows into the small table `recent_entries`. As it grows, they move in the order of the file to the large table `settled_entries`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from peopleinfo.stores.sqlite.batches import insert_values

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

MAX_RECENT: Final = 1_000_000  # rows; a larger table needs more memory for its pages
_TABLES: Final = ("settled_entries", "recent_entries")
_INSERT: Final = "INSERT OR IGNORE INTO settled_entries (key, names, seq) VALUES"
_DELETE: Final = tuple(f"DELETE FROM {table} WHERE key = ? AND names = ? AND seq = ?" for table in _TABLES)  # noqa: S608
_HAS_RECENT: Final = "SELECT 1 FROM recent_entries LIMIT 1"
_DELETE_OF_PEOPLE: Final = tuple(
    f"DELETE FROM {table} WHERE seq IN (SELECT value FROM json_each(?))"  # noqa: S608
    for table in _TABLES
)
# The sorter of SQLite needs less time and memory than that of Python, and no interpreter lock. Temporary tables are in memory.
_CREATE_STAGE: Final = "CREATE TEMP TABLE IF NOT EXISTS staged_entries (key TEXT NOT NULL, names TEXT NOT NULL, seq INTEGER NOT NULL) STRICT"
_STAGE: Final = "INSERT INTO staged_entries (key, names, seq) VALUES"
_INSERT_STAGED: Final = """
    INSERT OR IGNORE INTO recent_entries (key, names, seq) SELECT key, names, seq FROM staged_entries ORDER BY key, names, seq
"""
_RANGE: Final = "FROM recent_entries WHERE (key, names, seq) > (?1, ?2, ?3) AND (key, names, seq) <= (?4, ?5, ?6)"
_END: Final = """
    SELECT key, names, seq FROM recent_entries WHERE (key, names, seq) > (?, ?, ?) ORDER BY key, names, seq LIMIT 1 OFFSET ?
"""
_SETTLE: Final = f"""
    INSERT OR IGNORE INTO settled_entries (key, names, seq) SELECT key, names, seq {_RANGE} ORDER BY key, names, seq
"""
_Row = tuple[str, str, int]
_BEFORE_FIRST: Final[_Row] = ("", "", 0)
_AFTER_LAST: Final[_Row] = ("\U0010ffff", "", 0)


def insert_entries(db: sqlite3.Connection, values: Sequence[str | int]) -> None:
    """Insert rows, given as the values of all of them."""
    insert_values(db, _INSERT, 3, values)


def delete_entries(db: sqlite3.Connection, rows: Sequence[_Row]) -> None:
    """Delete rows."""
    has_recent = db.execute(_HAS_RECENT).fetchone() is not None
    for statement in _DELETE[: 1 + has_recent]:
        db.executemany(statement, rows)


def delete_entries_of(db: sqlite3.Connection, seqs: str) -> None:
    """Delete the rows of people, given as a JSON array. Reads all rows."""
    for statement in _DELETE_OF_PEOPLE:
        db.execute(statement, (seqs,))


def delete_all_entries(db: sqlite3.Connection) -> None:
    """Delete all rows."""
    for table in _TABLES:
        db.execute(f"DELETE FROM {table}")  # noqa: S608


class StagedEntries:
    """Inserts the rows of large batches. One object writes all batches of a process."""

    def __init__(self) -> None:
        self._recent: int | None = None  # rows in the small table, at least; None if not counted
        self._position = _BEFORE_FIRST  # the rows up to here have moved last

    def start(self, db: sqlite3.Connection) -> None:
        """Start a batch."""
        db.execute(_CREATE_STAGE)
        if self._recent is None:
            (self._recent,) = db.execute("SELECT count(*) FROM recent_entries").fetchone()

    def add(self, db: sqlite3.Connection, values: Sequence[str | int]) -> None:
        """Add rows to the batch, given as the values of all of them."""
        insert_values(db, _STAGE, 3, values)

    def finish(self, db: sqlite3.Connection) -> None:
        """Insert the rows of the batch, and move as many to the large table if the small one is full."""
        self._recent = (self._recent or 0) + db.execute(_INSERT_STAGED).rowcount
        db.execute("DELETE FROM staged_entries")
        if self._recent > MAX_RECENT:
            self._recent -= self._settle(db, self._recent - MAX_RECENT)

    def _settle(self, db: sqlite3.Connection, count: int) -> int:
        """Move about as many rows to the large table; return their number."""
        end = db.execute(_END, (*self._position, count - 1)).fetchone() or _AFTER_LAST
        bounds = (*self._position, *end)
        db.execute(_SETTLE, bounds)
        self._position = end if end != _AFTER_LAST else _BEFORE_FIRST
        return db.execute(f"DELETE {_RANGE}", bounds).rowcount
