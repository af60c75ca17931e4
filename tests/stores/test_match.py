"""Duplicate detection on the records of a store: the same candidates, grades and order on every store."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

import pytest

from peopleinfo.errors import FieldAccessDenied, PersonNotFound
from peopleinfo.matching.entries import MatchEntries
from peopleinfo.matching.service import MatchOptions, MatchService
from peopleinfo.people.index_entries import DEFAULT_PLAN, IndexPlan
from peopleinfo.people.person import StoredPerson, encode_person, split_record
from peopleinfo.stores.sqlite.factory import open_sqlite
from peopleinfo.stores.sqlite.match_rows import key_text, sub_of, sub_text
from tests.search_cases import person
from tests.store_kinds import ENCRYPTED, encryption, scan_all

if TYPE_CHECKING:
    from pathlib import Path

    from peopleinfo.people.person import PersonData
    from peopleinfo.stores.service_store import OpenedStore
    from tests.store_kinds import Clock

STORE_KINDS = ["sqlite", ENCRYPTED]

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


async def entries(store: OpenedStore, path: Path) -> None:
    """Check that the index has exactly the match entries of the stored people."""
    people = [split_record(StoredPerson("", 0, body))[0] for body in await scan_all(store)]
    maker = MatchEntries(store.secret)
    expected = sorted((key_text(key), sub_text(sub)) for data in people for key, sub in maker.of(data, DEFAULT_PLAN))
    with closing(sqlite3.connect(path)) as db:
        assert sorted(db.execute("SELECT key, names FROM search_entries WHERE key GLOB 'm*'")) == expected


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


async def test_entries_follow_each_change(store: OpenedStore, tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    created = await store.create(ANNA)
    [bulk] = await store.create_many([person("Ben", "Meyer", born="1951-11-25")])
    await entries(store, path)
    await store.replace(created.person_id, person("Anna", "Rossi", address="7 Mill Road, Leeds LS9"), expected=1)
    await entries(store, path)
    assert await grades(store, person(None, born="1980-04-03", email="anna@example.org")) == []
    copied = encode_person("0" * 32, 4, ANNA, created_at="2026-11-24T09:00:00.000Z", updated_at="2026")
    await store.upsert_many([copied.body])
    later = encode_person("0" * 32, 5, person("Eva", "Ito"), created_at="2026-11-24T09:00:00.000Z", updated_at="2026")
    await store.upsert_many([later.body])
    await entries(store, path)
    await store.delete(created.person_id)
    await store.delete(bulk)
    await entries(store, path)


async def test_change_of_other_fields_writes_no_entry(store: OpenedStore, tmp_path: Path) -> None:
    created = await store.create(ANNA)
    with closing(sqlite3.connect(tmp_path / "people.db")) as db:
        before = db.execute("SELECT * FROM search_entries").fetchall()
        await store.replace(created.person_id, person("Anna", "Smyth", born="1980-04-03", address=ANNA.person_address, email="anna@example.org", note="x"), expected=1)  # fmt: skip
        assert db.execute("SELECT * FROM search_entries").fetchall() == before


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
    given = encryption(tmp_path) if store_kind == ENCRYPTED else None
    path = tmp_path / "earlier.db"
    earlier = IndexPlan(frozenset(("names", "birthdate", "address")), DEFAULT_PLAN.identifiers)
    async with open_sqlite(path, now=clock.now, encryption=given, plan=earlier) as store:
        await store.create_many([ANNA, *crowd(20)])
    async with open_sqlite(path, now=clock.now, encryption=given) as store:
        found = await service(store).match(ANNA.to_dict())
        assert [one.by for one in found.match.not_examined] == ["index"]
        after: bytes | None = b""
        while after is not None:
            after = (await store.reindex(after=after or None, limit=7)).next
        found = await service(store).match(ANNA.to_dict())
        assert found.match.candidates[0].grade == "certain"
        assert found.match.not_examined == []
        await entries(cast("OpenedStore", store), path)
