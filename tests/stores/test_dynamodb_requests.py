"""Consistent reads request `ConsistentRead` from DynamoDB. Emulators are always consistent, so these tests check the requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from peopleinfo.auth.api_keys import ApiKey
from peopleinfo.people.idempotency import IdempotencyKey
from peopleinfo.people.store import Checkpoint
from peopleinfo.stores.dynamodb import factory
from peopleinfo.stores.sqlite.factory import open_sqlite
from tests.faulty_transport import FaultyTransport
from tests.store_kinds import (
    Clock,
    encryption,
    find_all,
    make_table,
    person_data,
    person_filter,
    purge_all,
    scan_all,
    table_location,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiodynamo.http.types import HttpImplementation, Request, Response

    from peopleinfo.stores.service_store import OpenedStore

READS = {"GetItem", "BatchGetItem", "Query", "Scan"}


class Reads:
    """Records the read requests of a store, one entry for each table."""

    def __init__(self) -> None:
        self.all: list[tuple[str, dict[str, Any]]] = []

    async def record(self, action: str, request: Request, send: HttpImplementation) -> Response:
        """Record a request and send it."""
        body = msgspec.json.decode(request.body or b"")
        if action in READS:
            self.all += [(action, part) for part in body.get("RequestItems", {"": body}).values()]
        return await send(request)

    @property
    def actions(self) -> set[str]:
        return {action for action, _ in self.all}

    @property
    def inconsistent(self) -> list[tuple[str, dict[str, Any]]]:
        """Reads that may miss a write, except index queries, which DynamoDB cannot make consistent."""
        return [(action, body) for action, body in self.all if not _is_consistent(body) and "IndexName" not in body]


def _is_consistent(body: dict[str, Any]) -> bool:
    return body.get("ConsistentRead") is True


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    transport, reads = FaultyTransport(), Reads()
    monkeypatch.setattr(factory, "open_http", transport.open)
    transport.fault = reads.record
    return reads


@pytest.fixture(params=["unencrypted", "encrypted"])
async def store(
    request: pytest.FixtureRequest, reads: Reads, tmp_path: Path, clock: Clock
) -> AsyncIterator[OpenedStore]:
    location = table_location("ministack", tmp_path)
    config = encryption(tmp_path) if request.param == "encrypted" else None
    await make_table(location, encrypted=config is not None)
    async with factory.open_dynamodb(location, now=clock.now, encryption=config) as store:
        yield store


async def test_opening_a_store_reads_consistently(store: OpenedStore, reads: Reads) -> None:
    await store.check()
    assert reads.actions == {"GetItem"}
    assert reads.inconsistent == []


async def test_read_by_id_is_consistent(store: OpenedStore, reads: Reads) -> None:
    created = await store.create(person_data("Single"))
    await store.get(created.person_id)
    moved = await store.replace(created.person_id, person_data("Married"), expected=1)
    assert await store.get(created.person_id) == moved
    await store.delete(created.person_id)
    assert "GetItem" in reads.actions
    assert reads.inconsistent == []


async def test_search_by_surname_is_consistent_on_every_page(store: OpenedStore, reads: Reads) -> None:
    await store.create_many([person_data("Paged", str(number)) for number in range(5)])
    assert len(await find_all(store, person_filter(surname="paged"), limit=2)) == 5
    assert len(await find_all(store, person_filter(surname="paged", name="3"))) == 1
    assert sum(action == "Query" for action, _ in reads.all) >= 4
    assert reads.inconsistent == []


async def test_prefix_search_reads_matching_records_consistently(store: OpenedStore, reads: Reads) -> None:
    created = await store.create(person_data("Prefixed"))
    assert await find_all(store, person_filter(surname_prefix="pref")) == [created.body]
    assert {"Query", "BatchGetItem"} <= reads.actions
    assert reads.inconsistent == []


async def test_scan_is_consistent_in_every_segment(store: OpenedStore, reads: Reads) -> None:
    created = await store.create(person_data("Scanned"))
    await store.replace(created.person_id, person_data("Elsewhere"), expected=1)
    assert len(await scan_all(store)) == 1
    assert len(await scan_all(store, segments=3)) == 1
    assert await purge_all(store) == (1, 0)
    await store.reindex(after=None, limit=10)
    assert "Scan" in reads.actions
    assert reads.inconsistent == []


async def test_reads_before_a_write_are_consistent(
    store: OpenedStore, reads: Reads, tmp_path: Path, clock: Clock
) -> None:
    once = IdempotencyKey(b"k" * 32, b"c" * 32)
    first = await store.create(person_data("Twice"), idempotency_key=once)
    assert await store.create(person_data("Twice"), idempotency_key=once) == first
    start = Checkpoint(b"i" * 32)
    end = Checkpoint(b"i" * 32, rows=1, stored=1, digest=b"d")
    await store.create_many([person_data("Imported")], checkpoint=(start, end))
    assert await store.read_checkpoint(b"i" * 32) == end
    async with open_sqlite(tmp_path / "source.db", now=clock.now) as source:
        foreign = await source.create(person_data("Foreign"))
    await store.upsert_many([foreign.body])
    assert await store.get(foreign.person_id) == foreign
    assert {"GetItem", "BatchGetItem"} <= reads.actions
    assert reads.inconsistent == []


async def test_api_keys_are_read_consistently(store: OpenedStore, reads: Reads, clock: Clock) -> None:
    assert not await store.api_keys.any_exist()
    key = ApiKey(key_hash=b"d" * 32, name="ci", scopes=frozenset(), created_at=clock.now())
    await store.api_keys.save(key)
    assert await store.api_keys.find(key.key_hash) == key
    assert await store.api_keys.all() == [key]
    assert {"GetItem", "Query"} <= reads.actions
    assert reads.inconsistent == []


async def test_versions_and_changes_are_read_consistently(store: OpenedStore, reads: Reads, clock: Clock) -> None:
    created = await store.create(person_data("Versions"))
    start = (await store.read_changes(since=None, limit=1)).next
    clock.advance(minutes=1)
    await store.replace(created.person_id, person_data("Moved"), expected=1)
    clock.advance(minutes=1)
    assert len((await store.read_versions(created.person_id, after=0, limit=10)).versions) == 2
    assert len((await store.read_changes(since=start, limit=10)).changes) == 2
    await store.delete(created.person_id)
    await store.expire_history()
    assert {"Query", "BatchGetItem"} <= reads.actions
    assert reads.inconsistent == []
