"""The list of all people by name, and their number: the same on every store."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from peopleinfo.errors import InvalidSearch
from peopleinfo.people import people_list
from peopleinfo.people.index_entries import DEFAULT_PLAN, NO_INDEX, order_of
from peopleinfo.people.people_list import Count, PeopleList
from peopleinfo.people.person import decode_fields
from peopleinfo.people.person_filter import PersonFilter, Search
from peopleinfo.people.trash import Trash
from peopleinfo.stores.dynamodb.factory import open_dynamodb
from peopleinfo.stores.dynamodb.store import DynamoDBStore
from peopleinfo.stores.sqlite.factory import open_sqlite
from tests.search_cases import CASES, person
from tests.store_kinds import ENCRYPTED, ENCRYPTED_TABLE, encryption, make_table, table_location
from tests.stores.test_merges import request
from tests.stores.test_merges import service as merges
from tests.stores.test_search import index_of, reindex_all

if TYPE_CHECKING:
    from pathlib import Path

    from peopleinfo.people.person import PersonData
    from peopleinfo.people.store import Store
    from peopleinfo.stores.service_store import OpenedStore
    from tests.store_kinds import Clock

STORE_KINDS = ["sqlite", ENCRYPTED, "ministack", ENCRYPTED_TABLE]
GIVEN = ["Anna", "Ben", "Ng", "Smith", "Müller", "O", "Zoë", "太郎"]
SURNAMES = [
    "Smith",
    "Smithson",
    "Müller",
    "García López",
    "García",
    "O",
    "O'Brien",
    "Ng",
    "Anna",
    "山田",
    "山",
    "x" * 90,
    "Ægir",
    "2 Pac",
]
CROWD = [data for case in CASES.values() for data in case.people]


def crowd() -> list[PersonData]:
    chance = random.Random(1)
    made = [
        person(chance.choice(GIVEN), chance.choice(SURNAMES), born=f"19{chance.randrange(10, 99)}") for _ in range(120)
    ]
    return [*CROWD, *made]


def list_of(store: Store) -> PeopleList:
    return PeopleList(store, cast("Any", index_of(store)))


async def names(store: Store, limit: int = 1000, **parameters: Any) -> list[str]:
    """Return the order of every listed person, from pages with a limit."""
    found: list[bytes] = []
    after = None
    while True:
        page = await list_of(store).page(PersonFilter(Search(**parameters)), after=after, limit=limit)
        assert len(page.people) <= limit
        found += page.people
        after = page.next
        if after is None:
            break
    assert len({decode_fields(body)["person_id"] for body in found}) == len(found)
    return [_order(body) for body in found]


def _order(body: bytes) -> str:
    fields = decode_fields(body)
    return order_of(person(fields.get("person_name"), fields.get("person_surname")))


async def test_list_has_every_person_once_in_the_order_of_the_names(store: Store) -> None:
    people = crowd()
    await store.create_many(people)
    expected = sorted(map(order_of, people))
    assert await names(store) == expected
    assert await names(store, limit=7) == expected
    for prefix in ("s", "sm", "smiths", "garcía", "山", "o", "xxx", "q"):
        assert await names(store, 5, surname_prefix=prefix) == [
            order for order in expected if order.startswith(PersonFilter(Search(surname=prefix)).surname_key or "")
        ]
    assert await names(store, 3, surname="garcia lopez") == [one for one in expected if one.startswith("garcialopez\t")]
    assert await names(store, surname="x" * 90) == [one for one in expected if one.startswith("x" * 90)]
    old = [order_of(data) for data in people if (data.person_birthdate or "").startswith("195")]
    assert await names(store, 2, born_from="1950", born_to="1959") == sorted(old)
    assert await names(store, surname="Müller", match="exact") == [
        one for one in expected if one.startswith("muller\t")
    ]


async def test_list_has_the_current_names_only(store: Store) -> None:
    anna = await store.create(person("Anna", "Roth"))
    ben = await store.create(person("Ben", "Quast"))
    await store.replace(anna.person_id, person("Anna", "Abel"), expected=1)
    await store.delete(ben.person_id)
    assert await names(store) == ["abel\tanna\tabel"]
    assert await list_of(store).letters() == ["a"]


async def test_letters_are_those_of_the_surnames(store: Store) -> None:
    await store.create_many([person("Zoë", "Ägir"), person("Ben", "Smith"), person("Cher"), person("太郎", "山田")])
    assert await list_of(store).letters() == ["a", "c", "s"]


async def test_count_is_exact_for_few_people(store: Store) -> None:
    assert await count(store) == Count(0, is_exact=True)
    people = crowd()
    ids = await store.create_many(people)
    await store.replace(ids[-1], person("Anna", "Moved"), expected=1)
    await store.delete(ids[-2])
    assert await count(store) == Count(len(people) - 1, is_exact=True)
    assert await count(store, surname_prefix="moved") == await count(store, surname="Moved") == Count(1, is_exact=True)
    assert (await count(store, born_from="1950")).people < len(people)


async def test_deleted_and_merged_people_are_neither_listed_nor_counted(store: OpenedStore, clock: Clock) -> None:
    anna, anne, ben = [
        await store.create(person(name, surname))
        for name, surname in (("Anna", "Roth"), ("Anne", "Rot"), ("Ben", "Zorn"))
    ]
    await merges(store, clock).merge(request(anna, anne), principal="desk")
    await Trash(store.trash, age=timedelta(days=1), now=clock.now).add(ben.person_id, expected=None)
    assert await names(cast("Store", store)) == ["roth\tanna\troth"]
    assert await count(cast("Store", store)) == Count(1, is_exact=True)


async def test_count_with_a_filter_stops_at_its_limit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people_list, "MAX_COUNTED", 4)
    monkeypatch.setattr(people_list, "_COUNT_PAGE", 2)
    await store.create_many([person("Anna", "Roth") for _ in range(6)])
    assert await count(store, surname="roth") == Count(4, is_exact=False)
    assert await count(store, surname="quast") == Count(0, is_exact=True)


async def count(store: Store, **parameters: Any) -> Count:
    return await list_of(store).count(PersonFilter(Search(**parameters)))


async def updated(store: Store, limit: int = 1000, **parameters: Any) -> list[str]:
    """Return the first names, the latest update first."""
    found: list[bytes] = []
    after = None
    while True:
        where = PersonFilter(Search(**parameters))
        page = await list_of(store).page(where, after=after, limit=limit, sort="-updated_at")
        found, after = found + page.people, page.next
        if after is None:
            return [decode_fields(body)["person_name"] for body in found]


async def test_latest_updates_come_first_in_an_unencrypted_file(tmp_path: Path, clock: Clock) -> None:
    async with open_sqlite(tmp_path / "people.db", now=clock.now) as file:
        store = cast("Store", file)
        ids = {}
        for name, surname in (("Anna", "Roth"), ("Ben", "Abel"), ("Cleo", "Rothe")):
            clock.advance(seconds=1)
            ids[name] = (await store.create(person(name, surname, born="1990"))).person_id
        clock.advance(seconds=1)
        await store.replace(ids["Anna"], person("Anna", "Roth", note='"updated_at":"2999"'), expected=1)
        assert await updated(store) == await updated(store, limit=1) == ["Anna", "Cleo", "Ben"]
        assert await updated(store, surname_prefix="rot") == ["Anna", "Cleo"]
        assert await updated(store, 1, born_from="1990") == ["Cleo", "Ben"]
        await store.delete(ids["Cleo"])
        assert await updated(store) == ["Anna", "Ben"]


async def test_index_of_updates_follows_its_setting(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "people.db"
    for plan, reason in (
        (NO_INDEX, "PEOPLEINFO_SEARCH_INDEXES"),
        (DEFAULT_PLAN, "reindex"),
        (NO_INDEX, "add updated_at"),
    ):
        async with open_sqlite(path, now=clock.now, plan=plan) as file:
            store = cast("Store", file)
            await store.create(person("Anna", "Roth"))
            with pytest.raises(InvalidSearch, match=reason):
                await updated(store)
            await reindex_all(store)
            if plan is DEFAULT_PLAN:
                assert await updated(store) == ["Anna", "Anna"]
        with closing(sqlite3.connect(path)) as db:
            (count,) = db.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'people_by_update'").fetchone()
        assert count == (plan is DEFAULT_PLAN)


@pytest.mark.parametrize("kind", ["ministack", "encrypted"])
async def test_latest_updates_are_refused_where_they_are_not_available(tmp_path: Path, clock: Clock, kind: str) -> None:
    if kind == "encrypted":
        async with open_sqlite(tmp_path / "people.db", now=clock.now, encryption=encryption(tmp_path)) as file:
            with pytest.raises(InvalidSearch, match="encrypted"):
                await updated(cast("Store", file))
        return
    location = table_location(kind, tmp_path)
    await make_table(location)
    async with open_dynamodb(location, now=clock.now) as table:
        with pytest.raises(InvalidSearch, match="/v1/changes"):
            await updated(cast("Store", table))


async def test_list_requires_a_complete_index_of_readable_names(tmp_path: Path, clock: Clock) -> None:
    path, location = tmp_path / "people.db", table_location("ministack", tmp_path)
    await make_table(location)
    async with (
        open_sqlite(path, now=clock.now, plan=NO_INDEX) as file,
        open_dynamodb(location, now=clock.now, plan=NO_INDEX) as table,
    ):
        for before in (file, table):
            await before.create(person("Anna", "Roth"))
            with pytest.raises(InvalidSearch, match="index of names"):
                await names(cast("Store", before))
    async with open_sqlite(path, now=clock.now) as file, open_dynamodb(location, now=clock.now) as table:
        for store in (file, table):
            with pytest.raises(InvalidSearch, match="reindex"):
                await names(cast("Store", store))
            await reindex_all(cast("Store", store))
            assert await names(cast("Store", store)) == ["roth\tanna\troth"]
    hidden = encryption(tmp_path, prefixes=False)
    async with open_sqlite(tmp_path / "hashed.db", now=clock.now, encryption=hidden) as hashed:
        with pytest.raises(InvalidSearch, match="index=prefix"):
            await names(cast("Store", hashed))


async def test_list_skips_the_old_entry_of_a_change_in_progress(store: Store) -> None:
    if not isinstance(store, DynamoDBStore):
        return  # a transaction replaces the entries

    async def postpone(_: Any) -> None: ...

    store._entries.finish = postpone  # type: ignore[method-assign, assignment]
    created = await store.create(person("Anna", "Roth"))
    await store.replace(created.person_id, person("Anna", "Abel"), expected=1)
    assert await names(cast("Store", store)) == ["abel\tanna\tabel"]
