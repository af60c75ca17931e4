"""Concurrent operations: no write is lost, and one change of each version succeeds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from peopleinfo.errors import PersonNotFound, VersionConflict
from peopleinfo.people.person import StoredPerson
from tests.store_kinds import Clock, find_all, open_store, person_data, person_filter, scan_all

if TYPE_CHECKING:
    from pathlib import Path

    from peopleinfo.people.service import PeopleService
    from peopleinfo.people.store import Store

MANY = 50


async def test_concurrent_creations_of_one_surname_are_all_stored(
    store_kind: str, store: Store, tmp_path: Path, clock: Clock
) -> None:
    async with open_store(store_kind, tmp_path, clock) as other:
        racing = [side.create(person_data("Crowd", str(n))) for n in range(MANY) for side in (store, other)]
        created = await asyncio.gather(*racing)
    assert sorted(await find_all(store, person_filter(surname="crowd"))) == sorted(record.body for record in created)


async def test_one_of_many_concurrent_changes_of_a_version_succeeds(
    store_kind: str, store: Store, tmp_path: Path, clock: Clock
) -> None:
    created = await store.create(person_data("Prize"))
    async with open_store(store_kind, tmp_path, clock) as other:
        racing = [
            side.replace(created.person_id, person_data("Prize", str(n)), expected=1)
            for n in range(MANY)
            for side in (store, other)
        ]
        outcomes = await asyncio.gather(*racing, return_exceptions=True)
    (winner,) = (outcome for outcome in outcomes if isinstance(outcome, StoredPerson))
    conflicts = [outcome for outcome in outcomes if isinstance(outcome, VersionConflict)]
    assert len(conflicts) == 2 * MANY - 1
    assert {conflict.actual for conflict in conflicts} == {2}
    assert await store.get(created.person_id) == winner
    assert await find_all(store, person_filter(surname="prize")) == [winner.body]


async def test_concurrent_change_and_deletion_of_a_version_do_not_both_succeed(store: Store) -> None:
    for _ in range(20):
        created = await store.create(person_data("Duel"))
        changed, deleted = await asyncio.gather(
            store.replace(created.person_id, person_data("Duel"), expected=1),
            store.delete(created.person_id, expected=1),
            return_exceptions=True,
        )
        if isinstance(changed, StoredPerson):
            assert isinstance(deleted, VersionConflict)
            assert await store.get(created.person_id) == changed
        else:
            assert isinstance(changed, PersonNotFound)
            assert deleted is None


async def test_concurrent_deletions_delete_a_person_once(store: Store) -> None:
    created = await store.create(person_data("Once"))
    outcomes = await asyncio.gather(*(store.delete(created.person_id) for _ in range(MANY)), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType"] + ["PersonNotFound"] * (MANY - 1)


async def test_concurrent_patches_of_different_fields_are_all_applied(people: PeopleService) -> None:
    created = await people.create({"person_surname": "Sum"})
    await asyncio.gather(*(people.patch(created.person_id, {f"m{n}": str(n)}) for n in range(10)))
    record = await people.get(created.person_id)
    assert record.version == 11
    assert all(f'"m{n}":"{n}"'.encode() in record.body for n in range(10))


async def test_search_sees_earlier_acknowledged_writes_during_other_writes(store: Store) -> None:
    async def write_and_search(number: int) -> None:
        surname = f"Own{number}"
        created = await store.create(person_data(surname))
        assert await find_all(store, person_filter(surname=surname)) == [created.body]
        changed = await store.replace(created.person_id, person_data(surname, "Changed"), expected=1)
        assert await store.get(created.person_id) == changed
        assert await find_all(store, person_filter(surname=surname, name="changed")) == [changed.body]
        await store.delete(created.person_id)
        assert await find_all(store, person_filter(surname=surname)) == []

    await asyncio.gather(*(write_and_search(number) for number in range(MANY)))
    assert await scan_all(store) == []


async def test_cancelled_call_does_not_affect_concurrent_calls(store: Store) -> None:
    tasks = [asyncio.ensure_future(store.create(person_data("Beside", str(number)))) for number in range(MANY)]
    await asyncio.sleep(0)  # all calls have started
    for task in tasks[::2]:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    created = [outcome for outcome in outcomes if isinstance(outcome, StoredPerson)]
    assert len(created) >= MANY // 2
    assert {record.body for record in created} <= set(await find_all(store, person_filter(surname="beside")))


async def test_cancelled_search_does_not_affect_the_next_one(store: Store) -> None:
    await store.create_many([person_data("Long", "Name") for _ in range(500)])
    cancelled = asyncio.ensure_future(store.find(person_filter(surname="long", name="name"), after=None, limit=500))
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert len(await find_all(store, person_filter(surname="long", name="name"), limit=500)) == 500
