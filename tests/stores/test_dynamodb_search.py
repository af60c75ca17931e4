"""The search index in a table: crashes, races, lost entries and costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from peopleinfo.errors import IdentifierConflict, PersonNotFound, VersionConflict
from peopleinfo.people.idempotency import IdempotencyKey
from peopleinfo.people.index_entries import NO_INDEX, IndexPlan
from peopleinfo.people.text_query import parse
from peopleinfo.people.text_search import PeopleSearch
from peopleinfo.stores.dynamodb import factory
from peopleinfo.stores.dynamodb.items import bytes_attr
from peopleinfo.stores.dynamodb.search_items import home_of_entry, is_entry, is_word
from peopleinfo.stores.dynamodb.trash_items import is_kept
from peopleinfo.stores.dynamodb.unique_identifiers import IdentifierPending
from tests.search_cases import person
from tests.store_kinds import encryption, make_table, purge_all, raw_bytes, table_location
from tests.stores.test_search import check_table_index, reindex_all, search

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from pathlib import Path

    from aiodynamo.http.types import HttpImplementation, Request, Response

    from peopleinfo.stores.dynamodb.client import Item
    from peopleinfo.stores.dynamodb.store import DynamoDBStore
    from tests.faulty_transport import FaultyTransport
    from tests.store_kinds import Clock

WRITES = {"BatchWriteItem", "PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"}
ANNA = person("Anna", "Müller", address="12 Elm Row", born="1984-11-05", email="anna@example.org")
EVA = person("Eva", "Schneider", address="9 Oak Lane", born="1990-02-11")


class Crash(Exception):
    """The end of the process before a request."""


class Crashes:
    """Ends the process before a write, and counts the writes."""

    def __init__(self, transport: FaultyTransport) -> None:
        self._transport = transport
        self._left = 0

    async def run(self, writes: int, operation: Awaitable[object]) -> bool:
        """Run an operation up to a number of writes; return whether it ended."""
        self._left = writes
        self._transport.fault = self._send
        try:
            await operation
        except Crash:
            return False
        finally:
            self._transport.fault = None
        return True

    async def _send(self, action: str, request: Request, send: HttpImplementation) -> Response:
        if action in WRITES:
            if self._left == 0:
                raise Crash
            self._left -= 1
        return await send(request)


@pytest.fixture(params=["unencrypted", "encrypted"])
async def store(
    request: pytest.FixtureRequest, transport: FaultyTransport, tmp_path: Path, clock: Clock
) -> AsyncIterator[DynamoDBStore]:
    location = table_location("ministack", tmp_path)
    config = encryption(tmp_path, prefixes=False) if request.param == "encrypted" else None
    await make_table(location, encrypted=config is not None)
    async with factory.open_dynamodb(location, now=clock.now, encryption=config) as store:
        yield store


@pytest.fixture
def crashes(transport: FaultyTransport) -> Crashes:
    return Crashes(transport)


async def entries_of(store: DynamoDBStore, person_id: str) -> list[Item]:
    home = store._home(person_id)
    items, _ = await store._table.scan(limit=10_000)
    return [item for item in items if is_entry(item) and home_of_entry(bytes_attr(item, "sk")) == home]


async def clean(store: DynamoDBStore, clock: Clock) -> None:
    """Run what a deployment runs regularly, after every write in progress has ended."""
    clock.advance(minutes=10)
    await store.expire_history()
    await reindex_all(store)


async def test_crash_during_a_creation_leaves_no_hidden_person(
    store: DynamoDBStore, crashes: Crashes, clock: Clock
) -> None:
    writes, ended = 0, False
    while not ended:
        ended = await crashes.run(writes, store.create(ANNA))
        stored = (await store.scan(after=None, limit=100)).people
        for text in ("anna", "Muller", "1984-11-05", "anna@example.org", "elm"):
            assert len(await search(store, text)) == len(stored), (writes, text)
        writes += 1
    await clean(store, clock)
    await check_entries(store)


async def test_crash_during_a_change_leaves_the_person_under_the_current_names(
    store: DynamoDBStore, crashes: Crashes
) -> None:
    writes, ended = 0, False
    while not ended:
        created = await store.create(ANNA)
        ended = await crashes.run(writes, store.replace(created.person_id, EVA, expected=1))
        is_changed = (await store.get(created.person_id)).version > 1
        assert await search(store, "Schneider") == (["Eva"] if is_changed else []), writes
        assert await search(store, "anna") == ([] if is_changed else ["Anna"]), writes
        current = await store.get(created.person_id)
        await store.delete(created.person_id, expected=current.version)
        writes += 1
    assert writes > 3


async def test_crash_during_a_change_leaves_no_entry_of_the_other_version(
    store: DynamoDBStore, crashes: Crashes, clock: Clock
) -> None:
    writes, ended = 0, False
    while not ended:
        created = await store.create(ANNA)
        ended = await crashes.run(writes, store.replace(created.person_id, EVA, expected=1))
        clock.advance(minutes=10)
        await store.expire_history()
        if store.search.is_readable:
            await check_table_index(store)
        await store.delete(created.person_id)
        assert await entries_of(store, created.person_id) == [], writes
        writes += 1
    assert writes > 3


async def test_crash_during_a_creation_leaves_no_word(store: DynamoDBStore, crashes: Crashes, clock: Clock) -> None:
    writes = 0
    while not await crashes.run(writes, store.create(ANNA)):
        await clean(store, clock)
        items, _ = await store._table.scan(limit=10_000)
        assert not store.search.is_readable or [item for item in items if is_word(item)] == []
        writes += 1


async def test_crash_during_a_deletion_leaves_no_entry_of_an_erased_person(
    store: DynamoDBStore, crashes: Crashes, clock: Clock
) -> None:
    writes, ended = 0, False
    while not ended:
        created = await store.create(ANNA)
        ended = await crashes.run(writes, store.delete(created.person_id))
        try:
            await store.get(created.person_id)
        except PersonNotFound:
            assert await search(store, "anna") == []
            await clean(store, clock)
            assert await entries_of(store, created.person_id) == [], writes
            if store.search.is_readable:
                await check_table_index(store)
        else:
            assert await search(store, "Müller") == ["Anna"], writes
            await store.delete(created.person_id)
        writes += 1
    assert writes > 2


async def check_entries(store: DynamoDBStore) -> None:
    """Check that every entry belongs to an existing person."""
    items, _ = await store._table.scan(limit=10_000)
    homes = {home_of_entry(bytes_attr(item, "sk")) for item in items if is_entry(item)}
    assert all([await is_kept(store._table, home) for home in homes])


async def test_refused_change_leaves_no_entry(store: DynamoDBStore) -> None:
    created = await store.create(ANNA)
    stale = await store.get(created.person_id)
    await store.replace(created.person_id, EVA, expected=1)
    with pytest.raises(VersionConflict):
        await store.replace(created.person_id, person("Ida", "Harte"), expected=1, current=stale)
    assert await search(store, "Harte") == []
    assert await search(store, "Schneider") == ["Eva"]
    await check_table_index(store)


async def test_refused_change_keeps_the_entries_that_the_winner_shares(store: DynamoDBStore) -> None:
    created = await store.create(ANNA)
    stale = await store.get(created.person_id)
    await store.replace(created.person_id, EVA, expected=1)
    with pytest.raises(VersionConflict):
        await store.replace(created.person_id, person("Eva", "Schneider", born="1991-01-01"), expected=1, current=stale)
    assert await search(store, "Eva Schneider") == ["Eva"]
    await check_table_index(store)


async def test_late_removal_of_old_entries_keeps_those_of_a_later_change(store: DynamoDBStore) -> None:
    created = await store.create(ANNA)
    finish, late = store._entries.finish, []

    async def postpone(change: Any) -> None:
        late.append(change)

    store._entries.finish = postpone  # type: ignore[method-assign]
    await store.replace(created.person_id, EVA, expected=1)
    await store.replace(created.person_id, ANNA, expected=2)
    for change in late:
        await finish(change)
    assert await search(store, "anna") == ["Anna"]
    await check_table_index(store)


@pytest.mark.parametrize("store", ["encrypted"], indirect=True)
async def test_purge_removes_entries_of_people_without_a_key(store: DynamoDBStore, clock: Clock) -> None:
    created = await store.create(ANNA)
    kept = await store.create(EVA)
    home = store._home(created.person_id)
    await store._table.transact_write(*store._format.delete_key_writes(home), token="0" * 32)
    store._format.evict_key(home)
    clock.advance(minutes=10)
    await purge_all(store)
    assert await entries_of(store, created.person_id) == []
    assert await entries_of(store, kept.person_id) != []


@pytest.mark.parametrize("encrypted", [False, True])
async def test_existing_table_is_indexed_while_it_is_searched(tmp_path: Path, clock: Clock, *, encrypted: bool) -> None:
    location, given = table_location("ministack", tmp_path), encryption(tmp_path) if encrypted else None
    await make_table(location, encrypted=encrypted)
    async with factory.open_dynamodb(location, now=clock.now, encryption=given, plan=NO_INDEX) as before:
        await before.create_many([ANNA, EVA, person("Ida", "Harte")])
        assert await search(before, "Schneider") == []
    async with factory.open_dynamodb(location, now=clock.now, encryption=given) as store:
        assert await search(store, "schnieder") == ["Eva"]
        await store.reindex(after=None, limit=5)
        await store.create(person("Nora", "Schneider"))
        assert sorted(await search(store, "schneider")) == ["Eva", "Nora"]
        await reindex_all(store)
        assert await store.search.read_unindexed(10) == ([], False)
        assert await search(store, "schnieder") == ["Eva", "Nora"]
        await check_table_index(store)


async def test_identifier_can_be_added_and_removed_by_reindex(tmp_path: Path, clock: Clock) -> None:
    location = table_location("ministack", tmp_path)
    await make_table(location)
    async with factory.open_dynamodb(location, now=clock.now, plan=IndexPlan(identifiers=("email",))) as store:
        await store.create(person("Anna", "Roth", employee_no="E-0042", email="a@example.org"))
        assert await search(store, "E-0042") == []
    async with factory.open_dynamodb(location, now=clock.now, plan=IndexPlan(identifiers=("employee_no",))) as store:
        assert await search(store, "E-0042") == ["Anna"]
        await reindex_all(store)
        assert (await search(store, "e0042"), await search(store, "a@example.org")) == (["Anna"], [])
        await check_table_index(store)


@pytest.mark.parametrize("store", ["encrypted"], indirect=True)
async def test_index_of_an_encrypted_table_contains_no_word(store: DynamoDBStore) -> None:
    await store.create(ANNA)
    assert await search(store, "anna") == await search(store, "mueller") == await search(store, "Myller") == ["Anna"]
    items, _ = await store._table.scan(limit=10_000)
    data = raw_bytes(items).lower()
    assert [word for word in (b"anna", b"muller", b"elm", b"example", b"1984-11") if word in data] == []


async def test_search_queries_at_most_forty_keys_in_two_rounds(
    store: DynamoDBStore, transport: FaultyTransport
) -> None:
    await store.create_many([ANNA, EVA])
    queries = 0

    async def count(action: str, request: Request, send: HttpImplementation) -> Response:
        nonlocal queries
        queries += action == "Query"
        return await send(request)

    transport.fault = count
    for text in (
        "anna",
        "Muler Ana",
        "Maria Anna Elizabeth Schneidre Oak Lane 1990",
        "van der Berg Garcia-Lopez 030 123456",
    ):
        queries = 0
        await PeopleSearch(store.search).find(parse(text), limit=10)
        assert 0 < queries <= 40, text


@pytest.fixture(params=["unencrypted", "encrypted"])
async def unique(
    request: pytest.FixtureRequest, transport: FaultyTransport, tmp_path: Path, clock: Clock
) -> AsyncIterator[DynamoDBStore]:
    """A store whose phone numbers are unique."""
    location, given = table_location("ministack", tmp_path), None
    if request.param == "encrypted":
        given = encryption(tmp_path, prefixes=False)
    await make_table(location, encrypted=given is not None)
    plan = IndexPlan(identifiers=("phone",), unique=frozenset(["phone"]))
    async with factory.open_dynamodb(location, now=clock.now, encryption=given, plan=plan) as store:
        yield store


async def test_unique_identifier_belongs_to_one_person(unique: DynamoDBStore) -> None:
    anna = await unique.create(person("Anna", phone="+49 30 1234567"))
    eva = await unique.create(person("Eva", phone="+44 20 1234567"))  # the same key, another number
    with pytest.raises(IdentifierConflict) as refused:
        await unique.create(person("Ida", phone="030 1234567"))
    assert refused.value.person_id == anna.person_id
    with pytest.raises(IdentifierConflict):
        await unique.replace(eva.person_id, person("Eva", phone="0049301234567"), expected=1)
    with pytest.raises(IdentifierConflict):
        await unique.create_many([person("Ben", phone="1"), person("Ida", phone="+49 30 1234567")])
    with pytest.raises(IdentifierConflict):
        await unique.create_many([person("Ben", phone="+1 555 7654321"), person("Ida", phone="+1 555 7654321")])
    await unique.replace(anna.person_id, person("Anna", phone="+49 30 7654321"), expected=1)
    await unique.replace(eva.person_id, person("Eva", phone="0049301234567"), expected=1)
    assert len((await unique.scan(after=None, limit=100)).people) == 2
    await check_table_index(unique)


async def test_repeated_request_returns_the_person_that_the_first_one_created(unique: DynamoDBStore) -> None:
    key = IdempotencyKey(b"k" * 32, b"c" * 32)
    first = await unique.create(person("Anna", phone="+49 30 1234567"), idempotency_key=key)
    assert await unique.create(person("Anna", phone="+49 30 1234567"), idempotency_key=key) == first
    await check_table_index(unique)


async def test_concurrent_requests_store_a_unique_identifier_once(
    unique: DynamoDBStore, crashes: Crashes, clock: Clock
) -> None:
    data = person("Anna", phone="+49 30 1234567")
    assert not await crashes.run(1, unique.create(data))  # its entry is stored, its record may follow
    with pytest.raises(IdentifierPending):
        await unique.create(data)
    clock.advance(minutes=10)
    await unique.create(data)
    with pytest.raises(IdentifierConflict):
        await unique.create(data)
