"""The list of people by the time of their last update: an index of the file on the end of each record, which is that time.

Only readable records have such an end, so an encrypted file has no such index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from peopleinfo.people.index_entries import UPDATES
from peopleinfo.people.people_list import Place
from peopleinfo.stores.sqlite.paging import SEQ_SIZE
from peopleinfo.stores.sqlite.schema import is_encrypted

if TYPE_CHECKING:
    import sqlite3

    from peopleinfo.people.index_entries import IndexPlan
    from peopleinfo.stores.sqlite.connection import ReadInThread

_TIME: Final = "substr(body, -26, 24)"  # `encode_person` writes updated_at last
_IS_READABLE: Final = "substr(body, 1, 1) = x'7B'"  # an opening brace
_CREATE: Final = f"CREATE INDEX IF NOT EXISTS people_by_update ON people ({_TIME}, seq) WHERE {_IS_READABLE}"
_DROP: Final = "DROP INDEX IF EXISTS people_by_update"
_EXISTS: Final = "SELECT 1 FROM sqlite_schema WHERE name = 'people_by_update'"
_LATEST: Final = f"""
    SELECT {_TIME}, seq FROM people INDEXED BY people_by_update WHERE {_IS_READABLE} AND ({_TIME}, seq) < (?, ?)
    ORDER BY {_TIME} DESC, seq DESC LIMIT ?
"""  # noqa: S608 - constants
_Position = tuple[bytes, int]
_FIRST: Final[_Position] = (b"\xff", 0)  # after every time


class UpdateOrder:
    """Reads the index."""

    def __init__(self, run: ReadInThread, plan: IndexPlan) -> None:
        """`run` runs a read in the thread of long reads."""
        self._run = run
        self._plan = plan

    async def problem(self) -> str | None:
        """Implement `UpdateIndex.problem`."""
        if UPDATES not in self._plan.indexes:
            return f"is not available without its index: add {UPDATES} to PEOPLEINFO_SEARCH_INDEXES"
        if await self._run(is_encrypted):
            return "is not available in an encrypted store: omit it"
        if not await self._run(_exists):
            return "is not available until all people are indexed: run peopleinfo reindex, or omit it"
        return None

    async def read_latest(self, position: bytes | None, limit: int) -> tuple[list[Place], bytes | None]:
        """Implement `UpdateIndex.read_latest`."""
        time, seq = msgspec.msgpack.decode(position, type=_Position) if position else _FIRST
        rows = await self._run(lambda db: db.execute(_LATEST, (time, seq, limit + 1)).fetchall())
        places = [Place(msgspec.msgpack.encode(row), row[1].to_bytes(SEQ_SIZE), "") for row in rows[:limit]]
        return places, places[-1].next if len(rows) > limit else None


def prepare_new_file(db: sqlite3.Connection, plan: IndexPlan) -> None:
    """Create or drop the index of a file without people. No record is read unless the index differs: a damaged file can be opened."""
    if _is_wanted(db, plan) != _exists(db) and db.execute("SELECT 1 FROM people LIMIT 1").fetchone() is None:
        apply_plan(db, plan)


def apply_plan(db: sqlite3.Connection, plan: IndexPlan) -> None:
    """Create the index that a plan selects, or drop it."""
    if (is_wanted := _is_wanted(db, plan)) != _exists(db):
        db.execute(_CREATE if is_wanted else _DROP)


def _is_wanted(db: sqlite3.Connection, plan: IndexPlan) -> bool:
    return UPDATES in plan.indexes and not is_encrypted(db)


def _exists(db: sqlite3.Connection) -> bool:
    return db.execute(_EXISTS).fetchone() is not None
