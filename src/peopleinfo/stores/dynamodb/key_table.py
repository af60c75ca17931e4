"""The table of persons' keys: how it is begun, how it is looked at, and how its keys are wrapped anew.

`pk`                                what
the 16 bytes behind a person's id   the person's key, wrapped by a generation (`data_key`)
16 bytes 0xff                       the deployment's secret, likewise
"sealing"                           the generations, wrapped by the master key (`g1`, `g2` …), when each began (`t1` …), which one has not
                                    come to everybody yet (`rotating`), and whether surnames are found by their beginning (`prefixes`)
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final

from peopleinfo.crypto.envelope import KEY
from peopleinfo.crypto.keyring import Keyring, Wrapped
from peopleinfo.crypto.record_encryption import SECRET, RecordEncryption, check_index
from peopleinfo.crypto.rotation import PersonKey
from peopleinfo.errors import StoreUnavailable
from peopleinfo.stores.dynamodb.client import ConditionFailed
from peopleinfo.stores.dynamodb.items import binary, bytes_attr, int_attr, number
from peopleinfo.stores.dynamodb.transactions import ABSENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peopleinfo.crypto.master_key import Encryption
    from peopleinfo.stores.dynamodb.client import Item, TableClient

_CONFIG_ITEM: Final = b"sealing"
_KNOWN_SECONDS: Final = 60.0  # for which a process wraps new keys by a generation without looking for a newer one
# Longer than any process goes on with what it has read, stopped and continued ones too. Until then nothing is removed that it may wrap by.
_OUTDATED_SECONDS: Final = 24 * 60 * 60
_TOGETHER: Final = 500
_WRITERS: Final = 16


def key_of(owner: bytes) -> Item:
    """Return the key of the item that holds the key of a person, by the 16 bytes behind its id."""
    return {"pk": binary(owner)}


class KeyGenerations:
    """What a process knows of the generations."""

    def __init__(self, table: TableClient, item: Item) -> None:
        self._table = table
        self._known = _wrapped(item)
        self._until = monotonic() + _KNOWN_SECONDS

    def known(self) -> Wrapped:
        """Return the generations as they were when they were last read."""
        return self._known

    async def refresh_if_stale(self, ring: Keyring) -> None:
        """Read them anew if that was a minute ago, so that what is new is wrapped by the newest."""
        if monotonic() > self._until:
            await self.read(ring)

    async def read(self, ring: Keyring) -> None:
        """Read them anew. Raises StoreUnavailable."""
        self._known = _wrapped(await self._table.get(key_of(_CONFIG_ITEM)) or {})
        await asyncio.to_thread(ring.refresh)  # it may ask KMS
        self._until = monotonic() + _KNOWN_SECONDS


async def begin(table: TableClient, encryption: Encryption) -> None:
    """Make the first generation and the deployment's secret, unless they are there. Raises StoreUnusable."""
    first = encryption.master.wrap(os.urandom(KEY), 1)
    item = {"g1": binary(first), "t1": number(int(time.time())), "prefixes": number(int(bool(encryption.prefixes)))}
    with suppress(ConditionFailed):  # another process was faster, or ours was not heard
        await table.put(key_of(_CONFIG_ITEM) | item, ABSENT)
    there = await table.get(key_of(_CONFIG_ITEM)) or {}
    ring = Keyring(encryption.master, lambda: _wrapped(there))
    with suppress(ConditionFailed):
        await table.put(key_of(SECRET) | {"data_key": binary(ring.wrap(SECRET, os.urandom(KEY)))}, ABSENT)


async def open_sealer(table: TableClient, encryption: Encryption) -> tuple[RecordEncryption, KeyGenerations] | None:
    """Return what people are sealed with; None when nobody has begun to seal them. Raises StoreUnusable, saying what to mend."""
    item, secret = await table.get(key_of(_CONFIG_ITEM)), await table.get(key_of(SECRET))
    if item is None or secret is None:
        return None
    generations = KeyGenerations(table, item)
    ring = Keyring(encryption.master, generations.known)
    prefixes = bool(int_attr(item, "prefixes"))
    check_index(encryption, prefixes=prefixes)
    return RecordEncryption(ring, ring.unwrap(SECRET, bytes_attr(secret, "data_key")), prefixes=prefixes), generations


class DynamoDBKeyStore:
    """The keys of a table of people, for a rotation."""

    def __init__(self, table: TableClient) -> None:
        self._table = table

    async def generations(self) -> Wrapped:
        """Return every generation there is."""
        return _wrapped(await self._sealing())

    async def is_rotating(self) -> bool:
        """Say whether the newest generation has not come to everybody yet."""
        return "rotating" in await self._sealing()

    async def start(self, generation: int, wrapped: bytes) -> None:
        """Add a generation, by which every process wraps what is new within a minute."""
        values = {":wrapped": binary(wrapped), ":now": number(int(time.time())), ":number": number(generation)}
        change = f"SET g{generation} = :wrapped, t{generation} = :now, rotating = :number"
        try:
            await self._table.update(key_of(_CONFIG_ITEM), change, f"attribute_not_exists(g{generation})", values)
        except ConditionFailed as failed:
            if not (failed.item and failed.item.get(f"g{generation}") == values[":wrapped"]):
                raise StoreUnavailable("another rotation has begun at the same time: run this again") from None

    async def keys(self, after: bytes) -> tuple[list[PersonKey], bytes]:
        """Return some keys and what to ask for next."""
        start = {"ExclusiveStartKey": key_of(after)} if after else {}
        items, last = await self._table.scan(limit=_TOGETHER, **start)
        keys = [PersonKey(bytes_attr(item, "pk"), bytes_attr(item, "data_key")) for item in items if "data_key" in item]
        return keys, bytes_attr(last, "pk") if last else b""

    async def update(self, changed: Sequence[tuple[PersonKey, bytes]]) -> None:
        """Put newly wrapped keys in the place of the old ones."""
        for start in range(0, len(changed), _WRITERS):
            some = changed[start : start + _WRITERS]
            await asyncio.gather(*(self._put_back(key, new) for key, new in some))

    async def finish(self, generation: int) -> None:
        """Note that a generation has come to everybody, and remove those that nobody has wrapped by for a day.

        Who reads the generations once a minute may have added somebody, by the one before, after the keys were gone through; the next
        rotation comes to it.
        """
        item = await self._sealing()
        oldest = int(time.time()) - _OUTDATED_SECONDS
        outdated = [old for old in _wrapped(item) if old < generation and int_attr(item, f"t{old + 1}") < oldest]
        gone = "".join(f", g{old}, t{old}" for old in outdated)
        with suppress(ConditionFailed):  # another run has finished it, or ours was not heard
            await self._table.update(
                key_of(_CONFIG_ITEM), f"REMOVE rotating{gone}", "rotating = :number", {":number": number(generation)}
            )

    async def _put_back(self, key: PersonKey, new: bytes) -> None:
        values = {":old": binary(key.wrapped), ":new": binary(new)}
        with suppress(ConditionFailed):
            await self._table.update(key_of(key.owner), "SET data_key = :new", "data_key = :old", values)

    async def _sealing(self) -> Item:
        return await self._table.get(key_of(_CONFIG_ITEM)) or {}


def _wrapped(item: Item) -> Wrapped:
    return {int(name[1:]): bytes_attr(item, name) for name in item if name.startswith("g")}
