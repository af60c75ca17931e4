"""Whatever happens on the way, nothing is done twice, nothing is claimed that is not known, and no call outlives its time."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from peopleinfo import client as api
from tests.client.conftest import raises
from tests.http.serving import HANGS, started
from tests.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.client.conftest import Connect
    from tests.client.faulty_proxy import FaultyProxy
    from tests.http.serving import Server


@pytest.fixture
def people(connect: Connect, proxy: FaultyProxy) -> Any:
    return connect(proxy.url)


@pytest.mark.parametrize("fault", ["drop", "lose", "cut", "throttle", "unavailable", "bad gateway", "unknown"])
def test_a_creation_that_has_to_be_repeated_is_done_once(people: Any, proxy: FaultyProxy, fault: Any) -> None:
    surname = f"Once {fault} {type(people).__name__}"
    proxy.faults.append(fault)
    made = people.create({"person_surname": surname})
    assert list(people.find(surname=surname)) == [made]
    assert proxy.requests[:2] == [("POST", "/v1/people")] * 2


@pytest.mark.parametrize("fault", ["drop", "lose", "cut", "throttle", "unavailable", "bad gateway"])
def test_reads_are_repeated(people: Any, proxy: FaultyProxy, fault: Any) -> None:
    made = people.create({"person_surname": "Reads"})
    proxy.faults.extend([fault, fault])
    assert people.get(made.person_id) == made
    proxy.faults.append(fault)
    assert made in list(people.find(surname="reads"))


@pytest.mark.parametrize("fault", ["throttle", "unavailable"])
def test_what_was_refused_is_done_at_the_next_attempt(people: Any, proxy: FaultyProxy, fault: Any) -> None:
    made = people.create({"person_surname": "Refused"})
    proxy.faults.append(fault)
    assert people.patch(made, {"n": 1}).version == 2
    proxy.faults.append(fault)
    assert people.patch(made, {"n": 2}, version=api.ANY_VERSION).version == 3


def test_a_change_that_was_not_done_is_done_at_the_next_attempt(people: Any, proxy: FaultyProxy) -> None:
    made = people.create({"person_surname": "Dropped"})
    proxy.faults.append("drop")
    assert people.patch(made, {"n": 1}).version == 2


@pytest.mark.parametrize("fault", ["lose", "cut"])
def test_a_change_that_was_perhaps_done_is_not_claimed(people: Any, proxy: FaultyProxy, fault: Any) -> None:
    made = people.create({"person_surname": "Lost"})
    proxy.faults.append(fault)
    with raises(api.OutcomeUnknown, "perhaps"):
        people.replace(made, {"person_surname": "Lost", "n": 1})
    assert people.get(made.person_id).version == 2


@pytest.mark.parametrize("fault", ["lose", "drop", "bad gateway"])
def test_a_change_of_any_version_is_not_made_again_when_its_answer_is_lost(
    people: Any, proxy: FaultyProxy, fault: Any
) -> None:
    made = people.create({"person_surname": "Any"})
    proxy.faults.append(fault)
    with raises(api.OutcomeUnknown):
        people.patch(made, {"n": 1}, version=api.ANY_VERSION)
    assert len([verb for verb, _ in proxy.requests if verb == "PATCH"]) == 1


@pytest.mark.parametrize("fault", ["lose", "drop", "throttle"])
def test_an_erasure_that_has_to_be_repeated_ends_well(people: Any, proxy: FaultyProxy, fault: Any) -> None:
    made = people.create({"person_surname": "Erased"})
    proxy.faults.append(fault)
    people.erase(made)
    with raises(api.PersonNotFound):
        people.erase(made)


def test_the_service_is_given_the_time_it_asks_for(people: Any, proxy: FaultyProxy) -> None:
    proxy.faults.append("throttle")
    began = time.monotonic()
    people.create({"person_surname": "Patient"})
    assert time.monotonic() - began >= 1.0


def test_nobody_waits_longer_than_the_call_may_take(people: Any, proxy: FaultyProxy) -> None:
    proxy.faults.append("throttle for long")
    began = time.monotonic()
    with raises(api.RateExceeded):
        people.create({"person_surname": "Impatient"})
    assert time.monotonic() - began < HANGS
    assert len(proxy.requests) == 1


def test_a_service_that_stays_away_is_told_as_such(connect: Connect, proxy: FaultyProxy) -> None:
    people = connect(proxy.url, seconds=2.5)
    proxy.faults.extend(["unavailable"] * 50)
    with raises(api.StoreUnavailable):
        people.create({"person_surname": "Away"})
    proxy.faults.clear()
    proxy.faults.extend(["drop"] * 50)
    with raises(api.OutcomeUnknown):  # it cannot be told whether a request that broke off had arrived
        people.create({"person_surname": "Away"})
    with raises(api.Unreachable):
        list(people.find(surname="away"))
    with raises(api.Unreachable):
        list(people.export(surname="away"))
    with raises(api.Unreachable):
        connect("http://127.0.0.1:1", seconds=0.5).create({"person_surname": "Nowhere"})


def test_an_import_whose_answer_was_lost_is_sent_again_and_stores_nobody_twice(people: Any, proxy: FaultyProxy) -> None:
    surname = f"Import {type(people).__name__}"
    proxy.faults.append("lose")
    results = list(people.import_people([{"person_surname": surname, "n": n} for n in range(50)]))
    assert results[-1].stored == 50
    assert [person.more["n"] for person in people.find(surname=surname)] == list(range(50))


def test_an_import_of_rows_that_are_gone_says_how_to_go_on(people: Any, proxy: FaultyProxy) -> None:
    proxy.faults.append("lose")
    rows = [{"person_surname": f"Gone {type(people).__name__}"}]
    with raises(api.BrokenOff, "idempotency_key='"):
        list(people.import_people(iter(rows)))


def test_an_export_that_breaks_off_is_not_taken_for_whole(people: Any, proxy: FaultyProxy) -> None:
    surname = f"Cut {type(people).__name__}"
    list(people.import_people([{"person_surname": surname} for _ in range(50)]))
    proxy.faults.append("cut")
    with raises(api.BrokenOff, "find"):
        list(people.export(surname=surname))


def test_a_server_that_dies_and_comes_back_is_waited_for(tmp_path: Path, connect: Connect) -> None:
    with started(tmp_path, port=free_port()) as server:
        people = connect(server.url, seconds=HANGS)
        made = people.create({"person_surname": "Phoenix"})
        server.kill()
        again: list[Server] = []

        def restart() -> None:
            with started(tmp_path, port=server.address[1]) as second:
                again.append(second)
                over.wait(HANGS)

        over = threading.Event()
        restarting = threading.Thread(target=restart)
        restarting.start()
        try:
            assert people.get(made.person_id) == made
            assert people.patch(made, {"n": 1}).version == 2
        finally:
            over.set()
            restarting.join()
        assert again


def test_a_server_that_dies_in_the_middle_of_an_export_is_noticed(tmp_path: Path, connect: Connect) -> None:
    with started(tmp_path) as server:
        people = connect(server.url)
        list(people.import_people({"person_surname": "Middle", "filler": "x" * 8_000} for _ in range(2_000)))
        export = people.export(surname="middle")
        next(export)
        server.kill()
        with raises(api.BrokenOff):
            list(export)
