"""The cache in the memory of one process. Redis tells it what has changed (client tracking), and it is empty when Redis cannot."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from peopleinfo.stores.cached.pipelined_connection import PipelinedConnection
from peopleinfo.telemetry.metrics import CACHE_BYTES, CACHE_ENTRIES, CACHE_STALENESS, CACHE_TRACKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from redis.asyncio import Redis
    from redis.asyncio.connection import AbstractConnection

STALE_SECONDS: Final = (
    1.5  # how long an answer may be kept after it was changed elsewhere, whatever happens to the network
)
_ENTRY_SIZE: Final = 1024  # bytes of an entry beside its answer: what was asked, the key, and what finds them
_PING_SECONDS: Final = 0.5
_PAUSE: Final = (0.1, 0.3)


class LocalCache:
    """Answers by what was asked, of at most `size` bytes together. Only for the event loop's thread.

    An answer is valid until the time that came with it, and as long as the tracking connection lives: the server answers a PING after it
    has told everything of before, so whoever had an answer lately knows what had changed when it asked.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0
        # What was asked → until when, under which key, the answer, and its bytes.
        self._kept: dict[Hashable, tuple[float, str, Any, int]] = {}
        self._asked: dict[str, set[Hashable]] = {}  # key → what was asked
        self._expected: dict[str, PendingFetch] = {}  # keys whose answers are being fetched
        self._valid_until = 0.0

    def get(self, asked: Hashable) -> Any:
        """Return the answer, None when there is none."""
        kept = self._kept.get(asked)
        if kept is None:
            return None
        now = monotonic()
        if now < kept[0] and now < self._valid_until:
            return kept[2]
        return None

    def begin_fetch(self, key: str) -> PendingFetch:
        """Say that an answer under the key is about to be fetched; to be called before."""
        expected = self._expected.setdefault(key, PendingFetch(key))
        expected.waiting += 1
        return expected

    def end_fetch(self, expected: PendingFetch, asked: Hashable, answer: Any, seconds: float, size: int = 0) -> None:
        """Keep the answer of `size` bytes for `seconds`, unless its key has changed since it was expected; `seconds` 0: it is not to be kept."""
        expected.waiting -= 1
        unchanged = self._expected.get(expected.key) is expected
        if unchanged and not expected.waiting:
            del self._expected[expected.key]
        size += _ENTRY_SIZE
        if not unchanged or seconds <= 0 or size > self._size:
            return
        self._forget(asked)
        while self._used + size > self._size:
            self._forget(next(iter(self._kept)))
        self._kept[asked] = (monotonic() + seconds, expected.key, answer, size)
        self._used += size
        self._asked.setdefault(expected.key, set()).add(asked)

    def invalidate(self, keys: Iterable[str]) -> None:
        """Forget what was changed, and do not keep what is being fetched of it."""
        for key in keys:
            self._expected.pop(key, None)
            for asked in self._asked.pop(key, ()):
                self._used -= self._kept.pop(asked)[3]

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._used = 0
        self._asked.clear()
        self._expected.clear()

    def update_gauges(self) -> None:
        """Note how it stands, for the figures."""
        CACHE_ENTRIES.set(len(self._kept))
        CACHE_BYTES.set(self._used)
        if self._size:
            CACHE_TRACKING.set(monotonic() < self._valid_until)

    def _forget(self, asked: Hashable) -> None:
        kept = self._kept.pop(asked, None)
        if kept is None:
            return
        _, key, _, size = kept
        self._used -= size
        others = self._asked[key]
        others.discard(asked)
        if not others:
            del self._asked[key]

    async def listen(self, redis: Redis, prefix: str) -> None:
        """Have the server tell what changes under keys that begin with `prefix`, whenever it is there; never returns."""
        while True:
            connection = redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
            try:
                await self._follow(connection, prefix)
            except Exception:  # noqa: BLE001, S110 - whatever it was, what is kept counts no more, and the next connection may be better
                pass
            finally:
                self._valid_until = 0.0
                self.clear()
                await connection.disconnect(nowait=True)
            await asyncio.sleep(random.uniform(*_PAUSE))  # noqa: S311 - so that not all come at once

    async def _follow(self, connection: AbstractConnection, prefix: str) -> None:
        async with asyncio.timeout(STALE_SECONDS):
            await connection.connect()  # type: ignore[no-untyped-call]
        pipe = PipelinedConnection(connection, hear=self._hear)
        await pipe.execute("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", prefix, seconds=STALE_SECONDS)
        while not pipe.is_closed.is_set():
            asked_at = monotonic()
            await pipe.execute("PING", seconds=STALE_SECONDS)
            self._valid_until = asked_at + STALE_SECONDS
            CACHE_STALENESS.observe(monotonic() - asked_at)
            with suppress(TimeoutError):
                async with asyncio.timeout(_PING_SECONDS):
                    await pipe.is_closed.wait()

    def _hear(self, told: list[Any]) -> None:
        kind, keys = told[:2]
        if kind != b"invalidate":
            return
        if keys is None:  # the server was emptied
            self.clear()
        else:
            self.invalidate(key.decode(errors="replace") for key in keys)  # other clients may use keys of any bytes


class PendingFetch:
    """An answer that is being fetched; `waiting` counts by how many."""

    __slots__ = ("key", "waiting")

    def __init__(self, key: str) -> None:
        self.key = key
        self.waiting = 0
