"""The cache in the memory of one process. Redis sends invalidations (client tracking); without them the cache is empty."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar

from peopleinfo.stores.cached.pipelined_connection import PipelinedConnection
from peopleinfo.telemetry.metrics import CACHE_BYTES, CACHE_ENTRIES, CACHE_STALENESS, CACHE_TRACKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from redis.asyncio import Redis
    from redis.asyncio.connection import AbstractConnection

Q = TypeVar("Q", bound="Hashable")
# Seconds for which an entry may be stale after another process changed the record, even if the network fails.
MAX_STALENESS: Final = 1.5
_ENTRY_SIZE: Final = 1024  # bytes of an entry in addition to its response: the query, the key and the index entries
_PING_INTERVAL: Final = 0.5
_RECONNECT_DELAY: Final = (0.1, 0.3)  # seconds, chosen at random


class LocalCache:
    """Responses by query, at most `size` bytes in total. Use it only in the thread of the event loop.

    An entry is valid until its TTL expires and while the tracking connection is alive. The server sends all earlier invalidations before
    it responds to a PING. So a recent response to a PING proves that no earlier invalidation is missing.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0
        # query → (expiry, key, response, size in bytes)
        self._entries: dict[Hashable, tuple[float, str, Any, int]] = {}
        self._queries: dict[str, set[Hashable]] = {}  # key → its queries
        self._fetches: dict[str, PendingFetch] = {}  # keys with a fetch in progress
        self._valid_until = 0.0

    def get(self, query: Hashable) -> Any:
        """Return the response, or None if no valid entry exists."""
        entry = self._entries.get(query)
        if entry is None:
            return None
        now = monotonic()
        if now < entry[0] and now < self._valid_until:
            return entry[2]
        return None

    def get_many(self, queries: Iterable[Q]) -> dict[Q, Any]:
        """Return the responses of those queries that have a valid entry."""
        now, entries = monotonic(), self._entries
        if now >= self._valid_until:
            return {}
        return {query: entry[2] for query in queries if (entry := entries.get(query)) is not None and now < entry[0]}

    def begin_fetch(self, key: str) -> PendingFetch:
        """Register a fetch of a response under the key. Call this before the request to Redis."""
        fetch = self._fetches.setdefault(key, PendingFetch(key))
        fetch.waiters += 1
        return fetch

    def end_fetch(self, fetch: PendingFetch, query: Hashable, response: Any, ttl: float, size: int = 0) -> None:
        """Store a response of `size` bytes for `ttl` seconds (0: do not store it).

        The response is discarded if its key was invalidated after `begin_fetch`.
        """
        fetch.waiters -= 1
        unchanged = self._fetches.get(fetch.key) is fetch
        if unchanged and not fetch.waiters:
            del self._fetches[fetch.key]
        size += _ENTRY_SIZE
        if not unchanged or ttl <= 0 or size > self._size:
            return
        self._remove(query)
        while self._used + size > self._size:
            self._remove(next(iter(self._entries)))
        self._entries[query] = (monotonic() + ttl, fetch.key, response, size)
        self._used += size
        self._queries.setdefault(fetch.key, set()).add(query)

    def invalidate(self, keys: Iterable[str]) -> None:
        """Remove the entries of these keys, and prevent fetches in progress from storing theirs."""
        for key in keys:
            self._fetches.pop(key, None)
            for query in self._queries.pop(key, ()):
                self._used -= self._entries.pop(query)[3]

    def clear(self) -> None:
        """Remove all entries."""
        self._entries.clear()
        self._used = 0
        self._queries.clear()
        self._fetches.clear()

    def update_gauges(self) -> None:
        """Update the gauges of this cache."""
        CACHE_ENTRIES.set(len(self._entries))
        CACHE_BYTES.set(self._used)
        if self._size:
            CACHE_TRACKING.set(monotonic() < self._valid_until)

    def _remove(self, query: Hashable) -> None:
        entry = self._entries.pop(query, None)
        if entry is None:
            return
        _, key, _, size = entry
        self._used -= size
        queries = self._queries[key]
        queries.discard(query)
        if not queries:
            del self._queries[key]

    async def listen(self, redis: Redis, prefix: str) -> None:
        """Receive invalidations of keys with this prefix and reconnect after errors; never returns."""
        while True:
            connection = redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
            try:
                await self._track(connection, prefix)
            except Exception:  # noqa: BLE001, S110 - any error empties the cache; the next connection may succeed
                pass
            finally:
                self._valid_until = 0.0
                self.clear()
                await connection.disconnect(nowait=True)
            await asyncio.sleep(random.uniform(*_RECONNECT_DELAY))  # noqa: S311 - spreads reconnections

    async def _track(self, connection: AbstractConnection, prefix: str) -> None:
        async with asyncio.timeout(MAX_STALENESS):
            await connection.connect()  # type: ignore[no-untyped-call]
        pipe = PipelinedConnection(connection, on_push=self._on_push)
        await pipe.execute("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", prefix, time_limit=MAX_STALENESS)
        while not pipe.is_closed.is_set():
            sent_at = monotonic()
            await pipe.execute("PING", time_limit=MAX_STALENESS)
            self._valid_until = sent_at + MAX_STALENESS
            CACHE_STALENESS.observe(monotonic() - sent_at)
            with suppress(TimeoutError):
                async with asyncio.timeout(_PING_INTERVAL):
                    await pipe.is_closed.wait()

    def _on_push(self, message: list[Any]) -> None:
        kind, keys = message[:2]
        if kind != b"invalidate":
            return
        if keys is None:  # FLUSHALL or FLUSHDB
            self.clear()
        else:
            self.invalidate(key.decode(errors="replace") for key in keys)  # other clients may use keys of any bytes


class PendingFetch:
    """A fetch in progress; `waiters` counts the readers that wait for it."""

    __slots__ = ("key", "waiters")

    def __init__(self, key: str) -> None:
        self.key = key
        self.waiters = 0
