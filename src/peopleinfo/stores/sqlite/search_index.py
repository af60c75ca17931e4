"""Reads of the search index. Implements `SearchIndex` and `ListIndex` of `peopleinfo.people`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from peopleinfo.people.people_list import Count
from peopleinfo.people.search_index import MAX_HITS, Hit, Hits
from peopleinfo.people.similarity import bucket_keys, deletion_keys
from peopleinfo.stores.search_words import CODE, code_of, coded_filters, order_filter
from peopleinfo.stores.sqlite.name_order import read_places
from peopleinfo.stores.sqlite.paging import SEQ_SIZE, prefix_upper_bound
from peopleinfo.stores.sqlite.update_order import UpdateOrder

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from peopleinfo.people.index_entries import IndexPlan
    from peopleinfo.people.people_list import NameRange, Place
    from peopleinfo.people.search_index import Lookup
    from peopleinfo.stores.sqlite.connection import ReadInThread
    from peopleinfo.stores.sqlite.search_entries import SearchEntries


_SMALL: Final = 500  # entries of a key that are compared one by one
_MAX_RANGES: Final = 64  # ranges of names within a common key
_MAX_PREFIX_ENTRIES: Final = 2_000  # entries read for a prefix
_MAX_CONTAINING: Final = 2_000  # entries of a common key that are searched for a word anywhere in the names
_ENTRIES: Final = "SELECT names, seq FROM search_entries WHERE key = ? ORDER BY names, seq LIMIT ?"
# The key is selected for the query planner, which would otherwise sort the rows of the view.
_PREFIX: Final = (
    "SELECT names, seq, key FROM search_entries WHERE key >= ? AND key < ? ORDER BY key, names, seq LIMIT ?"
)
_RANGE: Final = (
    "SELECT names, seq FROM search_entries WHERE key = ? AND names >= ? AND names < ? ORDER BY names, seq LIMIT ?"
)
# A word is at the start of the names, or follows a tab or a blank.
_CONTAINING: Final = """
    SELECT names, seq FROM (SELECT names, seq FROM search_entries WHERE key = ? ORDER BY names, seq LIMIT ?)
    WHERE instr(char(9) || names, char(9) || ?3) OR instr(names, ' ' || ?3)
"""
_PREFIX_CONTAINING: Final = """
    SELECT names, seq FROM (
        SELECT names, seq, key FROM search_entries WHERE key >= ? AND key < ? ORDER BY key, names, seq LIMIT ?
    ) WHERE instr(char(9) || names, char(9) || ?4) OR instr(names, ' ' || ?4)
"""
_HAS_MORE: Final = "SELECT count(*) = ?3 FROM (SELECT 1 FROM search_entries WHERE key >= ?1 AND key < ?2 LIMIT ?3)"
_WORDS: Final = "SELECT word FROM search_words WHERE key = ?"
_PEOPLE: Final = "SELECT seq, body FROM readable WHERE seq IN (SELECT value FROM json_each(?))"
_COUNT: Final = "SELECT count(*) FROM people"
_UNINDEXED: Final = "SELECT body, plan FROM in_order WHERE seq > ? ORDER BY seq LIMIT ?"

_Row = tuple[str, int]


class SqliteSearchIndex:
    """The search index in a SQLite file."""

    def __init__(self, run: ReadInThread, entries: SearchEntries, reader: sqlite3.Connection) -> None:
        """`run` runs a read in the thread of long reads; `reader` is the connection of the event loop."""
        self._run = run
        self._reader = reader
        self._entries = entries
        self._is_complete = False
        self.plan: IndexPlan = entries.plan
        self.updates = UpdateOrder(run, entries.plan)
        self.is_readable = entries.code is None

    @property
    def is_complete(self) -> bool:
        """Whether every person is indexed under the current plan and fold version. Raises sqlite3.Error."""
        self._is_complete = self._is_complete or self._progress(self._reader)[1]
        return self._is_complete

    async def look_up(self, lookups: Sequence[Lookup]) -> list[Hits]:
        return await self._run(lambda db: [self._hits(db, lookup) for lookup in lookups])

    async def similar_words(self, words: Sequence[str]) -> list[set[str]]:
        return await self._run(lambda db: [self._similar(db, word) for word in words]) if words else []

    async def read_people(self, refs: Sequence[bytes]) -> list[bytes | None]:
        if not refs:
            return []
        seqs = [int.from_bytes(ref) for ref in refs]
        bodies: dict[int, bytes] = dict(await self._run(lambda db: db.execute(_PEOPLE, (json.dumps(seqs),)).fetchall()))
        return [bodies.get(seq) for seq in seqs]

    async def read_unindexed(self, limit: int) -> tuple[list[bytes], bool]:
        if self._is_complete:
            return [], False
        return await self._run(lambda db: self._unindexed(db, limit))

    async def read_places(
        self, names: NameRange, position: bytes | None, limit: int
    ) -> tuple[list[Place], bytes | None]:
        return await self._run(lambda db: read_places(db, names, position, limit))

    async def count_people(self) -> Count:
        return Count(await self._run(lambda db: int(db.execute(_COUNT).fetchone()[0])), is_exact=True)

    def _progress(self, db: sqlite3.Connection) -> tuple[int, bool]:
        """Return the seq up to which `reindex` has indexed the people, and whether it is complete."""
        row = db.execute(
            "SELECT position, complete FROM search_plans WHERE plan = ?", (self._entries.number,)
        ).fetchone()
        return (int(row[0]), bool(row[1])) if row else (0, False)

    def _hits(self, db: sqlite3.Connection, lookup: Lookup) -> Hits:
        key, filters, code = lookup.key, lookup.names, self._entries.code
        if code is not None:
            key, filters = key[0] + code_of(key[1:], code), coded_filters(filters, code)
        if lookup.is_prefix:
            return _prefix(db, key, filters)
        limit = _SMALL if filters else MAX_HITS + 1
        rows = db.execute(_ENTRIES, (key, limit)).fetchall()
        if len(rows) < limit:
            return _filtered(rows, filters, complete=True)
        return _filtered(_common(db, key, filters) if filters else rows, filters, complete=False)

    def _similar(self, db: sqlite3.Connection, word: str) -> set[str]:
        if self.is_readable:
            return {found for key in deletion_keys(word) for (found,) in db.execute(_WORDS, (key,))}
        code, coded = self._entries.code or str, set()
        for key in bucket_keys(word):
            coded |= {CODE + found for (found,) in db.execute(_WORDS, (code(key),))}
        return coded

    def _unindexed(self, db: sqlite3.Connection, limit: int) -> tuple[list[bytes], bool]:
        position, is_complete = self._progress(db)
        if is_complete:
            self._is_complete = True
            return [], False
        rows = db.execute(_UNINDEXED, (position, limit + 1)).fetchall()
        return [body for body, plan in rows[:limit] if plan != self._entries.number], len(rows) > limit


def _prefix(db: sqlite3.Connection, key: str, filters: Sequence[frozenset[str]]) -> Hits:
    """Return the hits of a prefix. The file excludes most entries without the longest word of the filters."""
    end = prefix_upper_bound(key)
    single = [next(iter(words)).removesuffix("*") for words in filters if len(words) == 1]
    if not single:
        limit = _MAX_PREFIX_ENTRIES if filters else MAX_HITS + 1
        rows = [row[:2] for row in db.execute(_PREFIX, (key, end, limit))]
        return _filtered(rows, filters, complete=len(rows) < limit)
    rows = db.execute(_PREFIX_CONTAINING, (key, end, _MAX_PREFIX_ENTRIES, max(single, key=len))).fetchall()
    (has_more,) = db.execute(_HAS_MORE, (key, end, _MAX_PREFIX_ENTRIES)).fetchone()
    return _filtered(rows, filters, complete=not has_more)


def _common(db: sqlite3.Connection, key: str, filters: Sequence[frozenset[str]]) -> list[_Row]:
    """Return the entries of a common key whose surname or first name may pass a filter; the caller filters again."""
    rows: set[_Row] = set()
    shortest = min(filters, key=len)
    for word in sorted(shortest)[:_MAX_RANGES]:
        start = word.removesuffix("*") + ("" if word.endswith("*") else "\t")
        surname = f"{key[1:]}\t{word.removesuffix('*')}"
        for first in (start, surname):
            rows.update(db.execute(_RANGE, (key, first, prefix_upper_bound(first), MAX_HITS)))
    if len(shortest) <= 2:  # noqa: PLR2004 - a word and its initial, not the many variants of a word
        longest = max((word.removesuffix("*") for word in shortest), key=len)
        rows.update(db.execute(_CONTAINING, (key, _MAX_CONTAINING, longest)))
    return sorted(rows)


def _filtered(rows: list[_Row], filters: Sequence[frozenset[str]], *, complete: bool) -> Hits:
    if filters:
        passes = order_filter(filters)
        rows = [row for row in rows if passes(row[0])]
    hits = [Hit(seq.to_bytes(SEQ_SIZE), names) for names, seq in rows[:MAX_HITS]]
    return Hits(hits, complete and len(rows) <= MAX_HITS)
