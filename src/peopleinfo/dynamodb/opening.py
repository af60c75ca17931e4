"""From the place of a table to the store on it."""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from yarl import URL

from peopleinfo.dynamodb import figures
from peopleinfo.dynamodb.credentials import usual_chain
from peopleinfo.dynamodb.http import open_http
from peopleinfo.dynamodb.items import alone, binary, number, value, whole
from peopleinfo.dynamodb.moves import ABSENT
from peopleinfo.dynamodb.store import DynamoStore
from peopleinfo.dynamodb.table import ConditionFailed, Refused, Table, unusable
from peopleinfo.errors import StoreUnavailable, StoreUnusable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime

    from peopleinfo.settings import TableLocation


@asynccontextmanager
async def open_table(location: TableLocation) -> AsyncIterator[Table]:
    """Open the way to a table, which need not exist."""
    async with open_http() as http:
        endpoint = URL(location.endpoint) if location.endpoint else None
        credentials = usual_chain(location.region)
        yield Table(location.table, http=http, credentials=credentials, region=location.region, endpoint=endpoint)


@asynccontextmanager
async def open_dynamodb(location: TableLocation, *, now: Callable[[], datetime]) -> AsyncIterator[DynamoStore]:
    """Open the store on a table. Raises StoreUnusable, saying what to mend."""
    async with open_table(location) as table:
        try:
            secret, shards = await deployment(table, location)
        except Refused as refused:
            raise unusable(location.table, refused) from refused
        except StoreUnavailable as error:
            raise StoreUnusable(f"table {location.table} in {location.region}: {error}") from error
        figures.begin()
        yield DynamoStore(table, secret, shards, now=now)


async def deployment(table: Table, location: TableLocation) -> tuple[bytes, int]:
    """Return the secret and the number of shards of a table, which the first one to open it chooses.

    Raises Refused, StoreUnavailable, and StoreUnusable when the table was begun with another number of shards.
    """
    key = alone(b"deployment")
    item = await table.get(key)
    if item is None:
        new = {"secret": binary(secrets.token_bytes(32)), "shards": number(location.shards or 1)}
        with suppress(ConditionFailed):  # another process was faster, or ours was not heard
            await table.put(key | new, ABSENT)
        item = await table.get(key) or {}
    shards = whole(item, "shards")
    if location.shards not in (None, shards):
        raise StoreUnusable(f"table {table.name} spreads each surname over {shards} shards, not {location.shards}")
    return value(item, "secret"), shards
