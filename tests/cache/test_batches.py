"""Batches behind the cache: each record follows the protocol of a single read or write."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from peopleinfo.errors import OutcomeUnknown
from peopleinfo.people.store import CacheStatus, Creation
from peopleinfo.telemetry.metrics import CACHE_FILLS
from tests.cache.test_cached_store import opened, pair, server, source_of, until, wait_until_used
from tests.http.serving import HANG_TIMEOUT
from tests.store_kinds import person_data, person_filter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

    from peopleinfo.people.person import StoredPerson
    from peopleinfo.people.store import CreateOutcome
    from peopleinfo.stores.cached.store import CachedStore
    from tests.store_kinds import Clock
    from tests.valkey_servers import Server

__all__ = ["pair", "server"]  # fixtures
UNKNOWN = "0" * 31 + "1"


async def fill_outcome(outcome: str) -> int:
    return int(CACHE_FILLS.values.get((outcome,), 0))


async def sources(cached: CachedStore, *ids: str) -> list[CacheStatus]:
    return (await cached.get_many_cached(ids))[1]


async def test_batch_uses_the_same_entries_as_single_reads(pair: tuple[CachedStore, CachedStore]) -> None:
    first, second = pair
    records = [await first.create(person_data(f"Batch{number}")) for number in range(3)]
    ids = [record.person_id for record in records]
    await until(lambda: source_of(first, ids[0]), CacheStatus.LOCAL)
    by_id = {record.person_id: record for record in records}
    found, statuses = await first.get_many_cached([*ids, UNKNOWN, ids[0]])
    assert found == by_id
    assert len(statuses) == 4
    await until(lambda: sources(first, *ids), [CacheStatus.LOCAL] * 3)
    assert (await second.get_cached(ids[1]))[0] == records[1]
    assert set(await sources(second, *ids)) <= {CacheStatus.LOCAL, CacheStatus.SHARED}
    found, statuses = await second.get_many_cached([*ids, UNKNOWN, "no id"])
    assert found == by_id
    assert CacheStatus.MISS in statuses  # a batch caches no unknown id: its record may be merged


async def test_change_during_a_batch_read_prevents_a_stale_entry(
    tmp_path: Path, clock: Clock, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, clock, server.url) as (cached, store):
        await wait_until_used(cached)
        record = await cached.create(person_data("Old"))
        reading, release = asyncio.Event(), asyncio.Event()
        before = await fill_outcome("lease_lost")

        async def get_many(ids: Sequence[str]) -> list[StoredPerson | None]:
            records: list[StoredPerson | None] = await store._store.get_many(ids)
            reading.set()
            await release.wait()
            return records

        monkeypatch.setattr(store, "get_many", get_many)
        batch = asyncio.ensure_future(cached.get_many_cached([record.person_id]))
        await reading.wait()
        changed = await cached.replace(record.person_id, person_data("New"), expected=1)
        release.set()
        assert await batch == ({record.person_id: record}, [CacheStatus.MISS])  # started before the change
        await until(lambda: fill_outcome("lease_lost"), before + 1)
        assert (await cached.get_cached(record.person_id))[0] == changed


async def test_only_creations_with_a_known_outcome_clear_their_fences(
    tmp_path: Path, clock: Clock, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, clock, server.url, fence_ttl=HANG_TIMEOUT) as (cached, store):
        assert await source_of(cached, UNKNOWN) == CacheStatus.BYPASS  # which creates the epoch
        with server.client as client:
            client.hset(cached._shared._keys("any")[0], "from", 0)  # the epoch is valid at once

        async def create_each(creations: Sequence[Creation], *, principal: str | None = None) -> list[CreateOutcome]:
            outcomes: list[CreateOutcome] = await store._store.create_each(creations, principal=principal)
            return [outcomes[0], OutcomeUnknown("lost")]

        monkeypatch.setattr(store, "create_each", create_each)
        outcomes = await cached.create_each([Creation(person_data("Known")), Creation(person_data("Lost"))])
        assert [type(one).__name__ for one in outcomes] == ["StoredPerson", "OutcomeUnknown"]
        for surname, expected in (("Lost", CacheStatus.BYPASS), ("Known", CacheStatus.MISS)):
            _, status = await cached.find_cached(person_filter(surname=surname), after=None, limit=10)
            assert status == expected, surname
