"""Fixtures and hooks for all tests: a clock, a store of each kind, and the service for its records."""

from __future__ import annotations

import functools
import os
import threading
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest
from hypothesis import HealthCheck, settings

from peopleinfo.people.service import PeopleService
from tests import dynamodb_servers, fast_lane, fork_server, ports, valkey_servers
from tests.limits import HANG_TIMEOUT
from tests.skips import refuse_unexpected
from tests.store_kinds import ENCRYPTED, KNOWN_DIFFERENCES, STORES, Clock, MonotonicClock, open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator
    from pathlib import Path

    from _pytest.mark import ParameterSet

    from peopleinfo.stores.service_store import OpenedStore

# No deadline: the duration of an example is no test result. HYPOTHESIS_PROFILE=thorough runs more examples.
settings.register_profile("quick", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("quick"), max_examples=2_000)
settings.register_profile(fast_lane.PROFILE, settings.get_profile("quick"), max_examples=10)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="exclude tests that need servers or much CPU (make test-fast)")
    parser.addoption("--reverse", action="store_true", help="run the tests in reverse order")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(feature): skipped for stores without the feature")

    if config.getoption("--fast"):
        fast_lane.enable()
    if fast_lane.is_enabled():
        settings.load_profile(fast_lane.PROFILE)
    os.environ.update(dynamodb_servers.CREDENTIALS)
    # Without the cache each client loads all CA certificates, which took half the time of the HTTP tests.
    httpx._transports.default.create_ssl_context = functools.cache(httpx.create_ssl_context)  # type: ignore[attr-defined]
    # The default timeout of httpx, 5 seconds, is too short for a busy machine.
    for limit in ("connect", "read", "write", "pool"):
        setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, limit, HANG_TIMEOUT)


def pytest_report_header() -> list[str]:
    return [f"fast: no servers; excludes {', '.join(fast_lane.EXCLUDED)}"] if fast_lane.is_enabled() else []


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    return fast_lane.is_excluded(collection_path) or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if fast_lane.is_enabled():
        left_out = [item for item in items if not fast_lane.needs_no_server(item)]
        items[:] = [item for item in items if fast_lane.needs_no_server(item)]
        config.hook.pytest_deselected(items=left_out)
    if config.getoption("--reverse"):
        items.reverse()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    refuse_unexpected(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    refuse_unexpected(report)
    return report


def pytest_unconfigure() -> None:
    fork_server.stop()
    dynamodb_servers.stop_all()
    valkey_servers.stop_all()
    ports.release_all()


@pytest.fixture(autouse=True)
def _delete_tables() -> Iterator[None]:
    with dynamodb_servers.deleting_tables():
        yield


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def moment() -> MonotonicClock:
    return MonotonicClock()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of a module for each of its `STORE_KINDS`; skip those that need a feature which the kind lacks."""
    if "store_kind" in metafunc.fixturenames and not metafunc.module.__name__.startswith("tests.http."):
        kinds = getattr(metafunc.module, "STORE_KINDS", [*STORES, ENCRYPTED])
        needs = [marker.args[0] for marker in metafunc.definition.iter_markers("needs")]
        metafunc.parametrize("store_kind", [_parameter(kind, needs) for kind in kinds], indirect=True)


def _parameter(kind: str, needs: list[str]) -> ParameterSet:
    reasons = [KNOWN_DIFFERENCES[kind, feature] for feature in needs if (kind, feature) in KNOWN_DIFFERENCES]
    return pytest.param(kind, marks=[pytest.mark.skip(reason=reason) for reason in reasons])


@pytest.fixture
def store_kind(request: pytest.FixtureRequest) -> str:
    kind = str(request.param)
    if problem := dynamodb_servers.missing_requirement(kind):
        pytest.skip(f"{kind} {problem}")
    return kind


@pytest.fixture
async def store(store_kind: str, tmp_path: Path, clock: Clock) -> AsyncIterator[OpenedStore]:
    async with open_store(store_kind, tmp_path, clock) as store:
        yield store
    assert leaked_resources(tmp_path) == []


@pytest.fixture
def people(store: OpenedStore, clock: Clock) -> PeopleService:
    return PeopleService(store, secret=store.secret, now=clock.now)


def leaked_resources(folder: Path) -> list[str]:
    """Return the names of threads and open files left behind by closed stores."""
    threads = [thread.name for thread in threading.enumerate() if thread.name.startswith("sqlite-")]
    files = [file.path for file in psutil.Process().open_files() if file.path.startswith(f"{folder}{os.sep}")]
    return threads + files
