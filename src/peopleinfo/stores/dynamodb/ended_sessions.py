"""Ended sessions of the console in the table: an item each, which DynamoDB removes some time after it has expired."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from peopleinfo.stores.dynamodb.items import ALONE, binary, number
from peopleinfo.stores.dynamodb.schema import TTL

if TYPE_CHECKING:
    from datetime import datetime

    from peopleinfo.stores.dynamodb.client import Item, TableClient

_PARTITION: Final = b"ended session "  # longer than the partition keys of people, and so none of them


class DynamoEndedSessions:
    """The port `peopleinfo.auth.ended_sessions.EndedSessions` on one table."""

    def __init__(self, table: TableClient) -> None:
        self._table = table

    async def add(self, session_id: bytes, *, expires_at: datetime) -> None:
        # Written twice it is the same: an attempt whose response was lost does no harm.
        item = _key(session_id) | {TTL: number(int(expires_at.timestamp()))}
        await self._table.call("PutItem", {"Item": item}, self._table.timeouts.write, writes=True)

    async def contains(self, session_id: bytes) -> bool:
        return await self._table.get(_key(session_id), "pk") is not None


def _key(session_id: bytes) -> Item:
    return {"pk": binary(_PARTITION + session_id), "sk": binary(ALONE)}
