"""The rules of the shared cache, one by one, on a real server (docs/adr/0008)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from peopleinfo.stores.cached.redis_client import RedisClient, open_redis
from peopleinfo.stores.cached.shared import Hit, Lease, SharedCache
from tests.http.serving import HANG_TIMEOUT
from tests.valkey_servers import Server, running_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

SECRET = b"s" * 32
QUIET = 0.05  # seconds for which a new epoch keeps nothing; a fence falls as late
LONG = 300.0  # seconds: a fence that falls within a test would depend on how fast the machine is
W, OTHER = b"writer", b"another"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture
async def cache(server: Server) -> AsyncIterator[SharedCache]:
    with server.client as client:
        client.flushall()
    async with open_redis(server.url, command_timeout=HANG_TIMEOUT) as link:
        cache = SharedCache(link, SECRET, ttl=60, fence_ttl=LONG)
        await joined(link)
        await trust_at_once(cache, server)
        yield cache


@pytest.fixture
async def brief(server: Server) -> AsyncIterator[SharedCache]:
    """A cache whose fences fall soon."""
    async with open_redis(server.url, command_timeout=HANG_TIMEOUT) as link:
        cache = SharedCache(link, b"b" * 32, ttl=60, fence_ttl=QUIET)
        await joined(link)
        await trusted(cache)
        yield cache


async def joined(link: RedisClient) -> None:
    while not await link.reconnect():
        pass


async def trust_at_once(cache: SharedCache, server: Server) -> None:
    """Let the epoch count, as it would once every fence of the one before had fallen."""
    assert await cache.read("anybody", "") is None  # which begins it
    with server.client as client:
        client.hset(cache._keys("anybody")[0], "from", 0)


async def trusted(cache: SharedCache) -> None:
    """Wait until the epoch counts."""
    while await cache.read("anybody", "") is None:
        await asyncio.sleep(QUIET / 5)


async def lease(cache: SharedCache, name: str = "n", page: str = "") -> Lease:
    told = await cache.read(name, page)
    assert isinstance(told, Lease)
    return told


async def answer(cache: SharedCache, name: str = "n", page: str = "") -> bytes | None:
    told = await cache.read(name, page)
    return told.response if isinstance(told, Hit) else None


async def test_what_is_filled_in_is_answered(cache: SharedCache) -> None:
    await cache.fill("n", "", await lease(cache), b"\x00answer\xff")
    assert await answer(cache) == b"\x00answer\xff"
    assert await answer(cache, "other") is None


async def test_an_answer_is_kept_for_as_long_as_was_said_and_no_page_prolongs_it(
    cache: SharedCache, server: Server
) -> None:
    given = await lease(cache)
    await cache.fill("n", "1", given, b"one")
    first = await cache.read("n", "1")
    assert isinstance(first, Hit)
    assert 50 < first.ttl <= 60
    with server.client as client:
        client.expire(cache.key("n"), 30)
    await cache.fill("n", "2", given, b"two")
    second = await cache.read("n", "2")
    assert isinstance(second, Hit)
    assert second.ttl <= 30


async def test_all_who_miss_hold_the_same_lease(cache: SharedCache) -> None:
    assert await lease(cache) == await lease(cache)
    assert await lease(cache) != await lease(cache, "other")


async def test_a_write_between_the_lease_and_the_filling_keeps_the_old_answer_out(cache: SharedCache) -> None:
    given = await lease(cache)
    await cache.fence(["n"], W)
    await cache.unfence(["n"], W)
    await cache.fill("n", "", given, b"old")
    assert await answer(cache) is None


async def test_a_fence_takes_the_answer_away_and_lets_nobody_fill(cache: SharedCache) -> None:
    given = await lease(cache)
    await cache.fill("n", "", given, b"old")
    await cache.fence(["n"], W)
    assert await cache.read("n", "") is None
    await cache.fill("n", "", given, b"old")
    await cache.unfence(["n"], W)
    assert await answer(cache) is None


async def test_every_writer_has_a_fence_of_its_own(cache: SharedCache) -> None:
    await cache.fence(["n"], W)
    await cache.fence(["n"], OTHER)
    await cache.unfence(["n"], W)
    assert await cache.read("n", "") is None
    await cache.unfence(["n"], OTHER)
    await cache.fill("n", "", await lease(cache), b"new")
    assert await answer(cache) == b"new"


async def test_a_fence_that_nobody_lifts_falls_by_itself(brief: SharedCache, server: Server) -> None:
    await brief.fence(["n"], W)
    with server.client as client:
        assert client.zcard(brief.key("n").replace("pi:v", "pi:f")) == 1
    while await brief.read("n", "") is None:
        await asyncio.sleep(QUIET / 5)
    await brief.fill("n", "", await lease(brief), b"new")
    assert await answer(brief) == b"new"


async def test_many_names_are_fenced_at_once(cache: SharedCache) -> None:
    names = [f"n{number}" for number in range(1_200)]
    assert await cache.fence(names, W)
    assert await cache.read("n1199", "") is None
    assert await cache.unfence(names, W)
    assert isinstance(await cache.read("n1199", ""), Lease)


async def test_a_name_has_room_for_so_many_pages(cache: SharedCache) -> None:
    given = await lease(cache)
    for page in range(40):
        await cache.fill("n", str(page), given, b"page")
    kept = [page for page in range(40) if await answer(cache, "n", str(page))]
    assert kept == list(range(32))


async def test_a_server_that_forgot_everything_keeps_nothing_until_every_write_has_landed(
    cache: SharedCache, server: Server
) -> None:
    given = await lease(cache)
    await cache.fence(["n"], W)  # and its write is on the way
    with server.client as client:
        client.flushall()
    assert await cache.read("n", "") is None, "a lease would let the old answer in"
    await cache.fill("n", "", given, b"old")
    assert await answer(cache) is None


async def test_a_server_that_forgot_everything_is_trusted_again_after_a_while(
    brief: SharedCache, server: Server
) -> None:
    with server.client as client:
        client.flushall()
    await trusted(brief)
    await brief.fill("n", "", await lease(brief), b"new")
    assert await answer(brief) == b"new"


async def test_a_server_that_comes_back_with_old_data_does_not_answer_from_it() -> None:
    with running_server() as server:
        async with open_redis(server.url, command_timeout=HANG_TIMEOUT) as link:
            cache = SharedCache(link, SECRET, ttl=60, fence_ttl=LONG)
            await joined(link)
            await trust_at_once(cache, server)
            await cache.fill("n", "", await lease(cache), b"old")
            with server.client as client:
                client.save()
            await cache.fence(["n"], W)
            await cache.unfence(["n"], W)
            server.stop()
            server.start()
            with server.client as client:
                stored = client.hget(cache.key("n"), "")
                assert isinstance(stored, bytes)
                assert cache._entries.decrypt(cache.key("n"), "", stored) == b"old", (
                    "the test needs the old answer to be there"
                )
            await joined(link)
            await trust_at_once(cache, server)
            assert await answer(cache) is None


async def test_names_are_not_shown_to_the_server(cache: SharedCache, server: Server) -> None:
    await cache.fill("müller", "", await lease(cache, "müller"), b"answer")
    await cache.fence(["smith"], W)
    with server.client as client:
        keys = b" ".join(client.keys())
    assert "müller".encode() not in keys
    assert b"smith" not in keys


async def test_deployments_do_not_see_each_others_answers(cache: SharedCache, server: Server) -> None:
    await cache.fill("n", "", await lease(cache), b"answer")
    async with open_redis(server.url, command_timeout=HANG_TIMEOUT) as link:
        other = SharedCache(link, b"o" * 32, ttl=60, fence_ttl=QUIET)
        await joined(link)
        await trusted(other)
        assert await answer(other) is None


async def test_fences_and_epochs_survive_when_memory_is_short_and_old_answers_do_not() -> None:
    with running_server("--maxmemory", "8mb", "--maxmemory-policy", "volatile-lru") as server:
        async with open_redis(server.url, command_timeout=HANG_TIMEOUT) as link:
            cache = SharedCache(link, SECRET, ttl=60, fence_ttl=LONG)
            await joined(link)
            assert await cache.eviction_problem() is None
            await trust_at_once(cache, server)
            await cache.fence(["n"], W)
            with server.client as client:
                for number in range(200):
                    await cache.fill(f"m{number}", "", await lease(cache, f"m{number}"), b"x" * 100_000)
                assert client.info()["evicted_keys"] > 0
            assert await cache.read("n", "") is None, "the fence was evicted"


async def test_a_policy_that_may_evict_fences_is_found() -> None:
    with running_server("--maxmemory-policy", "allkeys-lru") as server:
        async with open_redis(server.url, command_timeout=HANG_TIMEOUT) as link:
            cache = SharedCache(link, SECRET, ttl=60)
            assert "allkeys-lru" in str(await cache.eviction_problem())
