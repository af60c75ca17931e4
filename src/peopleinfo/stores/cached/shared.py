"""The shared cache and its coherence protocol (docs/adr/0008; verified by model checking and by `make consistency`).

Redis stores for each name (a person id or a surname)

    v   the values: a hash of the epoch id and one response per page
    l   the lease: the token of the reader that may fill the cache; a write deletes it
    f   the fences: the tokens of the active writers, each with its expiry

and for all names together the epoch: its id, the run id of the server, and the time from which the epoch is valid. A server that was
flushed, or restarted with old data, has another epoch or run id. Then the cache stays cold until every earlier write has been applied,
because the fences of those writes may be lost.

Any key may contain any value at any time. The scripts delete values that they cannot have written. A deleted response or lease is a miss,
and a deleted epoch starts a new one. A new fence replaces deleted fences until every write that they protected has been applied.
"""

from __future__ import annotations

import itertools
import random
import secrets
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from redis.exceptions import RedisError

from peopleinfo.crypto.person_ids import derive_key
from peopleinfo.stores.cached.entry_format import Entries
from peopleinfo.stores.cached.lua_scripts import (
    DISCARD,
    FENCE,
    FILL,
    FILL_MANY,
    MAX_RESPONSE_SIZE,
    READ,
    READ_MANY,
    UNFENCE,
)
from peopleinfo.stores.cached.redis_client import CacheUnavailable
from peopleinfo.telemetry import tracing
from peopleinfo.telemetry.metrics import (
    CACHE_FENCES,
    CACHE_FILLS,
    CACHE_INVALID,
    CACHE_LOOKUPS,
    CACHE_PENDING_INVALIDATIONS,
    CACHE_UP,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from peopleinfo.stores.cached.redis_client import RedisClient

FENCE_TTL: Final = 15.0  # longer than a write may take to be applied; also the quarantine of a new epoch
LEASE_TTL: Final = 5.0
_TAGS: Final = 64  # hash tags in a cluster: the names of one tag are on one node and share an epoch
_MAX_PENDING: Final = 20_000  # names of at most 1 KiB; beyond that the whole cache is invalidated
_MAX_NAMES: Final = 500  # names of one script call
_MAX_MEMOIZED: Final = 10_000  # names of at most 1 KiB with memoized keys
_HIT, _MISS, _EACH = b"hit", b"miss", b"each"


class Hit(NamedTuple):
    """A cached response and its remaining TTL in seconds."""

    response: bytes
    ttl: float


class Lease(NamedTuple):
    """The permission to fill a missing entry."""

    token: bytes


class SharedCache:
    """Caches responses by name and page. Redis sees neither: its keys are keyed hashes, and responses are encrypted."""

    def __init__(
        self,
        client: RedisClient,
        secret: bytes,
        *,
        ttl: float,
        fence_ttl: float = FENCE_TTL,
        pages: int = 32,
    ) -> None:
        """Cache responses for `ttl` seconds, at most `pages` per name. Instances of the same secret share their entries."""
        self.ttl = ttl
        self.fence_ttl = fence_ttl
        self._client = client
        self._pages = pages
        self._secret = derive_key(secret, "cache")
        self._keys = lru_cache(_MAX_MEMOIZED)(self._keys_of)
        self._entries = Entries(secret)
        self._namespace = blake2b(b"space", key=self._secret, digest_size=6).hexdigest()
        self._pending: dict[str, bool] = {}  # name → whether a write of unknown outcome may still be applied
        self._invalidate_all = False
        self._process_prefix = secrets.token_bytes(8)
        self._counter = itertools.count()
        for kind in ("answer", "lease", "fences", "epoch"):
            CACHE_INVALID.init_labels(kind)
        client.on_reconnect = self._flush

    def update_gauges(self) -> None:
        """Update the gauges of the shared cache."""
        CACHE_UP.set(self.is_up)
        CACHE_PENDING_INVALIDATIONS.set(len(self._pending))

    @property
    def is_up(self) -> bool:
        """Whether reads use the cache."""
        return self._client.is_up

    @property
    def key_prefix(self) -> str:
        """The prefix of the keys of all values."""
        return f"pi:v:{{{self._namespace}"

    def token(self) -> bytes:
        """Return a globally unique token: the random prefix of this process and a counter."""
        return self._process_prefix + next(self._counter).to_bytes(8)

    def key(self, name: str) -> str:
        """Return the key of the values of a name."""
        return self._keys(name)[1]

    async def read(self, name: str, page: str) -> Hit | Lease | None:
        """Return a hit, a lease to fill the missing entry, or None to bypass the cache."""
        lease = int(LEASE_TTL * 1000)
        reply: Any = (b"down",)
        if self._client.is_up:
            with suppress(CacheUnavailable), tracing.span("cache", "lease"):
                reply = await self._client.run(READ, self._keys(name), *self._epoch(), page, self.token(), lease)
                tracing.set_attribute("outcome", reply[0].decode())
        return await self._read_reply(name, page, reply)

    async def read_many(self, names: Sequence[str]) -> list[Hit | Lease | None]:
        """Return for each name, in order, what `read` returns for the page ""."""
        lease = int(LEASE_TTL * 1000)
        replies: dict[str, Any] = {}
        if self._client.is_up:
            for group in self._names_by_node(names):
                with suppress(CacheUnavailable):
                    arguments = (*self._epoch(), "", self.token(), lease)
                    replies |= _by_name(group, await self._client.run(READ_MANY, self._keys_of_many(group), *arguments))
        return [await self._read_reply(name, "", replies.get(name, (b"down",))) for name in names]

    async def _read_reply(self, name: str, page: str, reply: Any) -> Hit | Lease | None:
        CACHE_LOOKUPS.inc(reply[0].decode())
        if reply[0] == _HIT:
            response = self._entries.decrypt(self._keys(name)[1], page, reply[1])
            if response is not None:
                return Hit(response, reply[2] / 1000)
            await self.discard(name)
            return None
        _count_invalid(reply)
        return Lease(reply[1]) if reply[0] == _MISS else None

    async def discard(self, name: str) -> None:
        """Delete the values of a name after one of them was invalid."""
        CACHE_INVALID.inc("answer")
        with suppress(CacheUnavailable):
            await self._client.run(DISCARD, self._keys(name)[1:2])

    async def fill(self, name: str, page: str, lease: Lease, response: bytes) -> None:
        """Store a response that was read under the lease, unless a write deleted the lease or the response is too large."""
        keys, epoch = self._keys(name), self._epoch()
        if len(response) > MAX_RESPONSE_SIZE:
            CACHE_FILLS.inc("large")
            return
        entry = self._entry(name, page, lease, response)
        reply: Any = (b"down",)
        with suppress(CacheUnavailable), tracing.span("cache", "fill"):
            # no request waits for the fill
            reply = await self._client.run(FILL, keys, *epoch, page, self._pages, *entry, urgent=False)
            tracing.set_attribute("outcome", reply[0].decode())
        CACHE_FILLS.inc(reply[0].decode())
        _count_invalid(reply)

    async def fill_many(self, responses: Sequence[tuple[str, Lease, bytes]]) -> None:
        """Store the responses of the page "" of several names, as `fill` does."""
        entries = {name: self._entry(name, "", lease, response) for name, lease, response in responses}
        for group in self._names_by_node(list(entries)):
            replies: Any = {}
            with suppress(CacheUnavailable):
                values = [value for name in group for value in entries[name]]
                arguments = (*self._epoch(), "", self._pages, *values)
                reply = await self._client.run(FILL_MANY, self._keys_of_many(group), *arguments, urgent=False)
                replies = _by_name(group, reply)
            for name in group:
                CACHE_FILLS.inc(replies.get(name, (b"down",))[0].decode())
                _count_invalid(replies.get(name, ()))

    def _entry(self, name: str, page: str, lease: Lease, response: bytes) -> tuple[bytes, int, bytes]:
        """Return the arguments that fill one entry: the lease, the TTL in milliseconds and the encrypted response."""
        jitter = random.uniform(0.9, 1.0)  # noqa: S311 - entries filled together expire at different times
        encrypted = self._entries.encrypt(self._keys(name)[1], page, response)
        return lease.token, int(self.ttl * 1000 * jitter), encrypted

    async def fence(self, names: Iterable[str], writer: bytes) -> bool:
        """Set a fence on these names, which prevents hits and fills until `unfence`; return False if the cache is down."""
        try:
            for keys in self._keys_by_node(names):
                await self._client.run(FENCE, keys, writer, int(self.fence_ttl * 1000))
        except CacheUnavailable:
            CACHE_FENCES.inc("failed")
            return False
        CACHE_FENCES.inc("set")
        return True

    async def unfence(self, names: Iterable[str], writer: bytes) -> bool:
        """Clear the fence of a write that was applied or never will be; return False if the cache is down.

        The cleared fence is then queued and sent after the reconnection, before this process uses the cache again.
        """
        names = list(names)
        try:
            for keys in self._keys_by_node(names):
                await self._client.run(UNFENCE, keys, writer)
        except CacheUnavailable:
            self.queue_invalidation(names, settled=True)
            return False
        CACHE_FENCES.inc("cleared")
        return True

    def queue_invalidation(self, names: Iterable[str], *, settled: bool) -> None:
        """Queue invalidations for the next reconnection; this process does not use the cache before they are sent.

        `settled`: the write was applied or never will be. Otherwise its fence remains until it expires.
        """
        for name in names:
            self._pending[name] = self._pending.get(name, False) or not settled
        if len(self._pending) > _MAX_PENDING:
            self._pending.clear()
            self._invalidate_all = True
        self._client.trip()

    async def _flush(self) -> None:
        """Send the pending invalidations."""
        pending, self._pending = self._pending, {}
        invalidate_all, self._invalidate_all = self._invalidate_all, False
        writer = self.token()
        try:
            if invalidate_all:
                await self._new_epoch()
            # Creates a missing epoch, so that its quarantine ends sooner than if the first reader created it.
            await self._client.evaluate(READ, self._keys(""), *self._epoch(), "", writer, 1)
            for settled in (True, False):
                names = [name for name, unsettled in pending.items() if unsettled is not settled]
                for keys in self._keys_by_node(names):
                    await self._client.evaluate(FENCE, keys, writer, int(self.fence_ttl * 1000))
                    if settled:
                        await self._client.evaluate(UNFENCE, keys, writer)
        except BaseException:
            for name, unsettled in pending.items():
                self._pending[name] = self._pending.get(name, False) or unsettled
            self._invalidate_all = self._invalidate_all or invalidate_all
            raise

    async def _new_epoch(self) -> None:
        tags = range(_TAGS if self._client.is_cluster else 1)
        for tag in tags:
            await self._client.redis.delete(f"pi:e:{{{self._namespace}.{tag}}}")

    async def eviction_problem(self) -> str | None:
        """Return the problem of a policy that may evict fences; None if the policy is safe or unknown."""
        try:
            reply = await self._client.redis.config_get("maxmemory-policy")
        except RedisError:  # managed servers may deny CONFIG GET
            return None
        policy = str(reply.get("maxmemory-policy", ""))
        if not policy.startswith("allkeys"):
            return None
        return f"maxmemory-policy {policy} may evict fences, so the cache may return stale responses: set volatile-lru or noeviction"

    def _epoch(self) -> tuple[bytes, int]:
        return self.token(), int(self.fence_ttl * 1000)

    def _keys_of(self, name: str) -> tuple[str, str, str, str]:
        digest = blake2b(name.encode(), key=self._secret, digest_size=16).hexdigest()
        tag = int(digest[:8], 16) % _TAGS if self._client.is_cluster else 0
        hash_tag = f"{{{self._namespace}.{tag}}}"
        return f"pi:e:{hash_tag}", f"pi:v:{hash_tag}:{digest}", f"pi:l:{hash_tag}:{digest}", f"pi:f:{hash_tag}:{digest}"

    def _names_by_node(self, names: Iterable[str]) -> Iterator[list[str]]:
        """Yield names, grouped by node."""
        groups: dict[str, list[str]] = {}
        for name in names:
            groups.setdefault(self._keys(name)[0], []).append(name)
        yield from groups.values()

    def _keys_of_many(self, names: Sequence[str]) -> list[str]:
        """Return the keys of names of one node: the epoch, then values, lease and fences of each name."""
        return [self._keys(names[0])[0], *(key for name in names for key in self._keys(name)[1:])]

    def _keys_by_node(self, names: Iterable[str]) -> Iterator[list[str]]:
        """Yield the keys of names, grouped by node, always in the same order."""
        groups: dict[str, list[str]] = {}
        for epoch, *keys in sorted(self._keys(name) for name in set(names)):
            groups.setdefault(epoch, []).extend(keys)
        for keys in groups.values():
            for start in range(0, len(keys), 3 * _MAX_NAMES):
                yield keys[start : start + 3 * _MAX_NAMES]


def _by_name(names: Sequence[str], reply: Any) -> dict[str, Any]:
    """Return the reply of each name from that of a script for all of them."""
    return dict(zip(names, reply[1:], strict=True)) if reply[0] == _EACH else dict.fromkeys(names, reply)


def _count_invalid(reply: Any) -> None:
    """Count an invalid value that a script deleted."""
    if len(reply) > 2:  # noqa: PLR2004 - the third element
        CACHE_INVALID.inc(reply[2].decode())
