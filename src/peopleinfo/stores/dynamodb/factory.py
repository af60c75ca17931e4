"""From the place of a table to the store on it."""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from yarl import URL

from peopleinfo.crypto.record_encryption import fingerprint
from peopleinfo.errors import StoreConfigurationError, StoreMissing, StoreUnavailable
from peopleinfo.stores.dynamodb import metrics
from peopleinfo.stores.dynamodb.client import ConditionFailed, RequestRejected, TableClient, Timeouts, unusable
from peopleinfo.stores.dynamodb.credentials import default_chain
from peopleinfo.stores.dynamodb.encrypted_format import EncryptedFormat
from peopleinfo.stores.dynamodb.http import open_http
from peopleinfo.stores.dynamodb.items import binary, bytes_attr, int_attr, number, singleton_key
from peopleinfo.stores.dynamodb.key_table import begin, open_sealer
from peopleinfo.stores.dynamodb.record_format import PlainFormat
from peopleinfo.stores.dynamodb.store import DynamoDBStore
from peopleinfo.stores.dynamodb.transactions import ABSENT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from datetime import datetime

    from peopleinfo.crypto.master_key import Encryption
    from peopleinfo.crypto.record_encryption import RecordEncryption
    from peopleinfo.settings.urls import DynamoDBUrl
    from peopleinfo.stores.dynamodb.client import Item
    from peopleinfo.stores.dynamodb.key_table import KeyGenerations
    from peopleinfo.stores.dynamodb.record_format import RecordFormat

_SECRET: Final = 32  # bytes; where people are sealed it lies with their keys, and among them a mark of 16 bytes


@asynccontextmanager
async def open_table(location: DynamoDBUrl) -> AsyncIterator[TableClient]:
    """Open the way to a table, which need not exist."""
    async with open_http() as http:
        endpoint = URL(location.endpoint) if location.endpoint else None
        credentials = default_chain(location.region)
        yield TableClient(
            location.table,
            http=http,
            credentials=credentials,
            region=location.region,
            endpoint=endpoint,
            timeouts=Timeouts(location.timeout),
        )


@asynccontextmanager
async def open_dynamodb(
    location: DynamoDBUrl, *, now: Callable[[], datetime], encryption: Encryption | None = None, create: bool = True
) -> AsyncIterator[DynamoDBStore]:
    """Open the store on a table; with `create` an unused table becomes one.

    With `encryption` whatever is kept of people is sealed. Raises StoreMissing; StoreUnusable, saying what to mend.
    """
    async with open_table(location) as table:
        with table_errors(location.table):
            kept = await _deployment(table)
        if not (create or kept):
            raise StoreMissing(f"store in table {location.table}")
        if encryption is None:
            form: RecordFormat = PlainFormat(table)
            with table_errors(location.table):
                kept = kept or await _init_deployment(table, location, secrets.token_bytes(_SECRET))
            secret = bytes_attr(kept, "secret")
            if len(secret) != _SECRET:
                raise StoreConfigurationError(
                    f"the people in table {location.table} are sealed: say in PEOPLEINFO_ENCRYPTION where the key is (docs/encryption.md)"
                )
        else:
            keys = table.for_table(location.key_table)
            with table_errors(location.key_table):
                sealer, generations = await _sealer(location, kept, keys, encryption)
            with table_errors(location.table):
                kept = kept or await _init_deployment(table, location, fingerprint(sealer.secret))
            secret = sealer.secret
            if bytes_attr(kept, "secret") != fingerprint(secret):
                raise StoreConfigurationError(
                    f"the keys in table {location.key_table} are not those of the people in {location.table}: name theirs with ?keys="
                )
            form = EncryptedFormat(table, keys, sealer, generations)
        shards = int_attr(kept, "shards")
        if location.shards not in (None, shards):
            raise StoreConfigurationError(
                f"table {table.name} spreads each surname over {shards} shards, not {location.shards}"
            )
        metrics.init_labels()
        yield DynamoDBStore(table, form, secret, shards, now=now)


async def _sealer(
    location: DynamoDBUrl, kept: Item | None, keys: TableClient, encryption: Encryption
) -> tuple[RecordEncryption, KeyGenerations]:
    """Return what people are sealed with; where nobody is yet, everybody is sealed from now on. Raises StoreUnusable, saying what to mend."""
    if kept and len(bytes_attr(kept, "secret")) == _SECRET:
        raise StoreConfigurationError(
            f"the people in table {location.table} are not sealed: copy them to a new table while the service runs "
            "(docs/encryption.md), or leave PEOPLEINFO_ENCRYPTION empty"
        )
    found = await open_sealer(keys, encryption)
    if found is None and kept:
        raise StoreConfigurationError(
            f"the keys of the people in table {location.table} are not in {location.key_table}: name their table with ?keys=, "
            "nobody can be read without it"
        )
    if found is None:
        await begin(keys, encryption)
        found = await open_sealer(keys, encryption)
    if found is None:
        raise StoreConfigurationError(f"table {location.key_table} does not keep what is written to it")
    return found


async def _deployment(table: TableClient) -> Item | None:
    """Return the item with the secret, or a mark of it, and the number of shards; None in a new table. Raises Refused, StoreUnavailable."""
    return await table.get(singleton_key(b"deployment"))


async def _init_deployment(table: TableClient, location: DynamoDBUrl, secret: bytes) -> Item:
    """Let a new table have this secret and this many shards, unless another process was faster; return what it has."""
    new = {"secret": binary(secret), "shards": number(location.shards or 1)}
    with suppress(ConditionFailed):  # another process was faster, or ours was not heard
        await table.put(singleton_key(b"deployment") | new, ABSENT)
    return await _deployment(table) or {}


@contextmanager
def table_errors(table: str) -> Iterator[None]:
    """Say which table cannot be used, and what to mend."""
    try:
        yield
    except RequestRejected as refused:
        raise unusable(table, refused) from refused
    except StoreUnavailable as error:
        if isinstance(error.__cause__, StoreConfigurationError):  # no credentials: the table is not the problem
            raise error.__cause__ from None
        raise StoreConfigurationError(f"table {table}: {error} (see PEOPLEINFO_STORE_URL and the network)") from error
