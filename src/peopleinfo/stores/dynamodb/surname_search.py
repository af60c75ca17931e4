"""Searches by surname and by prefix: queries of the table and of its index of prefixes."""

from __future__ import annotations

import asyncio
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from peopleinfo.stores.dynamodb.items import PREFIXES, binary, bytes_attr, prefix_key, surname_key
from peopleinfo.stores.dynamodb.paging import PageBuilder, index_key_at, index_position_of

if TYPE_CHECKING:
    from peopleinfo.people.search import PersonFilter
    from peopleinfo.people.store import Page
    from peopleinfo.stores.dynamodb.client import Item, TableClient
    from peopleinfo.stores.dynamodb.items import KeyAllocator
    from peopleinfo.stores.dynamodb.record_format import RecordFormat

_MAX_ITEMS: Final = 1_000  # of one query; a response has at most 1 MB of them
_GROUP: Final = 50  # people found by a prefix that are in memory together, in addition to those of the page


class SurnameSearch:
    """Finds people by their surname or its prefix, and fills pages with them."""

    def __init__(self, table: TableClient, form: RecordFormat, keys: KeyAllocator) -> None:
        self._table = table
        self._form = form
        self._keys = keys

    async def find(self, person_filter: PersonFilter, *, after: bytes | None, limit: int) -> Page:
        """Return the next page of people. Raises InvalidSearch when the encryption does not support the search."""
        self._form.check_searchable(person_filter)
        listing = PageBuilder(person_filter, limit, after)
        more = True
        while more and not listing.is_full:
            if person_filter.surname_key is not None:
                people, more = await self._by_surname(person_filter.surname_key, listing)
                listing.add_all(people)
            else:
                more = await self._by_prefix(person_filter.prefix_key or "", listing)
        return listing.page(more=more)

    async def _by_surname(self, key: str, listing: PageBuilder) -> tuple[list[tuple[bytes, bytes | None]], bool]:
        """Return the next people of a surname, oldest first, and whether there are more."""
        shards = [self._shard(key, shard, listing.position, listing.next_limit) for shard in range(self._keys.shards)]
        pages = [await shards[0]] if len(shards) == 1 else await asyncio.gather(*shards)
        ends = [bytes_attr(last, "sk") for _, last in pages if last is not None]
        # Beyond the end of any shard's page somebody of that shard may be missing.
        end = min(ends) if ends else None
        index_value = self._form.index(key)
        found = [
            (sk, item if "body" in item and surname_key(item) == index_value else None)
            for items, _ in pages
            for sk, item in ((bytes_attr(item, "sk"), item) for item in items)
            if end is None or sk <= end
        ]
        if len(pages) > 1:
            found.sort(key=itemgetter(0))
        bodies = await self._form.bodies([item for _, item in found])
        return [(sk, body) for (sk, _), body in zip(found, bodies, strict=True)], end is not None

    async def _shard(self, key: str, shard: int, after: bytes, limit: int) -> tuple[list[Item], Item | None]:
        condition, values = "pk = :pk", {":pk": binary(self._keys.partition(key, shard))}
        if after:
            condition, values = "pk = :pk AND sk > :after", values | {":after": binary(after)}
        return await self._table.query(
            condition, values, limit=limit, ConsistentRead=True, ProjectionExpression=self._form.listed
        )

    async def _by_prefix(self, prefix: str, listing: PageBuilder) -> bool:
        """Add the next people by the index, each as it is in the table now; return whether the index has more."""
        start = {"ExclusiveStartKey": index_key_at(listing.position, prefix)} if listing.position else {}
        entries, last = await self._table.query(
            "prefix_pk = :pk AND begins_with(prefix_sk, :prefix)",
            {":pk": {"S": prefix[0]}, ":prefix": binary(prefix_key(prefix))},
            limit=min(_MAX_ITEMS, listing.next_limit),
            IndexName=PREFIXES,
            **start,
        )
        for start_of_group in range(0, len(entries), _GROUP):
            if listing.is_full:
                break
            listing.add_all(await self._indexed(entries[start_of_group : start_of_group + _GROUP], prefix))
        return bool(last)

    async def _indexed(self, entries: list[Item], prefix: str) -> list[tuple[bytes, bytes | None]]:
        """Return the people of entries of the index, None for those that have left the prefix."""
        found = await self._table.get_many([{"pk": entry["pk"], "sk": entry["sk"]} for entry in entries])
        items = [item for item in found if "body" in item and surname_key(item).startswith(prefix)]
        keys = [(item["pk"]["B"], item["sk"]["B"]) for item in items]
        bodies = dict(zip(keys, await self._form.bodies(items), strict=True))
        return [(index_position_of(one), bodies.get((one["pk"]["B"], one["sk"]["B"]))) for one in entries]
