"""Fixtures: a server of each kind of store per module, and a unique surname per test."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import httpx
import pytest

from tests import dynamodb_servers
from tests.http.serving import HANG_TIMEOUT, Server, serving
from tests.store_kinds import STORES

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a module's tests on every store, or on its `STORE_KINDS` if the store makes no difference."""
    if "store_kind" in metafunc.fixturenames:
        kinds = getattr(metafunc.module, "STORE_KINDS", STORES)
        metafunc.parametrize("store_kind", kinds, indirect=True, scope="module")


@pytest.fixture(scope="module")
def store_kind(request: pytest.FixtureRequest) -> str:
    if problem := dynamodb_servers.missing_requirement(kind := str(request.param)):
        pytest.skip(f"{kind} {problem}")
    return kind


@pytest.fixture(scope="module")
def server(store_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with dynamodb_servers.deleting_tables(), serving(tmp_path_factory.mktemp("server"), kind=store_kind) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client:
        yield client


@pytest.fixture
def surname() -> str:
    return f"Surname{uuid.uuid4().hex}"
