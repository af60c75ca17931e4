"""Whichever request to DynamoDB fails, a failed change writes nothing and a repeated import stores each row once."""

from __future__ import annotations

import itertools
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from aiodynamo.http.types import RequestFailed, Response

from peopleinfo.auth.api_keys import create_key, rotate
from peopleinfo.auth.principal import Scope
from peopleinfo.bulk.copy import StoreCopy
from peopleinfo.bulk.importer import Importer, ImportTarget
from peopleinfo.bulk.rows import Row
from peopleinfo.errors import OutcomeUnknown, PeopleInfoError, StoreConfigurationError
from peopleinfo.people.idempotency import IdempotencyKey
from peopleinfo.stores.dynamodb import bulk_write, client, factory
from peopleinfo.stores.sqlite.factory import open_sqlite
from tests import dynamodb_servers
from tests.faulty_transport import THROTTLED, FaultyTransport
from tests.store_kinds import ENCRYPTED_TABLE, Clock, encryption, make_table, person_data, scan_all, table_location

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from aiodynamo.http.types import HttpImplementation, Request

    from peopleinfo.stores.dynamodb.store import DynamoDBStore
    from peopleinfo.stores.service_store import OpenedStore

KINDS = ["ministack", ENCRYPTED_TABLE]
FAILURES = ["not sent", "response lost", "throttled", "rejected"]
each_failure = pytest.mark.parametrize("failure", FAILURES)


class Nth:
    """Makes request `number`, counted from 0, fail; forwards all others."""

    def __init__(self, number: int, failure: str) -> None:
        self._number = number
        self._failure = failure
        self.passed = 0

    @property
    def was_reached(self) -> bool:
        """Whether the request occurred."""
        return self.passed > self._number

    async def __call__(self, _: str, request: Request, send: HttpImplementation) -> Response:
        self.passed += 1
        if self.passed != self._number + 1:
            return await send(request)
        if self._failure == "throttled":
            return THROTTLED
        if self._failure == "rejected":
            raise StoreConfigurationError("rejected by the test")
        if self._failure == "response lost":
            await send(request)
        raise RequestFailed(ConnectionResetError())


@pytest.fixture
def transport(monkeypatch: pytest.MonkeyPatch) -> FaultyTransport:
    """A transport without retries, so that each failure is visible."""
    transport = FaultyTransport()
    monkeypatch.setattr(factory, "open_http", transport.open)
    monkeypatch.setattr(client, "_delays", lambda: itertools.repeat(1e9))
    monkeypatch.setattr(bulk_write, "MAX_BATCH_WRITE", 1)
    return transport


@pytest.fixture(params=KINDS)
async def store(
    request: pytest.FixtureRequest, transport: FaultyTransport, tmp_path: Path, clock: Clock
) -> AsyncIterator[DynamoDBStore]:
    kind = str(request.param).removesuffix("+encrypted")
    if problem := dynamodb_servers.missing_requirement(kind):
        pytest.skip(f"{kind} {problem}")
    config = encryption(tmp_path) if kind != request.param else None
    location = table_location(kind, tmp_path)
    await make_table(location, encrypted=config is not None)
    async with factory.open_dynamodb(location, now=clock.now, encryption=config) as store:
        yield store


async def stored_names(store: OpenedStore) -> list[str]:
    return sorted(msgspec.json.decode(body)["person_name"] for body in await scan_all(store))


def expected_names(name: str) -> list[str]:
    return [f"{name}-{line}" for line in range(4)]


async def import_file(store: OpenedStore, clock: Clock, name: str) -> None:
    """Import four rows in two batches, with an import id of their own."""
    rows = [Row(line, {"person_surname": "Imported", "person_name": f"{name}-{line}"}, b"") for line in range(4)]
    import_ = Importer(ImportTarget(store, store.secret, clock.now), name.encode().ljust(32, b"."))
    await import_.import_rows(rows[:2])
    await import_.import_rows(rows[2:])
    await import_.finish()


@each_failure
@pytest.mark.parametrize("store", [*KINDS, "dynamodb-local"], indirect=True)
async def test_repeated_import_stores_each_row_once_after_any_failed_request(
    store: DynamoDBStore, transport: FaultyTransport, clock: Clock, failure: str
) -> None:
    expected: list[str] = []
    for number in itertools.count():
        transport.fault = fault = Nth(number, failure)
        with suppress(PeopleInfoError):
            await import_file(store, clock, f"{number:03}")
        transport.fault = None
        await import_file(store, clock, f"{number:03}")
        expected += expected_names(f"{number:03}")
        assert await stored_names(store) == expected, f"after the failure of request {number}"
        if not fault.was_reached:
            break
    assert len(expected) > 4 * 8


@each_failure
async def test_repeated_copy_stores_each_record_once_after_any_failed_request(
    store: DynamoDBStore,
    transport: FaultyTransport,
    tmp_path: Path,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    failure: str,
) -> None:
    monkeypatch.setattr("peopleinfo.bulk.copy.PAGE_SIZE", 2)
    monkeypatch.setattr("peopleinfo.bulk.copy.RETRY_TIMEOUT", 0)
    expected: list[str] = []
    for number in itertools.count():
        async with open_sqlite(tmp_path / f"source{number}.db", now=clock.now) as source:
            await source.create_many([person_data("Copied", name) for name in expected_names(f"{number:03}")])
            transport.fault = fault = Nth(number, failure)
            with suppress(PeopleInfoError):
                await copy(source, store)
            transport.fault = None
            await copy(source, store)
        expected += expected_names(f"{number:03}")
        assert await stored_names(store) == expected, f"after the failure of request {number}"
        if not fault.was_reached:
            break
    assert len(expected) > 4 * 8


async def copy(source: OpenedStore, target: OpenedStore) -> None:
    async for _ in StoreCopy(source, target, (source, target)).run():
        pass


async def create(store: OpenedStore, name: str, _: str) -> None:
    await store.create(person_data("Person", f"{name}-new"))


async def create_once(store: OpenedStore, name: str, _: str) -> None:
    await store.create(
        person_data("Person", f"{name}-new"), idempotency_key=IdempotencyKey(name.encode().ljust(32), bytes(32))
    )


async def bulk_create(store: OpenedStore, name: str, _: str) -> None:
    await store.create_many([person_data("Person", f"{name}-new"), person_data("Other", f"{name}-new")])


async def change(store: OpenedStore, name: str, person_id: str, *, surname: str) -> None:
    await store.replace(person_id, person_data(surname, f"{name}-new"), expected=1)


async def delete(store: OpenedStore, _: str, person_id: str) -> None:
    await store.delete(person_id)


CHANGES: dict[str, tuple[Callable[[OpenedStore, str, str], Awaitable[None]], list[str], list[str]]] = {
    "create": (create, ["", "-new"], [""]),
    "create once": (create_once, ["", "-new"], [""]),
    "bulk_create": (bulk_create, ["", "-new", "-new"], [""]),
    "change": (partial(change, surname="Person"), ["-new"], [""]),
    "move": (partial(change, surname="Moved"), ["-new"], [""]),
    "delete": (delete, [], [""]),
}
"""Kind of change → the change, the suffixes of the names it leaves if done, and those if not done."""


@each_failure
@pytest.mark.parametrize("kind", CHANGES)
async def test_acknowledged_change_is_stored_and_failed_change_writes_nothing(
    store: DynamoDBStore, transport: FaultyTransport, failure: str, kind: str
) -> None:
    change_store, done, not_done = CHANGES[kind]
    for number in itertools.count():
        name = f"{number:03}"
        existing = await store.create(person_data("Person", name))
        transport.fault = fault = Nth(number, failure)
        outcome: Any = None
        try:
            await change_store(store, name, existing.person_id)
        except PeopleInfoError as error:
            outcome = error
        transport.fault = None
        remaining = [found.removeprefix(name) for found in await stored_names(store) if found.startswith(name)]
        if outcome is None:
            assert remaining == done, f"acknowledged after the failure of request {number}"
        elif not isinstance(outcome, OutcomeUnknown):
            assert remaining == not_done, f"failed with {outcome!r} after the failure of request {number}"
        if not fault.was_reached:
            break


@pytest.mark.parametrize("failure", ["not sent", "throttled", "rejected"])
async def test_failed_rotation_of_an_api_key_changes_nothing(
    store: DynamoDBStore, transport: FaultyTransport, clock: Clock, failure: str
) -> None:
    keys, now = store.api_keys, clock.now()
    _, old = await create_key(keys, name="ci", scopes=[Scope.READ], lifetime=None, now=now)
    for number in itertools.count():
        transport.fault = fault = Nth(number, failure)
        with suppress(PeopleInfoError):
            await rotate(keys, "ci", overlap=timedelta(days=1), now=now)
        transport.fault = None
        if not fault.was_reached:
            break
        assert await keys.all() == [old]
    assert len(await keys.all()) == 2


@pytest.fixture
def one_retry(transport: FaultyTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow each call one immediate retry."""
    monkeypatch.setattr(client, "_delays", lambda: itertools.chain([0.0], itertools.repeat(1e9)))


@pytest.mark.usefixtures("one_retry")
async def test_outcome_stays_unknown_when_credentials_are_missing_at_the_retry(
    store: DynamoDBStore, transport: FaultyTransport
) -> None:
    failures = iter([RequestFailed(ConnectionResetError()), StoreConfigurationError("no credentials")])

    async def fault(action: str, request: Request, send: HttpImplementation) -> Response:
        response = await send(request)
        if action in {
            "BatchWriteItem",
            "BatchGetItem",
        }:  # the announcement of the change, and the names in the vocabulary
            return response
        raise next(failures)

    transport.fault = fault
    with pytest.raises(OutcomeUnknown):
        await store.create(person_data("Person", "new"))
    transport.fault = None
    assert await stored_names(store) == ["new"]


@pytest.mark.usefixtures("one_retry")
@pytest.mark.parametrize("store", ["ministack"], indirect=True)
async def test_partly_stored_batch_has_unknown_outcome(
    store: DynamoDBStore, transport: FaultyTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_write, "MAX_BATCH_WRITE", 2)
    seen: list[str] = []

    async def fault(action: str, request: Request, send: HttpImplementation) -> Response:
        if b'"body"' not in (request.body or b""):  # not the records, but the changes and the index
            return await send(request)
        seen.append(action)
        if len(seen) > 1:
            return THROTTLED
        items = msgspec.json.decode(request.body or b"")["RequestItems"]
        await send(request)
        return Response(200, msgspec.json.encode({"UnprocessedItems": items}))

    transport.fault = fault
    with pytest.raises(OutcomeUnknown):
        await store.create_many([person_data("Person", "one"), person_data("Person", "two")])
    assert set(seen) == {"BatchWriteItem"}
