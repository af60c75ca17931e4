"""Reindexing after a change of the folding rules, while the store is in use."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from peopleinfo.people import folding
from peopleinfo.people.store import CacheStatus
from peopleinfo.stores.cached.store import open_cached
from peopleinfo.stores.sqlite.factory import open_sqlite
from tests import valkey_servers
from tests.limits import HANG_TIMEOUT
from tests.store_kinds import ALL_STORES, encryption, find_all, person_data, person_filter, scan_all

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from peopleinfo.people.store import Store
    from tests.store_kinds import Clock

STORE_KINDS = ALL_STORES  # includes the encrypted table, which manages record keys itself

_VERSION = "FOLD_VERSION"
_MODULES = (
    "peopleinfo.stores.sqlite.store",
    "peopleinfo.stores.sqlite.replacements",
    "peopleinfo.stores.sqlite.upsert",
    "peopleinfo.stores.dynamodb.items",
    "peopleinfo.stores.dynamodb.upsert",
)


@pytest.fixture
def old_fold(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Install the folding rules of an older release, which ignored accents; the test undoes this."""
    with monkeypatch.context() as patch:
        patch.setattr("peopleinfo.people.person.fold", str.lower)
        for module in _MODULES:
            patch.setattr(f"{module}.{_VERSION}", folding.FOLD_VERSION - 1)
        yield patch


async def reindex_all(store: Store, limit: int) -> tuple[int, int]:
    people, changed, after = 0, 0, None
    while True:
        result = await store.reindex(after=after, limit=limit)
        people, changed, after = people + result.people, changed + len(result.keys), result.next
        if after is None:
            return people, changed


async def test_records_are_found_by_current_key_after_reindex(store: Store, old_fold: pytest.MonkeyPatch) -> None:
    before = [await store.create(person_data("Müller", str(number))) for number in range(5)]
    moved = await store.create(person_data("Meyer"))
    moved = await store.replace(moved.person_id, person_data("Möller"), expected=1)
    old_fold.undo()
    now = await store.create(person_data("Muller"))
    assert await find_all(store, person_filter(surname="muller")) == [now.body]
    assert await reindex_all(store, limit=3) == (7, 6)
    assert await find_all(store, person_filter(surname="müller")) == [*(record.body for record in before), now.body]
    assert await find_all(store, person_filter(surname="moller")) == [moved.body]
    assert [await store.get(record.person_id) for record in before] == before
    assert await reindex_all(store, limit=100) == (7, 0)
    assert len(await scan_all(store)) == 7


async def test_person_can_be_updated_after_reindex(store: Store, old_fold: pytest.MonkeyPatch) -> None:
    created = await store.create(person_data("Å"))
    old_fold.undo()
    await reindex_all(store, limit=100)
    changed = await store.replace(created.person_id, person_data("B"), expected=1, current=created)
    assert await store.get(created.person_id) == changed
    await store.delete(created.person_id)
    assert await scan_all(store) == []


@pytest.mark.parametrize("encrypted", [False, True])
async def test_cache_drops_the_search_of_an_outdated_surname_key(
    tmp_path: Path, clock: Clock, old_fold: pytest.MonkeyPatch, *, encrypted: bool
) -> None:
    config = encryption(tmp_path, prefixes=False) if encrypted else None
    async with (
        open_sqlite(tmp_path / "people.db", now=clock.now, encryption=config) as store,
        open_cached(
            store,
            valkey_servers.shared_url(),
            secret=store.secret,
            ttl=60,
            local_size=0,
            command_timeout=HANG_TIMEOUT,
            fence_ttl=0.02,
        ) as cached,
    ):
        old_fold.setattr("peopleinfo.people.person.fold", lambda _: "meyer")
        created = await cached.create(person_data("Other"))
        old_fold.undo()
        source = None
        while source is not CacheStatus.SHARED:
            found, source = await cached.find_cached(person_filter(surname="Meyer"), after=None, limit=10)
            assert found.people == [created.body]
        await reindex_all(cast("Store", cached), limit=100)
        found, _ = await cached.find_cached(person_filter(surname="Meyer"), after=None, limit=10)
        assert found.people == []


async def test_reindex_of_an_empty_store_changes_nothing(store: Store) -> None:
    assert await reindex_all(store, limit=100) == (0, 0)
