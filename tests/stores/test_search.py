"""The search for people by the text of a box: the same people in the same order on every store."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

import pytest

from peopleinfo.errors import IdentifierConflict
from peopleinfo.people.index_entries import DEFAULT_PLAN, NO_INDEX, IndexPlan, keys_and_order, name_of
from peopleinfo.people.person import StoredPerson, encode_person, split_record
from peopleinfo.people.similarity import deletion_keys
from peopleinfo.people.text_query import parse
from peopleinfo.people.text_search import PeopleSearch
from peopleinfo.stores.dynamodb.items import ItemKey, bytes_attr
from peopleinfo.stores.dynamodb.search_entries import data_of
from peopleinfo.stores.dynamodb.search_index import home_key
from peopleinfo.stores.dynamodb.search_items import is_entry, is_word
from peopleinfo.stores.dynamodb.store import DynamoDBStore
from peopleinfo.stores.sqlite import entry_rows
from peopleinfo.stores.sqlite.factory import open_sqlite
from tests.search_cases import CASES, OTHERS, person
from tests.store_kinds import ENCRYPTED, ENCRYPTED_TABLE, encryption, open_store, person_filter, purge_all, scan_all

if TYPE_CHECKING:
    from pathlib import Path

    from peopleinfo.people.search_index import SearchIndex
    from peopleinfo.people.store import Store
    from peopleinfo.stores.dynamodb.client import Item
    from peopleinfo.stores.sqlite.store import SqliteStore
    from tests.store_kinds import Clock

STORE_KINDS = ["sqlite", ENCRYPTED, "ministack", ENCRYPTED_TABLE]

CROWD = [data for case in CASES.values() for data in case.people]
TEXTS = list(dict.fromkeys(text for case in CASES.values() for text in case.queries))


def index_of(store: Store) -> SearchIndex:
    return cast("SqliteStore", store).search


async def search(store: Store, text: str, **options: Any) -> list[str]:
    result = await PeopleSearch(index_of(store)).find(parse(text), limit=100, **options)
    return [found.fields.get("person_name", "") for found in result.people]


async def reindex_all(store: Store) -> None:
    after = None
    while True:
        result = await store.reindex(after=after, limit=3)
        after = result.next
        if after is None:
            return


async def check_index(store: Store, path: Path) -> None:
    """Check that the index has exactly the entries and the words of the stored people."""
    if isinstance(store, DynamoDBStore):
        await check_table_index(store)
        return
    people = [split_record(StoredPerson("", 0, body))[0] for body in await scan_all(store)]
    entries = [keys_and_order(data, index_of(store).plan) for data in people]
    expected = sorted((key, order) for keys, order in entries for key in keys)
    words = {name_of(key) for keys, _ in entries for key in keys} - {""}
    with closing(sqlite3.connect(path)) as db:
        assert sorted(db.execute("SELECT key, names FROM search_entries WHERE key NOT GLOB 'm*'")) == expected
        rows = set(db.execute("SELECT key, word FROM search_words"))
        assert rows == {(key, word) for word in words for key in deletion_keys(word)}


async def check_table_index(store: DynamoDBStore) -> None:
    """Check the same for a table."""
    items, last = await store._table.scan(limit=10_000)
    while last is not None:
        more, last = await store._table.scan(limit=10_000, ExclusiveStartKey=last)
        items += more
    layout, expected = store._entries._layout, dict[ItemKey, str]()
    for item in items:
        if "fold" in item and (body := await store._format.body(home_key(item), item)) is not None:
            expected |= layout.rows(data_of(body), store.search.plan, home_key(item))
    entries = {item_key(item) for item in items if is_entry(item)}
    assert entries == set(expected), f"{entries - set(expected)} and not {set(expected) - entries}"
    words = {key for word in expected.values() if word for key in layout.vocabulary(word)}
    stored = {item_key(item) for item in items if is_word(item)}
    assert stored == words, f"{stored - words} and not {words - stored}"


def item_key(item: Item) -> ItemKey:
    """Return the key of an item."""
    return ItemKey(bytes_attr(item, "pk"), bytes_attr(item, "sk"))


@pytest.mark.parametrize("case", list(CASES))
async def test_queries_find_people(store: Store, case: str) -> None:
    for data in [*OTHERS, *CASES[case].people]:
        await store.create(data)
    queries = CASES[case].queries
    assert {text: await search(store, text) for text in queries} == queries


async def test_search_finds_people_of_a_bulk_creation(store: Store) -> None:
    await store.create_many(CASES["typos"].people)
    assert {text: await search(store, text) for text in CASES["typos"].queries} == CASES["typos"].queries


async def test_index_of_large_batches_is_exact(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry_rows, "MAX_RECENT", 5_000)
    path = tmp_path / "people.db"
    async with open_store("sqlite", tmp_path, clock) as store:
        for _ in range(3):
            ids = await store.create_many(CROWD * (1_200 // len(CROWD)))
            await check_index(store, path)
            for person_id in ids[::40]:
                await store.delete(person_id)
            await check_index(store, path)
        found = await PeopleSearch(index_of(store)).find(parse(TEXTS[0]), limit=100)
        assert found.people
    with closing(sqlite3.connect(path)) as db:
        recent, settled = (count(db, table) for table in ("recent_entries", "settled_entries"))
    assert 0 < recent <= 5_000 < settled


def count(db: sqlite3.Connection, table: str) -> int:
    return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


async def test_search_finds_the_current_names_only(store: Store, tmp_path: Path) -> None:
    created = await store.create(person("Anna", "Müller", phone="030 123456", address="12 Elm Row", born="1984-11-05"))
    changed = await store.replace(created.person_id, person("Eva", "Schneider", address="9 Oak Lane"), expected=1)
    for text in ("anna", "mueller", "muler", "030 123456", "elm", "1984"):
        assert await search(store, text) == [], text
    assert await search(store, "schnieder") == await search(store, "oak lane") == ["Eva"]
    await check_index(store, tmp_path / "people.db")
    await store.delete(changed.person_id)
    assert await search(store, "eva") == await search(store, "schnieder") == []
    await check_index(store, tmp_path / "people.db")


async def test_search_finds_records_of_another_store(store: Store, tmp_path: Path) -> None:
    def record(version: int, surname: str) -> bytes:
        data = person("Anna", surname)
        return encode_person(
            "0" * 31 + "a", version, data, created_at="2026-01-01T00:00:00.000Z", updated_at="2026"
        ).body

    await store.upsert_many([record(1, "Müller")])
    assert await search(store, "mueller") == ["Anna"]
    await store.upsert_many([record(2, "Schneider")])
    assert (await search(store, "mueller"), await search(store, "schnieder")) == ([], ["Anna"])
    await check_index(store, tmp_path / "people.db")


async def test_index_matches_the_people_after_random_changes(store: Store, tmp_path: Path) -> None:
    chance = random.Random(4)
    ids: dict[str, int] = {}
    for _ in range(150):
        data = chance.choice(CROWD)
        choice = chance.random()
        if choice < 0.5 or not ids:
            ids[(await store.create(data)).person_id] = 1
        elif choice < 0.75:
            person_id = chance.choice(list(ids))
            ids[person_id] = (await store.replace(person_id, data, expected=ids[person_id])).version
        else:
            person_id = chance.choice(list(ids))
            await store.delete(person_id)
            del ids[person_id]
    await check_index(store, tmp_path / "people.db")


@pytest.mark.parametrize("encrypted", [False, True])
async def test_new_index_finds_every_person_during_and_after_reindex(
    tmp_path: Path, clock: Clock, *, encrypted: bool
) -> None:
    given = encryption(tmp_path) if encrypted else None
    path = tmp_path / "people.db"
    async with open_sqlite(path, now=clock.now, encryption=given, plan=NO_INDEX) as before:
        await before.create_many(CROWD)
        await check_index(before, path)
    async with open_sqlite(path, now=clock.now, encryption=given) as store:
        assert await search(store, "schnieder") == ["Anna"]
        await store.reindex(after=None, limit=20)
        created = await store.create(person("Nora", "Schneider"))
        assert await search(store, "schneider") == ["Anna", "Nora"]
        await reindex_all(store)
        assert store.search.is_complete
        assert await search(store, "schnieder") == ["Anna", "Nora"]
        await store.delete(created.person_id)
        await check_index(store, path)


async def test_identifier_can_be_added_and_removed_by_reindex(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "people.db"
    async with open_sqlite(path, now=clock.now, plan=IndexPlan(identifiers=("email",))) as store:
        await store.create(person("Anna", "Roth", employee_no="E-0042", email="a@example.org"))
        assert await search(store, "E-0042") == []
    async with open_sqlite(path, now=clock.now, plan=IndexPlan(identifiers=("employee_no",))) as store:
        assert await search(store, "E-0042") == ["Anna"]
        await reindex_all(store)
        assert (await search(store, "e0042"), await search(store, "a@example.org")) == (["Anna"], [])
        await check_index(store, path)


async def test_search_by_surname_finds_keys_of_both_fold_versions_during_reindex(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "people.db"
    with monkeypatch.context() as patch:
        patch.setattr("peopleinfo.people.person.fold", str.lower)
        patch.setattr("peopleinfo.stores.sqlite.store.FOLD_VERSION", 1)
        async with open_sqlite(path, now=clock.now, plan=NO_INDEX) as before:
            await before.create(person("Ada", "Garcia Lopez"))
    async with open_sqlite(path, now=clock.now) as store:
        await store.create(person("Bea", "García-López"))

        async def surnames(**parameters: str) -> int:
            page = await store.find(person_filter(**parameters), after=None, limit=10)
            return len(page.people)

        assert await surnames(surname="Garcia Lopez") == 2
        assert await surnames(surname_prefix="Garcia L") == 2
        first = await store.find(person_filter(surname_prefix="Garcia L"), after=None, limit=1)
        second = await store.find(person_filter(surname_prefix="Garcia L"), after=first.next, limit=1)
        assert len({*first.people, *second.people}) == 2
        assert second.next is None
        await reindex_all(store)
        assert await surnames(surname="garcialopez") == await surnames(surname="Garcia Lopez") == 2


@pytest.fixture
async def hashed(tmp_path: Path, clock: Clock) -> Any:
    async with open_sqlite(
        tmp_path / "people.db", now=clock.now, encryption=encryption(tmp_path, prefixes=False)
    ) as store:
        yield store


async def test_index_of_hashes_finds_whole_words_sounds_and_nicknames(hashed: SqliteStore) -> None:
    await hashed.create_many([*OTHERS, *CROWD])
    for text, found in {"Lopez María": ["María"], "Smyth": ["Dan", "J.", "Robert"], "Bob Smith": ["Robert"], "Mueller": ["Eva", "Anna"],
                        "elm row": ["Ida"], "05.11.1984": ["Ida"], "+49 30 1234567": ["Ida"], "ben.roth@example.org": ["Ben"],
                        "山田太郎": ["太郎"], "van der Berg": ["Nia", "Piet"]}.items():  # fmt: skip
        assert set(await search(hashed, text)) == set(found), text


async def test_index_of_hashes_contains_no_word(hashed: SqliteStore, tmp_path: Path) -> None:
    await hashed.create(person("Anna", "Schneider", address="12 Elm Row", email="anna@example.org", born="1984-11-05"))
    data = b"".join(file.read_bytes() for file in tmp_path.glob("people.db*")).lower()
    assert [word for word in (b"anna", b"schneider", b"elm", b"example", b"1984-11") if word in data] == []


async def test_purge_removes_entries_of_people_without_a_key(hashed: SqliteStore, tmp_path: Path) -> None:
    await hashed.create_many([person("Anna", "Roth"), person("Bea", "Quast")])
    with closing(sqlite3.connect(tmp_path / "keys-of-people.db")) as db:
        db.execute("DELETE FROM person_keys WHERE seq = 2")
        db.commit()
    assert await search(hashed, "quast") == []
    await purge_all(cast("Store", hashed))
    with closing(sqlite3.connect(tmp_path / "people.db")) as db:
        assert {seq for (seq,) in db.execute("SELECT seq FROM search_entries")} == {1}
        words = {word for (word,) in db.execute("SELECT word FROM search_words")}
    code = hashed.search._entries.code
    assert code is not None
    assert words == {code("anna"), code("roth")}


def test_default_plan_indexes_mail_and_phone() -> None:
    assert DEFAULT_PLAN.identifiers == ("email", "phone")


async def test_people_of_one_batch_have_different_unique_identifiers(
    store_kind: str, tmp_path: Path, clock: Clock
) -> None:
    plan = IndexPlan(identifiers=("email",), unique=frozenset(["email"]))
    async with open_store(store_kind, tmp_path, clock, plan=plan) as store:
        people = [person("Ida", "Harte", email="ida@example.org"), person("Eve", "Roth", email="IDA@example.org")]
        with pytest.raises(IdentifierConflict):
            await store.create_many(people)
        assert await scan_all(store) == []
        await store.create_many([people[0], person("Eve", "Roth", email="eve@example.org")])
        assert len(await scan_all(store)) == 2
