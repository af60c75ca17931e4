"""What every test may ask for: a clock, a store of each kind, and the people in it."""

from __future__ import annotations

import functools
import os
import threading
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest
from hypothesis import HealthCheck, settings

from peopleinfo.people import People
from tests import dynamodb_servers, fork_server, valkey_servers
from tests.limits import HANGS
from tests.stores_under_test import KNOWN_DIFFERENCES, SEALED, SEALED_TABLE, STORES, Clock, Seconds, open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from peopleinfo.store import Store

# How long an example takes says nothing about what it shows. HYPOTHESIS_PROFILE=thorough looks for longer.
settings.register_profile("quick", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("quick"), max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(feature): not for the stores that are known not to have the feature")

    os.environ.update(dynamodb_servers.CREDENTIALS)
    # Each client would read the certificates of all authorities anew, which was half the time of the tests over HTTP.
    httpx._transports.default.create_ssl_context = functools.cache(httpx.create_ssl_context)  # type: ignore[attr-defined]
    # httpx gives up after 5 seconds, which a busy machine may take.
    for limit in ("connect", "read", "write", "pool"):
        setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, limit, HANGS)


def pytest_unconfigure() -> None:
    fork_server.end()
    dynamodb_servers.end_all()
    valkey_servers.end_all()


@pytest.fixture(autouse=True)
def _tables_dropped() -> Iterator[None]:
    with dynamodb_servers.tables_dropped():
        yield


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def moment() -> Seconds:
    return Seconds()


# Where it matters that keys come and go with people in another table; what is found in the end is seen on the others.
_SEALED_TABLE = {"test_once", "test_preconditions", "test_load", "test_adoption", "test_rekey"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "store_kind" in metafunc.fixturenames and not metafunc.module.__name__.startswith("tests.http."):
        here = metafunc.module.__name__.rpartition(".")[2] in _SEALED_TABLE
        needs = [marker.args[0] for marker in metafunc.definition.iter_markers("needs")]
        kinds = [*STORES, SEALED, *([SEALED_TABLE] if here else [])]
        able = [kind for kind in kinds if not any((kind, feature) in KNOWN_DIFFERENCES for feature in needs)]
        metafunc.parametrize("store_kind", able, indirect=True)


@pytest.fixture
def store_kind(request: pytest.FixtureRequest) -> str:
    kind = str(request.param)
    if problem := dynamodb_servers.missing(kind):
        pytest.skip(f"{kind} {problem}")
    return kind


@pytest.fixture
async def store(store_kind: str, tmp_path: Path, clock: Clock) -> AsyncIterator[Store]:
    async with open_store(store_kind, tmp_path, clock) as store:
        yield store
    assert what_is_left_of_stores(tmp_path) == []


@pytest.fixture
def people(store: Store, clock: Clock) -> People:
    return People(store, now=clock.now)


def what_is_left_of_stores(folder: Path) -> list[str]:
    """Name the threads and the open files that closed stores should not have left."""
    threads = [thread.name for thread in threading.enumerate() if thread.name.startswith("sqlite-")]
    files = [file.path for file in psutil.Process().open_files() if file.path.startswith(f"{folder}{os.sep}")]
    return threads + files
