"""The feed under load: several processes with skewed clocks and a throttled table; a reader that stops and resumes skips no change.

FEED_CHANGES sets the number of changes of a longer run, and FEED_STORE its store.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from peopleinfo.errors import PersonNotFound, StoreUnavailable, VersionConflict
from peopleinfo.settings.urls import DynamoDBUrl
from peopleinfo.stores.dynamodb import factory
from peopleinfo.stores.dynamodb.factory import open_dynamodb
from peopleinfo.stores.sqlite.factory import open_sqlite
from tests.faulty_transport import THROTTLED, FaultyTransport
from tests.limits import HANG_TIMEOUT
from tests.store_kinds import GENEROUS_TIMEOUT, make_table, person_data, table_location

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from aiodynamo.http.types import HttpImplementation, Request, Response

    from peopleinfo.people.history import Change
    from peopleinfo.stores.service_store import OpenedStore

REPOSITORY = Path(__file__).parents[2]
CHANGES = int(os.environ.get("FEED_CHANGES", "400"))
SKEWS = (-1.5, 1.5, 0.0, 0.7)  # seconds; clocks differ by up to 3 seconds
MAX_LAG = {"sqlite": 2.0, "ministack": 12.0, "dynamodb-local": 12.0}  # seconds
TASKS = 8  # concurrent changes of a process
THROTTLED_PART = 0.3
POLL = 0.25  # seconds
Key = tuple[str, int]


class Written(NamedTuple):
    """An acknowledged change, and the time of its acknowledgement."""

    person_id: str
    version: int
    at: float


def open_at(folder: Path, location: DynamoDBUrl | None, skew: float) -> AbstractAsyncContextManager[OpenedStore]:
    """Open the store with a clock that is wrong by `skew` seconds."""

    def now() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=skew)

    if location is None:
        return open_sqlite(folder / "people.db", now=now)
    return open_dynamodb(location, now=now)


class Writer:
    """A process that creates, changes and deletes people, and prints each acknowledged change."""

    def __init__(self, store: OpenedStore, changes: int, seed: int) -> None:
        self.store = store
        self.left = changes
        self.seed = seed

    async def run(self) -> None:
        await asyncio.gather(*(self._task(random.Random(f"{self.seed} {number}")) for number in range(TASKS)))

    async def _task(self, rng: random.Random) -> None:
        people: dict[str, int] = {}
        while self.left > 0:
            self.left -= 1
            with suppress(StoreUnavailable, VersionConflict, PersonNotFound):
                await self._change(people, rng)

    async def _change(self, people: dict[str, int], rng: random.Random) -> None:
        choice = rng.random()
        if not people or choice < 0.3:
            person_id = (await self.store.create(person_data("Feed", str(self.left)))).person_id
            people[person_id] = 1
            self._print(person_id, 1)
            return
        person_id = rng.choice(list(people))
        version = people.pop(person_id)
        if choice < 0.9:
            data = person_data(rng.choice(["Feed", "Fed"]), str(self.left))
            await self.store.replace(person_id, data, expected=version)
            people[person_id] = version + 1
        else:
            await self.store.delete(person_id, expected=version)
        self._print(person_id, version + 1)

    @staticmethod
    def _print(person_id: str, version: int) -> None:
        sys.stdout.write(f"{person_id} {version} {time.time()}\n")
        sys.stdout.flush()


class Reader:
    """A reader of the feed that polls; it may stop, and resume later from its position."""

    def __init__(self, open_store: Callable[[], AbstractAsyncContextManager[OpenedStore]], *, stops: bool) -> None:
        self._open = open_store
        self._stops = stops
        self._position: bytes | None = None
        self.seen: dict[Key, float] = {}
        self.order: dict[str, list[int]] = defaultdict(list)
        self.is_started = asyncio.Event()

    async def run(self, is_done: Callable[[Reader], bool]) -> None:
        rng = random.Random(1)
        while not is_done(self):
            async with self._open() as store:
                polls = rng.randrange(1, 20) if self._stops else sys.maxsize
                while polls and not is_done(self):
                    polls -= 1
                    more = await self._poll(store, rng.choice([1, 7, 1_000]) if self._stops else 1_000)
                    if not more:
                        await asyncio.sleep(POLL)
            await asyncio.sleep(rng.random())

    async def _poll(self, store: OpenedStore, limit: int) -> bool:
        page = await store.read_changes(since=self._position, limit=limit)
        self._position = page.next
        self.is_started.set()
        now = time.time()
        for change in page.changes:
            self._add(change, now)
        return page.more

    def _add(self, change: Change, now: float) -> None:
        key = change.person_id, change.version
        if key not in self.seen:
            self.order[change.person_id].append(change.version)
        self.seen.setdefault(key, now)


def start_writers(folder: Path, location: DynamoDBUrl | None) -> list[subprocess.Popen[bytes]]:
    """Start the processes; each prints to a file."""
    processes = []
    for number, skew in enumerate(SKEWS):
        table = (location.table, location.endpoint or "") if location else ("", "")
        command = [sys.executable, "-m", "tests.stores.test_feed_load", str(folder), *table]
        command += [str(skew), str(CHANGES // len(SKEWS)), str(number)]
        with (folder / f"writer{number}").open("wb") as output:
            processes.append(subprocess.Popen(command, cwd=REPOSITORY, stdout=output))
    return processes


def written(folder: Path) -> list[Written]:
    lines = [
        line.split() for number in range(len(SKEWS)) for line in (folder / f"writer{number}").read_text().splitlines()
    ]
    return [Written(person_id, int(version), float(at)) for person_id, version, at in lines]


@pytest.mark.parametrize("kind", os.environ.get("FEED_STORE", "sqlite ministack").split())
async def test_reader_skips_no_change_of_several_writers(tmp_path: Path, kind: str) -> None:
    location = table_location(kind, tmp_path) if kind != "sqlite" else None
    if location is not None:
        await make_table(location)
    async with open_at(tmp_path, location, 0):
        pass
    readers = [Reader(lambda: open_at(tmp_path, location, 0), stops=stops) for stops in (False, True)]
    expected: set[Key] = set()
    ended = asyncio.Event()

    def is_done(reader: Reader) -> bool:
        return ended.is_set() and expected <= reader.seen.keys()

    reading = [asyncio.ensure_future(reader.run(is_done)) for reader in readers]
    await asyncio.gather(*(reader.is_started.wait() for reader in readers))
    started = time.monotonic()
    processes = start_writers(tmp_path, location)
    codes = [await asyncio.to_thread(process.wait) for process in processes]
    seconds = time.monotonic() - started
    assert codes == [0] * len(SKEWS)
    changes = written(tmp_path)
    expected |= {(one.person_id, one.version) for one in changes}
    ended.set()
    done, pending = await asyncio.wait(reading, timeout=HANG_TIMEOUT)
    for task in pending:
        task.cancel()
    skipped = [len(expected - reader.seen.keys()) for reader in readers]
    assert (skipped, len(done)) == ([0, 0], 2)
    for reader in readers:
        assert [person for person, order in reader.order.items() if order != sorted(order)] == []
    lags = sorted(readers[0].seen[one.person_id, one.version] - one.at for one in changes)
    sys.stdout.write(
        f"{kind}: {len(changes):,} changes in {seconds:.0f} s, 0 skipped, lag median {lags[len(lags) // 2]:.2f} s, "
        f"99 % {lags[len(lags) * 99 // 100]:.2f} s, maximum {lags[-1]:.2f} s (limit {MAX_LAG[kind]} s)\n"
    )


async def throttle(_: str, request: Request, send: HttpImplementation) -> Response:
    """Reject some of the requests."""
    return THROTTLED if random.random() < THROTTLED_PART else await send(request)


async def main(folder: Path, table: str, endpoint: str, skew: float, changes: int, seed: int) -> None:
    """Run a writer."""
    transport = FaultyTransport()
    transport.fault = throttle
    factory.open_http = transport.open  # type: ignore[attr-defined]
    location = DynamoDBUrl("eu-west-1", table, endpoint, timeout=GENEROUS_TIMEOUT) if table else None
    async with open_at(folder, location, skew) as store:
        await Writer(store, changes, seed).run()


if __name__ == "__main__":
    folder, table, endpoint, skew, changes, seed = sys.argv[1:]
    asyncio.run(main(Path(folder), table, endpoint, float(skew), int(changes), int(seed)))
    sys.stdout.flush()
    os._exit(0)  # like `peopleinfo.__main__`: a thread of pyreqwest may abort the finalization of the interpreter
