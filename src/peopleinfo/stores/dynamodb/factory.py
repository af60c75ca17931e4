"""Opens the store on a table."""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from yarl import URL

from peopleinfo.crypto.store_keys import fingerprint
from peopleinfo.errors import StoreConfigurationError, StoreMissing, StoreUnavailable
from peopleinfo.people.history import DEFAULT_LIMITS
from peopleinfo.people.index_entries import DEFAULT_PLAN
from peopleinfo.stores.dynamodb import metrics
from peopleinfo.stores.dynamodb.client import (
    ConditionFailed,
    RequestRejected,
    TableClient,
    Timeouts,
    configuration_error,
)
from peopleinfo.stores.dynamodb.credentials import default_chain
from peopleinfo.stores.dynamodb.encrypted_format import EncryptedFormat
from peopleinfo.stores.dynamodb.http import open_http
from peopleinfo.stores.dynamodb.items import binary, bytes_attr, int_attr, number, singleton_key
from peopleinfo.stores.dynamodb.key_table import init_key_table, open_encryption
from peopleinfo.stores.dynamodb.record_format import PlainFormat
from peopleinfo.stores.dynamodb.record_writes import ABSENT
from peopleinfo.stores.dynamodb.store import DynamoDBStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from datetime import datetime

    from peopleinfo.crypto.master_key import Encryption
    from peopleinfo.crypto.store_keys import RecordEncryption
    from peopleinfo.people.history import HistoryLimits
    from peopleinfo.people.index_entries import IndexPlan
    from peopleinfo.settings.urls import DynamoDBUrl
    from peopleinfo.stores.dynamodb.client import Item
    from peopleinfo.stores.dynamodb.key_table import KeyGenerations
    from peopleinfo.stores.dynamodb.record_format import RecordFormat

_SECRET: Final = (
    32  # bytes; with encryption the key table holds the secret, and this table only its fingerprint of 16 bytes
)


@asynccontextmanager
async def open_table(location: DynamoDBUrl) -> AsyncIterator[TableClient]:
    """Open a client for a table, which need not exist."""
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
    location: DynamoDBUrl,
    *,
    now: Callable[[], datetime],
    encryption: Encryption | None = None,
    limits: HistoryLimits = DEFAULT_LIMITS,
    create: bool = True,
    plan: IndexPlan = DEFAULT_PLAN,
) -> AsyncIterator[DynamoDBStore]:
    """Open the store on a table; with `create` initialize an empty table.

    With `encryption` all personal data is encrypted. `limits` bound the history of the records, `plan` has the search indexes. Raises StoreMissing, StoreConfigurationError.
    """
    async with open_table(location) as table:
        with table_errors(location.table):
            deployment = await _read_deployment(table)
        is_new = deployment is None
        if is_new and not create:
            raise StoreMissing(f"store in table {location.table}")
        if encryption is None:
            record_format: RecordFormat = PlainFormat(table)
            with table_errors(location.table):
                deployment = deployment or await _init_deployment(table, location, secrets.token_bytes(_SECRET))
            secret = bytes_attr(deployment, "secret")
            if len(secret) != _SECRET:
                raise StoreConfigurationError(
                    f"the records in table {location.table} are encrypted: set PEOPLEINFO_ENCRYPTION to the location of the master key "
                    "(docs/encryption.md)"
                )
        else:
            keys = table.for_table(location.key_table)
            with table_errors(location.key_table):
                record_encryption, generations = await _open_encryption(location, deployment, keys, encryption)
            with table_errors(location.table):
                deployment = deployment or await _init_deployment(
                    table, location, fingerprint(record_encryption.secret)
                )
            secret = record_encryption.secret
            if bytes_attr(deployment, "secret") != fingerprint(secret):
                raise StoreConfigurationError(
                    f"the keys in table {location.key_table} do not belong to the records in table {location.table}: set ?keys= to their key table"
                )
            record_format = EncryptedFormat(table, keys, record_encryption, generations)
        shards = int_attr(deployment, "shards")
        if location.shards not in (None, shards):
            raise StoreConfigurationError(
                f"table {table.name} has {shards} shards for each surname (got ?shards={location.shards}): correct or omit ?shards="
            )
        metrics.init_labels()
        store = DynamoDBStore(table, record_format, secret, shards, now=now, limits=limits, plan=plan)
        if is_new:
            with table_errors(location.table):
                await store.search.complete()
        yield store


async def _open_encryption(
    location: DynamoDBUrl, deployment: Item | None, keys: TableClient, encryption: Encryption
) -> tuple[RecordEncryption, KeyGenerations]:
    """Open the encryption of the table, or initialize it in an empty table. Raises StoreConfigurationError."""
    if deployment and len(bytes_attr(deployment, "secret")) == _SECRET:
        raise StoreConfigurationError(
            f"the records in table {location.table} are not encrypted: copy them to a new table while the service runs "
            "(docs/encryption.md), or leave PEOPLEINFO_ENCRYPTION empty"
        )
    found = await open_encryption(keys, encryption)
    if found is None and deployment:
        raise StoreConfigurationError(
            f"table {location.key_table} does not contain the keys of the records in table {location.table}: set ?keys= to their key table, "
            "the records cannot be decrypted without it"
        )
    if found is None:
        await init_key_table(keys, encryption)
        found = await open_encryption(keys, encryption)
    if found is None:
        raise StoreConfigurationError(
            f"table {location.key_table} does not store the items written to it: check its endpoint and region"
        )
    return found


async def _read_deployment(table: TableClient) -> Item | None:
    """Return the item with the secret, or its fingerprint, and the number of shards; None in an empty table.

    Raises RequestRejected, StoreUnavailable.
    """
    return await table.get(singleton_key(b"deployment"))


async def _init_deployment(table: TableClient, location: DynamoDBUrl, secret: bytes) -> Item:
    """Store the secret and the number of shards in an empty table; return the stored item, possibly of another process."""
    new = {"secret": binary(secret), "shards": number(location.shards or 1)}
    with suppress(ConditionFailed):  # another process or a lost attempt stored it
        await table.put(singleton_key(b"deployment") | new, ABSENT)
    return await _read_deployment(table) or {}


@contextmanager
def table_errors(table: str) -> Iterator[None]:
    """Convert errors of requests to StoreConfigurationError with the table and the remedy."""
    try:
        yield
    except RequestRejected as rejected:
        raise configuration_error(table, rejected) from rejected
    except StoreUnavailable as error:
        if isinstance(error.__cause__, StoreConfigurationError):  # no credentials: the table is not the problem
            raise error.__cause__ from None
        raise StoreConfigurationError(f"table {table}: {error} (check PEOPLEINFO_STORE_URL and the network)") from error
