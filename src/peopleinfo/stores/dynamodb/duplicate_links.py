"""The links of possible duplicates in the table. Implements `peopleinfo.matching.duplicate_links.LinkStore`.

partition key `pk`             sort key `sk`             item
"l" + an id                    the other id              a link, once under each of its two ids
"q" + state + grade            doubt and both ids        its position in the review queue
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from peopleinfo.errors import StoreUnavailable
from peopleinfo.matching.duplicate_links import STATES, LinkPage, decode_link, encode_link
from peopleinfo.matching.scoring import GRADES
from peopleinfo.stores.dynamodb.concurrency import gather_limited
from peopleinfo.stores.dynamodb.conditional_writes import transact
from peopleinfo.stores.dynamodb.items import binary, bytes_attr, number
from peopleinfo.stores.dynamodb.queries import query_items
from peopleinfo.stores.dynamodb.record_writes import ABSENT, AT_VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peopleinfo.matching.duplicate_links import Link, LinkState
    from peopleinfo.matching.scoring import Grade
    from peopleinfo.stores.dynamodb.client import Item, Json, TableClient

_LINK, _QUEUE = b"l", b"q"
_RANKS: Final = {grade: rank for rank, (grade, _) in enumerate(GRADES)}
_MAX_ATTEMPTS: Final = 20  # attempts of an erasure that conflicts with concurrent writes


class DynamoDBLinks:
    """Pairs of records in the table."""

    def __init__(self, table: TableClient) -> None:
        self._table = table

    async def get(self, first: str, second: str) -> Link | None:
        item = await self._table.get(_key(first, second))
        return decode_link(bytes_attr(item, "body")) if item else None

    async def put(self, link: Link) -> bool:
        before = await self.get(link.first, link.second)
        if (before.version if before else 0) != link.version - 1:
            return False
        body = {"body": binary(encode_link(link)), "version": number(link.version)}
        first: Json = {"Item": _key(link.first, link.second) | body} | _unchanged(before)
        writes: list[Json] = [{"Put": first}, {"Put": {"Item": _key(link.second, link.first) | body}}]
        writes.append({"Put": {"Item": _position(link) | body}})
        if before is not None and _position(before) != _position(link):
            writes.append({"Delete": {"Key": _position(before)}})
        return await transact(self._table, writes)

    async def delete(self, link: Link) -> None:
        first: Json = {"Key": _key(link.first, link.second)} | _unchanged(link)
        others = (_key(link.second, link.first), _position(link))
        await transact(self._table, [{"Delete": first}, *({"Delete": {"Key": key}} for key in others)])

    async def of_person(self, person_id: str) -> list[Link]:
        items = query_items(self._table, "pk = :pk", {":pk": binary(_LINK + bytes.fromhex(person_id))})
        return [decode_link(bytes_attr(item, "body")) async for item in items]

    async def page(self, state: LinkState, grades: Sequence[Grade], *, after: bytes | None, limit: int) -> LinkPage:
        found: list[Item] = []
        for grade in sorted(grades, key=_RANKS.__getitem__):
            pk = _queue(state, grade)
            if after and after[: len(pk)] > pk:
                continue
            start = after[len(pk) :] if after and after.startswith(pk) else b"\0"
            values = {":pk": binary(pk), ":start": binary(start)}
            items, _ = await self._table.query(
                "pk = :pk AND sk > :start", values, limit=limit + 1 - len(found), ConsistentRead=True
            )
            found += items
            if len(found) > limit:
                break
        end = bytes_attr(found[limit - 1], "pk") + bytes_attr(found[limit - 1], "sk") if len(found) > limit else None
        return LinkPage([decode_link(bytes_attr(item, "body")) for item in found[:limit]], end)

    async def erase(self, person_id: str) -> None:
        """Delete the links of an erased person, also those that change meanwhile."""
        for _ in range(_MAX_ATTEMPTS):
            links = await self.of_person(person_id)
            if not links:
                return
            await gather_limited(map(self.delete, links))
        raise StoreUnavailable("concurrent changes of the links of a person prevented their erasure; try again")

    async def erase_marked(self, marker: Item) -> None:
        """Delete the links of the person whose deletion was interrupted; an earlier release stored no id in its marker."""
        if "person_id" in marker:
            await self.erase(bytes_attr(marker, "person_id").hex())


def _key(person_id: str, other_id: str) -> Item:
    return {"pk": binary(_LINK + bytes.fromhex(person_id)), "sk": binary(bytes.fromhex(other_id))}


def _queue(state: LinkState, grade: Grade) -> bytes:
    return _QUEUE + bytes((STATES.index(state), _RANKS[grade]))


def _position(link: Link) -> Item:
    order = link.doubt.to_bytes(4) + bytes.fromhex(link.pair)
    return {"pk": binary(_queue(link.state, link.grade)), "sk": binary(order)}


def _unchanged(link: Link | None) -> Json:
    if link is None:
        return {"ConditionExpression": ABSENT}
    values = {"ExpressionAttributeValues": {":expected": number(link.version)}}
    return {"ConditionExpression": AT_VERSION, **values}
