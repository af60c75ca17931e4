"""Whichever request to DynamoDB fails: a refused change has written nothing, and a repeated import stores each row once."""

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
from peopleinfo.bulk.importer import Importer, Row
from peopleinfo.errors import OutcomeUnknown, PeopleInfoError, StoreConfigurationError
from peopleinfo.people.service import PeopleService
from peopleinfo.people.store import IdempotencyKey
from peopleinfo.stores.dynamodb import bulk_write, client, factory
from peopleinfo.stores.sqlite.factory import open_sqlite
from tests import dynamodb_servers
from tests.store_kinds import ENCRYPTED_TABLE, Clock, encryption, make_table, person_data, scan_all, table_location
from tests.stores.test_dynamodb_faults import THROTTLED, Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from aiodynamo.http.types import HttpImplementation, Request

    from peopleinfo.people.store import Store
    from peopleinfo.stores.dynamodb.store import DynamoDBStore

KINDS = ["ministack", ENCRYPTED_TABLE]
FATES = ["not sent", "not answered", "throttled", "refused"]
any_fate = pytest.mark.parametrize("fate", FATES)


class Nth:
    """Lets request number `number`, counted from 0, meet its fate, and every other pass."""

    def __init__(self, number: int, fate: str) -> None:
        self._number = number
        self._fate = fate
        self.passed = 0

    @property
    def was_met(self) -> bool:
        """Whether there were so many requests."""
        return self.passed > self._number

    async def __call__(self, _: str, request: Request, way: HttpImplementation) -> Response:
        self.passed += 1
        if self.passed != self._number + 1:
            return await way(request)
        if self._fate == "throttled":
            return THROTTLED
        if self._fate == "refused":
            raise StoreConfigurationError("refused by the test")
        if self._fate == "not answered":
            await way(request)
        raise RequestFailed(ConnectionResetError())


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    """The way to the server, on which a failure is not hidden by another attempt."""
    wire = Wire()
    monkeypatch.setattr(factory, "open_http", wire.laid)
    monkeypatch.setattr(client, "_delays", lambda: itertools.repeat(1e9))
    monkeypatch.setattr(bulk_write, "MAX_BATCH_WRITE", 1)
    return wire


@pytest.fixture(params=KINDS)
async def store(
    request: pytest.FixtureRequest, wire: Wire, tmp_path: Path, clock: Clock
) -> AsyncIterator[DynamoDBStore]:
    kind = str(request.param).removesuffix("+encrypted")
    if problem := dynamodb_servers.missing_requirement(kind):
        pytest.skip(f"{kind} {problem}")
    given = encryption(tmp_path) if kind != request.param else None
    location = table_location(kind, tmp_path)
    await make_table(location, encrypted=given is not None)
    async with factory.open_dynamodb(location, now=clock.now, encryption=given) as store:
        yield store


async def names_of(store: Store) -> list[str]:
    return sorted(msgspec.json.decode(body)["person_name"] for body in await scan_all(store))


def names_in(name: str) -> list[str]:
    return [f"{name}-{line}" for line in range(4)]


async def import_file(store: Store, clock: Clock, name: str) -> None:
    """Import the four rows of a file under its own key, two rows a step."""
    rows = [Row(line, {"person_surname": "Imported", "person_name": f"{name}-{line}"}, b"") for line in range(4)]
    import_ = Importer(PeopleService(store, now=clock.now), name.encode().ljust(32, b"."))
    await import_.import_rows(rows[:2])
    await import_.import_rows(rows[2:])
    await import_.finish()


@any_fate
@pytest.mark.parametrize("store", [*KINDS, "dynamodb-local"], indirect=True)
async def test_repeated_import_stores_each_row_once_after_any_failed_request(
    store: DynamoDBStore, wire: Wire, clock: Clock, fate: str
) -> None:
    expected: list[str] = []
    for number in itertools.count():
        wire.fault = fault = Nth(number, fate)
        with suppress(PeopleInfoError):
            await import_file(store, clock, f"{number:03}")
        wire.fault = None
        await import_file(store, clock, f"{number:03}")
        expected += names_in(f"{number:03}")
        assert await names_of(store) == expected, f"after the failure of request {number}"
        if not fault.was_met:
            break
    assert len(expected) > 4 * 8


@any_fate
async def test_repeated_copy_stores_each_record_once_after_any_failed_request(
    store: DynamoDBStore, wire: Wire, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, fate: str
) -> None:
    monkeypatch.setattr("peopleinfo.bulk.copy.PAGE_SIZE", 2)
    monkeypatch.setattr("peopleinfo.bulk.copy.RETRY_SECONDS", 0)
    expected: list[str] = []
    for number in itertools.count():
        async with open_sqlite(tmp_path / f"source{number}.db", now=clock.now) as source:
            await source.create_many([person_data("Copied", name) for name in names_in(f"{number:03}")])
            wire.fault = fault = Nth(number, fate)
            with suppress(PeopleInfoError):
                await copy(source, store)
            wire.fault = None
            await copy(source, store)
        expected += names_in(f"{number:03}")
        assert await names_of(store) == expected, f"after the failure of request {number}"
        if not fault.was_met:
            break
    assert len(expected) > 4 * 8


async def copy(source: Store, target: Store) -> None:
    async for _ in StoreCopy(source, target).run():
        pass


async def create(store: Store, name: str, _: str) -> None:
    await store.create(person_data("Person", f"{name}-new"))


async def create_once(store: Store, name: str, _: str) -> None:
    await store.create(
        person_data("Person", f"{name}-new"), idempotency_key=IdempotencyKey(name.encode().ljust(32), bytes(32))
    )


async def load(store: Store, name: str, _: str) -> None:
    await store.create_many([person_data("Person", f"{name}-new"), person_data("Other", f"{name}-new")])


async def change(store: Store, name: str, person_id: str, *, surname: str) -> None:
    await store.replace(person_id, person_data(surname, f"{name}-new"), expected=1)


async def erase(store: Store, _: str, person_id: str) -> None:
    await store.delete(person_id)


CHANGES: dict[str, tuple[Callable[[Store, str, str], Awaitable[None]], list[str], list[str]]] = {
    "create": (create, ["", "-new"], [""]),
    "create once": (create_once, ["", "-new"], [""]),
    "load": (load, ["", "-new", "-new"], [""]),
    "change": (partial(change, surname="Person"), ["-new"], [""]),
    "move": (partial(change, surname="Moved"), ["-new"], [""]),
    "erase": (erase, [], [""]),
}
"""Kind of change → the change, whom it leaves when it is done, and whom it leaves when it is not."""


@any_fate
@pytest.mark.parametrize("kind", CHANGES)
async def test_acknowledged_change_is_stored_and_failed_change_writes_nothing(
    store: DynamoDBStore, wire: Wire, fate: str, kind: str
) -> None:
    act, done, not_done = CHANGES[kind]
    for number in itertools.count():
        name = f"{number:03}"
        there = await store.create(person_data("Person", name))
        wire.fault = fault = Nth(number, fate)
        outcome: Any = None
        try:
            await act(store, name, there.person_id)
        except PeopleInfoError as error:
            outcome = error
        wire.fault = None
        left = [found.removeprefix(name) for found in await names_of(store) if found.startswith(name)]
        if outcome is None:
            assert left == done, f"acknowledged after the failure of request {number}"
        elif not isinstance(outcome, OutcomeUnknown):
            assert left == not_done, f"refused with {outcome!r} after the failure of request {number}"
        if not fault.was_met:
            break


@pytest.mark.parametrize("fate", ["not sent", "throttled", "refused"])
async def test_failed_rotation_of_an_api_key_changes_nothing(
    store: DynamoDBStore, wire: Wire, clock: Clock, fate: str
) -> None:
    keys, now = store.api_keys, clock.now()
    _, old = await create_key(keys, name="ci", scopes=[Scope.READ], lifetime=None, now=now)
    for number in itertools.count():
        wire.fault = fault = Nth(number, fate)
        with suppress(PeopleInfoError):
            await rotate(keys, "ci", overlap=timedelta(days=1), now=now)
        wire.fault = None
        if not fault.was_met:
            break
        assert await keys.all() == [old]
    assert len(await keys.all()) == 2


@pytest.fixture
def second_attempts(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each call have a second attempt, at once."""
    monkeypatch.setattr(client, "_delays", lambda: itertools.chain([0.0], itertools.repeat(1e9)))


@pytest.mark.usefixtures("second_attempts")
async def test_outcome_stays_unknown_when_credentials_are_missing_at_the_retry(
    store: DynamoDBStore, wire: Wire
) -> None:
    failures = iter([RequestFailed(ConnectionResetError()), StoreConfigurationError("no credentials")])

    async def fault(_: str, request: Request, way: HttpImplementation) -> Response:
        await way(request)
        raise next(failures)

    wire.fault = fault
    with pytest.raises(OutcomeUnknown):
        await store.create(person_data("Person", "new"))
    wire.fault = None
    assert await names_of(store) == ["new"]


@pytest.mark.usefixtures("second_attempts")
@pytest.mark.parametrize("store", ["ministack"], indirect=True)
async def test_partly_stored_batch_has_unknown_outcome(
    store: DynamoDBStore, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_write, "MAX_BATCH_WRITE", 2)
    seen: list[str] = []

    async def fault(action: str, request: Request, way: HttpImplementation) -> Response:
        seen.append(action)
        if len(seen) > 1:
            return THROTTLED
        asked = msgspec.json.decode(request.body or b"")["RequestItems"]
        await way(request)
        return Response(200, msgspec.json.encode({"UnprocessedItems": asked}))

    wire.fault = fault
    with pytest.raises(OutcomeUnknown):
        await store.create_many([person_data("Person", "one"), person_data("Person", "two")])
    assert set(seen) == {"BatchWriteItem"}
