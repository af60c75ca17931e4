"""Bulk creation of records, and checkpoints of imports."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from peopleinfo.errors import ImportAlreadyRunning
from peopleinfo.people.store import Checkpoint
from tests.store_kinds import ALL_STORES, Clock, find_all, open_store, person_data, person_filter, scan_all

if TYPE_CHECKING:
    from pathlib import Path

    from peopleinfo.people.store import Store

STORE_KINDS = ALL_STORES  # includes the encrypted table, which manages record keys itself

START = Checkpoint(b"i" * 32)
FIRST = Checkpoint(b"i" * 32, rows=3, stored=2, digest=b"1" * 32)
SECOND = Checkpoint(b"i" * 32, rows=5, stored=4, digest=b"2" * 32)
TWO = [person_data("One"), person_data("Two")]


async def test_bulk_create_returns_ids_in_input_order(store: Store) -> None:
    ids = await store.create_many([person_data(surname) for surname in ("Zulu", "Alpha", "Mike")])
    bodies = [(await store.get(person_id)).body for person_id in ids]
    assert [msgspec.json.decode(body)["person_surname"] for body in bodies] == ["Zulu", "Alpha", "Mike"]


async def test_bulk_created_record_equals_a_single_creation(store: Store) -> None:
    (bulk_created,) = await store.create_many([person_data("Equal")])
    created = await store.create(person_data("Equal"))
    assert (await store.get(bulk_created)).body == created.body.replace(
        created.person_id.encode(), bulk_created.encode()
    )


async def test_bulk_created_records_of_a_surname_keep_input_order(store: Store) -> None:
    before = await store.create(person_data("Same"))
    ids = await store.create_many([person_data("Same", str(number)) for number in range(50)])
    after = await store.create(person_data("Same"))
    expected = [before.person_id, *ids, after.person_id]
    found = await find_all(store, person_filter(surname="same"), limit=7)
    assert [msgspec.json.decode(body)["person_id"] for body in found] == expected


async def test_bulk_create_of_no_records_stores_none(store: Store) -> None:
    assert await store.create_many([]) == []
    created = await store.create(person_data("First"))
    assert await scan_all(store) == [created.body]


@pytest.mark.needs("time")
async def test_bulk_create_stores_thousands_of_records(store: Store) -> None:
    ids = await store.create_many([person_data(f"Family{number % 7}") for number in range(10_000)])
    assert len(set(ids)) == 10_000
    assert len(await scan_all(store, limit=1_000)) == 10_000


async def test_unknown_import_has_initial_checkpoint(store: Store) -> None:
    assert await store.read_checkpoint(START.operation_id) == START


async def test_batch_stores_records_and_checkpoint(store: Store) -> None:
    await store.create_many(TWO, checkpoint=(START, FIRST))
    await store.create_many(TWO, checkpoint=(FIRST, SECOND))
    assert await store.read_checkpoint(START.operation_id) == SECOND
    assert len(await scan_all(store)) == 4


async def test_empty_batch_advances_checkpoint(store: Store) -> None:
    assert await store.create_many([], checkpoint=(START, FIRST)) == []
    assert await store.read_checkpoint(START.operation_id) == FIRST


@pytest.mark.parametrize(
    "before", [START, SECOND, msgspec.structs.replace(FIRST, digest=b"x"), msgspec.structs.replace(FIRST, stored=1)]
)
async def test_batch_with_unexpected_checkpoint_stores_nothing(store: Store, before: Checkpoint) -> None:
    await store.create_many(TWO, checkpoint=(START, FIRST))
    with pytest.raises(ImportAlreadyRunning):
        await store.create_many(TWO, checkpoint=(before, SECOND))
    assert await store.read_checkpoint(START.operation_id) == FIRST
    assert len(await scan_all(store)) == 2


async def test_imports_have_separate_checkpoints(store: Store) -> None:
    other = Checkpoint(b"j" * 32)
    await store.create_many(TWO, checkpoint=(START, FIRST))
    await store.create_many(TWO, checkpoint=(other, msgspec.structs.replace(SECOND, operation_id=b"j" * 32)))
    assert await store.read_checkpoint(START.operation_id) == FIRST


async def test_one_of_two_concurrent_runs_of_an_import_advances(
    store_kind: str, store: Store, tmp_path: Path, clock: Clock
) -> None:
    async with open_store(store_kind, tmp_path, clock) as other:
        runs = [side.create_many(TWO, checkpoint=(START, FIRST)) for side in (store, other) for _ in range(5)]
        outcomes = await asyncio.gather(*runs, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ImportAlreadyRunning"] * 9 + ["list"]
    assert len(await scan_all(store)) == 2


async def test_checkpoint_survives_reopening(store_kind: str, tmp_path: Path, clock: Clock) -> None:
    async with open_store(store_kind, tmp_path, clock) as store:
        await store.create_many(TWO, checkpoint=(START, FIRST))
    async with open_store(store_kind, tmp_path, clock) as store:
        assert await store.read_checkpoint(START.operation_id) == FIRST


async def test_overlapping_runs_of_an_import_store_each_record_once(
    store_kind: str, store: Store, tmp_path: Path, clock: Clock
) -> None:
    people = [person_data("Overlap", str(number)) for number in range(60)]
    short = Checkpoint(START.operation_id, rows=20, stored=20, digest=b"1" * 32)
    whole = Checkpoint(START.operation_id, rows=60, stored=60, digest=b"2" * 32)
    async with open_store(store_kind, tmp_path, clock) as other:
        await asyncio.gather(
            store.create_many(people[:20], checkpoint=(START, short)),
            other.create_many(people, checkpoint=(START, whole)),
            return_exceptions=True,
        )
    if await store.read_checkpoint(START.operation_id) == short:
        await store.create_many(people[20:], checkpoint=(short, whole))
    assert await store.read_checkpoint(START.operation_id) == whole
    bodies = await find_all(store, person_filter(surname="overlap"))
    names = [int(msgspec.json.decode(body)["person_name"]) for body in bodies]
    assert names == list(range(60))
