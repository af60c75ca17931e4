"""A store behind the cache: what is answered from where, what two processes see of each other, and what happens when Redis does not play along."""

from __future__ import annotations

import asyncio
import math
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest

from peopleinfo.errors import OutcomeUnknown, PersonNotFound, StoreUnavailable, VersionConflict
from peopleinfo.people.store import CacheStatus, ReadOptions
from peopleinfo.stores.cached.local import LocalCache
from peopleinfo.stores.cached.redis_client import open_redis
from peopleinfo.stores.cached.shared import SharedCache
from peopleinfo.stores.cached.store import CachedStore, open_cached
from peopleinfo.stores.sqlite.factory import open_sqlite
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

QUIET = 0.05


class Watched:
    """A store that counts its reads, and lets a test step in before and after what it does."""

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
async def opened(tmp_path: Path, clock: Clock, url: str, **options: Any) -> AsyncIterator[tuple[CachedStore, Watched]]:
    """Open the one file of the test behind the cache."""
    options = {"ttl": 60, "local_size": 1_000_000, "command_timeout": HANG_TIMEOUT, "fence_ttl": QUIET} | options
    async with open_sqlite(tmp_path / "people.db", now=clock.now) as store:
        watched = Watched(store)
        async with open_cached(watched, url, **options) as cached:  # type: ignore[arg-type]
            yield cached, watched


@pytest.fixture
async def pair(tmp_path: Path, clock: Clock, server: Server) -> AsyncIterator[tuple[CachedStore, CachedStore]]:
    """Two processes, as far as the cache can tell."""
    async with AsyncExitStack() as stack:
        first, _ = await stack.enter_async_context(opened(tmp_path, clock, server.url))
        second, _ = await stack.enter_async_context(opened(tmp_path, clock, server.url))
        await warm(first)
        await warm(second)
        yield first, second


async def warm(cached: CachedStore) -> None:
    """Wait until the cache is used, in this process's memory too."""
    await until(lambda: source_of(cached, "0" * 32), CacheStatus.LOCAL)


async def until(ask: Callable[[], Any], expected: Any) -> None:
    """Ask again until the answer is the expected one; the test's own limit ends it."""
    async with asyncio.timeout(HANG_TIMEOUT):
        while await ask() != expected:
            await asyncio.sleep(QUIET / 5)


async def source_of(cached: CachedStore, person_id: str) -> CacheStatus | None:
    reading = ReadOptions()
    with suppress(PersonNotFound):
        await cached.get(person_id, options=reading)
    return reading.source


async def seen(cached: CachedStore, person_id: str) -> StoredPerson:
    return await cached.get(person_id, options=ReadOptions())


async def test_an_answer_comes_from_the_store_then_from_redis_then_from_memory(
    pair: tuple[CachedStore, CachedStore],
) -> None:
    first, second = pair
    made = await first.create(person_data("Curie"))
    sources = [await source_of(first, made.person_id)]
    async with asyncio.timeout(HANG_TIMEOUT):
        while (
            sources[-1] != CacheStatus.LOCAL
        ):  # which it is as soon as it has been heard that the answer came to Redis
            sources.append(await source_of(first, made.person_id))
    assert list(dict.fromkeys(sources)) == [CacheStatus.MISS, CacheStatus.SHARED, CacheStatus.LOCAL]
    assert await source_of(second, made.person_id) == CacheStatus.SHARED
    assert await seen(second, made.person_id) == made


async def test_a_list_is_kept_page_by_page(pair: tuple[CachedStore, CachedStore]) -> None:
    first, _ = pair
    await first.create_many([person_data("Page", str(number)) for number in range(5)])

    async def source() -> CacheStatus | None:
        reading = ReadOptions()
        page = await first.find(person_filter(surname="page"), after=None, limit=2, options=reading)
        rest = await first.find(person_filter(surname="page"), after=page.next, limit=9, options=ReadOptions())
        assert (len(page.people), len(rest.people)) == (2, 3)
        return reading.source

    await until(source, CacheStatus.LOCAL)


async def test_what_is_asked_to_be_fresh_comes_from_the_store(pair: tuple[CachedStore, CachedStore]) -> None:
    first, _ = pair
    made = await first.create(person_data("Fresh"))
    for _ in range(3):
        await source_of(first, made.person_id)
    reading = ReadOptions(fresh=True)
    assert await first.get(made.person_id, options=reading) == made
    assert reading.source == CacheStatus.REQUEST


async def test_that_nobody_is_there_is_kept_too_until_somebody_is(pair: tuple[CachedStore, CachedStore]) -> None:
    first, second = pair
    for cached in (first, second, first, second):
        page = await cached.find(person_filter(surname="newcomer"), after=None, limit=10, options=ReadOptions())
        assert page.people == []
    made = await first.create(person_data("Newcomer"))
    page = await first.find(person_filter(surname="newcomer"), after=None, limit=10, options=ReadOptions())
    assert page.people == [made.body]


async def test_a_process_sees_its_own_writes_at_once(pair: tuple[CachedStore, CachedStore]) -> None:
    first, _ = pair
    record = await first.create(person_data("Own"))
    for version in range(1, 6):
        for _ in range(3):
            assert await seen(first, record.person_id) == record
        record = await first.replace(
            record.person_id, person_data("Own", str(version)), expected=version, current=record
        )
    await first.delete(record.person_id)
    with pytest.raises(PersonNotFound):
        await seen(first, record.person_id)


async def test_another_process_hears_of_a_change(pair: tuple[CachedStore, CachedStore]) -> None:
    first, second = pair
    made = await first.create(person_data("Heard"))
    await until(lambda: source_of(second, made.person_id), CacheStatus.LOCAL)
    changed = await first.replace(made.person_id, person_data("Heard", "Now"), expected=1)
    await until(lambda: seen(second, made.person_id), changed)


async def test_who_moves_leaves_the_old_list_and_joins_the_new_one(pair: tuple[CachedStore, CachedStore]) -> None:
    first, second = pair
    made = await first.create(person_data("Old"))

    async def lists() -> list[int]:
        pages = [
            await second.find(person_filter(surname=name), after=None, limit=9, options=ReadOptions())
            for name in ("old", "new")
        ]
        return [len(page.people) for page in pages]

    for _ in range(3):
        assert await lists() == [1, 0]
    await first.replace(made.person_id, person_data("New"), expected=1)
    await until(lists, [0, 1])


async def test_a_change_heard_of_while_an_answer_is_fetched_keeps_it_out_of_the_memory(
    pair: tuple[CachedStore, CachedStore],
) -> None:
    first, second = pair
    made = await first.create(person_data("Race"))
    await source_of(second, made.person_id)
    ask = second._shared.read

    async def slow(name: str, page: str) -> Any:
        told = await ask(name, page)
        await first.replace(made.person_id, person_data("Race", "Later"), expected=1)
        heard = second._shared.key(name)
        async with asyncio.timeout(HANG_TIMEOUT):
            while heard in second._local._fetches:  # until the change was heard of
                await asyncio.sleep(0.001)
        return told

    second._shared.read = slow  # type: ignore[method-assign]
    assert await seen(second, made.person_id) == made  # it was so when it was asked
    second._shared.read = ask  # type: ignore[method-assign]
    assert (await seen(second, made.person_id)).version == 2


async def test_a_stampede_reaches_the_store_once_a_process(tmp_path: Path, clock: Clock, server: Server) -> None:
    async with AsyncExitStack() as stack:
        sides = [await stack.enter_async_context(opened(tmp_path, clock, server.url)) for _ in range(2)]
        for cached, _ in sides:
            await warm(cached)
        await sides[0][0].create_many([person_data("Hot") for _ in range(3)])
        for _, watched in sides:
            watched.reads, watched.before_read = 0, asyncio.Event()
        await until(lambda: _is_leased(sides[0][0]), expected=True)
        readings = [ReadOptions() for _ in range(32)]
        asking = [
            asyncio.ensure_future(
                sides[n % 2][0].find(person_filter(surname="hot"), after=None, limit=9, options=reading)
            )
            for n, reading in enumerate(readings)
        ]
        async with asyncio.timeout(HANG_TIMEOUT):
            while not all(reading.source for reading in readings):
                await asyncio.sleep(0.001)
        for _, watched in sides:
            assert watched.before_read
            watched.before_read.set()
        pages = await asyncio.gather(*asking)
        assert {len(page.people) for page in pages} == {3}
        assert [watched.reads for _, watched in sides] == [1, 1]


async def _is_leased(cached: CachedStore) -> bool:
    return await cached._shared.read("shot", "another page") is not None


async def test_who_goes_away_does_not_take_the_answer_from_the_others(
    tmp_path: Path, clock: Clock, server: Server
) -> None:
    async with opened(tmp_path, clock, server.url) as (cached, watched):
        await warm(cached)
        made = await cached.create(person_data("Shared"))
        watched.before_read = asyncio.Event()
        first, second = (asyncio.ensure_future(seen(cached, made.person_id)) for _ in range(2))
        async with asyncio.timeout(HANG_TIMEOUT):
            while not cached._in_flight:
                await asyncio.sleep(0.001)
        first.cancel()
        watched.before_read.set()
        assert await second == made


@pytest.mark.parametrize("unknown", [True, False])
async def test_only_a_write_whose_outcome_is_known_lifts_its_fence(
    tmp_path: Path, clock: Clock, server: Server, *, unknown: bool
) -> None:
    async with opened(tmp_path, clock, server.url, fence_ttl=HANG_TIMEOUT) as (cached, watched):
        await until(lambda: asyncio.sleep(0, cached.cache_state), "ok")
        assert await source_of(cached, "0" * 32) == CacheStatus.BYPASS  # which begins the epoch
        with server.client as client:
            client.hset(cached._shared._keys("any")[0], "from", 0)  # it counts at once
        made = await cached.create(person_data("Lost"))
        watched.after_write = OutcomeUnknown("no answer") if unknown else StoreUnavailable("not done")
        with pytest.raises(StoreUnavailable):
            await cached.replace(made.person_id, person_data("Lost", "Perhaps"), expected=1)
        assert await source_of(cached, made.person_id) == (CacheStatus.BYPASS if unknown else CacheStatus.MISS)


@pytest.mark.parametrize("unknown", [True, False])
async def test_only_a_load_whose_outcome_is_known_lifts_its_fences(
    tmp_path: Path, clock: Clock, server: Server, *, unknown: bool
) -> None:
    refused = OutcomeUnknown("no answer") if unknown else StoreUnavailable("not done")
    async with opened(tmp_path, clock, server.url, fence_ttl=1) as (cached, watched):
        await until(lambda: source_of(cached, "0" * 32), CacheStatus.LOCAL)
        connection = make_writer_fail(cast("SqliteStore", watched._store))
        connection.before = lambda statement: refused if statement == "COMMIT" else None
        with pytest.raises(StoreUnavailable):
            await cached.create_many([person_data("Loaded")])
        reading = ReadOptions()
        await cached.find(person_filter(surname="loaded"), after=None, limit=10, options=reading)
        assert reading.source == (CacheStatus.BYPASS if unknown else CacheStatus.MISS)


@asynccontextmanager
async def deaf(tmp_path: Path, clock: Clock, server: Server) -> AsyncIterator[tuple[CachedStore, Watched, RedisClient]]:
    """Open a cached store that receives no invalidation, and reaches Redis again only when the test says so."""
    async with (
        open_sqlite(tmp_path / "people.db", now=clock.now) as store,
        open_redis(server.url, command_timeout=HANG_TIMEOUT) as link,
    ):
        shared = SharedCache(link, store.secret, ttl=60, fence_ttl=QUIET)
        local = LocalCache(1_000_000)
        local._valid_until = math.inf
        watched = Watched(store)
        cached = CachedStore(watched, shared, local, strict=False)  # type: ignore[arg-type]
        assert await link.reconnect()
        await warm(cached)
        yield cached, watched, link


async def test_after_an_unknown_outcome_without_the_cache_it_keeps_no_older_response(
    tmp_path: Path, clock: Clock, server: Server
) -> None:
    async with deaf(tmp_path, clock, server) as (cached, watched, link):
        made = await cached.create(person_data("Kept"))
        await until(lambda: source_of(cached, made.person_id), CacheStatus.SHARED)
        link.trip()
        watched.after_write = OutcomeUnknown("no answer")
        with pytest.raises(OutcomeUnknown):
            await cached.replace(made.person_id, person_data("Kept", "Changed"), expected=1)
        assert await link.reconnect()
        assert (await seen(cached, made.person_id)).version == 2


async def test_a_fence_that_is_owed_for_an_unknown_outcome_is_put_and_left(
    tmp_path: Path, clock: Clock, server: Server
) -> None:
    async with deaf(tmp_path, clock, server) as (cached, watched, link):
        cached._shared.fence_ttl = 60
        made = await cached.create(person_data("Owed"))
        link.trip()
        watched.after_write = OutcomeUnknown("no answer")
        with pytest.raises(OutcomeUnknown):
            await cached.replace(made.person_id, person_data("Owed", "Changed"), expected=1)
        watched.after_write = None
        await cached.replace(made.person_id, person_data("Owed", "Again"), expected=2)
        assert await link.reconnect()
        assert [fences(server, cached, name) for name in (f"p{made.person_id}", "sowed")] == [1, 1]
        assert await source_of(cached, made.person_id) == CacheStatus.BYPASS


def test_a_memory_whose_connection_was_not_confirmed_lately_is_not_used() -> None:
    local = LocalCache(100_000)
    local.end_fetch(local.begin_fetch("key"), "asked", "answer", 60)
    assert local.get("asked") is None
    local._valid_until = math.inf
    assert local.get("asked") == "answer"


async def test_a_response_that_was_cached_while_a_change_was_under_way_without_a_fence_is_dropped(
    tmp_path: Path, clock: Clock, server: Server
) -> None:
    async with deaf(tmp_path, clock, server) as (cached, watched, link):
        made = await cached.create(person_data("Kept"))
        await until(lambda: source_of(cached, made.person_id), CacheStatus.SHARED)
        cached._local.clear()
        link.trip()
        watched.before_write = asyncio.Event()
        change = asyncio.ensure_future(cached.replace(made.person_id, person_data("Kept", "Changed"), expected=1))
        await watched.writing.wait()
        assert await link.reconnect()
        for source in (CacheStatus.SHARED, CacheStatus.LOCAL):  # the change is not acknowledged yet
            assert await source_of(cached, made.person_id) == source
        watched.before_write.set()
        changed = await change
        assert await seen(cached, made.person_id) == changed


async def test_a_write_that_is_given_up_half_way_ends_and_leaves_its_fences(
    tmp_path: Path, clock: Clock, server: Server
) -> None:
    async with opened(tmp_path, clock, server.url, fence_ttl=60) as (cached, watched):
        made = await cached._store.create(person_data("Given Up"))
        async with asyncio.timeout(HANG_TIMEOUT):
            while not cached._shared.is_up:
                await asyncio.sleep(0.001)
        watched.before_write = asyncio.Event()  # it may land at any time after it was given up
        write = asyncio.ensure_future(
            cached.replace(made.person_id, person_data("Given Up", "Later"), expected=1, current=made)
        )
        await watched.writing.wait()
        names = [f"p{made.person_id}", "sgiven up"]
        before = [fences(server, cached, name) for name in names]
        write.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(HANG_TIMEOUT):
                await write
        assert before == [fences(server, cached, name) for name in names] == [1, 1]


def fences(server: Server, cached: CachedStore, name: str) -> int:
    """Count the writers who keep the cache from answering for a name."""
    with server.client as client:
        count = client.zcard(cached._shared.key(name).replace("pi:v", "pi:f"))
        assert isinstance(count, int)
        return count


async def test_a_change_of_another_version_is_refused_before_anything_is_fenced(
    pair: tuple[CachedStore, CachedStore],
) -> None:
    first, _ = pair
    made = await first.create(person_data("Firm"))
    await source_of(first, made.person_id)
    with pytest.raises(VersionConflict):
        await first.replace(made.person_id, person_data("Firm"), expected=7)
    assert await source_of(first, made.person_id) == CacheStatus.SHARED


async def test_without_redis_it_works_and_joins_it_when_it_comes(tmp_path: Path, clock: Clock, server: Server) -> None:
    server.stop()
    async with opened(tmp_path, clock, server.url) as (cached, _):
        made = await cached.create(person_data("Early"))
        assert await source_of(cached, made.person_id) == CacheStatus.BYPASS
        assert cached.cache_state == "down"
        server.start()
        await until(lambda: source_of(cached, made.person_id), CacheStatus.LOCAL)
        assert cached.cache_state == "ok"


async def test_a_redis_that_dies_costs_nobody_an_answer(tmp_path: Path, clock: Clock, server: Server) -> None:
    async with opened(tmp_path, clock, server.url) as (cached, _):
        await warm(cached)
        made = await cached.create(person_data("Alive"))
        for _ in range(3):
            await source_of(cached, made.person_id)
        server.stop()
        changed = await cached.replace(made.person_id, person_data("Alive", "Still"), expected=1)
        assert await seen(cached, made.person_id) == changed
        server.start()
        await until(lambda: source_of(cached, made.person_id), CacheStatus.LOCAL)
        assert await seen(cached, made.person_id) == changed


async def test_what_a_standing_server_was_not_told_it_is_told_before_it_is_used_again(
    tmp_path: Path, clock: Clock, server: Server
) -> None:
    async with opened(tmp_path, clock, server.url, command_timeout=0.05) as (cached, _):
        await warm(cached)
        made = await cached.create(person_data("Stand"))
        for _ in range(2):
            await source_of(cached, made.person_id)
        server.pause()
        changed = await cached.replace(made.person_id, person_data("Stand", "Changed"), expected=1)
        assert await seen(cached, made.person_id) == changed
        server.resume()
        await until(lambda: source_of(cached, made.person_id), CacheStatus.LOCAL)
        assert await seen(cached, made.person_id) == changed


async def test_a_strict_write_waits_until_nobody_can_have_the_older_answer(
    tmp_path: Path, clock: Clock, server: Server
) -> None:
    async with opened(tmp_path, clock, server.url, ttl=0.2, strict=True) as (cached, _):
        server.stop()
        began = asyncio.get_running_loop().time()
        await cached.create(person_data("Strict"))
        assert asyncio.get_running_loop().time() - began >= 0.2


async def test_a_memory_that_hears_nothing_is_not_used(tmp_path: Path, clock: Clock, server: Server) -> None:
    async with opened(tmp_path, clock, server.url) as (cached, _):
        await warm(cached)
        made = await cached.create(person_data("Deaf"))
        await until(lambda: source_of(cached, made.person_id), CacheStatus.LOCAL)
        with server.client as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        async with asyncio.timeout(HANG_TIMEOUT):
            while cached._local._entries:
                await asyncio.sleep(0.001)
        assert await source_of(cached, made.person_id) != CacheStatus.LOCAL
        await until(lambda: source_of(cached, made.person_id), CacheStatus.LOCAL)


async def test_memory_of_a_process_holds_a_limited_number_of_bytes(
    tmp_path: Path, clock: Clock, server: Server
) -> None:
    async with opened(tmp_path, clock, server.url, local_size=20_000) as (cached, _):
        await warm(cached)
        for number in range(50):  # of people who are not there
            await until(partial(source_of, cached, f"{number:032x}"), CacheStatus.LOCAL)
        kept = len(cached._local._entries)
        assert 10 <= kept < 20
        assert len(cached._local._queries) == kept
        assert not cached._local._fetches
        made = await cached.create(person_data("Large", pad="x" * 15_000))
        await until(lambda: source_of(cached, made.person_id), CacheStatus.LOCAL)
        assert len(cached._local._entries) < kept // 2
        assert cached._local._used <= 20_000
        await cached.delete(made.person_id)
        assert cached._local._used <= 5_000
        cached._local.clear()
        assert cached._local._used == 0


async def test_response_larger_than_the_memory_of_a_process_is_not_kept_there(
    tmp_path: Path, clock: Clock, server: Server
) -> None:
    async with opened(tmp_path, clock, server.url, local_size=20_000) as (cached, _):
        await warm(cached)
        made = await cached.create(person_data("Large", pad="x" * 30_000))
        await until(lambda: source_of(cached, made.person_id), CacheStatus.SHARED)
        assert await source_of(cached, made.person_id) == CacheStatus.SHARED


async def test_response_of_more_than_a_mebibyte_is_not_cached(tmp_path: Path, clock: Clock, server: Server) -> None:
    async with opened(tmp_path, clock, server.url) as (cached, _):
        await warm(cached)
        await cached.create_many([person_data("Large", pad="x" * 60_000) for _ in range(20)])
        for _ in range(3):
            reading = ReadOptions()
            page = await cached.find(person_filter(surname="large"), after=None, limit=100, options=reading)
            assert len(page.people) == 20
            assert reading.source == CacheStatus.MISS


async def test_cache_is_not_used_for_a_surname_key_without_measure(
    tmp_path: Path, clock: Clock, server: Server
) -> None:
    surname = "\ufdfa" * 256  # each is folded to 18 letters
    async with opened(tmp_path, clock, server.url) as (cached, _):
        await warm(cached)
        await cached.create(person_data(surname))
        reading = ReadOptions()
        assert (
            len((await cached.find(person_filter(surname=surname), after=None, limit=1, options=reading)).people) == 1
        )
        assert reading.source is None


async def test_redis_is_joined_again_however_many_are_writing(tmp_path: Path, clock: Clock, server: Server) -> None:
    async with opened(tmp_path, clock, server.url) as (cached, _):
        await warm(cached)

        over = asyncio.Event()

        async def write() -> None:
            while not over.is_set():
                await cached.create(person_data("Busy"))

        writers = [asyncio.ensure_future(write()) for _ in range(20)]
        try:
            server.stop()
            await until(lambda: asyncio.sleep(0, cached.cache_state), "down")
            server.start()
            await until(lambda: asyncio.sleep(0, cached.cache_state), "ok")
        finally:
            over.set()
            await asyncio.gather(*writers)


async def test_a_write_that_is_given_up_ends(tmp_path: Path, clock: Clock, server: Server) -> None:
    async with opened(tmp_path, clock, server.url) as (cached, _):
        await warm(cached)

        async def write() -> None:
            while True:
                await cached.create(person_data("Endless"))

        for round_ in range(100):
            writers = [asyncio.ensure_future(write()) for _ in range(20)]
            await asyncio.sleep(round_ / 10_000)  # wherever it is then
            for writer in writers:
                writer.cancel()
            async with asyncio.timeout(HANG_TIMEOUT):
                await asyncio.gather(*writers, return_exceptions=True)
            assert all(writer.cancelled() for writer in writers)
