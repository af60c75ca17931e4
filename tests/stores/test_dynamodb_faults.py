"""Throttling, timeouts and lost responses of DynamoDB: no acknowledged write is lost or repeated."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from aiodynamo.http.types import Request, RequestFailed, Response

from peopleinfo.errors import (
    OutcomeUnknown,
    PersonNotFound,
    StoreConfigurationError,
    StoreUnavailable,
    VersionConflict,
)
from peopleinfo.people.idempotency import IdempotencyKey
from peopleinfo.people.person import split_record
from peopleinfo.people.store import Checkpoint
from peopleinfo.settings.urls import DynamoDBUrl
from peopleinfo.stores.dynamodb import factory
from peopleinfo.stores.dynamodb.client import Timeouts
from peopleinfo.telemetry.metrics import DYNAMODB_ATTEMPTS
from tests.faulty_transport import THROTTLED, FaultyTransport
from tests.store_kinds import (
    GENEROUS_TIMEOUT,
    Clock,
    find_all,
    make_table,
    person_data,
    person_filter,
    scan_all,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiodynamo.http.types import HttpImplementation

    from peopleinfo.people.store import Store
    from peopleinfo.stores.dynamodb.store import DynamoDBStore

WRITES = ("PutItem", "UpdateItem", "TransactWriteItems", "BatchWriteItem")
RACED = Response(
    400,
    b'{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException",'
    b'"CancellationReasons":[{"Code":"TransactionConflict"},{"Code":"None"}]}',
)
FAILED = Response(500, b'{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError"}')


@pytest.fixture
def store(table_store: DynamoDBStore) -> DynamoDBStore:
    return table_store


def random_faults(seed: int) -> Callable[[str, Request, HttpImplementation], Any]:
    """Throttle 30 % of the calls, fail 5 %, and lose the responses of 10 % after executing them."""
    generator = random.Random(seed)

    async def fault(action: str, request: Request, send: HttpImplementation) -> Response:
        number = generator.random()
        if number < 0.30:
            return THROTTLED
        if number < 0.35:
            return FAILED
        response = await send(request)
        if number < 0.42:
            raise RequestFailed(ConnectionResetError())
        if number < 0.45:
            raise TimeoutError
        return response

    return fault


def lose_first_response(action: str) -> Callable[[str, Request, HttpImplementation], Any]:
    """Execute the first call of this action, but lose its response."""
    lost = False

    async def fault(called: str, request: Request, send: HttpImplementation) -> Response:
        nonlocal lost
        response = await send(request)
        if called == action and not lost:
            lost = True
            raise TimeoutError
        return response

    return fault


@pytest.mark.parametrize("master", ["unencrypted", "encrypted"], indirect=True)
async def test_no_acknowledged_write_is_lost_or_repeated_during_throttling_and_lost_responses(
    store: Store, transport: FaultyTransport
) -> None:
    transport.fault = random_faults(7)
    known: dict[str, int] = {}
    unknown: Counter[str] = Counter()
    created = 0

    async def create_and_change(number: int) -> None:
        nonlocal created
        try:
            record = await store.create(person_data("Storm", str(number)))
        except StoreUnavailable:
            unknown["created"] += 1
            return
        created += 1
        known[record.person_id] = 1
        for version in range(1, 5):
            surname = "Storm" if version % 2 else "Calm"
            try:
                record = await store.replace(record.person_id, person_data(surname, str(number)), expected=version)
            except StoreUnavailable:
                unknown[record.person_id] += 1
                return
            known[record.person_id] = record.version

    await asyncio.gather(*(create_and_change(number) for number in range(40)))
    transport.fault = None
    everyone = [msgspec.json.decode(body) for body in await scan_all(store)]
    names = Counter(person["person_name"] for person in everyone)
    assert max(names.values()) == 1, "a record was created twice"
    stored = {person["person_id"]: person["version"] for person in everyone}
    assert known.keys() <= stored.keys(), "an acknowledged record is lost"
    for person_id, version in known.items():
        assert stored[person_id] - version in ((0, 1) if unknown[person_id] else (0,))
    assert created >= 30
    listed = await find_all(store, person_filter(surname="storm")) + await find_all(
        store, person_filter(surname="calm")
    )
    assert sorted(ids_of(listed)) == sorted(stored)


async def test_counter_loses_no_update_during_throttling_and_lost_responses(
    store: Store, transport: FaultyTransport
) -> None:
    created = await store.create(person_data("Counter", n=0))
    transport.fault = random_faults(11)
    done = unknown = 0

    async def add() -> None:
        nonlocal done, unknown
        for _ in range(8):
            try:
                record = await store.get(created.person_id)
                count = int(bytes(split_record(record)[0].extra["n"]))
                await store.replace(created.person_id, person_data("Counter", n=count + 1), expected=record.version)
            except VersionConflict:
                continue
            except OutcomeUnknown:
                unknown += 1
            except StoreUnavailable:
                continue
            else:
                done += 1

    await asyncio.gather(*(add() for _ in range(8)))
    transport.fault = None
    count = int(bytes(split_record(await store.get(created.person_id))[0].extra["n"]))
    assert done <= count <= done + unknown
    assert done > 0


@pytest.mark.parametrize(("action", "outcome"), [("BatchWriteItem", "throttled"), ("TransactWriteItems", "conflict")])
async def test_each_failed_attempt_is_counted_by_its_reason(
    store: Store, transport: FaultyTransport, action: str, outcome: str
) -> None:
    before = Counter(DYNAMODB_ATTEMPTS.values)
    remaining = 2

    async def fault(called: str, request: Request, send: HttpImplementation) -> Response:
        nonlocal remaining
        if called != action or remaining == 0:
            return await send(request)
        remaining -= 1
        if action == "BatchWriteItem":  # responds with 200 and the unprocessed items
            content = msgspec.json.decode(request.body or b"")["RequestItems"]
            return Response(200, msgspec.json.encode({"UnprocessedItems": content}))
        return RACED

    transport.fault = fault
    if action == "BatchWriteItem":
        await store.create_many([person_data("Batch")])
    else:
        await store.create(person_data("Raced"), idempotency_key=IdempotencyKey(b"r" * 32, b"c" * 32))
    counted = Counter(DYNAMODB_ATTEMPTS.values) - before
    assert {labels: count for labels, count in counted.items() if labels[0] == action} == {
        (action, outcome): 2,
        # Batches: the changes with the index entries, the start of the surname key, the keys of the new name, the last of them, the records.
        (action, "ok"): 5 if action == "BatchWriteItem" else 1,
    }


@pytest.mark.parametrize("action", ["PutItem", "TransactWriteItems"])
async def test_creation_with_lost_response_is_acknowledged_and_done_once(
    store: Store, transport: FaultyTransport, action: str
) -> None:
    transport.fault = lose_first_response(action)
    once = IdempotencyKey(b"k" * 32, b"c" * 32) if action == "TransactWriteItems" else None
    created = await store.create(person_data("Lost"), idempotency_key=once)
    assert await find_all(store, person_filter(surname="lost")) == [created.body]


@pytest.mark.parametrize("surname", ["Stays", "Moves"])
async def test_change_with_lost_response_is_acknowledged_and_done_once(
    store: Store, transport: FaultyTransport, surname: str
) -> None:
    created = await store.create(person_data("Stays"))
    transport.fault = lose_first_response("UpdateItem" if surname == "Stays" else "TransactWriteItems")
    changed = await store.replace(created.person_id, person_data(surname, "Now"), expected=1)
    assert changed.version == 2
    assert await store.get(created.person_id) == changed


@pytest.mark.parametrize("deleted", [False, True])
@pytest.mark.parametrize("surname", ["Stays", "Moves"])
async def test_overwritten_change_with_lost_response_has_unknown_outcome(
    store: Store, transport: FaultyTransport, clock: Clock, location: DynamoDBUrl, surname: str, *, deleted: bool
) -> None:
    created = await store.create(person_data("Stays"))

    async def overwrite() -> None:
        async with open_table_store(location, clock) as other:
            if deleted:
                await other.delete(created.person_id)
            else:
                await other.replace(created.person_id, person_data("Other"), expected=2)

    transport.fault = lost_and_overwritten(overwrite)
    with pytest.raises(OutcomeUnknown):
        await store.replace(created.person_id, person_data(surname, "Now"), expected=1)


def lost_and_overwritten(overwrite: Callable[[], Any]) -> Callable[[str, Request, HttpImplementation], Any]:
    """Execute the first change, lose its response, and overwrite the record before the retry.

    The change is sent without its token, because DynamoDB keeps transaction tokens for ten minutes only.
    """
    lost = False

    async def fault(action: str, request: Request, send: HttpImplementation) -> Response:
        nonlocal lost
        if lost or action not in ("UpdateItem", "TransactWriteItems"):
            return await send(request)
        lost = True
        content = msgspec.json.decode(request.body or b"")
        content.pop("ClientRequestToken", None)
        sent = await send(dataclasses.replace(request, body=msgspec.json.encode(content)))
        assert sent.status == 200, sent.body
        await overwrite()
        raise TimeoutError

    return fault


async def test_deletion_with_lost_response_is_acknowledged(store: Store, transport: FaultyTransport) -> None:
    created = await store.create(person_data("Gone"))
    transport.fault = lose_first_response("TransactWriteItems")
    await store.delete(created.person_id, expected=1)
    with pytest.raises(PersonNotFound):
        await store.get(created.person_id)


async def test_bulk_create_stores_each_record_once_during_throttling_and_lost_responses(
    store: Store, transport: FaultyTransport
) -> None:
    transport.fault = random_faults(3)
    start = Checkpoint(b"i" * 32)
    end = Checkpoint(b"i" * 32, rows=300, stored=300, digest=b"d" * 32)
    await store.create_many(
        [person_data(f"Load{number % 5}", str(number)) for number in range(300)], checkpoint=(start, end)
    )
    transport.fault = None
    names = [msgspec.json.decode(body)["person_name"] for body in await scan_all(store, limit=1_000)]
    assert sorted(names, key=int) == [str(number) for number in range(300)]


async def test_repeated_batch_keeps_later_changes_of_its_records(
    store: DynamoDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    three = [person_data("Half", str(number)) for number in range(3)]
    step = (Checkpoint(b"i" * 32), Checkpoint(b"i" * 32, rows=3, stored=3, digest=b"d" * 32))

    async def fail(*_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patched:
        patched.setattr(store._bulk, "commit_checkpoint", fail)
        with pytest.raises(ConnectionError):
            await store.create_many(three, checkpoint=step)
    moves, changes, _ = ids_of(await find_all(store, person_filter(surname="half")))
    moved = await store.replace(moves, person_data("Elsewhere"), expected=1)
    changed = await store.replace(changes, person_data("Half", "Changed"), expected=1)
    assert (await store.create_many(three, checkpoint=step))[:2] == [moves, changes]
    assert [await store.get(moves), await store.get(changes)] == [moved, changed]
    assert len(await scan_all(store)) == 3


async def test_timeout_is_reported_as_unavailable_or_as_unknown_outcome(
    store: DynamoDBStore, transport: FaultyTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = await store.create(person_data("Patient"))
    monkeypatch.setattr(store._table, "timeouts", Timeouts(0.05))

    async def throttle(*_: Any) -> Response:
        return THROTTLED

    transport.fault = throttle
    with pytest.raises(StoreUnavailable) as refused:
        await store.create(person_data("Patient"))
    assert not isinstance(refused.value, OutcomeUnknown)
    assert "throttled" in str(refused.value)

    async def lose_response(action: str, request: Request, send: HttpImplementation) -> Response:
        if action == "BatchWriteItem":  # the announcement of the change
            return Response(200, b"{}")
        response = await send(request)
        if action == "BatchGetItem":  # the names in the vocabulary
            return response
        raise TimeoutError

    transport.fault = lose_response
    with pytest.raises(OutcomeUnknown):
        await store.create(person_data("Patient"))
    with pytest.raises(StoreUnavailable):
        await store.get(created.person_id)


async def test_scan_attempt_has_a_longer_timeout_than_other_attempts(
    store: Store, transport: FaultyTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = await store.create(person_data("Slow"))
    limits: list[float | None] = []
    by_action: dict[str, float | None] = {}
    limited = asyncio.timeout

    def recording(seconds: float | None) -> asyncio.Timeout:
        limits.append(seconds)
        return limited(seconds)

    async def record(action: str, request: Request, send: HttpImplementation) -> Response:
        by_action[action] = limits[-1]
        return await send(request)

    monkeypatch.setattr(asyncio, "timeout", recording)
    transport.fault = record
    assert await scan_all(store) == [created.body]
    await store.get(created.person_id)
    assert by_action == {
        "Scan": pytest.approx(5 * GENEROUS_TIMEOUT, rel=0.01),
        "GetItem": pytest.approx(GENEROUS_TIMEOUT, rel=0.01),
    }


async def test_unreachable_server_prevents_start(transport: FaultyTransport, clock: Clock) -> None:
    with pytest.raises(StoreConfigurationError, match="does not respond"):
        async with open_table_store(DynamoDBUrl("eu-west-1", "People", "http://127.0.0.1:9", timeout=0.05), clock):
            pass


async def test_missing_table_prevents_start_and_error_names_the_command(location: DynamoDBUrl, clock: Clock) -> None:
    with pytest.raises(StoreConfigurationError, match="peopleinfo store create"):
        async with open_table_store(location, clock):
            pass


async def test_table_keeps_the_shard_count_of_its_creation(location: DynamoDBUrl, clock: Clock) -> None:
    spread = replace(location, shards=5)
    await make_table(spread)
    async with open_table_store(spread, clock) as store:
        ids = await store.create_many([person_data("Common", str(number)) for number in range(60)])
        for limit in (1, 7, 100):
            found = await find_all(store, person_filter(surname="common"), limit=limit)
            assert ids_of(found) == ids, "not oldest first"
        moved = await store.replace(ids[3], person_data("Rare"), expected=1)
        assert await find_all(store, person_filter(surname="rare")) == [moved.body]
    async with open_table_store(location, clock) as store:
        assert len(await find_all(store, person_filter(surname="common"))) == 59
    with pytest.raises(StoreConfigurationError, match="5 shards"):
        async with open_table_store(replace(location, shards=2), clock):
            pass


def ids_of(bodies: list[bytes]) -> list[str]:
    return [msgspec.json.decode(body)["person_id"] for body in bodies]


@asynccontextmanager
async def open_table_store(location: DynamoDBUrl, clock: Clock) -> AsyncIterator[Store]:
    async with factory.open_dynamodb(location, now=clock.now) as store:
        yield store
