"""Fixtures for tests of the store on DynamoDB: a table on each emulator, and a store with fault injection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from peopleinfo.stores.dynamodb import factory
from tests import dynamodb_servers
from tests.faulty_transport import FaultyTransport
from tests.store_kinds import Clock, encryption, make_table, table_location

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from peopleinfo.crypto.master_key import Encryption
    from peopleinfo.settings.urls import DynamoDBUrl
    from peopleinfo.stores.dynamodb.store import DynamoDBStore


@pytest.fixture(params=dynamodb_servers.KINDS)
def location(request: pytest.FixtureRequest, tmp_path: Path) -> DynamoDBUrl:
    if problem := dynamodb_servers.missing_requirement(kind := str(request.param)):
        pytest.skip(f"{kind} {problem}")
    return table_location(kind, tmp_path)


@pytest.fixture
def transport(monkeypatch: pytest.MonkeyPatch) -> FaultyTransport:
    transport = FaultyTransport()
    monkeypatch.setattr(factory, "open_http", transport.open)
    return transport


@pytest.fixture
def master(request: pytest.FixtureRequest, tmp_path: Path) -> Encryption | None:
    """Encryption settings; None in tests without the parameter."""
    return encryption(tmp_path) if getattr(request, "param", "unencrypted") == "encrypted" else None


@pytest.fixture
async def table_store(
    transport: FaultyTransport, location: DynamoDBUrl, clock: Clock, master: Encryption | None
) -> AsyncIterator[DynamoDBStore]:
    await make_table(location, encrypted=master is not None)
    async with factory.open_dynamodb(location, now=clock.now, encryption=master) as store:
        yield store
        transport.fault = None
