"""Rate limits that all processes share: each grants from buckets of its own, and once a second they are made one through Redis.

So a request never waits for Redis, and what is granted beyond the limit is at most what each process grants within that second. While Redis
is away each process counts for itself, and tells what was taken when it is back.
"""

from __future__ import annotations

import asyncio
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import structlog

from peopleinfo.crypto.ids import derive_key
from peopleinfo.telemetry.metrics import CACHE_INVALID

if TYPE_CHECKING:
    from peopleinfo.auth.rate_limit import TokenBuckets
    from peopleinfo.stores.cached.redis_client import RedisClient

SYNC_INTERVAL: Final = 1.0
_PATIENCE: Final = 2.0  # seconds for one exchange; the next one tells what this one could not
# What is used up of a bucket, and since when; it empties at a steady rate, and is forgotten when it must be empty. Anything else under the
# key is removed, and the bucket is full again. ARGV: units a second, units taken, the most that can be used up.
_USE: Final = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local kept = redis.pcall('HMGET', KEYS[1], 'used', 'at')
local used, at = tonumber(kept[1] or 0), tonumber(kept[2] or now)
local valid = not kept.err and used and at and used >= 0 and used <= tonumber(ARGV[3]) and at >= 0 and at <= now + 3600
if not valid then
    if kept.err and string.sub(kept.err, 1, 9) ~= 'WRONGTYPE' then return kept end
    redis.call('DEL', KEYS[1])
    used, at = 0, now
end
used = math.max(used - math.max(now - at, 0) * ARGV[1], 0) + ARGV[2]
redis.call('HSET', KEYS[1], 'used', used, 'at', string.format('%.6f', now))
redis.call('EXPIRE', KEYS[1], math.ceil(used / ARGV[1]) + 1)
return {tostring(used), valid and 1 or 0}
"""
_MOST: Final = 1_000  # times the limit, which processes that could not exchange may have granted together
_log = structlog.get_logger("peopleinfo.auth.rate_limit")


class SharedTokenBuckets:
    """Makes the buckets of several processes one."""

    def __init__(self, rates: TokenBuckets, link: RedisClient, secret: bytes) -> None:
        """Share `rates` with every process that has the same `secret`: from the names of keys in Redis nobody learns whose they are."""
        self._rates = rates
        self._redis: Any = link.redis
        self._secret = derive_key(secret, "rates")
        self._is_away = False

    async def sync(self) -> None:
        """Tell Redis what was taken here, and take over what is left of all. Raises whatever its client makes of a Redis that is away."""
        limit = self._rates.per_minute
        for who in self._rates.active():
            taken = self._rates.unsynced(who)
            used, valid = await self._redis.eval(_USE, 1, self._key(who), limit / 60, taken, limit * _MOST)
            if not valid:
                CACHE_INVALID.inc("bucket")
            self._rates.apply_sync(who, taken, limit - float(used))

    async def run(self) -> None:
        """Exchange once a second; never returns."""
        while True:
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self.sync()
            except Exception as error:  # noqa: BLE001 - whatever becomes of a dead connection: each counts for itself meanwhile
                if not self._is_away:
                    _log.warning("rate_limit_sync_failed", error=type(error).__name__)
                self._is_away = True
            else:
                self._is_away = False
            await asyncio.sleep(SYNC_INTERVAL)

    def _key(self, who: str) -> str:
        return "pi:r:" + blake2b(who.encode(), key=self._secret, digest_size=16).hexdigest()
