"""The rules of the cache protocol, one by one, on a real server (docs/adr/0008)."""

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
SHORT_TTL = 0.05  # seconds: the quarantine of a new epoch and the TTL of a fence
LONG_TTL = 300.0  # seconds: no fence expires during a test, even on a slow machine
WRITER, OTHER = b"writer", b"another"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture
async def cache(server: Server) -> AsyncIterator[SharedCache]:
    with server.client as client:
        client.flushall()
    async with open_redis(server.url, command_timeout=HANG_TIMEOUT) as redis:
        cache = SharedCache(redis, SECRET, ttl=60, fence_ttl=LONG_TTL)
        await connect(redis)
        await skip_quarantine(cache, server)
        yield cache


@pytest.fixture
async def short_lived(server: Server) -> AsyncIterator[SharedCache]:
    """A cache with short-lived fences."""
    async with open_redis(server.url, command_timeout=HANG_TIMEOUT) as redis:
        cache = SharedCache(redis, b"b" * 32, ttl=60, fence_ttl=SHORT_TTL)
        await connect(redis)
        await wait_for_epoch(cache)
        yield cache


async def connect(redis: RedisClient) -> None:
    while not await redis.reconnect():
        pass


async def skip_quarantine(cache: SharedCache, server: Server) -> None:
    """Make the epoch valid, as it would be after the quarantine."""
    assert await cache.read("any", "") is None  # which creates the epoch
    with server.client as client:
        client.hset(cache._keys("any")[0], "from", 0)


async def wait_for_epoch(cache: SharedCache) -> None:
    """Wait until the epoch is valid."""
    while await cache.read("any", "") is None:
        await asyncio.sleep(SHORT_TTL / 5)


async def get_lease(cache: SharedCache, name: str = "n", page: str = "") -> Lease:
    reply = await cache.read(name, page)
    assert isinstance(reply, Lease)
    return reply


async def get_response(cache: SharedCache, name: str = "n", page: str = "") -> bytes | None:
    reply = await cache.read(name, page)
    return reply.response if isinstance(reply, Hit) else None


async def test_filled_response_is_returned(cache: SharedCache) -> None:
    await cache.fill("n", "", await get_lease(cache), b"\x00answer\xff")
    assert await get_response(cache) == b"\x00answer\xff"
    assert await get_response(cache, "other") is None


async def test_entry_expires_after_its_ttl_and_another_page_does_not_extend_it(
    cache: SharedCache, server: Server
) -> None:
    token = await get_lease(cache)
    await cache.fill("n", "1", token, b"one")
    first = await cache.read("n", "1")
    assert isinstance(first, Hit)
    assert 50 < first.ttl <= 60
    with server.client as client:
        client.expire(cache.key("n"), 30)
    await cache.fill("n", "2", token, b"two")
    second = await cache.read("n", "2")
    assert isinstance(second, Hit)
    assert second.ttl <= 30


async def test_concurrent_misses_get_the_same_lease(cache: SharedCache) -> None:
    assert await get_lease(cache) == await get_lease(cache)
    assert await get_lease(cache) != await get_lease(cache, "other")


async def test_write_between_lease_and_fill_prevents_a_stale_fill(cache: SharedCache) -> None:
    token = await get_lease(cache)
    await cache.fence(["n"], WRITER)
    await cache.unfence(["n"], WRITER)
    await cache.fill("n", "", token, b"old")
    assert await get_response(cache) is None


async def test_fence_deletes_the_entry_and_prevents_fills(cache: SharedCache) -> None:
    token = await get_lease(cache)
    await cache.fill("n", "", token, b"old")
    await cache.fence(["n"], WRITER)
    assert await cache.read("n", "") is None
    await cache.fill("n", "", token, b"old")
    await cache.unfence(["n"], WRITER)
    assert await get_response(cache) is None


async def test_each_writer_has_its_own_fence(cache: SharedCache) -> None:
    await cache.fence(["n"], WRITER)
    await cache.fence(["n"], OTHER)
    await cache.unfence(["n"], WRITER)
    assert await cache.read("n", "") is None
    await cache.unfence(["n"], OTHER)
    await cache.fill("n", "", await get_lease(cache), b"new")
    assert await get_response(cache) == b"new"


async def test_abandoned_fence_expires(short_lived: SharedCache, server: Server) -> None:
    await short_lived.fence(["n"], WRITER)
    with server.client as client:
        assert client.zcard(short_lived.key("n").replace("pi:v", "pi:f")) == 1
    while await short_lived.read("n", "") is None:
        await asyncio.sleep(SHORT_TTL / 5)
    await short_lived.fill("n", "", await get_lease(short_lived), b"new")
    assert await get_response(short_lived) == b"new"


async def test_many_names_are_fenced_by_one_call(cache: SharedCache) -> None:
    names = [f"n{number}" for number in range(1_200)]
    assert await cache.fence(names, WRITER)
    assert await cache.read("n1199", "") is None
    assert await cache.unfence(names, WRITER)
    assert isinstance(await cache.read("n1199", ""), Lease)


async def test_pages_of_a_name_are_limited(cache: SharedCache) -> None:
    token = await get_lease(cache)
    for page in range(40):
        await cache.fill("n", str(page), token, b"page")
    cached = [page for page in range(40) if await get_response(cache, "n", str(page))]
    assert cached == list(range(32))


async def test_flushed_server_caches_nothing_until_every_write_has_been_applied(
    cache: SharedCache, server: Server
) -> None:
    token = await get_lease(cache)
    await cache.fence(["n"], WRITER)  # its write is in progress
    with server.client as client:
        client.flushall()
    assert await cache.read("n", "") is None, "a lease would permit a stale fill"
    await cache.fill("n", "", token, b"old")
    assert await get_response(cache) is None


async def test_flushed_server_is_used_after_the_quarantine(short_lived: SharedCache, server: Server) -> None:
    with server.client as client:
        client.flushall()
    await wait_for_epoch(short_lived)
    await short_lived.fill("n", "", await get_lease(short_lived), b"new")
    assert await get_response(short_lived) == b"new"


async def test_restarted_server_with_old_data_returns_no_stale_response() -> None:
    with running_server() as server:
        async with open_redis(server.url, command_timeout=HANG_TIMEOUT) as redis:
            cache = SharedCache(redis, SECRET, ttl=60, fence_ttl=LONG_TTL)
            await connect(redis)
            await skip_quarantine(cache, server)
            await cache.fill("n", "", await get_lease(cache), b"old")
            with server.client as client:
                client.save()
            await cache.fence(["n"], WRITER)
            await cache.unfence(["n"], WRITER)
            server.stop()
            server.start()
            with server.client as client:
                stored = client.hget(cache.key("n"), "")
                assert isinstance(stored, bytes)
                assert cache._entries.decrypt(cache.key("n"), "", stored) == b"old", (
                    "the test needs the old entry to exist"
                )
            await connect(redis)
            await skip_quarantine(cache, server)
            assert await get_response(cache) is None


async def test_names_are_hidden_from_the_server(cache: SharedCache, server: Server) -> None:
    await cache.fill("müller", "", await get_lease(cache, "müller"), b"answer")
    await cache.fence(["smith"], WRITER)
    with server.client as client:
        keys = b" ".join(client.keys())
    assert "müller".encode() not in keys
    assert b"smith" not in keys


async def test_deployments_do_not_share_entries(cache: SharedCache, server: Server) -> None:
    await cache.fill("n", "", await get_lease(cache), b"answer")
    async with open_redis(server.url, command_timeout=HANG_TIMEOUT) as redis:
        other = SharedCache(redis, b"o" * 32, ttl=60, fence_ttl=SHORT_TTL)
        await connect(redis)
        await wait_for_epoch(other)
        assert await get_response(other) is None


async def test_memory_pressure_evicts_entries_but_not_fences_or_epochs() -> None:
    with running_server("--maxmemory", "8mb", "--maxmemory-policy", "volatile-lru") as server:
        async with open_redis(server.url, command_timeout=HANG_TIMEOUT) as redis:
            cache = SharedCache(redis, SECRET, ttl=60, fence_ttl=LONG_TTL)
            await connect(redis)
            assert await cache.eviction_problem() is None
            await skip_quarantine(cache, server)
            await cache.fence(["n"], WRITER)
            with server.client as client:
                for number in range(200):
                    await cache.fill(f"m{number}", "", await get_lease(cache, f"m{number}"), b"x" * 100_000)
                assert client.info()["evicted_keys"] > 0
            assert await cache.read("n", "") is None, "the fence was evicted"


async def test_policy_that_may_evict_fences_is_reported() -> None:
    with running_server("--maxmemory-policy", "allkeys-lru") as server:
        async with open_redis(server.url, command_timeout=HANG_TIMEOUT) as redis:
            cache = SharedCache(redis, SECRET, ttl=60)
            assert "allkeys-lru" in str(await cache.eviction_problem())
