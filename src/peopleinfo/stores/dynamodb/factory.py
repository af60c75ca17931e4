"""From the place of a table to the store on it."""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from yarl import URL

from peopleinfo.crypto.record_encryption import mark_of
from peopleinfo.errors import StoreMissing, StoreUnavailable, StoreUnusable
from peopleinfo.stores.dynamodb import metrics
from peopleinfo.stores.dynamodb.client import ConditionFailed, Refused, Table, Timeouts, unusable
from peopleinfo.stores.dynamodb.credentials import usual_chain
from peopleinfo.stores.dynamodb.encrypted_format import SealedForm
from peopleinfo.stores.dynamodb.http import open_http
from peopleinfo.stores.dynamodb.items import alone, binary, number, value, whole
from peopleinfo.stores.dynamodb.key_table import begin, open_sealer
from peopleinfo.stores.dynamodb.record_format import PlainForm
from peopleinfo.stores.dynamodb.store import DynamoStore
from peopleinfo.stores.dynamodb.transactions import ABSENT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from datetime import datetime

    from peopleinfo.crypto.master_key import Encryption
    from peopleinfo.crypto.record_encryption import Sealer
    from peopleinfo.settings import TableLocation
    from peopleinfo.stores.dynamodb.client import Item
    from peopleinfo.stores.dynamodb.key_table import Generations
    from peopleinfo.stores.dynamodb.record_format import Form

_SECRET: Final = 32  # bytes; where people are sealed it lies with their keys, and among them a mark of 16 bytes


@asynccontextmanager
async def open_table(location: TableLocation) -> AsyncIterator[Table]:
    """Open the way to a table, which need not exist."""
    async with open_http() as http:
        endpoint = URL(location.endpoint) if location.endpoint else None
        credentials = usual_chain(location.region)
        yield Table(
            location.table,
            http=http,
            credentials=credentials,
            region=location.region,
            endpoint=endpoint,
            timeouts=Timeouts(location.timeout),
        )


@asynccontextmanager
async def open_dynamodb(
    location: TableLocation, *, now: Callable[[], datetime], encryption: Encryption | None = None, create: bool = True
) -> AsyncIterator[DynamoStore]:
    """Open the store on a table; with `create` an unused table becomes one.

    With `encryption` whatever is kept of people is sealed. Raises StoreMissing; StoreUnusable, saying what to mend.
    """
    async with open_table(location) as table:
        with told(location.table):
            kept = await _deployment(table)
        if not (create or kept):
            raise StoreMissing(f"store in table {location.table}")
        if encryption is None:
            form: Form = PlainForm(table)
            with told(location.table):
                kept = kept or await _begun(table, location, secrets.token_bytes(_SECRET))
            secret = value(kept, "secret")
            if len(secret) != _SECRET:
                raise StoreUnusable(
                    f"the people in table {location.table} are sealed: say in PEOPLEINFO_ENCRYPTION where the key is (docs/encryption.md)"
                )
        else:
            keys = table.beside(location.keys)
            with told(location.keys):
                sealer, generations = await _sealer(location, kept, keys, encryption)
            with told(location.table):
                kept = kept or await _begun(table, location, mark_of(sealer.secret))
            secret = sealer.secret
            if value(kept, "secret") != mark_of(secret):
                raise StoreUnusable(
                    f"the keys in table {location.keys} are not those of the people in {location.table}: name theirs with ?keys="
                )
            form = SealedForm(table, keys, sealer, generations)
        shards = whole(kept, "shards")
        if location.shards not in (None, shards):
            raise StoreUnusable(f"table {table.name} spreads each surname over {shards} shards, not {location.shards}")
        metrics.begin()
        yield DynamoStore(table, form, secret, shards, now=now)


async def _sealer(
    location: TableLocation, kept: Item | None, keys: Table, encryption: Encryption
) -> tuple[Sealer, Generations]:
    """Return what people are sealed with; where nobody is yet, everybody is sealed from now on. Raises StoreUnusable, saying what to mend."""
    if kept and len(value(kept, "secret")) == _SECRET:
        raise StoreUnusable(
            f"the people in table {location.table} are not sealed: copy them to a new table while the service runs "
            "(docs/encryption.md), or leave PEOPLEINFO_ENCRYPTION empty"
        )
    found = await open_sealer(keys, encryption)
    if found is None and kept:
        raise StoreUnusable(
            f"the keys of the people in table {location.table} are not in {location.keys}: name their table with ?keys=, "
            "nobody can be read without it"
        )
    if found is None:
        await begin(keys, encryption)
        found = await open_sealer(keys, encryption)
    if found is None:
        raise StoreUnusable(f"table {location.keys} does not keep what is written to it")
    return found


async def _deployment(table: Table) -> Item | None:
    """Return the item with the secret, or a mark of it, and the number of shards; None in a new table. Raises Refused, StoreUnavailable."""
    return await table.get(alone(b"deployment"))


async def _begun(table: Table, location: TableLocation, secret: bytes) -> Item:
    """Let a new table have this secret and this many shards, unless another process was faster; return what it has."""
    new = {"secret": binary(secret), "shards": number(location.shards or 1)}
    with suppress(ConditionFailed):  # another process was faster, or ours was not heard
        await table.put(alone(b"deployment") | new, ABSENT)
    return await _deployment(table) or {}


@contextmanager
def told(table: str) -> Iterator[None]:
    """Say which table cannot be used, and what to mend."""
    try:
        yield
    except Refused as refused:
        raise unusable(table, refused) from refused
    except StoreUnavailable as error:
        if isinstance(error.__cause__, StoreUnusable):  # no credentials: the table is not the problem
            raise error.__cause__ from None
        raise StoreUnusable(f"table {table}: {error} (see PEOPLEINFO_STORE_URL and the network)") from error
