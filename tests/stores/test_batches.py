"""Reads and changes of many records: each has its own outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peopleinfo.errors import PersonNotFound, VersionConflict
from peopleinfo.people.person import StoredPerson
from peopleinfo.people.store import Checkpoint, Replacement
from tests.store_kinds import ALL_STORES, find_all, person_data, person_filter

if TYPE_CHECKING:
    from peopleinfo.people.store import Store

STORE_KINDS = ALL_STORES
UNKNOWN = "0" * 32


async def test_records_are_returned_in_the_order_of_their_ids(store: Store) -> None:
    ids = await store.create_many([person_data(f"Batch{number}") for number in range(120)])
    expected = [await store.get(person_id) for person_id in ids[::-1]]
    assert await store.get_many(ids[::-1]) == expected
    assert await store.get_many([UNKNOWN, ids[0], "no id", ids[0]]) == [None, expected[-1], None, expected[-1]]
    assert await store.get_many([]) == []


async def test_record_that_changed_its_surname_is_returned(store: Store) -> None:
    moved = await store.create(person_data("Before"))
    moved = await store.replace(moved.person_id, person_data("After"), expected=1)
    deleted = await store.create(person_data("Deleted"))
    await store.delete(deleted.person_id)
    assert await store.get_many([deleted.person_id, moved.person_id]) == [None, moved]


async def test_each_change_has_its_own_outcome(store: Store) -> None:
    first, outdated, deleted, last = [await store.create(person_data(f"Change{number}")) for number in range(4)]
    current = await store.replace(outdated.person_id, person_data("Changed"), expected=1)
    await store.delete(deleted.person_id)
    for number in range(4):  # a cache then contains the searches and the records
        await find_all(store, person_filter(surname=f"Change{number}"))
    assert await store.get(first.person_id) == first
    assert await find_all(store, person_filter(surname="Batched")) == []
    data = person_data("Batched", "New")
    outcomes = await store.replace_many([Replacement(data, one) for one in (first, outdated, deleted, last)])
    assert [type(outcome) for outcome in outcomes] == [StoredPerson, VersionConflict, PersonNotFound, StoredPerson]
    assert isinstance(outcomes[1], VersionConflict)
    assert outcomes[1].actual == 2
    changed = [outcome for outcome in outcomes if isinstance(outcome, StoredPerson)]
    assert await store.get_many([first.person_id, outdated.person_id, last.person_id]) == [
        changed[0],
        current,
        changed[1],
    ]
    assert [one.version for one in changed] == [2, 2]
    assert await store.get(first.person_id) == changed[0]
    assert sorted(await find_all(store, person_filter(surname="Batched"))) == sorted(one.body for one in changed)
    assert await find_all(store, person_filter(surname="Change0")) == []


async def test_empty_batch_changes_nothing(store: Store) -> None:
    assert await store.replace_many([]) == []


async def test_deleted_checkpoint_is_that_of_an_unknown_operation(store: Store) -> None:
    start, end = Checkpoint(b"d" * 32), Checkpoint(b"d" * 32, rows=1, stored=1, digest=b"d" * 32)
    await store.create_many([person_data("One")], checkpoint=(start, end))
    await store.delete_checkpoint(start)
    assert await store.read_checkpoint(start.operation_id) == end
    await store.delete_checkpoint(end)
    assert await store.read_checkpoint(start.operation_id) == start
    await store.create_many([person_data("One")], checkpoint=(start, end))
    assert len(await find_all(store, person_filter(surname="One"))) == 2
