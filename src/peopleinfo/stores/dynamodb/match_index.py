"""The match index in a table. Implements `peopleinfo.matching.match_index.MatchIndex`.

partition key `pk`    sort key `sk`               item
"match statistics"    "-"                         the current generation of the statistics and the number of its parts
"match statistics"    a generation and a number   a part
"""

from __future__ import annotations

import asyncio
import secrets
from itertools import groupby
from typing import TYPE_CHECKING, Final

from peopleinfo.matching.blocking_keys import MAX_BLOCK, SUB_SIZE
from peopleinfo.matching.match_index import MAX_READ, Block, BlockPage, FoundEntry
from peopleinfo.stores.dynamodb.duplicate_links import DynamoDBLinks
from peopleinfo.stores.dynamodb.items import ItemKey, binary, bytes_attr, int_attr, number, singleton_key
from peopleinfo.stores.dynamodb.paging import key_at, position_of
from peopleinfo.stores.dynamodb.search_entries import read_range
from peopleinfo.stores.dynamodb.search_items import MATCH_ENTRIES, home_of_entry, match_key, match_range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peopleinfo.matching.blocking_keys import Lookup
    from peopleinfo.stores.dynamodb.client import Item, TableClient
    from peopleinfo.stores.dynamodb.search_index import DynamoDBSearchIndex

_STATISTICS: Final = b"match statistics"
_MAX_QUERIES: Final = 16  # concurrent ones
_PART_SIZE: Final = 350 * 1024  # bytes; an item has at most 400 KiB
_MAX_COUNTED: Final = 1_000_000  # entries of a key


class DynamoDBMatchIndex:
    """Look-ups among the match entries, and the statistics of the people."""

    def __init__(self, table: TableClient, search: DynamoDBSearchIndex) -> None:
        """`search` is the index that contains the entries."""
        self._table = table
        self._search = search
        self.read_people = search.read_people
        self.links = DynamoDBLinks(table)
        self.is_complete = search.is_complete

    async def find(self, lookups: Sequence[Lookup], *, limit: int = MAX_BLOCK + 1) -> list[list[FoundEntry]]:
        found: list[list[FoundEntry]] = []
        for start in range(0, len(lookups), _MAX_QUERIES):
            batch = lookups[start : start + _MAX_QUERIES]
            found += await asyncio.gather(*(self._find(lookup, limit) for lookup in batch))
        return found

    async def blocks(self, *, after: bytes | None, limit: int) -> BlockPage:
        """Read a page of the table, in which the items of a partition are next to each other."""
        keys: list[ItemKey] = []
        last = key_at(after) if after else None
        while True:
            more = {"ExclusiveStartKey": last} if last else {}
            items, last = await self._table.scan(limit=limit, **MATCH_ENTRIES, **more)
            keys += [key for item in items if match_key(key := ItemKey(bytes_attr(item, "pk"), bytes_attr(item, "sk")))]
            if last is None:
                return BlockPage(_blocks(keys), None)
            if not keys:
                return BlockPage([], position_of(last))
            complete = [key for key in keys if key.pk != keys[-1].pk]
            if complete:
                return BlockPage(_blocks(complete), position_of(complete[-1].key))
            if len(keys) >= MAX_READ:
                return BlockPage(_blocks(keys[:MAX_READ]), position_of(last))

    async def size(self, lookup: Lookup) -> int:
        # One response has about 10,000 entries; a larger block has at least as many.
        keys, _ = await read_range(self._table, match_range(lookup), _MAX_COUNTED)
        return len(keys)

    async def read_statistics(self) -> bytes | None:
        keys = await self._part_keys()
        parts = sorted(await self._table.get_many(keys), key=lambda part: bytes_attr(part, "sk"))
        if len(parts) < len(keys):  # replaced since
            return await self.read_statistics()
        return b"".join(bytes_attr(part, "body") for part in parts) if parts else None

    async def write_statistics(self, body: bytes) -> None:
        before = await self._part_keys()
        generation, starts = secrets.token_bytes(8), range(0, len(body), _PART_SIZE)
        for index, start in enumerate(starts):
            part = _part_key(generation, index) | {"body": binary(body[start : start + _PART_SIZE])}
            await self._table.write_many([part], [])
        current = singleton_key(_STATISTICS) | {"generation": binary(generation), "parts": number(len(starts))}
        await self._table.write_many([current], [])
        await self._table.write_many([], before)

    async def _part_keys(self) -> list[Item]:
        """Return the keys of the parts of the current statistics; none if no people were counted yet."""
        current = await self._table.get(singleton_key(_STATISTICS))
        if current is None:
            return []
        generation = bytes_attr(current, "generation")
        return [_part_key(generation, index) for index in range(int_attr(current, "parts"))]

    async def _find(self, lookup: Lookup, limit: int) -> list[FoundEntry]:
        keys, _ = await read_range(self._table, match_range(lookup), limit)
        return [_entry(key) for key in keys]


def _blocks(keys: Sequence[ItemKey]) -> list[Block]:
    return [
        Block(key, [_entry(found.sk) for found in group]) for key, group in groupby(keys, match_key) if key is not None
    ]


def _entry(sort_key: bytes) -> FoundEntry:
    return FoundEntry(home_of_entry(sort_key).block, sort_key[:SUB_SIZE])


def _part_key(generation: bytes, index: int) -> Item:
    return {"pk": binary(_STATISTICS), "sk": binary(generation + index.to_bytes(2))}
