"""Buckets of several processes are made one through Redis, and each counts for itself while it is away."""

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
async def both(
    valkey: valkey_servers.Server, moment: MonotonicClock
) -> AsyncIterator[list[tuple[TokenBuckets, SharedTokenBuckets]]]:
    """Two processes' buckets, whose clocks stand still: Redis' own goes on, so that a little more may be left."""
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(2):
            rates = TokenBuckets(6_000, monotonic=moment)
            link = await stack.enter_async_context(open_redis(valkey.url, command_timeout=HANG_TIMEOUT))
            made.append((rates, SharedTokenBuckets(rates, link, SECRET)))
        yield made


async def test_what_was_taken_elsewhere_is_not_there_any_more(
    both: list[tuple[TokenBuckets, SharedTokenBuckets]],
) -> None:
    (one, telling), (other, hearing) = both
    one.consume("ci", 6_000)
    other.consume("ci", 1)
    await telling.sync()
    await hearing.sync()
    with pytest.raises(RateLimitExceeded):
        other.consume("ci", 5_999)
    assert other.consume("somebody else", 6_000) == 0


async def test_what_is_taken_during_an_exchange_is_told_by_the_next(
    both: list[tuple[TokenBuckets, SharedTokenBuckets]],
) -> None:
    (one, telling), (other, hearing) = both
    one.consume("ci", 1_000)
    taken = one.unsynced("ci")
    one.consume("ci", 2_000)
    one.apply_sync("ci", taken, 5_000)
    assert (one.unsynced("ci"), one.consume("ci", 0)) == (2_000, 3_000)
    await telling.sync()
    other.consume("ci", 0)
    await hearing.sync()
    assert one.unsynced("ci") == other.unsynced("ci") == 0


async def test_a_bucket_fills_again_and_is_forgotten(
    both: list[tuple[TokenBuckets, SharedTokenBuckets]], valkey: valkey_servers.Server
) -> None:
    (one, telling), _ = both
    one.consume("ci", 600)
    await telling.sync()
    (key,) = valkey.client.scan_iter()
    assert b"ci" not in key
    assert 1 <= valkey.client.ttl(key) <= 8  # 600 units come back in six seconds


async def test_while_redis_is_away_each_counts_for_itself_and_tells_it_then(
    both: list[tuple[TokenBuckets, SharedTokenBuckets]], valkey: valkey_servers.Server
) -> None:
    (one, telling), (other, hearing) = both
    valkey.stop()
    keeping = asyncio.ensure_future(telling.run())
    one.consume("ci", 4_000)
    with pytest.raises(RateLimitExceeded):
        one.consume("ci", 2_001)
    valkey.start()
    async with asyncio.timeout(HANG_TIMEOUT):
        while one.unsynced("ci"):
            await asyncio.sleep(0.05)
    keeping.cancel()
    other.consume("ci", 1)
    await hearing.sync()
    assert other.consume("ci", 1) < 5_998


def test_servers_count_together(tmp_path: Path, valkey: valkey_servers.Server) -> None:
    settings: dict[str, Any] = {
        "admin_key": ADMIN_KEY,
        "cache_url": valkey.url,
        "rate_limit": 600,
        "rate_limit_shared": "true",
    }
    person = f"/v1/people/{'0' * 32}"
    with (
        serving(tmp_path, **settings) as one,
        serving(tmp_path, **settings) as other,
        httpx.Client(timeout=HANG_TIMEOUT, headers=AS_ADMIN) as client,
    ):
        # The other server reports what is left as soon as that is less than half; alone it has granted next to nothing.
        while "RateLimit" not in client.get(other.url + person).headers:
            client.get(f"{one.url}/v1/people/export")  # takes more than comes back meanwhile, and may be refused
            sleep(0.1)
