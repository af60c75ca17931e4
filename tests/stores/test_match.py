"""Duplicate detection on the records of a store: the same candidates, grades and order on every store."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from peopleinfo.errors import FieldAccessDenied, PersonNotFound
from peopleinfo.matching.blocking_keys import KEY_SIZE, SUB_SIZE
from peopleinfo.matching.match_entries import MatchEntries
from peopleinfo.matching.match_service import MatchOptions, MatchService
from peopleinfo.matching.statistics_refresh import run_counts
from peopleinfo.people.index_entries import DEFAULT_PLAN, IndexPlan
from peopleinfo.people.person import StoredPerson, encode_person, split_record
from peopleinfo.stores.dynamodb.items import bytes_attr
from peopleinfo.stores.sqlite.match_rows import sub_of, sub_text
from tests.search_cases import person
from tests.store_kinds import ENCRYPTED, ENCRYPTED_TABLE, all_items, open_store, scan_all, table_location

if TYPE_CHECKING:
    from pathlib import Path

    from peopleinfo.people.person import PersonData
    from peopleinfo.stores.service_store import OpenedStore
    from tests.store_kinds import Clock

STORE_KINDS = ["sqlite", ENCRYPTED, "ministack", ENCRYPTED_TABLE]

ANNA = person("Anna", "Smyth", born="1980-04-03", address="12 Elm Row, Leeds LS1", email="anna@example.org")
GIVEN = ("Anna", "Ben", "Carla", "Dora", "Emil", "Fay", "Georg", "Hanna")
SURNAMES = ("Smyth", "Meyer", "Rossi", "Novak", "Ito", "Garcia", "Olsen", "Brandt")


def crowd(count: int) -> list[PersonData]:
    """Return people of many households, the same on each call."""
    chosen = random.Random(1)
    return [
        person(
            chosen.choice(GIVEN),
            chosen.choice(SURNAMES),
            born=f"{chosen.randint(1940, 2010)}-{chosen.randint(1, 12):02}-{chosen.randint(1, 28):02}",
            address=f"{chosen.randint(1, 90)} Mill Road, Leeds",
        )
        for _ in range(count)
    ]


def service(store: OpenedStore) -> MatchService:
    return MatchService(
        store.matches,
        store,
        secret=store.secret,
        identifiers=DEFAULT_PLAN.identifiers,
        estimate=store.estimate,
        clock=lambda: 0.0,
    )


async def grades(store: OpenedStore, data: PersonData, **options: Any) -> list[tuple[str, str, float]]:
    found = await service(store).match(data.to_dict(), MatchOptions(**options))
    return [
        (split_record(StoredPerson("", 0, found.people[one.person_id]))[0].person_name or "", one.grade, one.score)
        for one in found.match.candidates
    ]


async def check_entries(store: OpenedStore, store_kind: str, folder: Path) -> None:
    """Check that the index has exactly the match entries of the stored people."""
    people = [split_record(StoredPerson("", 0, body))[0] for body in await scan_all(store)]
    maker = MatchEntries(store.secret)
    expected = sorted(entry for data in people for entry in maker.of(data, DEFAULT_PLAN))
    assert sorted(await stored_entries(store_kind, folder)) == expected


async def stored_entries(store_kind: str, folder: Path) -> list[tuple[bytes, bytes]]:
    """Return key and sub of each match entry in a store."""
    if store_kind in ("sqlite", ENCRYPTED):
        with closing(sqlite3.connect(folder / "people.db")) as db:
            rows = db.execute("SELECT key, names FROM search_entries WHERE key GLOB 'm*'").fetchall()
        return [(sub_of(key[1:]), sub_of(sub)) for key, sub in rows]
    location = table_location(store_kind.removesuffix("+encrypted"), folder)
    keys = [(bytes_attr(item, "pk"), bytes_attr(item, "sk")) for item in await all_items(location, location.table)]
    return [(pk[1:], sk[:SUB_SIZE]) for pk, sk in keys if pk[:1] == b"m" and len(pk) == 1 + KEY_SIZE]


def test_rows_of_entries_sort_as_their_bytes() -> None:
    hashes = [random.Random(seed).randbytes(8) for seed in range(500)]
    assert sorted(hashes) == sorted(hashes, key=sub_text)
    assert [sub_of(sub_text(sub)) for sub in hashes] == hashes


async def test_match_finds_a_person_with_mistakes_in_it(store: OpenedStore) -> None:
    await store.create_many(crowd(300))
    await store.create(ANNA)
    await service(store).count()
    for changes in ({"person_surname": "Smith"}, {"person_birthdate": "1980-03-04"}, {"person_address": None}):
        fields = {name: value for name, value in (ANNA.to_dict() | changes).items() if value is not None}
        found = await service(store).match(fields)
        assert found.match.candidates[0].grade in ("certain", "probable"), changes
        assert found.match.of_people == 301
    swapped = person("Smyth", "Anna", born="1980-04-03", address="12 Elm Row, Leeds LS1")
    assert (await grades(store, swapped))[0][:2] == ("Anna", "probable")


async def test_twins_are_never_certain(store: OpenedStore) -> None:
    await store.create_many(crowd(300))
    await service(store).count()
    await store.create(person("Marina", "Smyth", born="1980-04-03", address="12 Elm Row, Leeds LS1"))
    twin = person("Martina", "Smyth", born="1980-04-03", address="12 Elm Row, Leeds LS1")
    assert [found[:2] for found in await grades(store, twin)] == [("Marina", "probable")]


async def test_entries_follow_each_change(store: OpenedStore, store_kind: str, tmp_path: Path) -> None:
    created = await store.create(ANNA)
    [bulk] = await store.create_many([person("Ben", "Meyer", born="1951-11-25")])
    await check_entries(store, store_kind, tmp_path)
    before = await stored_entries(store_kind, tmp_path)
    await store.replace(created.person_id, msgspec.structs.replace(ANNA, extra=ANNA.extra | {"note": "x"}), expected=1)
    assert await stored_entries(store_kind, tmp_path) == before
    await store.replace(created.person_id, person("Anna", "Rossi", address="7 Mill Road, Leeds LS9"), expected=2)
    await check_entries(store, store_kind, tmp_path)
    assert await grades(store, person(None, born="1980-04-03", email="anna@example.org")) == []
    for version, data in ((4, ANNA), (5, person("Eva", "Ito"))):
        at = "2026-11-24T09:00:00.000Z"
        await store.upsert_many([encode_person("0" * 32, version, data, created_at=at, updated_at=at).body])
        await check_entries(store, store_kind, tmp_path)
    await store.delete(created.person_id)
    await store.delete(bulk)
    await check_entries(store, store_kind, tmp_path)


async def test_hidden_fields_are_no_evidence(store: OpenedStore) -> None:
    await store.create_many(crowd(50))
    await store.create(ANNA)
    await service(store).count()
    hidden = frozenset(("person_birthdate", "*"))
    found = await service(store).match(ANNA.to_dict(), MatchOptions(hidden=hidden))
    assert {item.field for one in found.match.candidates for item in one.evidence} == {
        "person_name",
        "person_surname",
        "person_address",
    }
    assert all(b"person_birthdate" not in body and b"email" not in body for body in found.people.values())
    other = {**ANNA.to_dict(), "person_birthdate": "1951-11-25"}
    assert found == await service(store).match(other, MatchOptions(hidden=hidden))
    with pytest.raises(FieldAccessDenied):
        await service(store).match(
            ANNA.to_dict(), MatchOptions(hidden=frozenset(("person_name", "person_surname", "person_birthdate")))
        )


async def test_stored_person_is_no_duplicate_of_itself(store: OpenedStore) -> None:
    first = await store.create(ANNA)
    assert (await service(store).duplicates(first.person_id)).people == {}
    second = await store.create(ANNA)
    found = await service(store).duplicates(first.person_id)
    assert list(found.people) == [second.person_id]
    assert found.match.examined == 1
    with pytest.raises(PersonNotFound):
        await service(store).duplicates("0" * 32)


async def test_common_birthdate_is_reported_as_not_examined(store: OpenedStore) -> None:
    await store.create_many([person(f"Anna{number}", f"Meyer{number}", born="1900-01-01") for number in range(450)])
    await service(store).count()
    found = await service(store).match({"person_birthdate": "1900-01-01"})
    [rest] = found.match.not_examined
    assert (rest.by, rest.people) == ("person_birthdate", 450)


async def test_people_of_an_earlier_release_are_found_after_a_reindex(
    store_kind: str, tmp_path: Path, clock: Clock
) -> None:
    earlier = IndexPlan(frozenset(("names", "birthdate", "address")), DEFAULT_PLAN.identifiers)
    async with open_store(store_kind, tmp_path, clock, plan=earlier) as store:
        await store.create_many([ANNA, *crowd(20)])
    async with open_store(store_kind, tmp_path, clock) as store:
        found = await service(store).match(ANNA.to_dict())
        assert [one.by for one in found.match.not_examined] == ["index"]
        after: bytes | None = b""
        while after is not None:
            after = (await store.reindex(after=after or None, limit=7)).next
        await service(store).count()
        found = await service(store).match(ANNA.to_dict())
        assert found.match.candidates[0].grade == "certain"
        assert found.match.not_examined == []
        await check_entries(store, store_kind, tmp_path)


async def test_every_store_returns_the_same_grades(store: OpenedStore, tmp_path: Path, clock: Clock) -> None:
    people = crowd(120)
    queries = [*people[:25], ANNA, person("Ana", "Smith", born="1980-04-03")]
    (folder := tmp_path / "reference").mkdir()
    async with open_store("sqlite", folder, clock) as reference:
        found = []
        for each in (reference, store):
            await each.create_many([*people, ANNA])
            await service(each).count()
            found.append([sorted(await grades(each, data, count=50)) for data in queries])
    assert found[0] == found[1]
    assert sum(map(len, found[0])) >= len(queries)


async def test_server_counts_people_when_their_number_has_doubled(store: OpenedStore, clock: Clock) -> None:
    matches = service(store)
    await store.create_many(crowd(30))
    counting = asyncio.create_task(run_counts(matches, store, now=clock.now, start_delay=0, interval=0.01))
    while await matches.is_outdated():
        await asyncio.sleep(0.01)
    counting.cancel()
    assert (await matches.statistics()).people == 30
    await store.create_many(crowd(29))
    assert not await matches.is_outdated()
