"""Optimistic locking: changes and deletions must name the current version."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from peopleinfo.errors import PersonNotFound, VersionConflict
from tests.store_kinds import Clock, find_all, person_data, person_filter

if TYPE_CHECKING:
    from peopleinfo.people.store import Store


async def test_each_change_increments_the_version(store: Store) -> None:
    record = await store.create(person_data("Step"))
    for version in range(1, 5):
        assert record.version == json.loads(record.body)["version"] == version
        record = await store.replace(record.person_id, person_data("Step", str(version)), expected=version)


async def test_change_keeps_creation_time_and_sets_update_time(store: Store, clock: Clock) -> None:
    created = await store.create(person_data("Time"))
    clock.advance(milliseconds=1_500)
    body = json.loads((await store.replace(created.person_id, person_data("Time"), expected=1)).body)
    assert (body["created_at"], body["updated_at"]) == ("2126-03-01T12:00:00.000Z", "2126-03-01T12:00:01.500Z")


async def test_change_replaces_all_fields(store: Store) -> None:
    created = await store.create(person_data("Old", "Name", "1990", note="left out of the next version"))
    await store.replace(created.person_id, person_data("New"), expected=1)
    body = json.loads((await store.get(created.person_id)).body)
    assert body.keys() == {"person_id", "person_surname", "version", "created_at", "updated_at"}


@pytest.mark.parametrize("expected", [0, 1, 3, -1, 2**63, 2**200])
async def test_change_of_another_version_is_rejected(store: Store, expected: int) -> None:
    created = await store.create(person_data("Firm"))
    current = await store.replace(created.person_id, person_data("Firm", "Second"), expected=1)
    with pytest.raises(VersionConflict) as conflict:
        await store.replace(created.person_id, person_data("Soft"), expected=expected)
    assert (conflict.value.person_id, conflict.value.actual) == (created.person_id, 2)
    assert await store.get(created.person_id) == current
    assert await find_all(store, person_filter(surname="firm")) == [current.body]


@pytest.mark.parametrize("expected", [0, 1, 3, 2**63])
async def test_deletion_of_another_version_is_rejected(store: Store, expected: int) -> None:
    created = await store.create(person_data("Firm"))
    current = await store.replace(created.person_id, person_data("Firm"), expected=1)
    with pytest.raises(VersionConflict) as conflict:
        await store.delete(created.person_id, expected=expected)
    assert conflict.value.actual == 2
    assert await store.get(created.person_id) == current


async def test_deletion_of_the_current_version_succeeds(store: Store) -> None:
    created = await store.create(person_data("Brief"))
    await store.delete(created.person_id, expected=1)
    with pytest.raises(PersonNotFound):
        await store.get(created.person_id)


async def test_deletion_without_a_version_succeeds(store: Store) -> None:
    created = await store.create(person_data("Brief"))
    await store.replace(created.person_id, person_data("Brief"), expected=1)
    await store.delete(created.person_id)
    with pytest.raises(PersonNotFound):
        await store.get(created.person_id)


async def test_deleted_record_cannot_be_changed(store: Store) -> None:
    created = await store.create(person_data("Gone"))
    await store.delete(created.person_id)
    with pytest.raises(PersonNotFound):
        await store.replace(created.person_id, person_data("Back"), expected=1)
    assert await find_all(store, person_filter(surname="back")) == []
