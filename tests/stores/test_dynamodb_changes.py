"""The feed and the history on DynamoDB with interrupted and late writes, slow announcements and clocks that differ."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from peopleinfo.errors import PersonNotFound
from peopleinfo.people.history import Operation
from peopleinfo.stores.dynamodb import factory
from tests.store_kinds import Clock, all_items, make_table, person_data, raw_bytes, table_location
from tests.stores.test_changes import changes_since, current_position, without_times
from tests.stores.test_link_erasure import link_between

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from aiodynamo.http.types import HttpImplementation, Request, Response

    from peopleinfo.settings.urls import DynamoDBUrl
    from peopleinfo.stores.dynamodb.store import DynamoDBStore
    from tests.faulty_transport import FaultyTransport

UPDATED = Operation.UPDATED
CANARY = "canary-value"


@pytest.fixture
def location(tmp_path: Path) -> DynamoDBUrl:
    return table_location("ministack", tmp_path)


@pytest.fixture
def store(table_store: DynamoDBStore) -> DynamoDBStore:
    return table_store


def at_first(
    action: str, before: Callable[[], Awaitable[None]] | None = None, after: Callable[[], Awaitable[None]] | None = None
) -> Callable[[str, Request, HttpImplementation], Any]:
    """Return a fault that awaits `before` and `after` around the first request with an action."""
    pending = [True]

    async def fault(requested: str, request: Request, send: HttpImplementation) -> Response:
        is_first = requested == action and bool(pending)
        if is_first:
            pending.clear()
        if is_first and before:
            await before()
        response = await send(request)
        if is_first and after:
            await after()
        return response

    return fault


class Pause:
    """A point at which a write stops until `release`."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.released = asyncio.Event()

    async def __call__(self) -> None:
        self.reached.set()
        await self.released.wait()


@pytest.mark.parametrize("is_applied", [False, True])
async def test_interrupted_change_is_in_the_feed_exactly_if_it_was_applied(
    store: DynamoDBStore, transport: FaultyTransport, clock: Clock, is_applied: bool
) -> None:
    created = await store.create(person_data("Kill"))
    start = await current_position(store, clock)
    pause = Pause()
    transport.fault = at_first("UpdateItem", **({"after": pause} if is_applied else {"before": pause}))
    killed = asyncio.ensure_future(store.replace(created.person_id, person_data("Kill", "2"), expected=1))
    await pause.reached.wait()
    killed.cancel()
    await asyncio.wait([killed])
    transport.fault = None
    found = without_times(await changes_since(store, clock, start))
    assert found == ([(created.person_id, 2, UPDATED)] if is_applied else [])
    current = await store.get(created.person_id)
    page = await store.read_versions(created.person_id, after=0, limit=10)
    assert [version.version for version in page.versions] == list(range(1, current.version + 1))


async def test_interrupted_creation_leaves_no_person(
    store: DynamoDBStore, transport: FaultyTransport, clock: Clock
) -> None:
    start = await current_position(store, clock)
    pause = Pause()
    transport.fault = at_first("PutItem", before=pause)
    killed = asyncio.ensure_future(store.create(person_data("Kill")))
    await pause.reached.wait()
    killed.cancel()
    await asyncio.wait([killed])
    transport.fault = None
    for person_id, _, operation in without_times(await changes_since(store, clock, start)):
        assert operation is Operation.CREATED  # repeated at most, and the consumer finds no person
        with pytest.raises(PersonNotFound):
            await store.get(person_id)


async def test_change_that_is_applied_late_is_announced_again(
    store: DynamoDBStore, transport: FaultyTransport, clock: Clock
) -> None:
    created = await store.create(person_data("Late"))
    start = await current_position(store, clock)
    pause = Pause()
    transport.fault = at_first("UpdateItem", before=pause)
    late = asyncio.ensure_future(store.replace(created.person_id, person_data("Late", "2"), expected=1))
    await pause.reached.wait()
    assert await changes_since(store, clock, start) == []
    passed = await current_position(store, clock)
    pause.released.set()
    await late
    assert without_times(await changes_since(store, clock, passed)) == [(created.person_id, 2, UPDATED)]


async def test_slow_announcement_is_repeated_before_the_write(
    store: DynamoDBStore, transport: FaultyTransport, clock: Clock
) -> None:
    created = await store.create(person_data("Slow"))
    positions: list[bytes] = []

    async def read_meanwhile() -> None:
        positions.append(await current_position(store, clock))

    transport.fault = at_first("BatchWriteItem", before=read_meanwhile)
    await store.replace(created.person_id, person_data("Slow", "2"), expected=1)
    (passed,) = positions
    assert without_times(await changes_since(store, clock, passed)) == [(created.person_id, 2, UPDATED)]


async def test_changes_of_a_person_are_in_order_although_clocks_differ(
    transport: FaultyTransport, location: DynamoDBUrl, clock: Clock
) -> None:
    await make_table(location)
    clocks = [Clock(), clock, Clock()]
    clocks[0].advance(seconds=-3)
    clocks[2].advance(seconds=3)
    async with (
        factory.open_dynamodb(location, now=clocks[0].now) as slow,
        factory.open_dynamodb(location, now=clock.now) as reader,
        factory.open_dynamodb(location, now=clocks[2].now) as fast,
    ):
        start = await current_position(reader, clock)
        for other in (clocks[0], clocks[2]):
            other.advance(seconds=10)
        record = await fast.create(person_data("Skewed"))
        for number in range(10):
            writer = (slow, reader, fast)[number % 3]
            record = await writer.replace(
                record.person_id, person_data("Skewed", f"Name{number}"), expected=record.version
            )
        found, position = [], start
        for _ in range(80):  # a reader that reads four times a second
            clock.advance(milliseconds=250)
            page = await reader.read_changes(since=position, limit=3)
            found += page.changes
            position = page.next
    assert [change.version for change in found] == list(range(1, 12))


async def test_change_during_a_deletion_leaves_no_version(
    store: DynamoDBStore, transport: FaultyTransport, location: DynamoDBUrl
) -> None:
    record = await store.create(person_data("Gone", note=f"first {CANARY}"))
    record = await store.replace(record.person_id, person_data("Gone", note=f"second {CANARY}"), expected=1)
    pause = Pause()
    transport.fault = at_first("BatchWriteItem", before=pause)
    changing = asyncio.ensure_future(store.replace(record.person_id, person_data("Gone", note=CANARY), expected=2))
    await pause.reached.wait()
    await store.delete(record.person_id)
    pause.released.set()
    with pytest.raises(PersonNotFound):
        await changing
    assert CANARY.encode() not in raw_bytes(await all_items(location, location.table))


async def test_interrupted_deletion_erases_the_versions_later(
    store: DynamoDBStore, transport: FaultyTransport, location: DynamoDBUrl, clock: Clock
) -> None:
    record = await store.create(person_data("Gone", note=f"first {CANARY}"))
    for version in (1, 2):
        data = person_data("Gone", note=f"{version} {CANARY}")
        record = await store.replace(record.person_id, data, expected=version)
    assert await store.matches.links.put(link_between(record.person_id, "f" * 32))
    pause = Pause()
    transport.fault = at_first("TransactWriteItems", after=pause)
    killed = asyncio.ensure_future(store.delete(record.person_id))
    await pause.reached.wait()
    killed.cancel()
    await asyncio.wait([killed])
    transport.fault = None
    with pytest.raises(PersonNotFound):
        await store.get(record.person_id)
    clock.advance(minutes=10)
    assert not await store.expire_history()
    assert CANARY.encode() not in raw_bytes(await all_items(location, location.table))
    assert await store.matches.links.of_person(record.person_id) == []
