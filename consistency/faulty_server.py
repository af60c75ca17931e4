"""A server with fault injection in its store: `python -m consistency.faulty_server --faults-from FILE serve …`.

The file holds JSON: the rate of each fault of calls to the store (`FaultRates`). The server reads it again after each change.
`--mutant NAME` disables a rule of the cache; `--naive-cache PORT` replaces the cache. The checker must detect both.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import random
import sys
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from consistency.mutants import MUTANTS
from consistency.naive_cache import NaiveCacheStore
from peopleinfo.errors import OutcomeUnknown, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

_READS = frozenset(("get", "find"))
_WRITES = frozenset(("create", "replace", "delete"))
_READ_ACTIONS = ("GetItem", "BatchGetItem", "Query", "Scan")
_THROTTLED = b'{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}'


class FaultRates(msgspec.Struct, frozen=True):
    """The fraction of calls (0 to 1) with each fault, and the maximum delay in seconds."""

    slow: float = 0.0  # the call or its response is delayed
    throttled: float = 0.0  # rejected without effect
    response_lost: float = 0.0  # executed, but the response is lost
    late: float = 0.0  # the response is lost, and the call is executed later
    cache_delayed: float = 0.0  # the process handles a response of the shared cache late
    seconds: float = 0.5


class Throttled(Exception):
    """The call was rejected."""


class ResponseLost(Exception):
    """The response was lost."""


class Faults:
    """Injects the faults of the file: delays, Throttled and ResponseLost."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = -1
        self._rates = FaultRates()
        self._tasks: set[asyncio.Task[None]] = set()

    async def read(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Execute a read."""
        await self._before()
        result = await call()
        await self._delay()
        return result

    async def write(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Execute a write."""
        await self._before()
        if self._happens(self._rates.late):
            self._execute_late(call)
            raise ResponseLost
        result = await call()
        if self._happens(self._rates.response_lost):
            raise ResponseLost
        await self._delay()
        return result

    async def delay_cache(self) -> None:
        """Delay a response of the shared cache."""
        self._reload()
        if self._happens(self._rates.cache_delayed):
            await asyncio.sleep(self._random_seconds())

    async def _before(self) -> None:
        self._reload()
        if self._happens(self._rates.throttled):
            raise Throttled
        await self._delay()

    async def _delay(self) -> None:
        if self._happens(self._rates.slow):
            await asyncio.sleep(self._random_seconds())

    def _execute_late(self, call: Callable[[], Awaitable[Any]]) -> None:
        async def execute() -> None:
            await asyncio.sleep(self._random_seconds())
            with suppress(Exception):  # the caller has given up
                await call()

        task = asyncio.create_task(execute())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _random_seconds(self) -> float:
        return random.uniform(0.0, self._rates.seconds)

    @staticmethod
    def _happens(rate: float) -> bool:
        return rate > 0 and random.random() < rate

    def _reload(self) -> None:
        changed = self._path.stat().st_mtime_ns
        if changed != self._changed:
            self._rates = msgspec.json.decode(self._path.read_bytes(), type=FaultRates)
            self._changed = changed


class FaultyStore:
    """A store with fault injection in its reads and writes."""

    def __init__(self, store: Any, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        own = getattr(self._store, name)
        return partial(self._do, name, own) if name in _READS | _WRITES else own

    async def _do(self, name: str, own: Callable[..., Awaitable[Any]], *args: Any, **more: Any) -> Any:
        try:
            return await (self._faults.read if name in _READS else self._faults.write)(partial(own, *args, **more))
        except Throttled:
            raise StoreUnavailable("the store is throttled") from None
        except ResponseLost:
            raise OutcomeUnknown("the store did not respond") from None


class FaultyHttp:
    """An HTTP client of DynamoDB with fault injection."""

    def __init__(self, http: Callable[[Any], Awaitable[Any]], faults: Faults) -> None:
        self._http = http
        self._faults = faults
        self._types = importlib.import_module("aiodynamo.http.types")

    async def __call__(self, request: Any) -> Any:
        """Send a request and return the response."""
        action = {name.lower(): value for name, value in request.headers.items()}.get("x-amz-target", "")
        try:
            reads = action.endswith(tuple(f".{name}" for name in _READ_ACTIONS))
            return await (self._faults.read if reads else self._faults.write)(partial(self._http, request))
        except Throttled:
            return self._types.Response(400, _THROTTLED)
        except ResponseLost:
            raise self._types.RequestFailed(TimeoutError("injected")) from None


def inject(faults: Faults, naive_cache_port: int | None) -> None:
    """Install the faults between the service, its store and its cache. Call it before the service is imported."""
    if os.environ.get("PEOPLEINFO_CACHE_URL"):
        _inject_into_cache(faults)
    if os.environ.get("PEOPLEINFO_STORE_URL", "").startswith("dynamodb:"):
        factory = vars(importlib.import_module("peopleinfo.stores.dynamodb.factory"))
        open_http = factory["open_http"]

        @asynccontextmanager
        async def open_faulty_http() -> AsyncIterator[Any]:
            async with open_http() as http:
                yield FaultyHttp(http, faults)

        factory["open_http"] = open_faulty_http
        return
    sqlite = vars(importlib.import_module("peopleinfo.stores.sqlite.factory"))
    open_sqlite = sqlite["open_sqlite"]

    @asynccontextmanager
    async def open_faulty(*args: Any, **more: Any) -> AsyncIterator[Any]:
        async with open_sqlite(*args, **more) as store:
            faulty = FaultyStore(store, faults)
            yield NaiveCacheStore(faulty, naive_cache_port) if naive_cache_port else faulty

    sqlite["open_sqlite"] = open_faulty


def _inject_into_cache(faults: Faults) -> None:
    cache = importlib.import_module("peopleinfo.stores.cached.shared").SharedCache
    read = cache.read

    async def read_late(self: Any, *args: Any) -> Any:
        result = await read(self, *args)
        await faults.delay_cache()
        return result

    cache.read = read_late


def main() -> None:
    """Run the command line of the service with fault injection."""
    parser = argparse.ArgumentParser(prog="python -m consistency.faulty_server", description=__doc__)
    parser.add_argument("--faults-from", type=Path, required=True, help="file with the fault rates")
    parser.add_argument("--mutant", choices=MUTANTS, help="cache rule to disable")
    parser.add_argument("--naive-cache", type=int, help="port of a Valkey for the naive cache")
    options, command = parser.parse_known_args()
    inject(Faults(options.faults_from), options.naive_cache)
    if options.mutant:
        MUTANTS[options.mutant]()
    from peopleinfo import cli  # noqa: PLC0415 - after the faults are installed

    sys.argv = ["peopleinfo", *command]
    cli.main()


if __name__ == "__main__":
    main()
