"""A server of the service whose store can be made to fail: `python -m prove.server --faults-from FILE serve …`.

The file holds JSON: the share of calls to the store that go wrong, for each way of going wrong (`Weather`). It is read again whenever it changes.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from peopleinfo.errors import OutcomeUnknown, PeopleInfoError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

_READS = frozenset(("get", "find"))
_WRITES = frozenset(("create", "replace", "erase"))


class Weather(msgspec.Struct, frozen=True):
    """Which share of the calls (0 to 1) goes wrong in which way, and for how many seconds at most."""

    slow: float = 0.0  # begins late, or is done and the answer comes late
    throttled: float = 0.0  # refused, nothing done
    unheard: float = 0.0  # done, but the answer is lost
    late: float = 0.0  # the answer is lost, and it is done afterwards
    seconds: float = 0.5


class Faults:
    """Makes calls go wrong as the file says."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = -1
        self._weather = Weather()
        self._tasks: set[asyncio.Task[None]] = set()

    async def read(self, call: Callable[..., Awaitable[Any]], *args: Any, **more: Any) -> Any:
        """Do a call that only reads."""
        await self._before()
        answer = await call(*args, **more)
        await self._slow()
        return answer

    async def write(self, call: Callable[..., Awaitable[Any]], *args: Any, **more: Any) -> Any:
        """Do a call that writes."""
        await self._before()
        if self._happens(self._weather.late):
            self._do_late(call(*args, **more))
            raise OutcomeUnknown("the store did not answer")
        answer = await call(*args, **more)
        if self._happens(self._weather.unheard):
            raise OutcomeUnknown("the store's answer was lost")
        await self._slow()
        return answer

    async def _before(self) -> None:
        self._look()
        if self._happens(self._weather.throttled):
            raise StoreUnavailable("the store has too much to do")
        await self._slow()

    async def _slow(self) -> None:
        if self._happens(self._weather.slow):
            await asyncio.sleep(self._moment())

    def _do_late(self, call: Awaitable[Any]) -> None:
        async def do() -> None:
            await asyncio.sleep(self._moment())
            with suppress(PeopleInfoError):
                await call

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
        if name in _READS:
            return partial(self._faults.read, own)
        return partial(self._faults.write, own) if name in _WRITES else own


def inject(faults: Faults) -> None:
    """Put the faults between the service and its store; to be called before the service is loaded."""
    from peopleinfo.sqlite import store  # noqa: PLC0415

    opened = store.open_sqlite

    @asynccontextmanager
    async def open_faulty(*args: Any, **more: Any) -> AsyncIterator[Any]:
        async with opened(*args, **more) as sound:
            yield FaultyStore(sound, faults)

    vars(store)["open_sqlite"] = open_faulty


def main() -> None:
    """Run the command line of the service on a store with faults."""
    parser = argparse.ArgumentParser(prog="python -m prove.server", description=__doc__)
    parser.add_argument("--faults-from", type=Path, required=True, help="a file with the weather")
    ours, theirs = parser.parse_known_args()
    inject(Faults(ours.faults_from))
    from peopleinfo import cli  # noqa: PLC0415 - it takes the store as it is then

    sys.argv = ["peopleinfo", *theirs]
    cli.main()


if __name__ == "__main__":
    main()
