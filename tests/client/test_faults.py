"""After any fault, no change is made twice, no unknown outcome is reported as known, and no call exceeds its timeout."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import peopleinfo_client as api
from tests.client.conftest import raises
from tests.http.serving import HANG_TIMEOUT, started
from tests.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.client.conftest import Connect
    from tests.client.faulty_proxy import FaultyProxy
    from tests.http.serving import Server


@pytest.fixture
def people(connect: Connect, proxy: FaultyProxy) -> Any:
    return connect(proxy.url)


@pytest.mark.parametrize("fault", ["drop", "lose", "truncate", "throttle", "unavailable", "bad gateway", "unknown"])
def test_retried_creation_creates_one_person(people: Any, proxy: FaultyProxy, fault: Any) -> None:
    surname = f"Once {fault} {type(people).__name__}"
    proxy.faults.append(fault)
    created = people.create({"person_surname": surname})
    assert list(people.find(surname=surname)) == [created]
    assert proxy.requests[:2] == [("POST", "/v1/people")] * 2


@pytest.mark.parametrize("fault", ["drop", "lose", "truncate", "throttle", "unavailable", "bad gateway"])
def test_read_is_retried(people: Any, proxy: FaultyProxy, fault: Any) -> None:
    created = people.create({"person_surname": "Reads"})
    proxy.faults.extend([fault, fault])
    assert people.get(created.person_id) == created
    proxy.faults.append(fault)
    assert created in list(people.find(surname="reads"))


@pytest.mark.parametrize("fault", ["throttle", "unavailable"])
def test_rejected_update_is_made_by_the_next_attempt(people: Any, proxy: FaultyProxy, fault: Any) -> None:
    created = people.create({"person_surname": "Rejected"})
    proxy.faults.append(fault)
    assert people.patch(created, {"n": 1}).version == 2
    proxy.faults.append(fault)
    assert people.patch(created, {"n": 2}, version=api.ANY_VERSION).version == 3


def test_update_that_was_not_made_is_made_by_the_next_attempt(people: Any, proxy: FaultyProxy) -> None:
    created = people.create({"person_surname": "Dropped"})
    proxy.faults.append("drop")
    assert people.patch(created, {"n": 1}).version == 2


@pytest.mark.parametrize("fault", ["lose", "truncate"])
def test_update_with_a_lost_response_has_an_unknown_outcome(people: Any, proxy: FaultyProxy, fault: Any) -> None:
    created = people.create({"person_surname": "Lost"})
    proxy.faults.append(fault)
    with raises(api.OutcomeUnknown, "perhaps"):
        people.replace(created, {"person_surname": "Lost", "n": 1})
    assert people.get(created.person_id).version == 2


@pytest.mark.parametrize("fault", ["lose", "drop", "bad gateway"])
def test_update_of_any_version_is_not_retried_after_a_lost_response(
    people: Any, proxy: FaultyProxy, fault: Any
) -> None:
    created = people.create({"person_surname": "Any"})
    proxy.faults.append(fault)
    with raises(api.OutcomeUnknown):
        people.patch(created, {"n": 1}, version=api.ANY_VERSION)
    assert len([verb for verb, _ in proxy.requests if verb == "PATCH"]) == 1


@pytest.mark.parametrize("fault", ["lose", "drop", "throttle"])
def test_retried_deletion_succeeds(people: Any, proxy: FaultyProxy, fault: Any) -> None:
    created = people.create({"person_surname": "Deleted"})
    proxy.faults.append(fault)
    people.delete(created)
    with raises(api.PersonNotFound):
        people.delete(created)


def test_retry_waits_as_long_as_retry_after(people: Any, proxy: FaultyProxy) -> None:
    proxy.faults.append("throttle")
    start = time.monotonic()
    people.create({"person_surname": "Delayed"})
    assert time.monotonic() - start >= 1.0


def test_call_fails_at_once_if_retry_after_exceeds_the_timeout(people: Any, proxy: FaultyProxy) -> None:
    proxy.faults.append("throttle for long")
    start = time.monotonic()
    with raises(api.RateLimitExceeded):
        people.create({"person_surname": "Timeout"})
    assert time.monotonic() - start < HANG_TIMEOUT
    assert len(proxy.requests) == 1


def test_call_fails_when_the_server_stays_unavailable(connect: Connect, proxy: FaultyProxy) -> None:
    people = connect(proxy.url, timeout=2.5)
    proxy.faults.extend(["unavailable"] * 50)
    with raises(api.StoreUnavailable):
        people.create({"person_surname": "Unavailable"})
    proxy.faults.clear()
    proxy.faults.extend(["drop"] * 50)
    with raises(api.OutcomeUnknown):  # the server may have received a request before the reset
        people.create({"person_surname": "Unavailable"})
    with raises(api.ConnectionFailed):
        list(people.find(surname="unavailable"))
    with raises(api.ConnectionFailed):
        list(people.export(surname="unavailable"))
    with raises(api.ConnectionFailed):
        connect("http://127.0.0.1:1", timeout=0.5).create({"person_surname": "Nowhere"})


def test_import_is_retried_after_a_lost_response_without_duplicates(people: Any, proxy: FaultyProxy) -> None:
    surname = f"Import {type(people).__name__}"
    proxy.faults.append("lose")
    results = list(people.import_people([{"person_surname": surname, "n": n} for n in range(50)]))
    assert (results[-1].stored or 0) + (results[-1].unchanged or 0) == 50
    assert [person.extra["n"] for person in people.find(surname=surname)] == list(range(50))


def test_interrupted_import_of_a_generator_describes_how_to_resume(people: Any, proxy: FaultyProxy) -> None:
    proxy.faults.append("lose")
    rows = [{"person_surname": f"Generator {type(people).__name__}"}]
    with raises(api.StreamInterrupted, "idempotency_key='"):
        list(people.import_people(iter(rows)))


def test_truncated_export_raises_an_error(people: Any, proxy: FaultyProxy) -> None:
    surname = f"Cut {type(people).__name__}"
    list(people.import_people([{"person_surname": surname} for _ in range(50)]))
    proxy.faults.append("truncate")
    with raises(api.StreamInterrupted, "find"):
        list(people.export(surname=surname))


def test_call_succeeds_after_the_server_restarts(tmp_path: Path, connect: Connect) -> None:
    with started(tmp_path, port=free_port()) as server:
        people = connect(server.url, timeout=HANG_TIMEOUT)
        created = people.create({"person_surname": "Phoenix"})
        server.kill()
        restarted: list[Server] = []

        def restart() -> None:
            with started(tmp_path, port=server.address[1]) as second:
                restarted.append(second)
                finished.wait(HANG_TIMEOUT)

        finished = threading.Event()
        restarting = threading.Thread(target=restart)
        restarting.start()
        try:
            assert people.get(created.person_id) == created
            assert people.patch(created, {"n": 1}).version == 2
        finally:
            finished.set()
            restarting.join()
        assert restarted


def test_export_raises_an_error_when_the_server_is_killed(tmp_path: Path, connect: Connect) -> None:
    with started(tmp_path) as server:
        people = connect(server.url)
        list(people.import_people({"person_surname": "Middle", "filler": "x" * 8_000} for _ in range(2_000)))
        export = people.export(surname="middle")
        next(export)
        server.kill()
        with raises(api.StreamInterrupted):
            list(export)
