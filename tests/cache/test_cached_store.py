"""A store behind the cache: sources of responses, coherence between two processes, and failures of Redis."""

from __future__ import annotations

import asyncio
import math
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest

from peopleinfo.errors import OutcomeUnknown, PersonNotFound, StoreUnavailable, VersionConflict
from peopleinfo.people.service import PeopleService
from peopleinfo.people.store import CacheStatus
from peopleinfo.stores.cached.local import LocalCache
from peopleinfo.stores.cached.redis_client import open_redis
from peopleinfo.stores.cached.shared import SharedCache
from peopleinfo.stores.cached.store import CachedStore, open_cached
from peopleinfo.stores.sqlite.factory import open_sqlite
from peopleinfo.telemetry.metrics import CACHE_COALESCED_READS
from tests.failing_sqlite import make_writer_fail
from tests.http.serving import HANG_TIMEOUT
from tests.store_kinds import Clock, person_data, person_filter
from tests.valkey_servers import Server, running_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from peopleinfo.people.person import StoredPerson
    from peopleinfo.people.store import Page, Store
    from peopleinfo.stores.cached.redis_client import RedisClient
    from peopleinfo.stores.sqlite.store import SqliteStore

FENCE_TTL = 0.05


class ControlledStore:
    """A store that counts its reads, and that a test can pause or make fail."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.reads = 0
        self.before_read: asyncio.Event | None = None
        self.before_write: asyncio.Event | None = None
        self.writing = asyncio.Event()
        self.after_write: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def get(self, person_id: str) -> StoredPerson:
        self.reads += 1
        if self.before_read:
            await self.before_read.wait()
        return await self._store.get(person_id)

    async def find(self, *arguments: Any, **more: Any) -> Page:
        self.reads += 1
        if self.before_read:
            await self.before_read.wait()
        return await self._store.find(*arguments, **more)

    async def replace(self, *arguments: Any, **more: Any) -> StoredPerson:
        if self.before_write:
            self.writing.set()
            await self.before_write.wait()
        record = await self._store.replace(*arguments, **more)
        if self.after_write:
            raise self.after_write
        return record


@pytest.fixture
def server() -> Iterator[Server]:
    with running_server() as server:
        yield server


@asynccontextmanager
async def opened(
    tmp_path: Path, clock: Clock, url: str, **options: Any
) -> AsyncIterator[tuple[CachedStore, ControlledStore]]:
    """Open the SQLite file of the test behind the cache."""
    options = {"ttl": 60, "local_size": 1_000_000, "command_timeout": HANG_TIMEOUT, "fence_ttl": FENCE_TTL} | options
    async with open_sqlite(tmp_path / "people.db", now=clock.now) as sqlite:
        store = ControlledStore(sqlite)
        async with open_cached(store, url, secret=sqlite.secret, **options) as cached:
            yield cached, store


@pytest.fixture
async def pair(tmp_path: Path, clock: Clock, server: Server) -> AsyncIterator[tuple[CachedStore, CachedStore]]:
    """Two stores that behave like two processes towards the cache."""
    async with AsyncExitStack() as stack:
        first, _ = await stack.enter_async_context(opened(tmp_path, clock, server.url))
        second, _ = await stack.enter_async_context(opened(tmp_path, clock, server.url))
        await wait_until_used(first)
        await wait_until_used(second)
        yield first, second


async def wait_until_used(cached: CachedStore) -> None:
    """Wait until the shared and the local cache are in use."""
    await until(lambda: source_of(cached, "0" * 32), CacheStatus.LOCAL)


async def until(poll: Callable[[], Any], expected: Any) -> None:
    """Poll until the result is the expected one or the test times out."""
    async with asyncio.timeout(HANG_TIMEOUT):
        while await poll() != expected:
            await asyncio.sleep(FENCE_TTL / 5)


async def source_of(cached: CachedStore, person_id: str) -> CacheStatus | None:
    _, status = await cached.get_cached(person_id)
    return status


async def cached_read(cached: CachedStore, person_id: str) -> StoredPerson:
    record, _ = await cached.get_cached(person_id)
    if record is None:
        raise PersonNotFound(person_id)
    return record


async def test_response_comes_from_store_then_redis_then_local_cache(
    pair: tuple[CachedStore, CachedStore],
) -> None:
    first, second = pair
    created = await first.create(person_data("Curie"))
    sources = [await source_of(first, created.person_id)]
    async with asyncio.timeout(HANG_TIMEOUT):
        while sources[-1] != CacheStatus.LOCAL:  # after the invalidation caused by the fill has arrived
            sources.append(await source_of(first, created.person_id))
    assert list(dict.fromkeys(sources)) == [CacheStatus.MISS, CacheStatus.SHARED, CacheStatus.LOCAL]
    assert await source_of(second, created.person_id) == CacheStatus.SHARED
    assert await cached_read(second, created.person_id) == created


async def test_search_is_cached_by_page(pair: tuple[CachedStore, CachedStore]) -> None:
    first, _ = pair
    await first.create_many([person_data("Page", str(number)) for number in range(5)])

    async def source() -> CacheStatus | None:
        page, status = await first.find_cached(person_filter(surname="page"), after=None, limit=2)
        rest, _ = await first.find_cached(person_filter(surname="page"), after=page.next, limit=9)
        assert (len(page.people), len(rest.people)) == (2, 3)
        return status

    await until(source, CacheStatus.LOCAL)


async def test_fresh_read_comes_from_the_store(pair: tuple[CachedStore, CachedStore], clock: Clock) -> None:
    first, _ = pair
    people = PeopleService(first, secret=bytes(32), now=clock.now, cache=first)
    created = await first.create(person_data("Fresh"))
    for _ in range(3):
        await source_of(first, created.person_id)
    assert await people.get_cached(created.person_id) == (created, CacheStatus.LOCAL)
    assert await people.get_cached(created.person_id, fresh=True) == (created, CacheStatus.REQUEST)
    assert await people.get_cached("0" * 32, fresh=True) == (None, CacheStatus.REQUEST)


async def test_empty_search_is_cached_until_a_person_matches(pair: tuple[CachedStore, CachedStore]) -> None:
    first, second = pair
    for cached in (first, second, first, second):
        page, _ = await cached.find_cached(person_filter(surname="newcomer"), after=None, limit=10)
        assert page.people == []
    created = await first.create(person_data("Newcomer"))
    page, _ = await first.find_cached(person_filter(surname="newcomer"), after=None, limit=10)
    assert page.people == [created.body]


async def test_process_reads_its_own_writes_at_once(pair: tuple[CachedStore, CachedStore]) -> None:
    first, _ = pair
    record = await first.create(person_data("Own"))
    for version in range(1, 6):
        for _ in range(3):
            assert await cached_read(first, record.person_id) == record
        record = await first.replace(
            record.person_id, person_data("Own", str(version)), expected=version, current=record
        )
    await first.delete(record.person_id)
    with pytest.raises(PersonNotFound):
        await cached_read(first, record.person_id)


async def test_change_invalidates_the_local_cache_of_another_process(pair: tuple[CachedStore, CachedStore]) -> None:
    first, second = pair
    created = await first.create(person_data("Notified"))
    await until(lambda: source_of(second, created.person_id), CacheStatus.LOCAL)
    changed = await first.replace(created.person_id, person_data("Notified", "Now"), expected=1)
    await until(lambda: cached_read(second, created.person_id), changed)


async def test_change_of_surname_updates_both_searches(pair: tuple[CachedStore, CachedStore]) -> None:
    first, second = pair
    created = await first.create(person_data("Old"))

    async def lists() -> list[int]:
        pages = [await second.find_cached(person_filter(surname=name), after=None, limit=9) for name in ("old", "new")]
        return [len(page.people) for page, _ in pages]

    for _ in range(3):
        assert await lists() == [1, 0]
    await first.replace(created.person_id, person_data("New"), expected=1)
    await until(lists, [0, 1])


async def test_invalidation_during_a_fetch_keeps_the_response_out_of_the_local_cache(
    pair: tuple[CachedStore, CachedStore],
) -> None:
    first, second = pair
    created = await first.create(person_data("Race"))
    await source_of(second, created.person_id)
    read = second._shared.read

    async def slow(name: str, page: str) -> Any:
        reply = await read(name, page)
        await first.replace(created.person_id, person_data("Race", "Later"), expected=1)
        key = second._shared.key(name)
        async with asyncio.timeout(HANG_TIMEOUT):
            while key in second._local._fetches:  # until the invalidation has arrived
                await asyncio.sleep(0.001)
        return reply

    second._shared.read = slow  # type: ignore[method-assign]
    assert await cached_read(second, created.person_id) == created  # the value at the time of the request
    second._shared.read = read  # type: ignore[method-assign]
    assert (await cached_read(second, created.person_id)).version == 2


async def test_concurrent_misses_read_the_store_once_per_process(tmp_path: Path, clock: Clock, server: Server) -> None:
    async with AsyncExitStack() as stack:
        sides = [await stack.enter_async_context(opened(tmp_path, clock, server.url)) for _ in range(2)]
        for cached, _ in sides:
            await wait_until_used(cached)
        await sides[0][0].create_many([person_data("Hot") for _ in range(3)])
        for _, store in sides:
            store.reads, store.before_read = 0, asyncio.Event()
        await until(lambda: _is_leased(sides[0][0]), expected=True)
        coalesced = CACHE_COALESCED_READS.values[()]
        searches = [
            asyncio.ensure_future(sides[n % 2][0].find_cached(person_filter(surname="hot"), after=None, limit=9))
            for n in range(32)
        ]
        async with asyncio.timeout(HANG_TIMEOUT):
            while CACHE_COALESCED_READS.values[()] < coalesced + 30:  # all but the first in each process
                await asyncio.sleep(0.001)
        for _, store in sides:
            assert store.before_read
            store.before_read.set()
        pages = await asyncio.gather(*searches)
        assert {len(page.people) for page, _ in pages} == {3}
        assert [store.reads for _, store in sides] == [1, 1]


async def _is_leased(cached: CachedStore) -> bool:
    return await cached._shared.read("other name", "page") is not None


async def test_cancelled_reader_does_not_cancel_a_coalesced_read(tmp_path: Path, clock: Clock, server: Server) -> None:
    async with opened(tmp_path, clock, server.url) as (cached, store):
        await wait_until_used(cached)
        created = await cached.create(person_data("Shared"))
        store.before_read = asyncio.Event()
        first, second = (asyncio.ensure_future(cached_read(cached, created.person_id)) for _ in range(2))
        async with asyncio.timeout(HANG_TIMEOUT):
            while not cached._in_flight:
                await asyncio.sleep(0.001)
        first.cancel()
        store.before_read.set()
        assert await second == created


@pytest.mark.parametrize("unknown", [True, False])
async def test_only_a_write_with_a_known_outcome_clears_its_fence(
    tmp_path: Path, clock: Clock, server: Server, *, unknown: bool
) -> None:
    async with opened(tmp_path, clock, server.url, fence_ttl=HANG_TIMEOUT) as (cached, store):
        await until(lambda: asyncio.sleep(0, cached.state), "ok")
        assert await source_of(cached, "0" * 32) == CacheStatus.BYPASS  # which creates the epoch
        with server.client as client:
            client.hset(cached._shared._keys("any")[0], "from", 0)  # the epoch is valid at once
        created = await cached.create(person_data("Lost"))
        store.after_write = OutcomeUnknown("no response") if unknown else StoreUnavailable("not applied")
        with pytest.raises(StoreUnavailable):
            await cached.replace(created.person_id, person_data("Lost", "Perhaps"), expected=1)
        assert await source_of(cached, created.person_id) == (CacheStatus.BYPASS if unknown else CacheStatus.MISS)


@pytest.mark.parametrize("unknown", [True, False])
async def test_only_a_bulk_write_with_a_known_outcome_clears_its_fences(
    tmp_path: Path, clock: Clock, server: Server, *, unknown: bool
) -> None:
    error = OutcomeUnknown("no response") if unknown else StoreUnavailable("not applied")
    async with opened(tmp_path, clock, server.url, fence_ttl=1) as (cached, store):
        await until(lambda: source_of(cached, "0" * 32), CacheStatus.LOCAL)
        connection = make_writer_fail(cast("SqliteStore", store._store))
        connection.before = lambda statement: error if statement == "COMMIT" else None
        with pytest.raises(StoreUnavailable):
            await cached.create_many([person_data("Loaded")])
        _, status = await cached.find_cached(person_filter(surname="loaded"), after=None, limit=10)
        assert status == (CacheStatus.BYPASS if unknown else CacheStatus.MISS)


@asynccontextmanager
async def open_without_tracking(
    tmp_path: Path, clock: Clock, server: Server
) -> AsyncIterator[tuple[CachedStore, ControlledStore, RedisClient]]:
    """Open a cached store without invalidations that reconnects to Redis only on request of the test."""
    async with (
        open_sqlite(tmp_path / "people.db", now=clock.now) as sqlite,
        open_redis(server.url, command_timeout=HANG_TIMEOUT) as client,
    ):
        shared = SharedCache(client, sqlite.secret, ttl=60, fence_ttl=FENCE_TTL)
        local = LocalCache(1_000_000)
        local._valid_until = math.inf
        store = ControlledStore(sqlite)
        cached = CachedStore(store, shared, local, strict=False)
        assert await client.reconnect()
        await wait_until_used(cached)
        yield cached, store, client


async def test_reconnected_cache_has_no_stale_response_after_an_unknown_outcome(
    tmp_path: Path, clock: Clock, server: Server
) -> None:
    async with open_without_tracking(tmp_path, clock, server) as (cached, store, client):
        created = await cached.create(person_data("Cached"))
        await until(lambda: source_of(cached, created.person_id), CacheStatus.SHARED)
        client.trip()
        store.after_write = OutcomeUnknown("no response")
        with pytest.raises(OutcomeUnknown):
            await cached.replace(created.person_id, person_data("Cached", "Changed"), expected=1)
        assert await client.reconnect()
        assert (await cached_read(cached, created.person_id)).version == 2


async def test_pending_fence_of_an_unknown_outcome_is_set_and_remains(
    tmp_path: Path, clock: Clock, server: Server
) -> None:
    async with open_without_tracking(tmp_path, clock, server) as (cached, store, client):
        cached._shared.fence_ttl = 60
        created = await cached.create(person_data("Pending"))
        client.trip()
        store.after_write = OutcomeUnknown("no response")
        with pytest.raises(OutcomeUnknown):
            await cached.replace(created.person_id, person_data("Pending", "Changed"), expected=1)
        store.after_write = None
        await cached.replace(created.person_id, person_data("Pending", "Again"), expected=2)
        assert await client.reconnect()
        assert [fences(server, cached, name) for name in (f"p{created.person_id}", "spending")] == [1, 1]
        assert await source_of(cached, created.person_id) == CacheStatus.BYPASS


def test_local_cache_is_not_used_without_a_recent_ping() -> None:
    local = LocalCache(100_000)
    local.end_fetch(local.begin_fetch("key"), "query", "response", 60)
    assert local.get("query") is None
    local._valid_until = math.inf
    assert local.get("query") == "response"


async def test_response_cached_during_an_unfenced_write_is_dropped(
    tmp_path: Path, clock: Clock, server: Server
) -> None:
    async with open_without_tracking(tmp_path, clock, server) as (cached, store, client):
        created = await cached.create(person_data("Cached"))
        await until(lambda: source_of(cached, created.person_id), CacheStatus.SHARED)
        cached._local.clear()
        client.trip()
        store.before_write = asyncio.Event()
        change = asyncio.ensure_future(cached.replace(created.person_id, person_data("Cached", "Changed"), expected=1))
        await store.writing.wait()
        assert await client.reconnect()
        for source in (CacheStatus.SHARED, CacheStatus.LOCAL):  # the change is not acknowledged yet
            assert await source_of(cached, created.person_id) == source
        store.before_write.set()
        changed = await change
        assert await cached_read(cached, created.person_id) == changed


async def test_cancelled_write_ends_and_leaves_its_fences(tmp_path: Path, clock: Clock, server: Server) -> None:
    async with opened(tmp_path, clock, server.url, fence_ttl=60) as (cached, store):
        created = await cached._store.create(person_data("Cancelled"))
        async with asyncio.timeout(HANG_TIMEOUT):
            while not cached._shared.is_up:
                await asyncio.sleep(0.001)
        store.before_write = asyncio.Event()  # the write may be applied at any time after its cancellation
        write = asyncio.ensure_future(
            cached.replace(created.person_id, person_data("Cancelled", "Later"), expected=1, current=created)
        )
        await store.writing.wait()
        names = [f"p{created.person_id}", "scancelled"]
        before = [fences(server, cached, name) for name in names]
        write.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(HANG_TIMEOUT):
                await write
        assert before == [fences(server, cached, name) for name in names] == [1, 1]


def fences(server: Server, cached: CachedStore, name: str) -> int:
    """Count the fences of a name."""
    with server.client as client:
        count = client.zcard(cached._shared.key(name).replace("pi:v", "pi:f"))
        assert isinstance(count, int)
        return count


async def test_change_of_another_version_is_rejected_before_a_fence_is_set(
    pair: tuple[CachedStore, CachedStore],
) -> None:
    first, _ = pair
    created = await first.create(person_data("Firm"))
    await source_of(first, created.person_id)
    with pytest.raises(VersionConflict):
        await first.replace(created.person_id, person_data("Firm"), expected=7)
    assert await source_of(first, created.person_id) == CacheStatus.SHARED


async def test_store_works_without_redis_and_connects_when_redis_starts(
    tmp_path: Path, clock: Clock, server: Server
) -> None:
    server.stop()
    async with opened(tmp_path, clock, server.url) as (cached, _):
        created = await cached.create(person_data("Early"))
        assert await source_of(cached, created.person_id) == CacheStatus.BYPASS
        assert cached.state == "down"
        server.start()
        await until(lambda: source_of(cached, created.person_id), CacheStatus.LOCAL)
        assert cached.state == "ok"


async def test_failure_of_redis_fails_no_request(tmp_path: Path, clock: Clock, server: Server) -> None:
    async with opened(tmp_path, clock, server.url) as (cached, _):
        await wait_until_used(cached)
        created = await cached.create(person_data("Alive"))
        for _ in range(3):
            await source_of(cached, created.person_id)
        server.stop()
        changed = await cached.replace(created.person_id, person_data("Alive", "Still"), expected=1)
        assert await cached_read(cached, created.person_id) == changed
        server.start()
        await until(lambda: source_of(cached, created.person_id), CacheStatus.LOCAL)
        assert await cached_read(cached, created.person_id) == changed


async def test_paused_redis_receives_pending_invalidations_before_reads(
    tmp_path: Path, clock: Clock, server: Server
) -> None:
    async with opened(tmp_path, clock, server.url, command_timeout=0.05) as (cached, _):
        await wait_until_used(cached)
        created = await cached.create(person_data("Paused"))
        for _ in range(2):
            await source_of(cached, created.person_id)
        server.pause()
        changed = await cached.replace(created.person_id, person_data("Paused", "Changed"), expected=1)
        assert await cached_read(cached, created.person_id) == changed
        server.resume()
        await until(lambda: source_of(cached, created.person_id), CacheStatus.LOCAL)
        assert await cached_read(cached, created.person_id) == changed


async def test_strict_write_waits_until_stale_entries_have_expired(
    tmp_path: Path, clock: Clock, server: Server
) -> None:
    waits: asyncio.Queue[float] = asyncio.Queue()
    have_expired = asyncio.Event()

    async def sleep(seconds: float) -> None:
        waits.put_nowait(seconds)
        await have_expired.wait()

    async with opened(tmp_path, clock, server.url, ttl=0.2, strict=True, sleep=sleep) as (cached, _):
        server.stop()
        creation = asyncio.ensure_future(cached.create(person_data("Strict")))
        wait = asyncio.ensure_future(waits.get())
        done, _ = await asyncio.wait([creation, wait], return_when=asyncio.FIRST_COMPLETED)
        assert done == {wait}
        assert wait.result() == 0.2  # the stale entries expire after this time
        have_expired.set()
        await creation


async def test_local_cache_is_not_used_without_a_tracking_connection(
    tmp_path: Path, clock: Clock, server: Server
) -> None:
    async with opened(tmp_path, clock, server.url) as (cached, _):
        await wait_until_used(cached)
        created = await cached.create(person_data("Untracked"))
        await until(lambda: source_of(cached, created.person_id), CacheStatus.LOCAL)
        with server.client as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        async with asyncio.timeout(HANG_TIMEOUT):
            while cached._local._entries:
                await asyncio.sleep(0.001)
        assert await source_of(cached, created.person_id) != CacheStatus.LOCAL
        await until(lambda: source_of(cached, created.person_id), CacheStatus.LOCAL)


async def test_local_cache_has_a_limited_size(tmp_path: Path, clock: Clock, server: Server) -> None:
    async with opened(tmp_path, clock, server.url, local_size=20_000) as (cached, _):
        await wait_until_used(cached)
        for number in range(50):  # of unknown ids
            await until(partial(source_of, cached, f"{number:032x}"), CacheStatus.LOCAL)
        count = len(cached._local._entries)
        assert 10 <= count < 20
        assert len(cached._local._queries) == count
        assert not cached._local._fetches
        created = await cached.create(person_data("Large", pad="x" * 15_000))
        await until(lambda: source_of(cached, created.person_id), CacheStatus.LOCAL)
        assert len(cached._local._entries) < count // 2
        assert cached._local._used <= 20_000
        await cached.delete(created.person_id)
        assert cached._local._used <= 5_000
        cached._local.clear()
        assert cached._local._used == 0


async def test_response_larger_than_the_local_cache_is_not_stored_there(
    tmp_path: Path, clock: Clock, server: Server
) -> None:
    async with opened(tmp_path, clock, server.url, local_size=20_000) as (cached, _):
        await wait_until_used(cached)
        created = await cached.create(person_data("Large", pad="x" * 30_000))
        await until(lambda: source_of(cached, created.person_id), CacheStatus.SHARED)
        assert await source_of(cached, created.person_id) == CacheStatus.SHARED


async def test_response_of_more_than_a_mebibyte_is_not_cached(tmp_path: Path, clock: Clock, server: Server) -> None:
    async with opened(tmp_path, clock, server.url) as (cached, _):
        await wait_until_used(cached)
        await cached.create_many([person_data("Large", pad="x" * 60_000) for _ in range(20)])
        for _ in range(3):
            page, status = await cached.find_cached(person_filter(surname="large"), after=None, limit=100)
            assert len(page.people) == 20
            assert status == CacheStatus.MISS


async def test_cache_is_not_used_for_an_overlong_surname_key(tmp_path: Path, clock: Clock, server: Server) -> None:
    surname = "\ufdfa" * 256  # each character is folded to 18 letters
    async with opened(tmp_path, clock, server.url) as (cached, _):
        await wait_until_used(cached)
        await cached.create(person_data(surname))
        page, status = await cached.find_cached(person_filter(surname=surname), after=None, limit=1)
        assert (len(page.people), status) == (1, None)


async def test_redis_is_reconnected_under_concurrent_writes(tmp_path: Path, clock: Clock, server: Server) -> None:
    async with opened(tmp_path, clock, server.url) as (cached, _):
        await wait_until_used(cached)

        stopped = asyncio.Event()

        async def write() -> None:
            while not stopped.is_set():
                await cached.create(person_data("Busy"))

        writers = [asyncio.ensure_future(write()) for _ in range(20)]
        try:
            server.stop()
            await until(lambda: asyncio.sleep(0, cached.state), "down")
            server.start()
            await until(lambda: asyncio.sleep(0, cached.state), "ok")
        finally:
            stopped.set()
            await asyncio.gather(*writers)


async def test_cancelled_write_ends(tmp_path: Path, clock: Clock, server: Server) -> None:
    async with opened(tmp_path, clock, server.url) as (cached, _):
        await wait_until_used(cached)

        async def write() -> None:
            while True:
                await cached.create(person_data("Endless"))

        for round_ in range(100):
            writers = [asyncio.ensure_future(write()) for _ in range(20)]
            await asyncio.sleep(round_ / 10_000)  # cancels at various points of a write
            for writer in writers:
                writer.cancel()
            async with asyncio.timeout(HANG_TIMEOUT):
                await asyncio.gather(*writers, return_exceptions=True)
            assert all(writer.cancelled() for writer in writers)
