"""The key table: its creation, its generations and the rotation of its keys.

`pk`                              item
the 16 bytes of a home key        the record's key, wrapped by a generation (`data_key`)
16 bytes 0xff                     the deployment's secret, wrapped in the same way
"sealing"                         the generations, wrapped by the master key (`g1`, `g2` …), the start time of each (`t1` …), the generation
                                  of an unfinished rotation (`rotating`), and whether searches by prefix are available (`prefixes`)
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final

from peopleinfo.crypto.cipher import KEY_SIZE
from peopleinfo.crypto.keyring import Keyring, Wrapped
from peopleinfo.crypto.rotation import PersonKey
from peopleinfo.crypto.store_keys import SECRET_OWNER, RecordEncryption, check_index
from peopleinfo.errors import StoreUnavailable
from peopleinfo.stores.dynamodb.client import ConditionFailed
from peopleinfo.stores.dynamodb.items import binary, bytes_attr, int_attr, number
from peopleinfo.stores.dynamodb.record_writes import ABSENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peopleinfo.crypto.master_key import Encryption
    from peopleinfo.stores.dynamodb.client import Item, TableClient

_CONFIG_ITEM: Final = b"sealing"
_REFRESH_INTERVAL: Final = 60.0  # seconds after which a process reads the generations again before it wraps keys
# MonotonicClock before an old generation is deleted: longer than any process, even a suspended one, may still wrap keys by it.
_RETIREMENT_DELAY: Final = 24 * 60 * 60
_SCAN_LIMIT: Final = 500
_MAX_WRITERS: Final = 16


def key_of(owner: bytes) -> Item:
    """Return the item key of an encryption key, from the 16 bytes of its record's home key."""
    return {"pk": binary(owner)}


class KeyGenerations:
    """The generations as this process last read them."""

    def __init__(self, table: TableClient, item: Item) -> None:
        self._table = table
        self._current = _wrapped(item)
        self._refresh_at = monotonic() + _REFRESH_INTERVAL

    def current(self) -> Wrapped:
        """Return the generations of the last read."""
        return self._current

    async def refresh_if_stale(self, keyring: Keyring) -> None:
        """Read the generations again after a minute, so that new keys are wrapped by the newest."""
        if monotonic() > self._refresh_at:
            await self.read(keyring)

    async def read(self, keyring: Keyring) -> None:
        """Read the generations again. Raises StoreUnavailable."""
        self._current = _wrapped(await self._table.get(key_of(_CONFIG_ITEM)) or {})
        await asyncio.to_thread(keyring.refresh)  # may call KMS
        self._refresh_at = monotonic() + _REFRESH_INTERVAL


async def init_key_table(table: TableClient, encryption: Encryption) -> None:
    """Create the first generation and the deployment's secret unless they exist. Raises StoreConfigurationError."""
    first = encryption.master.wrap(os.urandom(KEY_SIZE), 1)
    item = {"g1": binary(first), "t1": number(int(time.time())), "prefixes": number(int(bool(encryption.prefixes)))}
    with suppress(ConditionFailed):  # another process or a lost attempt created it
        await table.put(key_of(_CONFIG_ITEM) | item, ABSENT)
    config = await table.get(key_of(_CONFIG_ITEM)) or {}
    keyring = Keyring(encryption.master, lambda: _wrapped(config))
    with suppress(ConditionFailed):
        await table.put(
            key_of(SECRET_OWNER) | {"data_key": binary(keyring.wrap(SECRET_OWNER, os.urandom(KEY_SIZE)))}, ABSENT
        )


async def open_encryption(table: TableClient, encryption: Encryption) -> tuple[RecordEncryption, KeyGenerations] | None:
    """Return the encryption of the records, or None if the key table is not initialized. Raises StoreConfigurationError."""
    item, secret = await table.get(key_of(_CONFIG_ITEM)), await table.get(key_of(SECRET_OWNER))
    if item is None or secret is None:
        return None
    generations = KeyGenerations(table, item)
    keyring = Keyring(encryption.master, generations.current)
    prefixes = bool(int_attr(item, "prefixes"))
    check_index(encryption, prefixes=prefixes)
    return RecordEncryption(
        keyring, keyring.unwrap(SECRET_OWNER, bytes_attr(secret, "data_key")), prefixes=prefixes
    ), generations


class DynamoDBKeyStore:
    """The encryption keys of a table, for a rotation."""

    def __init__(self, table: TableClient) -> None:
        self._table = table

    async def generations(self) -> Wrapped:
        """Return all generations."""
        return _wrapped(await self._config())

    async def is_rotating(self) -> bool:
        """Return whether some keys are not yet wrapped by the newest generation."""
        return "rotating" in await self._config()

    async def start(self, generation: int, wrapped: bytes) -> None:
        """Add a generation; every process wraps new keys by it within a minute."""
        values = {":wrapped": binary(wrapped), ":now": number(int(time.time())), ":number": number(generation)}
        change = f"SET g{generation} = :wrapped, t{generation} = :now, rotating = :number"
        try:
            await self._table.update(key_of(_CONFIG_ITEM), change, f"attribute_not_exists(g{generation})", values)
        except ConditionFailed as failed:
            if not (failed.item and failed.item.get(f"g{generation}") == values[":wrapped"]):
                raise StoreUnavailable("another rotation started at the same time: run the command again") from None

    async def keys(self, position: bytes) -> tuple[list[PersonKey], bytes]:
        """Return some keys and the position of the next ones; b"" at the end."""
        start = {"ExclusiveStartKey": key_of(position)} if position else {}
        items, last = await self._table.scan(limit=_SCAN_LIMIT, **start)
        keys = [PersonKey(bytes_attr(item, "pk"), bytes_attr(item, "data_key")) for item in items if "data_key" in item]
        return keys, bytes_attr(last, "pk") if last else b""

    async def update(self, changed: Sequence[tuple[PersonKey, bytes]]) -> None:
        """Replace keys by newly wrapped ones unless they have changed."""
        for start in range(0, len(changed), _MAX_WRITERS):
            batch = changed[start : start + _MAX_WRITERS]
            await asyncio.gather(*(self._replace_key(key, new) for key, new in batch))

    async def finish(self, generation: int) -> None:
        """Mark a rotation as finished, and delete generations that have been outdated for a day.

        A process with generations up to a minute old may add a key of the previous generation after the scan. The next rotation
        rewraps that key.
        """
        item = await self._config()
        oldest = int(time.time()) - _RETIREMENT_DELAY
        outdated = [old for old in _wrapped(item) if old < generation and int_attr(item, f"t{old + 1}") < oldest]
        removed = "".join(f", g{old}, t{old}" for old in outdated)
        with suppress(ConditionFailed):  # another run or a lost attempt finished it
            await self._table.update(
                key_of(_CONFIG_ITEM), f"REMOVE rotating{removed}", "rotating = :number", {":number": number(generation)}
            )

    async def _replace_key(self, key: PersonKey, new: bytes) -> None:
        values = {":old": binary(key.wrapped), ":new": binary(new)}
        with suppress(ConditionFailed):
            await self._table.update(key_of(key.owner), "SET data_key = :new", "data_key = :old", values)

    async def _config(self) -> Item:
        return await self._table.get(key_of(_CONFIG_ITEM)) or {}


def _wrapped(item: Item) -> Wrapped:
    return {int(name[1:]): bytes_attr(item, name) for name in item if name.startswith("g")}
