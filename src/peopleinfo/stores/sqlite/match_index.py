"""The match index in a SQLite file. Implements `peopleinfo.matching.match_index.MatchIndex`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from peopleinfo.matching.blocking_keys import MAX_BLOCK
from peopleinfo.matching.match_index import FoundEntry
from peopleinfo.stores.sqlite.duplicate_links import SqliteLinks
from peopleinfo.stores.sqlite.match_rows import key_text, sub_of, sub_range
from peopleinfo.stores.sqlite.paging import SEQ_SIZE

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from peopleinfo.matching.blocking_keys import Lookup
    from peopleinfo.stores.sqlite.search_index import Run, SqliteSearchIndex
    from peopleinfo.stores.sqlite.writer import GroupCommitWriter

_FIND: Final = """
    SELECT names, seq FROM search_entries WHERE key = ? AND names BETWEEN ? AND ? ORDER BY names, seq LIMIT ?
"""
_SIZE: Final = "SELECT count(*) FROM search_entries WHERE key = ? AND names BETWEEN ? AND ?"


class SqliteMatchIndex:
    """Look-ups among the match entries, and the statistics of the people."""

    def __init__(self, run: Run, writer: GroupCommitWriter, search: SqliteSearchIndex) -> None:
        """`run` runs a read in the thread of long reads; `search` is the index that contains the entries."""
        self._run = run
        self._writer = writer
        self._search = search
        self.read_people = search.read_people
        self.links = SqliteLinks(run, writer)

    async def find(self, lookups: Sequence[Lookup]) -> list[list[FoundEntry]]:
        return await self._run(lambda db: [_find(db, lookup) for lookup in lookups])

    async def size(self, lookup: Lookup) -> int:
        return await self._run(lambda db: int(db.execute(_SIZE, _range(lookup)).fetchone()[0]))

    async def is_complete(self) -> bool:
        return self._search.is_complete

    async def read_statistics(self) -> bytes | None:
        row = await self._run(lambda db: db.execute("SELECT body FROM match_statistics").fetchone())
        return bytes(row[0]) if row else None

    async def write_statistics(self, body: bytes) -> None:
        await self._writer.run(
            lambda db: db.execute("INSERT OR REPLACE INTO match_statistics VALUES (1, ?)", (body,)), size=len(body)
        )


def _range(lookup: Lookup) -> tuple[str, str, str]:
    return key_text(lookup.key), *sub_range(lookup.prefix)


def _find(db: sqlite3.Connection, lookup: Lookup) -> list[FoundEntry]:
    rows = db.execute(_FIND, (*_range(lookup), MAX_BLOCK + 1))
    return [FoundEntry(seq.to_bytes(SEQ_SIZE), sub_of(names)) for names, seq in rows]
