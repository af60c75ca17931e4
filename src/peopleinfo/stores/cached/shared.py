"""The cache that all processes share, and the protocol that keeps it from lying (docs/adr/0008; checked as a model and by `make consistency`).

Of each name (a person's id, a surname) Redis holds

    v   the answers: a hash of the epoch's id and, under the page asked for, what to answer
    l   a lease: whoever reads the store to fill the cache holds it; a write takes it away
    f   the fences of the writers now at work, each with the time at which it falls by itself

and of all names together the epoch: its id, the run of the server in which it began, and the time from which it counts. A server that
has lost its memory, or came back with an old one, has another epoch or another run. Then nothing is cached until every write has landed
that was on its way before, as its fence may be lost.

Any key may have any content at any time. The scripts remove what they cannot have written: an answer or a lease, which is missed then; an
epoch, which begins again; fences, in whose place one stands until every write has landed that one of them may have been for.
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

from peopleinfo.crypto.ids import derive_key
from peopleinfo.stores.cached.entries import Entries
from peopleinfo.stores.cached.redis_client import CacheUnavailable, Script
from peopleinfo.telemetry import tracing
from peopleinfo.telemetry.metrics import CACHE_FENCES, CACHE_FILLS, CACHE_INVALID, CACHE_LOOKUPS, CACHE_OWED, CACHE_UP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from peopleinfo.stores.cached.redis_client import RedisClient

FENCE_SECONDS: Final = 15.0  # longer than any write may take to land, and the pause in which the cache is given up
LEASE_SECONDS: Final = 5.0
_TAGS: Final = 64  # groups of names in a cluster, each on one node with an epoch of its own
_OWED: Final = 20_000  # names of at most 1 KiB; beyond that it is all forgotten
_TOGETHER: Final = 500  # names in one script
_REMEMBERED: Final = 10_000  # names of at most 1 KiB whose keys are at hand
LARGEST: Final = 1024 * 1024  # bytes of an answer; a larger one is not stored
_LONGEST_FENCE: Final = 600  # seconds; the settings permit no longer one
_LONGEST_LIFE: Final = 3_600  # seconds of an answer, likewise
_HIT, _MISS = b"hit", b"miss"

_CLOCK: Final = (
    f"local longest_fence, longest_life, largest = {_LONGEST_FENCE * 1000}, {_LONGEST_LIFE * 1000}, {LARGEST + 64}\n"
    """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function is_foreign(reply)
    if type(reply) ~= 'table' or not reply.err then return false end
    if string.sub(reply.err, 1, 9) ~= 'WRONGTYPE' then error(reply.err) end
    return true
end
"""
)
# KEYS: epoch, answers, lease, fences. ARGV: an id for a new epoch, how long to be silent before it counts (ms), …
# The third element of a reply names what was invalid.
_TRUSTED: Final = (
    _CLOCK
    + """
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local epoch = redis.pcall('HMGET', KEYS[1], 'id', 'run', 'from')
local invalid = is_foreign(epoch)
if epoch[2] == run then
    local from = tonumber(epoch[3] or '')
    invalid = not (epoch[1] and from and from <= now + longest_fence)
    if not invalid and now < from then return {'cold'} end
end
if invalid or epoch[2] ~= run then
    redis.call('DEL', KEYS[1])
    redis.call('HSET', KEYS[1], 'id', ARGV[1], 'run', run, 'from', now + ARGV[2])
    return {'cold', '', invalid and 'epoch' or nil}
end
local function quarantined()
    redis.call('ZADD', KEYS[4], now + ARGV[2], 'lost')
    return {'fenced', '', 'fences'}
end
if is_foreign(redis.pcall('ZREMRANGEBYSCORE', KEYS[4], '-inf', now)) then
    redis.call('DEL', KEYS[4])
    return quarantined()
end
if redis.call('EXISTS', KEYS[4]) == 1 then
    if redis.call('ZREMRANGEBYSCORE', KEYS[4], now + longest_fence, '+inf') > 0 then return quarantined() end
    return {'fenced'}
end
"""
)
# … the page, a token for a new lease, how long that lasts (ms)
READ: Final = Script(
    "read",
    _TRUSTED
    + """
local kept = redis.pcall('HMGET', KEYS[2], 'epoch', ARGV[3])
local wrong = is_foreign(kept) and 'answer' or nil
if kept[2] and kept[1] == epoch[1] then
    local left = redis.call('PTTL', KEYS[2])
    if left >= 0 and left <= longest_life and #kept[2] <= largest then return {'hit', kept[2], left} end
    wrong = 'answer'
end
if wrong then redis.call('DEL', KEYS[2]) end
local lease = redis.pcall('GET', KEYS[3])
if is_foreign(lease) or lease and #lease ~= #ARGV[4] then lease, wrong = false, 'lease' end
if not lease then
    lease = ARGV[4]
    redis.call('SET', KEYS[3], lease, 'PX', ARGV[5])
end
return {'miss', lease, wrong}
""",
)
# … the page, the lease, how long the answer may be kept (ms), the answer, how many pages of a name
FILL: Final = Script(
    "fill",
    _TRUSTED
    + """
if redis.pcall('GET', KEYS[3]) ~= ARGV[4] then return {'lease_lost'} end
if redis.pcall('HGET', KEYS[2], 'epoch') ~= epoch[1] then redis.call('DEL', KEYS[2]) end
if redis.call('HLEN', KEYS[2]) > tonumber(ARGV[7]) then return {'full'} end
redis.call('HSET', KEYS[2], 'epoch', epoch[1], ARGV[3], ARGV[6])
if redis.call('PTTL', KEYS[2]) < 0 then redis.call('PEXPIRE', KEYS[2], ARGV[5]) end
return {'kept'}
""",
)
# KEYS: answers, lease, fences of each name. ARGV: the writer, when its fence falls by itself (ms).
FENCE: Final = Script(
    "fence",
    _CLOCK
    + """
for i = 1, #KEYS, 3 do
    redis.call('DEL', KEYS[i], KEYS[i + 1])
    if is_foreign(redis.pcall('ZADD', KEYS[i + 2], now + ARGV[2], ARGV[1])) then
        redis.call('DEL', KEYS[i + 2])
        redis.call('ZADD', KEYS[i + 2], now + ARGV[2], ARGV[1], now + ARGV[2], 'lost')
    end
end
""",
)
# KEYS as above. ARGV: the writer. Fences of another type are left to the next reader.
UNFENCE: Final = Script(
    "unfence",
    _CLOCK
    + """
for i = 1, #KEYS, 3 do
    redis.call('DEL', KEYS[i], KEYS[i + 1])
    is_foreign(redis.pcall('ZREM', KEYS[i + 2], ARGV[1]))
end
""",
)
# KEYS: answers.
DISCARD: Final = Script("discard", "redis.call('DEL', KEYS[1])")


class Hit(NamedTuple):
    """An answer, and how many seconds it may still be kept."""

    answer: bytes
    seconds: float


class Lease(NamedTuple):
    """The right to fill in an answer that was not there."""

    token: bytes


class SharedCache:
    """Answers under names and pages. Redis sees no name and no answer: its keys are keyed hashes, and answers are encrypted."""

    def __init__(
        self,
        link: RedisClient,
        secret: bytes,
        *,
        seconds: float,
        fence_seconds: float = FENCE_SECONDS,
        pages: int = 32,
    ) -> None:
        """Keep answers for `seconds`, at most `pages` of a name. Those of one secret are one and the same."""
        self.seconds = seconds
        self.fence_seconds = fence_seconds
        self._link = link
        self._pages = pages
        self._secret = derive_key(secret, "cache")
        self._keys = lru_cache(_REMEMBERED)(self._keys_of)
        self._entries = Entries(secret)
        self._space = blake2b(b"space", key=self._secret, digest_size=6).hexdigest()
        self._pending: dict[str, bool] = {}  # name → whether a write to it may still be on its way
        self._owes_all = False
        self._mark = secrets.token_bytes(8)
        self._numbers = itertools.count()
        for kind in ("answer", "lease", "fences", "epoch"):
            CACHE_INVALID.init_labels(kind)
        link.on_reconnect = self._flush

    def update_gauges(self) -> None:
        """Note how it stands, for the figures."""
        CACHE_UP.set(self.is_up)
        CACHE_OWED.set(len(self._pending))

    @property
    def is_up(self) -> bool:
        """Whether the cache is asked at all."""
        return self._link.is_up

    @property
    def key_prefix(self) -> str:
        """What the keys of all answers begin with."""
        return f"pi:v:{{{self._space}"

    def token(self) -> bytes:
        """Return what nobody else, here or in another process, has ever been given: a mark of this process and a number."""
        return self._mark + next(self._numbers).to_bytes(8)

    def key(self, name: str) -> str:
        """Return the key of the answers of a name."""
        return self._keys(name)[1]

    async def read(self, name: str, page: str) -> Hit | Lease | None:
        """Return the answer, or the right to fill it in, or None when the cache must not be used now."""
        lease = int(LEASE_SECONDS * 1000)
        told: Any = (b"down",)
        if self._link.is_up:
            with suppress(CacheUnavailable), tracing.span("cache", "lease"):
                told = await self._link.run(READ, self._keys(name), *self._epoch(), page, self.token(), lease)
                tracing.set_attribute("outcome", told[0].decode())
        CACHE_LOOKUPS.inc(told[0].decode())
        if told[0] == _HIT:
            answer = self._entries.decrypt(self._keys(name)[1], page, told[1])
            if answer is not None:
                return Hit(answer, told[2] / 1000)
            await self.discard(name)
            return None
        _count_invalid(told)
        return Lease(told[1]) if told[0] == _MISS else None

    async def discard(self, name: str) -> None:
        """Remove the answers of a name, one of which is not what this service stores."""
        CACHE_INVALID.inc("answer")
        with suppress(CacheUnavailable):
            await self._link.run(DISCARD, self._keys(name)[1:2])

    async def fill(self, name: str, page: str, lease: Lease, answer: bytes) -> None:
        """Keep an answer that was read from the store after the lease was given, unless a write took the lease away or it is too long."""
        jitter = random.uniform(0.9, 1.0)  # noqa: S311 - so that what was filled together is not read anew together
        milliseconds = int(self.seconds * 1000 * jitter)
        keys, epoch = self._keys(name), self._epoch()
        if len(answer) > LARGEST:
            CACHE_FILLS.inc("large")
            return
        answer = self._entries.encrypt(keys[1], page, answer)
        told: Any = (b"down",)
        with suppress(CacheUnavailable), tracing.span("cache", "fill"):
            filling = (*epoch, page, lease.token, milliseconds, answer, self._pages)
            told = await self._link.run(FILL, keys, *filling, urgent=False)  # nobody waits for it
            tracing.set_attribute("outcome", told[0].decode())
        CACHE_FILLS.inc(told[0].decode())
        _count_invalid(told)

    async def fence(self, names: Iterable[str], writer: bytes) -> bool:
        """Keep the cache from answering for these names or being filled, until `unfence`; False when it could not be told."""
        try:
            for keys in self._grouped(names):
                await self._link.run(FENCE, keys, writer, int(self.fence_seconds * 1000))
        except CacheUnavailable:
            CACHE_FENCES.inc("failed")
            return False
        CACHE_FENCES.inc("set")
        return True

    async def unfence(self, names: Iterable[str], writer: bytes) -> bool:
        """Let the cache serve these names again, when the write has happened or will never; False when it could not be told.

        Then it is told when it can be reached again, before this process uses it.
        """
        names = list(names)
        try:
            for keys in self._grouped(names):
                await self._link.run(UNFENCE, keys, writer)
        except CacheUnavailable:
            self.queue_invalidation(names, landed=True)
            return False
        CACHE_FENCES.inc("cleared")
        return True

    def queue_invalidation(self, names: Iterable[str], *, landed: bool) -> None:
        """Note what the cache has to be told as soon as it can be reached: until then this process does not use it."""
        for name in names:
            self._pending[name] = self._pending.get(name, False) or not landed
        if len(self._pending) > _OWED:
            self._pending.clear()
            self._owes_all = True
        self._link.trip()

    async def _flush(self) -> None:
        """Tell the cache what it missed."""
        owed, self._pending = self._pending, {}
        owes_all, self._owes_all = self._owes_all, False
        writer = self.token()
        try:
            if owes_all:
                await self._new_epoch()
            # Begins the epoch, if there is none: so it counts sooner than if the first reader had to.
            await self._link.evaluate(READ, self._keys(""), *self._epoch(), "", writer, 1)
            for landed in (True, False):
                names = [name for name, under_way in owed.items() if under_way is not landed]
                for keys in self._grouped(names):
                    await self._link.evaluate(FENCE, keys, writer, int(self.fence_seconds * 1000))
                    if landed:
                        await self._link.evaluate(UNFENCE, keys, writer)
        except BaseException:
            for name, under_way in owed.items():
                self._pending[name] = self._pending.get(name, False) or under_way
            self._owes_all = self._owes_all or owes_all
            raise

    async def _new_epoch(self) -> None:
        tags = range(_TAGS if self._link.is_cluster else 1)
        for tag in tags:
            await self._link.redis.delete(f"pi:e:{{{self._space}.{tag}}}")

    async def eviction_problem(self) -> str | None:
        """Say what is wrong when the server may throw away a fence to make room; None when it may not, or does not tell."""
        try:
            told = await self._link.redis.config_get("maxmemory-policy")
        except RedisError:  # managed servers do not let everybody ask
            return None
        policy = str(told.get("maxmemory-policy", ""))
        if not policy.startswith("allkeys"):
            return None
        return f"maxmemory-policy {policy} may evict fences, and stale answers be kept: set volatile-lru or noeviction"

    def _epoch(self) -> tuple[bytes, int]:
        return self.token(), int(self.fence_seconds * 1000)

    def _keys_of(self, name: str) -> tuple[str, str, str, str]:
        digest = blake2b(name.encode(), key=self._secret, digest_size=16).hexdigest()
        tag = int(digest[:8], 16) % _TAGS if self._link.is_cluster else 0
        place = f"{{{self._space}.{tag}}}"
        return f"pi:e:{place}", f"pi:v:{place}:{digest}", f"pi:l:{place}:{digest}", f"pi:f:{place}:{digest}"

    def _grouped(self, names: Iterable[str]) -> Iterator[list[str]]:
        """Yield the keys of names, those together that lie on one node; always in the same order."""
        groups: dict[str, list[str]] = {}
        for epoch, *keys in sorted(self._keys(name) for name in set(names)):
            groups.setdefault(epoch, []).extend(keys)
        for keys in groups.values():
            for start in range(0, len(keys), 3 * _TOGETHER):
                yield keys[start : start + 3 * _TOGETHER]


def _count_invalid(told: Any) -> None:
    """Count what a script found and removed."""
    if len(told) > 2:  # noqa: PLR2004 - the third element
        CACHE_INVALID.inc(told[2].decode())
