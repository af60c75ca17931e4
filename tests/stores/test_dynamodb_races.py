"""Concurrent writers of one item or version: one succeeds. Pages over several shards skip no record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from peopleinfo.errors import StoreUnavailable, VersionConflict
from peopleinfo.stores.dynamodb import factory
from tests.store_kinds import Clock, find_all, make_table, person_data, person_filter, table_location

if TYPE_CHECKING:
    from pathlib import Path

    from aiodynamo.http.types import HttpImplementation, Request, Response

    from peopleinfo.settings.urls import DynamoDBUrl
    from peopleinfo.stores.dynamodb.store import DynamoDBStore
    from tests.faulty_transport import FaultyTransport


@pytest.fixture
def location(tmp_path: Path) -> DynamoDBUrl:
    return table_location("ministack", tmp_path)


@pytest.fixture
def store(table_store: DynamoDBStore) -> DynamoDBStore:
    return table_store


async def test_creation_does_not_overwrite_an_existing_item(
    store: DynamoDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await store.create(person_data("Place"))
    taken = int.from_bytes(store._home(first.person_id).sk)
    numbers = [taken, taken + 1]
    monkeypatch.setattr(store._item_keys, "new", lambda: numbers.pop(0))
    second = await store.create(person_data("Place"))
    assert await store.get(first.person_id) == first
    assert await store.get(second.person_id) == second
    assert numbers == []


async def test_failed_move_to_an_existing_item_deletes_no_record(
    store: DynamoDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await store.create(person_data("Here"))
    number = int.from_bytes(store._home(first.person_id).sk)
    monkeypatch.setattr(store._item_keys, "new", lambda: number)
    second = await store.create(person_data("There"))
    with pytest.raises(StoreUnavailable):
        await store.replace(first.person_id, person_data("There"), expected=1)
    assert await store.get(first.person_id) == first
    assert await store.get(second.person_id) == second


async def test_change_of_an_outdated_version_is_rejected(store: DynamoDBStore) -> None:
    created = await store.create(person_data("Stale"))
    changed = await store.replace(created.person_id, person_data("Stale", "New"), expected=1)
    for surname in ("Stale", "Moved"):
        with pytest.raises(VersionConflict):
            await store.replace(created.person_id, person_data(surname, "Old"), expected=1, current=created)
        assert await store.get(created.person_id) == changed


async def test_deletion_of_an_outdated_version_is_rejected(store: DynamoDBStore, transport: FaultyTransport) -> None:
    created = await store.create(person_data("Erased"))

    async def change_before(action: str, request: Request, send: HttpImplementation) -> Response:
        if action == "TransactWriteItems":
            transport.fault = None
            await store.replace(created.person_id, person_data("Erased", "New"), expected=1)
        return await send(request)

    transport.fault = change_before
    with pytest.raises(VersionConflict):
        await store.delete(created.person_id, expected=1)
    assert (await store.get(created.person_id)).version == 2


async def test_pages_skip_no_record_when_shards_end_at_different_positions(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = table_location("ministack", tmp_path, shards=2)
    await make_table(location)
    async with factory.open_dynamodb(location, now=clock.now) as store:
        first = store._item_keys.new(100)
        numbers = iter(range(first - first % 2, first + 100))
        monkeypatch.setattr(store._item_keys, "new", lambda: next(numbers))  # alternates between the two shards
        created = [
            await store.create(person_data("Shard", note="x" * (60_000 if number % 2 else 30_000)))
            for number in range(80)
        ]
        # A response of DynamoDB ends at 1 MiB, so the shard of large records has more pages.
        for limit in (3, 100):
            found = await find_all(store, person_filter(surname="shard"), limit=limit)
            assert found == [record.body for record in created]
