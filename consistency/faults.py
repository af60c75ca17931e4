"""What is broken on purpose while the clients are at work: at random, by the seed, one thing of each sort at a time."""

from __future__ import annotations

import asyncio
from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from consistency.faulty_server import Weather
from consistency.history import Fault

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Coroutine

    from consistency.cluster import Cluster, Process, Valkey

_QUIET: Final = (0.5, 6.0)  # seconds between two faults of a sort
_WARM: Final = (2.0, 12.0)  # … of servers and the cache, which has to be of use in between
_FROZEN: Final = (0.1, 0.5)
_DOWN: Final = (0.0, 1.5)
_ROUGH: Final = (0.3, 2.0)

# A write that is slow, then late, on a server that is frozen meanwhile, is to land before its fence falls (run.FENCE_SECONDS).
WEATHER: Final = {
    "store-slow": Weather(slow=0.2, seconds=0.15),
    "store-throttled": Weather(throttled=0.3),
    "store-unheard": Weather(unheard=0.1, slow=0.1, seconds=0.15),
    "store-mute": Weather(unheard=0.9),
    "answers-linger": Weather(lingering=0.3, seconds=0.15),
    "store-late": Weather(late=0.1, slow=0.2, seconds=0.3),
}
SERVERS: Final = ("server-killed", "server-frozen")
FORGETTING: Final = (
    "cache-restarted-empty",
    "cache-restarted-old",
    "cache-flushed",
)  # the cache has lost something, and can know it
UNREACHABLE: Final = (
    "cache-frozen",
    "cache-connections-cut",
    "cache-tracking-cut",
)  # a writer may not have reached it, and it cannot know


class Faults:
    """Breaks and mends; every fault is noted with its times."""

    def __init__(self, cluster: Cluster, chance: random.Random, hurry: float = 1.0) -> None:
        self._hurry = hurry
        self.injected: list[Fault] = []
        self._cluster = cluster
        self._chance = chance

    async def go_on(self, kinds: tuple[str, ...]) -> None:
        """Inject faults of these kinds until cancelled; then everything is mended and up again."""
        sorts = (tuple(WEATHER), SERVERS, FORGETTING + UNREACHABLE)
        async with asyncio.TaskGroup() as group:
            for sort in sorts:
                if wanted := [kind for kind in kinds if kind in sort]:
                    group.create_task(self._one_after_the_other(wanted))

    async def _one_after_the_other(self, kinds: list[str]) -> None:
        quiet = _QUIET if kinds[0] in WEATHER else _WARM
        while True:
            await asyncio.sleep(self._chance.uniform(*quiet) / self._hurry)
            kind = self._chance.choice(kinds)
            fault = Fault(kind, monotonic_ns(), 0)
            try:
                await self._inject(kind)
            finally:
                fault.end = monotonic_ns()
                self.injected.append(fault)

    def _inject(self, kind: str) -> Coroutine[None, None, None]:
        if kind in WEATHER:
            return self._store(WEATHER[kind])
        if kind in SERVERS:
            server = self._chance.choice(self._cluster.servers)
            return self._restart(server) if kind == "server-killed" else self._freeze(server)
        if self._cluster.valkey is None:
            raise LookupError(f"there is no cache for {kind}")
        return self._cache(self._cluster.valkey, kind)

    def _cache(self, valkey: Valkey, kind: str) -> Coroutine[None, None, None]:
        does: dict[str, Callable[[], Coroutine[None, None, None]]] = {
            "cache-restarted-empty": lambda: self._restart_cache(valkey, old=False),
            "cache-restarted-old": lambda: self._restart_cache(valkey, old=True),
            "cache-flushed": lambda: _tell(valkey, "FLUSHALL"),
            "cache-frozen": lambda: self._freeze(valkey),
            "cache-connections-cut": lambda: _tell(valkey, "CLIENT KILL TYPE normal"),
            "cache-tracking-cut": lambda: _tell(valkey, "CLIENT KILL TYPE pubsub"),
        }
        return does[kind]()

    async def _store(self, weather: Weather) -> None:
        self._cluster.let(weather)
        try:
            await asyncio.sleep(self._chance.uniform(*_ROUGH))
        finally:
            self._cluster.let(Weather())

    async def _freeze(self, process: Process) -> None:
        process.freeze()
        try:
            await asyncio.sleep(self._chance.uniform(*_FROZEN))
        finally:
            process.thaw()

    async def _restart_cache(self, valkey: Valkey, *, old: bool) -> None:
        valkey.forget()
        if old:
            await _tell(valkey, "SAVE")
            await asyncio.sleep(self._chance.uniform(*_DOWN))
        await self._restart(valkey)

    async def _restart(self, process: Process) -> None:
        await process.kill()
        try:
            await asyncio.sleep(self._chance.uniform(*_DOWN))
        finally:
            await process.start()


async def _tell(valkey: Valkey, command: str) -> None:
    await valkey.tell(command)
