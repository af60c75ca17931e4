"""How much somebody may ask for: a bucket for each, which fills at a steady rate and from which every request takes."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

from peopleinfo.errors import RateLimitExceeded

if TYPE_CHECKING:
    from collections.abc import Callable

_BUCKETS: Final = 20_000  # beyond that the one that was made first is forgotten, and full again


class TokenBuckets:
    """Buckets that hold `per_minute` units and fill up in a minute.

    They are this process's own, unless somebody tells others what was `taken` and has them `settle` what is left of all.
    """

    def __init__(self, per_minute: int, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._a_second = per_minute / 60
        self._monotonic = monotonic
        # Whose → what is left, since when, and what was taken and not yet settled.
        self._buckets: dict[str, list[float]] = {}

    def consume(self, client_id: str, units: int) -> float:
        """Take units out of somebody's bucket and return how many are left. Raises RateExceeded when there are not so many."""
        now = self._monotonic()
        bucket = self._buckets.get(client_id)
        if bucket is None:
            bucket = self._new(client_id, now)
        left = bucket[0] + (now - bucket[1]) * self._a_second
        left = left if left < self.per_minute else self.per_minute  # noqa: FURB136 - `min` takes as long as all the rest here
        bucket[1] = now
        if left < units:
            bucket[0] = left
            raise RateLimitExceeded(retry_after=self.seconds_until(left, units))
        bucket[0] = left = left - units
        bucket[2] += units
        return left

    def check(self, client_id: str, units: int) -> None:
        """Raise RateExceeded when so many units are not in somebody's bucket; none is taken."""
        self.consume(client_id, units)
        bucket = self._buckets[client_id]
        bucket[0] += units
        bucket[2] -= units

    def active(self) -> list[str]:
        """Return whose buckets were taken from and are not full again."""
        now = self._monotonic()
        return [
            who
            for who, (left, since, taken) in self._buckets.items()
            if taken or left + (now - since) * self._a_second < self.per_minute
        ]

    def unsynced(self, client_id: str) -> float:
        """Return what was taken from somebody's bucket and is not settled."""
        return self._buckets[client_id][2] if client_id in self._buckets else 0

    def apply_sync(self, client_id: str, taken: float, left: float) -> None:
        """Say that others know of what was `taken`, and that `left` is what is left of all; what was taken since comes off."""
        if bucket := self._buckets.get(client_id):
            bucket[2] = max(bucket[2] - taken, 0)
            bucket[:2] = left - bucket[2], self._monotonic()

    def seconds_until(self, left: float, wanted: float) -> int:
        """Return in how many whole seconds a bucket with so many left holds as many as are wanted."""
        return max(1, math.ceil((wanted - left) / self._a_second))

    def _new(self, client_id: str, now: float) -> list[float]:
        if len(self._buckets) >= _BUCKETS:
            del self._buckets[next(iter(self._buckets))]
        bucket = self._buckets[client_id] = [float(self.per_minute), now, 0.0]
        return bucket
