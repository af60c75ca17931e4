"""Upserted records from another store keep their ids, versions and times, and behave like records created here."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from peopleinfo.errors import ImportAlreadyRunning, PersonNotFound, VersionConflict
from peopleinfo.people.person import StoredPerson, decode_header, encode_person, timestamp, utc_now
from peopleinfo.people.store import Checkpoint
from peopleinfo.stores.sqlite.factory import open_sqlite
from tests.store_kinds import ALL_STORES, Clock, find_all, open_store, person_data, person_filter, scan_all

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from peopleinfo.people.store import Store

STORE_KINDS = ALL_STORES  # includes the encrypted table, which manages record keys itself

START = Checkpoint(b"c" * 32)
END = Checkpoint(b"c" * 32, rows=3, stored=2, digest=b"somewhere")


@pytest.fixture
async def source(store: Store, tmp_path: Path, clock: Clock) -> AsyncIterator[Store]:
    """A separate store; its ids are unknown to the store under test."""
    async with open_sqlite(tmp_path / "source.db", now=clock.now) as source:
        yield source


async def replace_surname(source: Store, record: StoredPerson, surname: str) -> StoredPerson:
    return await source.replace(record.person_id, person_data(surname), expected=record.version)


async def test_upserted_record_is_read_and_found_unchanged(source: Store, store: Store) -> None:
    created = await replace_surname(source, await source.create(person_data("Before")), "Curie")
    assert await store.upsert_many([created.body]) == 1
    assert await store.get(created.person_id) == created
    assert await find_all(store, person_filter(surname="curie")) == [created.body]
    assert await find_all(store, person_filter(surname="before")) == []
    assert await scan_all(store) == [created.body]


async def test_upserted_record_can_be_replaced_and_deleted(source: Store, store: Store) -> None:
    created = await source.create(person_data("Upserted"))
    await store.upsert_many([created.body])
    stays = await store.replace(created.person_id, person_data("Upserted", "Ada"), expected=1)
    moves = await store.replace(created.person_id, person_data("Moved"), expected=2, current=stays)
    back = await store.replace(created.person_id, person_data("Upserted"), expected=3)
    assert [record.version for record in (stays, moves, back)] == [2, 3, 4]
    assert json.loads(back.body)["created_at"] == json.loads(created.body)["created_at"]
    assert await store.get(created.person_id) == back
    assert await find_all(store, person_filter(surname="upserted")) == [back.body]
    assert await find_all(store, person_filter(surname="moved")) == []
    with pytest.raises(VersionConflict):
        await store.delete(created.person_id, expected=1)
    await store.delete(created.person_id, expected=4)
    with pytest.raises(PersonNotFound):
        await store.get(created.person_id)
    with pytest.raises(PersonNotFound):
        await store.delete(created.person_id)
    assert await scan_all(store) == []


async def test_upsert_keeps_record_of_same_or_later_version(source: Store, store: Store) -> None:
    first = await source.create(person_data("Version"))
    second = await replace_surname(source, first, "Versions")
    assert await store.upsert_many([second.body]) == 1
    assert await store.upsert_many([first.body, second.body]) == 0
    assert await store.get(first.person_id) == second
    newest = await store.replace(first.person_id, person_data("Here"), expected=2)
    assert await store.upsert_many([second.body]) == 0
    assert await store.get(first.person_id) == newest


async def test_upsert_replaces_earlier_version(source: Store, store: Store) -> None:
    first = await source.create(person_data("Early"))
    same_key = await replace_surname(source, first, "EARLY")
    other_key = await replace_surname(source, same_key, "Later")
    for record in (first, same_key, other_key):
        assert await store.upsert_many([record.body]) == 1
        assert await store.get(first.person_id) == record
    assert await find_all(store, person_filter(surname="early")) == []
    assert await find_all(store, person_filter(surname="later")) == [other_key.body]
    assert await scan_all(store) == [other_key.body]


async def test_upsert_of_several_versions_stores_the_latest(source: Store, store: Store) -> None:
    first = await source.create(person_data("Twice"))
    second = await replace_surname(source, first, "Twice")
    assert await store.upsert_many([first.body, second.body, first.body]) == 1
    assert await store.get(first.person_id) == second


async def test_deleted_record_can_be_upserted_again(source: Store, store: Store) -> None:
    created = await source.create(person_data("Again"))
    for _ in range(2):
        await store.upsert_many([created.body])
        await store.delete(created.person_id)
    assert await store.upsert_many([created.body]) == 1
    assert await store.get(created.person_id) == created


async def test_records_created_here_can_be_upserted_after_deletion(store: Store, clock: Clock) -> None:
    created = [await store.create(person_data("Native", str(number))) for number in range(3)]
    clock.advance(seconds=1)
    later = await store.create(person_data("Native"))
    moved = await store.replace(created[1].person_id, person_data("Elsewhere"), expected=1)
    for record in (created[0], moved):
        await store.delete(record.person_id)
    assert await store.upsert_many([created[0].body, moved.body, created[2].body]) == 2
    found = await find_all(store, person_filter(surname="native"))
    assert sorted(found) == sorted([created[0].body, created[2].body, later.body])
    assert await store.get(created[1].person_id) == moved


async def test_records_of_a_surname_are_sorted_by_creation_time_across_stores(
    source: Store, store: Store, clock: Clock
) -> None:
    old = []
    for number in range(5):
        clock.advance(seconds=1)
        old.append((await source.create(person_data("Age", str(number)))).body)
    clock.advance(seconds=1)
    new = [(await store.create(person_data("Age", f"new {number}"))).body for number in range(2)]
    await store.upsert_many(old[3:])
    await store.upsert_many(old[:3])
    found = await find_all(store, person_filter(surname="age"), limit=2)
    # The DynamoDB store sorts created records by real time; the clock of these tests is in the future.
    assert [body for body in found if body in old] == old
    assert [body for body in found if body in new] == new


async def test_records_created_after_an_upsert_get_ids_of_their_own(source: Store, store: Store, clock: Clock) -> None:
    upserted = [record.body for record in [await source.create(person_data("Mixed")) for _ in range(3)]]
    await store.upsert_many(upserted)
    clock.advance(seconds=1)
    created = [(await store.create(person_data("Mixed"))).body for _ in range(3)]
    clock.advance(seconds=1)
    late = (await source.create(person_data("Mixed"))).body
    await store.upsert_many([late])
    assert sorted(await find_all(store, person_filter(surname="mixed"))) == sorted([*upserted, *created, late])


@pytest.mark.needs("time")
async def test_hundreds_of_records_with_one_surname_and_creation_time_are_stored(source: Store, store: Store) -> None:
    ids = await source.create_many([person_data("Same", str(number)) for number in range(300)])
    bodies = [(await source.get(person_id)).body for person_id in ids]
    assert await store.upsert_many(bodies) == 300
    assert await store.upsert_many(bodies) == 0
    assert sorted(await find_all(store, person_filter(surname="same"))) == sorted(bodies)
    assert [(await store.get(person_id)).body for person_id in ids] == bodies


async def test_concurrent_upserts_store_each_record_once(
    source: Store, store_kind: str, store: Store, tmp_path: Path, clock: Clock
) -> None:
    first = [await source.create(person_data("Race", str(number))) for number in range(20)]
    second = [await replace_surname(source, record, "Raced") for record in first]
    async with open_store(store_kind, tmp_path, clock) as other:
        await asyncio.gather(
            store.upsert_many([record.body for record in first]),
            other.upsert_many([record.body for record in second]),
            store.upsert_many([record.body for record in second]),
        )
    assert sorted(await scan_all(store)) == sorted(record.body for record in second)
    assert len(await find_all(store, person_filter(surname="raced"))) == 20


async def test_upsert_advances_checkpoint_only_from_the_expected_one(source: Store, store: Store) -> None:
    created = await source.create(person_data("Step"))
    await store.upsert_many([created.body], checkpoint=(START, END))
    assert await store.read_checkpoint(START.operation_id) == END
    with pytest.raises(ImportAlreadyRunning):
        await store.upsert_many([(await source.create(person_data("Other"))).body], checkpoint=(START, END))
    assert await scan_all(store) == [created.body]


async def test_upsert_of_no_records_is_accepted(store: Store) -> None:
    assert await store.upsert_many([]) == 0


async def test_id_created_with_real_clock_keeps_its_position_after_upsert(store_kind: str, tmp_path: Path) -> None:
    real = Clock()
    real._moment = utc_now()
    async with open_store(store_kind, tmp_path, real) as store:
        created = [await store.create(person_data("Real", str(number))) for number in range(3)]
        moved = await store.replace(created[1].person_id, person_data("Other"), expected=1, current=created[1])
        for record in created:
            await store.delete(record.person_id)
        assert await store.upsert_many([created[2].body, moved.body, created[0].body]) == 3
        assert await find_all(store, person_filter(surname="real")) == [created[0].body, created[2].body]
        assert await store.get(moved.person_id) == moved
        assert (await store.replace(moved.person_id, person_data("Real"), expected=2, current=moved)).version == 3
        assert len(await find_all(store, person_filter(surname="real"))) == 3


async def test_estimate_is_close_to_number_of_records(store_kind: str, store: Store) -> None:
    await store.create_many([person_data("Counted") for _ in range(5)])
    estimate = await store.estimate()
    assert estimate == 5 or (store_kind.startswith(("ministack", "dynamodb")) and (estimate is None or estimate >= 0))


def _renamed(record: StoredPerson, surname: str, clock: Clock) -> StoredPerson:
    now = timestamp(clock.now())
    return encode_person(record.person_id, record.version + 1, person_data(surname), created_at=now, updated_at=now)


async def test_header_of_stored_record_matches_its_data(store: Store, clock: Clock) -> None:
    created = await store.create(person_data(None, "Björk"))
    assert decode_header(created.body).surname_key == person_data(None, "Björk").surname_key
    assert decode_header(_renamed(created, "Straße", clock).body).surname_key == "strasse"
