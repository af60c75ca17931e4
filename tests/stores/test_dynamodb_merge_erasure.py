"""Erasure of merged people on DynamoDB, with concurrent changes and after a crash at any write."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from peopleinfo.errors import MergeNotFound, PersonNotFound, VersionConflict
from peopleinfo.people.idempotency import ClientKey
from peopleinfo.stores.cached.store import open_cached
from peopleinfo.stores.dynamodb.trash_items import is_kept
from tests.store_kinds import Clock, all_items, person_data, raw_bytes
from tests.stores.test_dynamodb_changes import CANARY, Pause, at_first
from tests.stores.test_dynamodb_search import Crashes
from tests.stores.test_merges import fields_of, request, service
from tests.valkey_servers import running_server

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from peopleinfo.people.person import StoredPerson
    from peopleinfo.settings.urls import DynamoDBUrl
    from peopleinfo.stores.dynamodb.store import DynamoDBStore
    from tests.faulty_transport import FaultyTransport


@pytest.fixture
def store(table_store: DynamoDBStore) -> DynamoDBStore:
    return table_store


async def merged_people(store: DynamoDBStore, clock: Clock) -> tuple[str, list[StoredPerson]]:
    """Merge two changed people into a third one; return the merge id and the three people before the merge."""
    people = []
    for number in range(3):
        created = await store.create(person_data(f"Canary{number}", CANARY, note=f"first {CANARY}"))
        data = person_data(f"Canary{number}", CANARY, note=f"second {CANARY}")
        people.append(await store.replace(created.person_id, data, expected=1))
    result, _ = await service(store, clock).merge(request(*people), key=ClientKey("crm", people[0].person_id))
    assert result.merge_id
    return result.merge_id, people


async def assert_unmerged(store: DynamoDBStore, clock: Clock, merge_id: str, people: list[StoredPerson]) -> None:
    """Undo a merge, and check that its records are complete."""
    await service(store, clock).undo(merge_id, keep={})
    for person in people[1:]:
        assert fields_of(await store.get(person.person_id)) == fields_of(person)


async def is_erased(location: DynamoDBUrl) -> bool:
    content = raw_bytes(await all_items(location, location.table))
    return not any(canary in content for canary in (CANARY.encode(), b"Canary", b"canary"))


async def test_change_of_a_survivor_during_its_erasure_keeps_the_merged_records(
    store: DynamoDBStore, transport: FaultyTransport, clock: Clock
) -> None:
    merge_id, people = await merged_people(store, clock)
    survivor = await store.get(people[0].person_id)

    async def change() -> None:
        await store.replace(survivor.person_id, person_data("Roth", CANARY), expected=survivor.version)

    transport.fault = at_first("TransactWriteItems", before=change)
    with pytest.raises(VersionConflict):
        await store.delete(survivor.person_id, expected=survivor.version)
    await assert_unmerged(store, clock, merge_id, people)


async def test_restore_of_a_survivor_during_its_erasure_keeps_the_merged_records(
    store: DynamoDBStore, transport: FaultyTransport, clock: Clock
) -> None:
    merge_id, people = await merged_people(store, clock)
    await store.trash.add(people[0].person_id, expires_at=clock.now() + timedelta(days=1))
    deleted = await store.trash.get(people[0].person_id)

    async def restore() -> None:
        await store.trash.restore(deleted.person_id, expected=deleted.version)

    transport.fault = at_first("TransactWriteItems", before=restore)
    with pytest.raises(PersonNotFound):
        await store.trash.erase(people[1].person_id, expected=deleted.version)
    await assert_unmerged(store, clock, merge_id, people)


async def test_erasure_includes_a_record_that_is_merged_meanwhile(
    store: DynamoDBStore, transport: FaultyTransport, location: DynamoDBUrl, clock: Clock
) -> None:
    _, people = await merged_people(store, clock)
    late = await store.create(person_data("Canary4", note=CANARY))

    async def merge() -> None:
        await service(store, clock).merge(request(await store.get(people[0].person_id), late))

    transport.fault = at_first("TransactWriteItems", before=merge)
    await store.delete(people[1].person_id)
    assert await is_erased(location)


@pytest.mark.parametrize("is_undo", [False, True])
async def test_deletion_of_a_survivor_during_a_merge_leaves_no_version(
    store: DynamoDBStore, transport: FaultyTransport, location: DynamoDBUrl, clock: Clock, *, is_undo: bool
) -> None:
    people = [await store.create(person_data(f"Canary{number}", note=CANARY)) for number in range(2)]
    merges = service(store, clock)
    if is_undo:
        result, _ = await merges.merge(request(*people))
    change: Awaitable[object] = (
        merges.undo(result.merge_id or "", keep={}) if is_undo else merges.merge(request(*people))
    )
    pause = Pause()
    transport.fault = at_first("BatchWriteItem", before=pause)
    changing = asyncio.ensure_future(change)
    await pause.reached.wait()
    await store.delete(people[0].person_id)
    if not is_undo:
        await store.delete(people[1].person_id)
    pause.released.set()
    with pytest.raises((PersonNotFound, MergeNotFound)):
        await changing
    assert await is_erased(location)


@pytest.mark.parametrize("place", ["stored", "trash"])
@pytest.mark.parametrize("location", ["ministack"], indirect=True)
async def test_erasure_with_a_crash_at_any_write_can_be_repeated_or_is_completed_later(
    store: DynamoDBStore, transport: FaultyTransport, location: DynamoDBUrl, clock: Clock, place: str
) -> None:
    crashes, writes, ended = Crashes(transport), 0, False
    while not ended:
        _, people = await merged_people(store, clock)
        if place == "trash":
            await store.trash.add(people[0].person_id, expires_at=clock.now() + timedelta(days=1))
        erase = store.delete if place == "stored" else store.trash.erase
        named = people[writes % 3].person_id
        ended = await crashes.run(writes, erase(named))
        clock.advance(minutes=10)
        is_swept = writes % 2 == 0
        if is_swept:
            await store.expire_history()
        if not await is_erased(location):
            assert not is_swept or await is_kept(store._table, store._home(people[0].person_id)), writes
            with suppress(PersonNotFound):  # the record with this id is gone, but not yet its copies
                await erase(named)
        assert await is_erased(location), writes
        writes += 1
    assert writes > 20


@pytest.mark.parametrize("location", ["ministack"], indirect=True)
@pytest.mark.parametrize("named", [0, 1])
async def test_interrupted_erasure_can_be_repeated_through_a_cache(
    store: DynamoDBStore, transport: FaultyTransport, location: DynamoDBUrl, clock: Clock, named: int
) -> None:
    with running_server() as server:
        async with open_cached(store, server.url, secret=store.secret, ttl=60, local_size=0) as cached:
            _, people = await merged_people(store, clock)
            erased = [each.person_id for each in people]
            pause = Pause()
            transport.fault = at_first("TransactWriteItems", after=pause)
            killed = asyncio.ensure_future(cached.delete(erased[named]))
            await pause.reached.wait()
            killed.cancel()
            await asyncio.wait([killed])
            transport.fault = None
            assert not await is_erased(location)
            await cached.delete(erased[named])
            assert await is_erased(location)
            for person_id in erased:
                with pytest.raises(PersonNotFound):
                    await cached.delete(person_id)
