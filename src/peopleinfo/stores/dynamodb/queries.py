"""Queries of more than one page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from peopleinfo.stores.dynamodb.client import Item, TableClient

_PAGE: Final = 1_000  # items of a request


async def query_items(
    table: TableClient, condition: str, values: Item, *, limit: int | None = None, **more: Any
) -> AsyncIterator[Item]:
    """Yield the items of a consistent query, at most `limit`; read the next page when the previous one is consumed."""
    start: dict[str, Any] = {}
    left = limit
    while left is None or left > 0:
        page = _PAGE if left is None else min(left, _PAGE)
        items, last = await table.query(condition, values, limit=page, ConsistentRead=True, **more, **start)
        for item in items:
            yield item
        if last is None:
            return
        start = {"ExclusiveStartKey": last}
        left = left - len(items) if left is not None else None
