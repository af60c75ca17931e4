"""API keys in the table: one partition of their own, so that listing them reads no records."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

import msgspec

from peopleinfo.auth.api_keys import ApiKey
from peopleinfo.stores.dynamodb.items import binary, bytes_attr

if TYPE_CHECKING:
    from peopleinfo.stores.dynamodb.client import Item, TableClient

_PARTITION: Final = b"api keys"  # its length differs from that of a record's partition key
_PAGE: Final = 1_000
_decode = msgspec.json.Decoder(ApiKey).decode


class DynamoDBApiKeyStore:
    """Implements `peopleinfo.auth.api_keys.ApiKeyStore` on one table."""

    def __init__(self, table: TableClient) -> None:
        self._table = table

    async def find(self, digest: bytes) -> ApiKey | None:
        item = await self._table.get(_key(digest))
        return _decode(bytes_attr(item, "api_key")) if item else None

    async def save(self, *keys: ApiKey) -> None:
        items = [_key(key.key_hash) | {"api_key": binary(msgspec.json.encode(key))} for key in keys]
        await self._table.transact_write(*({"Put": {"Item": item}} for item in items), token=secrets.token_hex(16))

    async def all(self) -> list[ApiKey]:
        keys: list[ApiKey] = []
        last: Item | None = None
        while True:
            items, last = await self._page(_PAGE, {"ExclusiveStartKey": last} if last else {})
            keys += [_decode(bytes_attr(item, "api_key")) for item in items]
            if last is None:
                return sorted(keys, key=lambda key: key.created_at)

    async def any_exist(self) -> bool:
        items, _ = await self._page(1, {})
        return bool(items)

    async def _page(self, limit: int, more: dict[str, Any]) -> tuple[list[Item], Item | None]:
        return await self._table.query(
            "pk = :pk", {":pk": binary(_PARTITION)}, limit=limit, ConsistentRead=True, **more
        )


def _key(digest: bytes) -> Item:
    return {"pk": binary(_PARTITION), "sk": binary(digest)}
