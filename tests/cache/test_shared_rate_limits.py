"""Token buckets of several processes are synchronized through Redis; each process counts alone while Redis is unreachable."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from time import sleep
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from peopleinfo.auth.rate_limit import TokenBuckets
from peopleinfo.errors import RateLimitExceeded
from peopleinfo.stores.cached.redis_client import open_redis
from peopleinfo.stores.cached.shared_rate_limits import SharedTokenBuckets
from tests import valkey_servers
from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.store_kinds import MonotonicClock

SECRET = b"s" * 32


@pytest.fixture
def valkey() -> Iterator[valkey_servers.Server]:
    with valkey_servers.running_server() as server:
        yield server


@pytest.fixture
async def processes_pair(
    valkey: valkey_servers.Server, moment: MonotonicClock
) -> AsyncIterator[list[tuple[TokenBuckets, SharedTokenBuckets]]]:
    """Buckets of two processes with stopped clocks. The clock of Redis runs, so the buckets refill slightly."""
    async with AsyncExitStack() as stack:
        processes = []
        for _ in range(2):
            buckets = TokenBuckets(6_000, monotonic=moment)
            client = await stack.enter_async_context(open_redis(valkey.url, command_timeout=HANG_TIMEOUT))
            processes.append((buckets, SharedTokenBuckets(buckets, client, SECRET)))
        yield processes


async def test_units_taken_by_another_process_are_not_available(
    processes_pair: list[tuple[TokenBuckets, SharedTokenBuckets]],
) -> None:
    (first, first_sync), (second, second_sync) = processes_pair
    first.consume("ci", 6_000)
    second.consume("ci", 1)
    await first_sync.sync()
    await second_sync.sync()
    with pytest.raises(RateLimitExceeded):
        second.consume("ci", 5_999)
    assert second.consume("another principal", 6_000) == 0


async def test_units_taken_during_a_synchronization_are_sent_by_the_next(
    processes_pair: list[tuple[TokenBuckets, SharedTokenBuckets]],
) -> None:
    (first, first_sync), (second, second_sync) = processes_pair
    first.consume("ci", 1_000)
    taken = first.unsynced("ci")
    first.consume("ci", 2_000)
    first.apply_sync("ci", taken, 5_000)
    assert (first.unsynced("ci"), first.consume("ci", 0)) == (2_000, 3_000)
    await first_sync.sync()
    second.consume("ci", 0)
    await second_sync.sync()
    assert first.unsynced("ci") == second.unsynced("ci") == 0


async def test_bucket_expires_when_it_is_full_again(
    processes_pair: list[tuple[TokenBuckets, SharedTokenBuckets]], valkey: valkey_servers.Server
) -> None:
    (first, first_sync), _ = processes_pair
    first.consume("ci", 600)
    await first_sync.sync()
    (key,) = valkey.client.scan_iter()
    assert b"ci" not in key
    assert 1 <= valkey.client.ttl(key) <= 8  # 600 units are refilled in six seconds


async def test_process_counts_alone_without_redis_and_synchronizes_afterwards(
    processes_pair: list[tuple[TokenBuckets, SharedTokenBuckets]], valkey: valkey_servers.Server
) -> None:
    (first, first_sync), (second, second_sync) = processes_pair
    valkey.stop()
    task = asyncio.ensure_future(first_sync.run())
    first.consume("ci", 4_000)
    with pytest.raises(RateLimitExceeded):
        first.consume("ci", 2_001)
    valkey.start()
    async with asyncio.timeout(HANG_TIMEOUT):
        while first.unsynced("ci"):
            await asyncio.sleep(0.05)
    task.cancel()
    second.consume("ci", 1)
    await second_sync.sync()
    assert second.consume("ci", 1) < 5_998


def test_servers_share_a_rate_limit(tmp_path: Path, valkey: valkey_servers.Server) -> None:
    settings: dict[str, Any] = {
        "admin_key": ADMIN_KEY,
        "cache_url": valkey.url,
        "rate_limit": 600,
        "rate_limit_shared": "true",
    }
    person = f"/v1/people/{'0' * 32}"
    with (
        serving(tmp_path, **settings) as first,
        serving(tmp_path, **settings) as second,
        httpx.Client(timeout=HANG_TIMEOUT, headers=AS_ADMIN) as client,
    ):
        # The other server reports the remaining units below half of the limit; its own requests consume almost none.
        while "RateLimit" not in client.get(second.url + person).headers:
            client.get(f"{first.url}/v1/people/export")  # consumes faster than the refill, and may be rejected
            sleep(0.1)
