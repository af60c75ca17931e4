"""Fault injection during a run: random by the seed, at most one fault per group at a time."""

from __future__ import annotations

import asyncio
from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from consistency.faulty_server import FaultRates
from consistency.history import Fault

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Coroutine

    from consistency.cluster import Cluster, Process, Valkey

_STORE_PAUSE: Final = (0.5, 6.0)  # seconds between two faults of the store
_PROCESS_PAUSE: Final = (2.0, 12.0)  # of servers and the cache, which has to fill in between
_FREEZE_TIME: Final = (0.1, 0.5)
_DOWN_TIME: Final = (0.0, 1.5)
_STORE_FAULT_TIME: Final = (0.3, 2.0)

# A slow and late write on a frozen server must be applied before its fence expires (run.FENCE_TTL).
STORE_FAULTS: Final = {
    "store-slow": FaultRates(slow=0.2, seconds=0.15),
    "store-throttled": FaultRates(throttled=0.3),
    "store-response-lost": FaultRates(response_lost=0.1, slow=0.1, seconds=0.15),
    "store-silent": FaultRates(response_lost=0.9),
    "responses-delayed": FaultRates(cache_delayed=0.3, seconds=0.15),
    "store-late": FaultRates(late=0.1, slow=0.2, seconds=0.3),
}
SERVERS: Final = ("server-killed", "server-frozen")
# The cache loses data and can detect it.
DATA_LOSS: Final = ("cache-restarted-empty", "cache-restarted-old", "cache-flushed")
# A writer may not reach the cache, which cannot detect it.
UNREACHABLE: Final = ("cache-frozen", "cache-connections-cut", "cache-tracking-cut")


class Faults:
    """Injects and removes faults; records each fault with its times."""

    def __init__(self, cluster: Cluster, generator: random.Random, speed: float = 1.0) -> None:
        self._speed = speed
        self.injected: list[Fault] = []
        self._cluster = cluster
        self._random = generator

    async def run(self, kinds: tuple[str, ...]) -> None:
        """Inject faults of these kinds until cancelled; then remove all faults."""
        groups = (tuple(STORE_FAULTS), SERVERS, DATA_LOSS + UNREACHABLE)
        async with asyncio.TaskGroup() as group:
            for members in groups:
                if selected := [kind for kind in kinds if kind in members]:
                    group.create_task(self._inject_repeatedly(selected))

    async def _inject_repeatedly(self, kinds: list[str]) -> None:
        pause = _STORE_PAUSE if kinds[0] in STORE_FAULTS else _PROCESS_PAUSE
        while True:
            await asyncio.sleep(self._random.uniform(*pause) / self._speed)
            kind = self._random.choice(kinds)
            fault = Fault(kind, monotonic_ns(), 0)
            try:
                await self._inject(kind)
            finally:
                fault.end = monotonic_ns()
                self.injected.append(fault)

    def _inject(self, kind: str) -> Coroutine[None, None, None]:
        if kind in STORE_FAULTS:
            return self._store(STORE_FAULTS[kind])
        if kind in SERVERS:
            server = self._random.choice(self._cluster.servers)
            return self._restart(server) if kind == "server-killed" else self._freeze(server)
        if self._cluster.valkey is None:
            raise LookupError(f"{kind} needs a cache")
        return self._cache(self._cluster.valkey, kind)

    def _cache(self, valkey: Valkey, kind: str) -> Coroutine[None, None, None]:
        actions: dict[str, Callable[[], Coroutine[None, None, None]]] = {
            "cache-restarted-empty": lambda: self._restart_cache(valkey, old=False),
            "cache-restarted-old": lambda: self._restart_cache(valkey, old=True),
            "cache-flushed": lambda: _send(valkey, "FLUSHALL"),
            "cache-frozen": lambda: self._freeze(valkey),
            "cache-connections-cut": lambda: _send(valkey, "CLIENT KILL TYPE normal"),
            "cache-tracking-cut": lambda: _send(valkey, "CLIENT KILL TYPE pubsub"),
        }
        return actions[kind]()

    async def _store(self, rates: FaultRates) -> None:
        self._cluster.set_fault_rates(rates)
        try:
            await asyncio.sleep(self._random.uniform(*_STORE_FAULT_TIME))
        finally:
            self._cluster.set_fault_rates(FaultRates())

    async def _freeze(self, process: Process) -> None:
        process.freeze()
        try:
            await asyncio.sleep(self._random.uniform(*_FREEZE_TIME))
        finally:
            process.thaw()

    async def _restart_cache(self, valkey: Valkey, *, old: bool) -> None:
        valkey.delete_dump()
        if old:
            await _send(valkey, "SAVE")
            await asyncio.sleep(self._random.uniform(*_DOWN_TIME))
        await self._restart(valkey)

    async def _restart(self, process: Process) -> None:
        await process.kill()
        try:
            await asyncio.sleep(self._random.uniform(*_DOWN_TIME))
        finally:
            await process.start()


async def _send(valkey: Valkey, command: str) -> None:
    await valkey.send(command)
