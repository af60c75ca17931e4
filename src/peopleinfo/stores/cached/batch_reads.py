"""Reads of many records by id through both levels of the cache."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from peopleinfo.people.person import StoredPerson, is_id
from peopleinfo.people.store import CacheStatus
from peopleinfo.stores.cached.shared import Hit, Lease
from peopleinfo.telemetry import tracing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peopleinfo.people.store import Store
    from peopleinfo.stores.cached.local import LocalCache
    from peopleinfo.stores.cached.shared import SharedCache

    Found = dict[str, StoredPerson]

NOT_FOUND: Final = StoredPerson("", 0, b"")  # cached for an unknown id
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[int, bytes]).decode


class BatchReader:
    """Reads many records with one request to Redis and one to the store. Each record follows the protocol of a single read."""

    def __init__(self, store: Store, shared: SharedCache, local: LocalCache) -> None:
        self._store = store
        self._shared = shared
        self._local = local
        self._filling: set[asyncio.Task[None]] = set()

    async def get_many(self, person_ids: Sequence[str]) -> tuple[dict[str, StoredPerson], list[CacheStatus]]:
        """Implement `CachedReader.get_many_cached`."""
        found: Found = self._local.get_many(person_ids)
        statuses = [CacheStatus.LOCAL] * len(found)
        if missing := [
            person_id for person_id in dict.fromkeys(person_ids) if person_id not in found and is_id(person_id)
        ]:
            with tracing.span("cache", "read_many"):
                leases = await self._read_shared(missing, found)
            statuses += [CacheStatus.SHARED] * (len(missing) - len(leases))
            statuses += [CacheStatus.MISS if lease else CacheStatus.BYPASS for lease in leases.values()]
            await self._read_store(leases, found)
        return {person_id: record for person_id, record in found.items() if record.version}, statuses

    async def _read_shared(self, person_ids: list[str], found: Found) -> dict[str, Lease | None]:
        """Add the hits to `found`; return the other ids with their leases."""
        names = [person_name(person_id) for person_id in person_ids]
        # Registered before the request to Redis, so that no later invalidation is missed.
        fetches = [self._local.begin_fetch(self._shared.key(name)) for name in names]
        hits: dict[str, Hit] = {}
        leases: dict[str, Lease | None] = {}
        try:
            for person_id, name, reply in zip(person_ids, names, await self._shared.read_many(names), strict=True):
                if not isinstance(reply, Hit):
                    leases[person_id] = reply
                    continue
                try:
                    found[person_id] = decode_record(person_id, reply.response)
                    hits[person_id] = reply
                except msgspec.DecodeError:  # stored by another release
                    await self._shared.discard(name)
                    leases[person_id] = None
        finally:
            for person_id, fetch in zip(person_ids, fetches, strict=True):
                hit = hits.get(person_id)
                if hit is None:
                    self._local.end_fetch(fetch, person_id, None, 0.0)
                else:
                    self._local.end_fetch(fetch, person_id, found[person_id], hit.ttl, len(hit.response))
        return leases

    async def _read_store(self, leases: dict[str, Lease | None], found: Found) -> None:
        """Add the records of the store to `found`, then fill the cache in the background."""
        if not leases:
            return
        records = await self._store.get_many(list(leases))
        fills: list[tuple[str, Lease, bytes]] = []
        for (person_id, lease), record in zip(leases.items(), records, strict=True):
            found[person_id] = record or NOT_FOUND
            if lease and record:  # an absent record may be merged into another one, which a single read caches
                fills.append((person_name(person_id), lease, encode_record(record)))
        if fills:
            filling = asyncio.ensure_future(self._shared.fill_many(fills))
            self._filling.add(filling)
            filling.add_done_callback(self._filling.discard)


def person_name(person_id: str) -> str:
    """Return the cache name of a record."""
    return f"p{person_id}"


def encode_record(record: StoredPerson) -> bytes:
    """Return the cached form of a record."""
    return _encode((record.version, record.body))


def decode_record(person_id: str, response: bytes) -> StoredPerson:
    """Return the record of its cached form. Raises msgspec.DecodeError."""
    return StoredPerson(person_id, *_decode(response))
