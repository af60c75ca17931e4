"""Rate limits shared by all processes: each process has its own buckets and synchronizes them through Redis once a second.

A request never waits for Redis. The processes together exceed the limit at most by the requests that they admit within that second.
While Redis is unreachable, each process counts alone; afterwards it sends the units taken meanwhile.
"""

from __future__ import annotations

import asyncio
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import structlog

from peopleinfo.crypto.person_ids import derive_key
from peopleinfo.telemetry.metrics import CACHE_INVALID

if TYPE_CHECKING:
    from peopleinfo.auth.rate_limit import TokenBuckets
    from peopleinfo.stores.cached.redis_client import RedisClient

SYNC_INTERVAL: Final = 1.0
_TIMEOUT: Final = 2.0  # seconds of one synchronization; the next one sends the units of a failed one
# A key stores the used units of a bucket and the time of the last update. The used units decrease at a steady rate, and the key expires when
# they reach zero. An invalid value is deleted, which refills the bucket. ARGV: units per second, units taken, maximum of used units.
_CONSUME: Final = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local stored = redis.pcall('HMGET', KEYS[1], 'used', 'at')
local used, at = tonumber(stored[1] or 0), tonumber(stored[2] or now)
local valid = not stored.err and used and at and used >= 0 and used <= tonumber(ARGV[3]) and at >= 0 and at <= now + 3600
if not valid then
    if stored.err and string.sub(stored.err, 1, 9) ~= 'WRONGTYPE' then return stored end
    redis.call('DEL', KEYS[1])
    used, at = 0, now
end
used = math.max(used - math.max(now - at, 0) * ARGV[1], 0) + ARGV[2]
redis.call('HSET', KEYS[1], 'used', used, 'at', string.format('%.6f', now))
redis.call('EXPIRE', KEYS[1], math.ceil(used / ARGV[1]) + 1)
return {tostring(used), valid and 1 or 0}
"""
_MAX_USED: Final = 1_000  # times the limit: processes that could not synchronize may have granted this much together
_log = structlog.get_logger("peopleinfo.auth.rate_limit")


class SharedTokenBuckets:
    """Synchronizes the token buckets of several processes."""

    def __init__(self, buckets: TokenBuckets, client: RedisClient, secret: bytes) -> None:
        """Share `buckets` with all processes of the same `secret`, which hides the principals in the names of Redis keys."""
        self._buckets = buckets
        self._redis: Any = client.redis
        self._secret = derive_key(secret, "rates")
        self._is_unreachable = False

    async def sync(self) -> None:
        """Send the units taken here and receive the remaining units of all processes. Raises errors of redis-py."""
        limit = self._buckets.per_minute
        for principal in self._buckets.active():
            taken = self._buckets.unsynced(principal)
            used, valid = await self._redis.eval(
                _CONSUME, 1, self._key(principal), limit / 60, taken, limit * _MAX_USED
            )
            if not valid:
                CACHE_INVALID.inc("bucket")
            self._buckets.apply_sync(principal, taken, limit - float(used))

    async def run(self) -> None:
        """Synchronize once a second; never returns."""
        while True:
            try:
                async with asyncio.timeout(_TIMEOUT):
                    await self.sync()
            except Exception as error:  # noqa: BLE001 - a dead connection may raise any error; this process counts alone until the next try
                if not self._is_unreachable:
                    _log.warning("rate_limit_sync_failed", error=type(error).__name__)
                self._is_unreachable = True
            else:
                self._is_unreachable = False
            await asyncio.sleep(SYNC_INTERVAL)

    def _key(self, principal: str) -> str:
        return "pi:r:" + blake2b(principal.encode(), key=self._secret, digest_size=16).hexdigest()
