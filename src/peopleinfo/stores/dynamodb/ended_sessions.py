"""Ended sessions of the console: one item each, which DynamoDB deletes after its expiry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from peopleinfo.stores.dynamodb.items import ALONE, binary, number
from peopleinfo.stores.dynamodb.schema import TTL

if TYPE_CHECKING:
    from datetime import datetime

    from peopleinfo.stores.dynamodb.client import Item, TableClient

_PARTITION: Final = b"ended session "  # longer than a record's partition key


class DynamoDBEndedSessionStore:
    """Implements `peopleinfo.auth.ended_sessions.EndedSessionStore` on one table."""

    def __init__(self, table: TableClient) -> None:
        self._table = table

    async def add(self, session_id: bytes, *, expires_at: datetime) -> None:
        # The write is idempotent, so a retry after a lost response is safe.
        item = _key(session_id) | {TTL: number(int(expires_at.timestamp()))}
        await self._table.call("PutItem", {"Item": item}, self._table.timeouts.write, writes=True)

    async def contains(self, session_id: bytes) -> bool:
        return await self._table.get(_key(session_id), "pk") is not None


def _key(session_id: bytes) -> Item:
    return {"pk": binary(_PARTITION + session_id), "sk": binary(ALONE)}
