"""The match index in a SQLite file. Implements `peopleinfo.matching.match_index.MatchIndex`."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from peopleinfo.matching.blocking_keys import MAX_BLOCK
from peopleinfo.matching.match_index import MAX_READ, Block, BlockPage, FoundEntry
from peopleinfo.stores.sqlite.duplicate_links import SqliteLinks
from peopleinfo.stores.sqlite.match_rows import AFTER_KEYS, FIRST_KEY, key_of, key_text, sub_of, sub_range
from peopleinfo.stores.sqlite.paging import SEQ_SIZE

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from peopleinfo.matching.blocking_keys import Lookup
    from peopleinfo.stores.sqlite.connection import ReadInThread
    from peopleinfo.stores.sqlite.search_index import SqliteSearchIndex
    from peopleinfo.stores.sqlite.writer import GroupCommitWriter

_FIND: Final = """
    SELECT names, seq FROM search_entries WHERE key = ? AND names BETWEEN ? AND ? ORDER BY names, seq LIMIT ?
"""
_BLOCKS: Final = """
    SELECT key, names, seq FROM search_entries WHERE key > ? AND key < ? ORDER BY key, names, seq LIMIT ?
"""
_BLOCK: Final = "SELECT key, names, seq FROM search_entries WHERE key = ? ORDER BY key, names, seq LIMIT ?"
_SIZE: Final = "SELECT count(*) FROM search_entries WHERE key = ? AND names BETWEEN ? AND ?"


class SqliteMatchIndex:
    """Look-ups among the match entries, and the statistics of the people."""

    def __init__(self, run: ReadInThread, writer: GroupCommitWriter, search: SqliteSearchIndex) -> None:
        """`run` runs a read in the thread of long reads; `search` is the index that contains the entries."""
        self._run = run
        self._writer = writer
        self._search = search
        self.read_people = search.read_people
        self.links = SqliteLinks(run, writer)

    async def find(self, lookups: Sequence[Lookup], *, limit: int = MAX_BLOCK + 1) -> list[list[FoundEntry]]:
        return await self._run(lambda db: [_find(db, lookup, limit) for lookup in lookups])

    async def blocks(self, *, after: bytes | None, limit: int) -> BlockPage:
        return await self._run(lambda db: _blocks(db, (after or FIRST_KEY).decode(), limit))

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


def _find(db: sqlite3.Connection, lookup: Lookup, limit: int) -> list[FoundEntry]:
    rows = db.execute(_FIND, (*_range(lookup), limit))
    return [_entry(*row) for row in rows]


def _blocks(db: sqlite3.Connection, after: str, limit: int) -> BlockPage:
    """Return the complete blocks among the next rows, or the next block if it has more of them."""
    rows = db.execute(_BLOCKS, (after, AFTER_KEYS, limit + 1)).fetchall()
    is_last = len(rows) <= limit
    if not is_last and rows[0][0] == rows[-1][0]:
        rows = db.execute(_BLOCK, (rows[0][0], MAX_READ)).fetchall()
    elif not is_last:
        rows = [row for row in rows if row[0] != rows[-1][0]]
    blocks = [
        Block(key_of(key), [_entry(names, seq) for _, names, seq in group])
        for key, group in groupby(rows, itemgetter(0))
    ]
    return BlockPage(blocks, None if is_last else rows[-1][0].encode())


def _entry(names: str, seq: int) -> FoundEntry:
    return FoundEntry(seq.to_bytes(SEQ_SIZE), sub_of(names))
