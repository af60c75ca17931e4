"""A server of the service whose store can be made to fail: `python -m consistency.faulty_server --faults-from FILE serve …`.

The file holds JSON: the share of calls to the store that go wrong, for each way of going wrong (`Weather`). It is read again whenever it
changes. With `--mutant NAME` the cache has a rule less, with `--seed-cache PORT` it is that of the seed; the checker has to notice both.
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
from consistency.naive_cache import SeedStore
from peopleinfo.errors import OutcomeUnknown, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

_READS = frozenset(("get", "find"))
_WRITES = frozenset(("create", "replace", "delete"))
_READING = ("GetItem", "BatchGetItem", "Query", "Scan")  # DynamoDB's actions that change nothing
_THROTTLED = b'{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}'


class Weather(msgspec.Struct, frozen=True):
    """Which share of the calls (0 to 1) goes wrong in which way, and for how many seconds at most."""

    slow: float = 0.0  # begins late, or is done and the answer comes late
    throttled: float = 0.0  # refused, nothing done
    unheard: float = 0.0  # done, but the answer is lost
    late: float = 0.0  # the answer is lost, and it is done afterwards
    lingering: float = (
        0.0  # not the store's: what the shared cache has answered is looked at late, as in a busy process
    )
    seconds: float = 0.5


class Throttled(Exception):
    """The call was refused."""


class Unheard(Exception):
    """The answer was lost."""


class Faults:
    """Makes calls go wrong as the file says, by raising Throttled and Unheard and by taking time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = -1
        self._weather = Weather()
        self._tasks: set[asyncio.Task[None]] = set()

    async def read(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Do a call that only reads."""
        await self._before()
        answer = await call()
        await self._slow()
        return answer

    async def write(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Do a call that writes."""
        await self._before()
        if self._happens(self._weather.late):
            self._do_late(call)
            raise Unheard
        answer = await call()
        if self._happens(self._weather.unheard):
            raise Unheard
        await self._slow()
        return answer

    async def linger(self) -> None:
        """Wait with an answer of the shared cache."""
        self._look()
        if self._happens(self._weather.lingering):
            await asyncio.sleep(self._moment())

    async def _before(self) -> None:
        self._look()
        if self._happens(self._weather.throttled):
            raise Throttled
        await self._slow()

    async def _slow(self) -> None:
        if self._happens(self._weather.slow):
            await asyncio.sleep(self._moment())

    def _do_late(self, call: Callable[[], Awaitable[Any]]) -> None:
        async def do() -> None:
            await asyncio.sleep(self._moment())
            with suppress(Exception):  # nobody is left to hear of it
                await call()

        task = asyncio.create_task(do())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _moment(self) -> float:
        return random.uniform(0.0, self._weather.seconds)

    @staticmethod
    def _happens(share: float) -> bool:
        return share > 0 and random.random() < share

    def _look(self) -> None:
        changed = self._path.stat().st_mtime_ns
        if changed != self._changed:
            self._weather = msgspec.json.decode(self._path.read_bytes(), type=Weather)
            self._changed = changed


class FaultyStore:
    """A store whose reads and writes go wrong; everything else is the store's own."""

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
            raise StoreUnavailable("the store has too much to do") from None
        except Unheard:
            raise OutcomeUnknown("the store did not answer") from None


class FaultyHttp:
    """The way to DynamoDB, on which requests and answers are lost or late."""

    def __init__(self, http: Callable[[Any], Awaitable[Any]], faults: Faults) -> None:
        self._http = http
        self._faults = faults
        self._types = importlib.import_module("aiodynamo.http.types")

    async def __call__(self, request: Any) -> Any:
        """Send a request and return the answer."""
        action = {name.lower(): value for name, value in request.headers.items()}.get("x-amz-target", "")
        try:
            reads = action.endswith(tuple(f".{name}" for name in _READING))
            return await (self._faults.read if reads else self._faults.write)(partial(self._http, request))
        except Throttled:
            return self._types.Response(400, _THROTTLED)
        except Unheard:
            raise self._types.RequestFailed(TimeoutError("injected")) from None


def inject(faults: Faults, seed_cache: int | None) -> None:
    """Put the faults between the service, its store and its cache; to be called before the service is loaded."""
    if os.environ.get("PEOPLEINFO_CACHE_URL"):
        _inject_into_cache(faults)
    if os.environ.get("PEOPLEINFO_STORE_URL", "").startswith("dynamodb:"):
        opening = vars(importlib.import_module("peopleinfo.stores.dynamodb.factory"))
        open_http = opening["open_http"]

        @asynccontextmanager
        async def open_faulty_http() -> AsyncIterator[Any]:
            async with open_http() as http:
                yield FaultyHttp(http, faults)

        opening["open_http"] = open_faulty_http
        return
    sqlite = vars(importlib.import_module("peopleinfo.stores.sqlite.factory"))
    opened = sqlite["open_sqlite"]

    @asynccontextmanager
    async def open_faulty(*args: Any, **more: Any) -> AsyncIterator[Any]:
        async with opened(*args, **more) as store:
            faulty = FaultyStore(store, faults)
            yield SeedStore(faulty, seed_cache) if seed_cache else faulty

    sqlite["open_sqlite"] = open_faulty


def _inject_into_cache(faults: Faults) -> None:
    cache = importlib.import_module("peopleinfo.stores.cached.shared").SharedCache
    read = cache.read

    async def read_late(self: Any, *args: Any) -> Any:
        told = await read(self, *args)
        await faults.linger()
        return told

    cache.read = read_late


def main() -> None:
    """Run the command line of the service on a store with faults."""
    parser = argparse.ArgumentParser(prog="python -m consistency.faulty_server", description=__doc__)
    parser.add_argument("--faults-from", type=Path, required=True, help="a file with the weather")
    parser.add_argument("--mutant", choices=MUTANTS, help="the rule to take out of the cache")
    parser.add_argument("--seed-cache", type=int, help="the port of a Valkey that is used as the seed used it")
    ours, theirs = parser.parse_known_args()
    inject(Faults(ours.faults_from), ours.seed_cache)
    if ours.mutant:
        MUTANTS[ours.mutant]()
    from peopleinfo import cli  # noqa: PLC0415 - it takes the store as it is then

    sys.argv = ["peopleinfo", *theirs]
    cli.main()


if __name__ == "__main__":
    main()
