"""The feed of changes in the database file.

The transaction of a write appends its changes. There is one writer at a time, so the numbers of changes are in the order of the commits,
and a reader that sees a number has seen every smaller one.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import TYPE_CHECKING, Final

from peopleinfo.errors import ChangesExpired
from peopleinfo.people.history import Change, ChangePage, Operation, milliseconds
from peopleinfo.people.person import timestamp
from peopleinfo.stores.sqlite.batches import insert_rows

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

_POSITION: Final = Struct(
    ">QQ"
)  # number and time of the last change; a restored file may have another change at the number
_INSERT: Final = "INSERT INTO changes (person_id, version, operation, at, merged_into) VALUES"
_NEWEST: Final = "SELECT n, at FROM changes ORDER BY n DESC LIMIT 1"
_PAGE: Final = "SELECT n, person_id, version, operation, at, merged_into FROM changes WHERE n >= ? ORDER BY n LIMIT ?"
# Keeps the newest change, so that its number is not assigned again.
_EXPIRE: Final = """
    DELETE FROM changes WHERE n IN (SELECT n FROM changes ORDER BY n LIMIT ?) AND at < ? AND n < (SELECT max(n) FROM changes)
"""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_START: Final = (0, 0)  # position before the first change


def append_changes(
    db: sqlite3.Connection,
    people: Iterable[tuple[str, int]],
    operation: Operation,
    at: datetime,
    merged_into: str | None = None,
) -> None:
    """Append one change for each id and version, in the current transaction."""
    time, into = milliseconds(at), bytes.fromhex(merged_into) if merged_into else None
    rows = [(bytes.fromhex(person_id), version, operation, time, into) for person_id, version in people]
    insert_rows(db, _INSERT, rows)


def read_changes(db: sqlite3.Connection, since: bytes | None, limit: int) -> ChangePage:
    """Return a page of changes; see `ChangeReader.read_changes`. Raises ChangesExpired."""
    if since is None:
        return ChangePage([], _POSITION.pack(*(db.execute(_NEWEST).fetchone() or _START)), more=False)
    number, time = _POSITION.unpack(since)
    first = number or 1
    rows = db.execute(_PAGE, (first, limit + 2)).fetchall()
    if number:
        if not rows or (rows[0][0], rows[0][4]) != (number, time):
            raise ChangesExpired
        del rows[0]
    elif rows and rows[0][0] != first:
        raise ChangesExpired
    changes = [_change(*row[1:]) for row in rows[:limit]]
    end = (rows[len(changes) - 1][0], rows[len(changes) - 1][4]) if changes else (number, time)
    return ChangePage(changes, _POSITION.pack(*end), more=len(rows) > limit)


def expire_changes(db: sqlite3.Connection, before: datetime, limit: int) -> int:
    """Delete expired changes among the oldest `limit`, and return their number."""
    return db.execute(_EXPIRE, (limit, milliseconds(before))).rowcount


def _change(person_id: bytes, version: int, operation: str, at: int, merged_into: bytes | None) -> Change:
    time = timestamp(_EPOCH + timedelta(milliseconds=at))
    return Change(person_id.hex(), version, Operation(operation), time, merged_into.hex() if merged_into else None)
