"""Searches by surname and by prefix: queries of the table and of its prefix index."""

from __future__ import annotations

import asyncio
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from peopleinfo.crypto.person_ids import BLOCK_SIZE
from peopleinfo.stores.dynamodb.items import PREFIXES, binary, bytes_attr, prefix_key, surname_key
from peopleinfo.stores.dynamodb.paging import PageBuilder, index_key_at, index_position_of

if TYPE_CHECKING:
    from peopleinfo.people.person_filter import PersonFilter
    from peopleinfo.people.store import Page
    from peopleinfo.stores.dynamodb.client import Item, TableClient
    from peopleinfo.stores.dynamodb.items import KeyAllocator
    from peopleinfo.stores.dynamodb.record_format import RecordFormat

_MAX_ITEMS: Final = 1_000  # items of one query; a response holds at most 1 MB
_GROUP: Final = 50  # records of a prefix search in memory, in addition to those of the page


class SurnameSearch:
    """Searches records by surname or prefix, one page at a time."""

    def __init__(self, table: TableClient, record_format: RecordFormat, item_keys: KeyAllocator) -> None:
        self._table = table
        self._format = record_format
        self._item_keys = item_keys

    async def find(self, person_filter: PersonFilter, *, after: bytes | None, limit: int) -> Page:
        """Return the next page. Raises InvalidSearch if the encryption does not support the search."""
        self._format.check_searchable(person_filter)
        page = PageBuilder(person_filter, limit, after)
        more = True
        while more and not page.is_full:
            if person_filter.surname_key is not None:
                people, more = await self._by_surname(_keys(person_filter), page)
                page.add_all(people)
            else:
                more = await self._by_prefixes(_prefixes(person_filter), page)
        return page.build(more=more)

    async def _by_surname(self, keys: list[str], page: PageBuilder) -> tuple[list[tuple[bytes, bytes | None]], bool]:
        """Return the next records of a surname, oldest first, and whether more exist."""
        shards = [
            self._shard(key, shard, page.position, page.next_limit)
            for key in keys
            for shard in range(self._item_keys.shards)
        ]
        pages = [await shards[0]] if len(shards) == 1 else await asyncio.gather(*shards)
        ends = [bytes_attr(last, "sk") for _, last in pages if last is not None]
        # Beyond the earliest end, a shard may have records that its page lacks.
        end = min(ends) if ends else None
        index_values = {self._format.index(key) for key in keys}
        found = [
            (sk, item if "body" in item and surname_key(item) in index_values else None)
            for items, _ in pages
            for sk, item in ((bytes_attr(item, "sk"), item) for item in items)
            if end is None or sk <= end
        ]
        if len(pages) > 1:
            found.sort(key=itemgetter(0))
        bodies = await self._format.bodies([item for _, item in found])
        return [(sk, body) for (sk, _), body in zip(found, bodies, strict=True)], end is not None

    async def _shard(self, key: str, shard: int, after: bytes, limit: int) -> tuple[list[Item], Item | None]:
        condition, values = "pk = :pk", {":pk": binary(self._item_keys.partition(key, shard))}
        if after:
            condition, values = "pk = :pk AND sk > :after", values | {":after": binary(after)}
        return await self._table.query(
            condition, values, limit=limit, ConsistentRead=True, ProjectionExpression=self._format.listed
        )

    async def _by_prefixes(self, prefixes: list[str], page: PageBuilder) -> bool:
        """Add the next records of the prefixes, one prefix after the other; return whether more exist."""
        reached = page.position[BLOCK_SIZE:]
        started = [reached.startswith(prefix_key(prefix)) for prefix in prefixes]
        first = started.index(True) if True in started else 0
        for prefix in prefixes[first:]:
            if page.is_full or await self._by_prefix(prefix, page):
                return True
        return False

    async def _by_prefix(self, prefix: str, page: PageBuilder) -> bool:
        """Add the current records of the next index entries; return whether the index has more."""
        start = (
            {"ExclusiveStartKey": index_key_at(page.position, prefix)}
            if page.position[BLOCK_SIZE:].startswith(prefix_key(prefix))
            else {}
        )
        entries, last = await self._table.query(
            "prefix_pk = :pk AND begins_with(prefix_sk, :prefix)",
            {":pk": {"S": prefix[0]}, ":prefix": binary(prefix_key(prefix))},
            limit=min(_MAX_ITEMS, page.next_limit),
            IndexName=PREFIXES,
            **start,
        )
        for start_of_group in range(0, len(entries), _GROUP):
            if page.is_full:
                break
            page.add_all(await self._indexed(entries[start_of_group : start_of_group + _GROUP], prefix))
        return bool(last)

    async def _indexed(self, entries: list[Item], prefix: str) -> list[tuple[bytes, bytes | None]]:
        """Return the positions and records of index entries; None for a record that no longer matches the prefix."""
        found = await self._table.get_many([{"pk": entry["pk"], "sk": entry["sk"]} for entry in entries])
        items = [item for item in found if "body" in item and surname_key(item).startswith(prefix)]
        keys = [(item["pk"]["B"], item["sk"]["B"]) for item in items]
        bodies = dict(zip(keys, await self._format.bodies(items), strict=True))
        return [(index_position_of(one), bodies.get((one["pk"]["B"], one["sk"]["B"]))) for one in entries]


def _keys(person_filter: PersonFilter) -> list[str]:
    """Return the surname keys of both fold versions: `reindex` may not have moved every record."""
    return [key for key in (person_filter.surname_key, person_filter.outdated_key) if key]


def _prefixes(person_filter: PersonFilter) -> list[str]:
    """Return the prefixes under both fold versions, without one that contains the other."""
    found = [key for key in (person_filter.prefix_key or "", person_filter.outdated_key) if key is not None]
    return sorted(key for key in found if not any(key != other and key.startswith(other) for other in found))
