"""Reads of the search index. Implements `SearchIndex` and `ListIndex` of `peopleinfo.people`."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from peopleinfo.people.search_index import MAX_ENTRIES_READ, MAX_HITS, Hit, Hits
from peopleinfo.stores.dynamodb.client import ConditionFailed
from peopleinfo.stores.dynamodb.items import ItemKey, binary, bytes_attr, int_attr, item_key_of, number, singleton_key
from peopleinfo.stores.dynamodb.name_order import read_places
from peopleinfo.stores.dynamodb.paging import key_at
from peopleinfo.stores.dynamodb.people_count import count_people
from peopleinfo.stores.dynamodb.record_writes import ABSENT
from peopleinfo.stores.dynamodb.search_entries import INDEXED, read_range
from peopleinfo.stores.dynamodb.search_items import home_of_entry, order_of, word_of
from peopleinfo.stores.search_words import CODE, coded_filters, order_filter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from peopleinfo.people.index_entries import IndexPlan
    from peopleinfo.people.people_list import Count, NameRange, Place
    from peopleinfo.people.search_index import Lookup
    from peopleinfo.stores.dynamodb.client import Item, TableClient
    from peopleinfo.stores.dynamodb.search_entries import SearchEntries
    from peopleinfo.stores.dynamodb.search_items import SearchItems

    Bodies = Callable[[Sequence[ItemKey]], Awaitable[list[bytes | None]]]

_MAX_WORDS_READ: Final = 2_000  # words of one key of the vocabulary
_COMPLETE: Final = "is_complete"
_MAX_SCAN: Final = 1_000  # items that a search scans for people that reindex has not reached


class DynamoDBSearchIndex:
    """The search index in a table."""

    updates = None  # a table cannot list people by time without a partition that every write changes

    def __init__(self, table: TableClient, layout: SearchItems, entries: SearchEntries, bodies: Bodies) -> None:
        """`bodies` reads the records with these home keys."""
        self._table = table
        self._layout = layout
        self._entries = entries
        self._bodies = bodies
        self._state = singleton_key(b"search index" + entries.plan_text.encode())
        self._is_complete = False
        self.plan: IndexPlan = entries.plan
        self.is_readable = layout.code is None

    async def look_up(self, lookups: Sequence[Lookup]) -> list[Hits]:
        return await asyncio.gather(*map(self._hits, lookups))

    async def similar_words(self, words: Sequence[str]) -> list[set[str]]:
        return await asyncio.gather(*map(self._similar, words))

    async def read_people(self, refs: Sequence[bytes]) -> list[bytes | None]:
        return await self._bodies([item_key_of(ref) for ref in refs]) if refs else []

    async def read_unindexed(self, limit: int) -> tuple[list[bytes], bool]:
        position = await self._read_progress()
        if position is None:
            return [], False
        start = {"ExclusiveStartKey": key_at(position)} if position else {}
        items, last = await self._table.scan(
            limit=_MAX_SCAN, ProjectionExpression=f"pk, sk, home, fold, {INDEXED}", **start
        )
        homes = [home_key(item) for item in items if self._entries.is_outdated(item)]
        bodies = await self._bodies(homes[:limit])
        return [body for body in bodies if body is not None], last is not None or len(homes) > limit

    async def is_complete(self) -> bool:
        """Return whether every person is indexed under the current plan."""
        return await self._read_progress() is None

    async def read_places(
        self, names: NameRange, position: bytes | None, limit: int
    ) -> tuple[list[Place], bytes | None]:
        return await read_places(self._table, self._layout, names, position, limit)

    async def count_people(self) -> Count:
        return await count_people(self._table)

    async def complete(self) -> None:
        """Record that every person of the table is indexed under the current plan."""
        with suppress(ConditionFailed):
            await self._table.put(self._state | {_COMPLETE: number(1)}, ABSENT)

    async def advance(self, after: bytes | None, position: bytes | None) -> None:
        """Record the progress of `reindex`: all people from the position `after` to the next one, None at the end, are indexed.

        Progress that does not continue the recorded one has no effect.
        """
        values = {":no": number(0), ":done": number(int(position is None)), ":to": binary(position or b"-")}
        condition = f"attribute_not_exists({_COMPLETE}) OR {_COMPLETE} = :no"
        if after is not None:
            condition, values = f"{_COMPLETE} = :no AND reached = :after", values | {":after": binary(after)}
        with suppress(ConditionFailed):
            await self._table.update(self._state, f"SET {_COMPLETE} = :done, reached = :to", condition, values)

    async def _read_progress(self) -> bytes | None:
        """Return the position up to which `reindex` has indexed the people, b"" at the start; None if it is complete."""
        if self._is_complete:
            return None
        state = await self._table.get(self._state)
        self._is_complete = state is not None and bool(int_attr(state, _COMPLETE))
        if self._is_complete:
            return None
        return bytes_attr(state, "reached") if state is not None else b""

    async def _hits(self, lookup: Lookup) -> Hits:
        code = self._layout.code
        filters = coded_filters(lookup.names, code) if code is not None else lookup.names
        limit = MAX_ENTRIES_READ if filters else MAX_HITS + 1
        keys, is_complete = await read_range(self._table, self._layout.entry_range(lookup), limit)
        passes = order_filter(filters)
        found = [
            Hit(home_of_entry(key).block, order)
            for key in keys
            if passes(order := order_of(key, is_readable=self.is_readable))
        ]
        return Hits(found[:MAX_HITS], is_complete and len(found) <= MAX_HITS)

    async def _similar(self, word: str) -> set[str]:
        ranges = [read_range(self._table, keys, _MAX_WORDS_READ) for keys in self._layout.similar_ranges(word)]
        found = {
            word_of(key, is_readable=self.is_readable) for keys, _ in await asyncio.gather(*ranges) for key in keys
        }
        return found if self.is_readable else {CODE + code for code in found}


def home_key(item: Item) -> ItemKey:
    """Return the home key of the item of a record."""
    return ItemKey(bytes_attr(item, "home" if "home" in item else "pk"), bytes_attr(item, "sk"))
