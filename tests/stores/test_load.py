"""Many people are stored at once, and an import goes on where it stopped."""

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

STORE_KINDS = ALL_STORES  # persons' keys come and go here, in a table of their own

START = Checkpoint(b"i" * 32)
FIRST = Checkpoint(b"i" * 32, rows=3, stored=2, digest=b"1" * 32)
SECOND = Checkpoint(b"i" * 32, rows=5, stored=4, digest=b"2" * 32)
TWO = [person_data("One"), person_data("Two")]


async def test_a_load_returns_the_ids_in_the_order_of_the_people(store: Store) -> None:
    ids = await store.create_many([person_data(surname) for surname in ("Zulu", "Alpha", "Mike")])
    bodies = [(await store.get(person_id)).body for person_id in ids]
    assert [msgspec.json.decode(body)["person_surname"] for body in bodies] == ["Zulu", "Alpha", "Mike"]


async def test_a_loaded_person_is_like_one_that_was_created(store: Store) -> None:
    (loaded,) = await store.create_many([person_data("Equal")])
    made = await store.create(person_data("Equal"))
    assert (await store.get(loaded)).body == made.body.replace(made.person_id.encode(), loaded.encode())


async def test_the_loaded_people_of_a_surname_come_in_the_order_of_the_load(store: Store) -> None:
    before = await store.create(person_data("Same"))
    ids = await store.create_many([person_data("Same", str(number)) for number in range(50)])
    after = await store.create(person_data("Same"))
    expected = [before.person_id, *ids, after.person_id]
    found = await find_all(store, person_filter(surname="same"), limit=7)
    assert [msgspec.json.decode(body)["person_id"] for body in found] == expected


async def test_loading_nobody_stores_nobody(store: Store) -> None:
    assert await store.create_many([]) == []
    made = await store.create(person_data("First"))
    assert await scan_all(store) == [made.body]


@pytest.mark.needs("time")
async def test_thousands_are_loaded_at_once(store: Store) -> None:
    ids = await store.create_many([person_data(f"Family{number % 7}") for number in range(10_000)])
    assert len(set(ids)) == 10_000
    assert len(await scan_all(store, limit=1_000)) == 10_000


async def test_an_import_that_is_not_known_is_at_its_beginning(store: Store) -> None:
    assert await store.progress(START.import_id) == START


async def test_a_step_stores_the_people_and_the_progress(store: Store) -> None:
    await store.create_many(TWO, checkpoint=(START, FIRST))
    await store.create_many(TWO, checkpoint=(FIRST, SECOND))
    assert await store.progress(START.import_id) == SECOND
    assert len(await scan_all(store)) == 4


async def test_a_step_may_store_nobody_and_yet_get_further(store: Store) -> None:
    assert await store.create_many([], checkpoint=(START, FIRST)) == []
    assert await store.progress(START.import_id) == FIRST


@pytest.mark.parametrize(
    "begin", [START, SECOND, msgspec.structs.replace(FIRST, digest=b"x"), msgspec.structs.replace(FIRST, stored=1)]
)
async def test_a_step_from_where_the_import_is_not_stores_neither_people_nor_progress(
    store: Store, begin: Checkpoint
) -> None:
    await store.create_many(TWO, checkpoint=(START, FIRST))
    with pytest.raises(ImportAlreadyRunning):
        await store.create_many(TWO, checkpoint=(begin, SECOND))
    assert await store.progress(START.import_id) == FIRST
    assert len(await scan_all(store)) == 2


async def test_imports_do_not_touch_one_another(store: Store) -> None:
    other = Checkpoint(b"j" * 32)
    await store.create_many(TWO, checkpoint=(START, FIRST))
    await store.create_many(TWO, checkpoint=(other, msgspec.structs.replace(SECOND, import_id=b"j" * 32)))
    assert await store.progress(START.import_id) == FIRST


async def test_of_two_runs_of_one_import_only_one_takes_a_step(
    store_kind: str, store: Store, tmp_path: Path, clock: Clock
) -> None:
    async with open_store(store_kind, tmp_path, clock) as other:
        runs = [side.create_many(TWO, checkpoint=(START, FIRST)) for side in (store, other) for _ in range(5)]
        outcomes = await asyncio.gather(*runs, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ImportAlreadyRunning"] * 9 + ["list"]
    assert len(await scan_all(store)) == 2


async def test_progress_is_there_when_the_store_is_opened_again(store_kind: str, tmp_path: Path, clock: Clock) -> None:
    async with open_store(store_kind, tmp_path, clock) as store:
        await store.create_many(TWO, checkpoint=(START, FIRST))
    async with open_store(store_kind, tmp_path, clock) as store:
        assert await store.progress(START.import_id) == FIRST


async def test_runs_of_one_import_that_overlap_in_steps_of_different_length_store_nobody_twice(
    store_kind: str, store: Store, tmp_path: Path, clock: Clock
) -> None:
    people = [person_data("Overlap", str(number)) for number in range(60)]
    short = Checkpoint(START.import_id, rows=20, stored=20, digest=b"1" * 32)
    whole = Checkpoint(START.import_id, rows=60, stored=60, digest=b"2" * 32)
    async with open_store(store_kind, tmp_path, clock) as other:
        await asyncio.gather(
            store.create_many(people[:20], checkpoint=(START, short)),
            other.create_many(people, checkpoint=(START, whole)),
            return_exceptions=True,
        )
    if await store.progress(START.import_id) == short:
        await store.create_many(people[20:], checkpoint=(short, whole))
    assert await store.progress(START.import_id) == whole
    bodies = await find_all(store, person_filter(surname="overlap"))
    names = [int(msgspec.json.decode(body)["person_name"]) for body in bodies]
    assert names == list(range(60))
