"""Rate limits with a token bucket for each client."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

from peopleinfo.errors import RateLimitExceeded

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_FAILURES: Final = 30  # failed authentications per minute and network
MAX_PUBLIC_REQUESTS: Final = 6_000  # requests of public routes per minute and network
MAX_BUCKETS: Final = 20_000  # then the oldest bucket is evicted, and its client starts with a full one


class TokenBuckets:
    """Buckets of `per_minute` units, which refill within a minute.

    Each process has its own buckets. A synchronisation of processes publishes `unsynced` and calls `apply_sync` with the shared balance.
    """

    def __init__(
        self,
        per_minute: int,
        *,
        max_buckets: int = MAX_BUCKETS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.per_minute = per_minute
        self._per_second = per_minute / 60
        self._max_buckets = max_buckets
        self._monotonic = monotonic
        # Client → [units left, time of that balance, units consumed since the last synchronisation].
        self._buckets: dict[str, list[float]] = {}

    def consume(self, client_id: str, units: int) -> float:
        """Consume units of a client's bucket and return the units left. Raises RateLimitExceeded if there are too few."""
        now = self._monotonic()
        bucket = self._buckets.get(client_id)
        if bucket is None:
            bucket = self._new(client_id, now)
        left = bucket[0] + (now - bucket[1]) * self._per_second
        left = left if left < self.per_minute else self.per_minute  # noqa: FURB136 - `min` would double the time of this method
        bucket[1] = now
        if left < units:
            bucket[0] = left
            raise RateLimitExceeded(retry_after=self.seconds_until(left, units))
        bucket[0] = left = left - units
        bucket[2] += units
        return left

    def spend(self, client_id: str, units: int, *, keeping: float) -> bool:
        """Consume units of a client's bucket if at least `keeping` units remain; return whether."""
        bucket = self._buckets.get(client_id)
        if bucket is None:
            return False
        now = self._monotonic()
        left = bucket[0] + (now - bucket[1]) * self._per_second
        left = (left if left < self.per_minute else self.per_minute) - units  # noqa: FURB136 - as above
        if left < keeping:
            return False
        bucket[0], bucket[1] = left, now
        bucket[2] += units
        return True

    def check(self, client_id: str, units: int) -> None:
        """Raise RateLimitExceeded if a client's bucket has fewer units; consumes none."""
        self.consume(client_id, units)
        self.refund(client_id, units)

    def refund(self, client_id: str, units: int) -> None:
        """Return units to a client's bucket, if it was not evicted."""
        if bucket := self._buckets.get(client_id):
            bucket[0] += units
            bucket[2] -= units

    def active(self) -> list[str]:
        """Return the clients with a bucket that is not full or not synchronised."""
        now = self._monotonic()
        return [
            client_id
            for client_id, (left, updated_at, unsynced) in self._buckets.items()
            if unsynced or left + (now - updated_at) * self._per_second < self.per_minute
        ]

    def unsynced(self, client_id: str) -> float:
        """Return the units that a client consumed since the last synchronisation."""
        return self._buckets[client_id][2] if client_id in self._buckets else 0

    def apply_sync(self, client_id: str, published: float, left: float) -> None:
        """Set a client's balance to the shared one, less the units consumed since the `published` ones."""
        if bucket := self._buckets.get(client_id):
            bucket[2] = max(bucket[2] - published, 0)
            bucket[:2] = left - bucket[2], self._monotonic()

    def seconds_until(self, left: float, units: int) -> int:
        """Return the whole seconds, at least 1, until a bucket with `left` units has `units`."""
        return max(1, math.ceil((units - left) / self._per_second))

    def _new(self, client_id: str, now: float) -> list[float]:
        if len(self._buckets) >= self._max_buckets:
            del self._buckets[next(iter(self._buckets))]
        bucket = self._buckets[client_id] = [float(self.per_minute), now, 0.0]
        return bucket
