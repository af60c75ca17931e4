"""Many writers at one person: whoever changes a version that is no longer there is told, and nothing is lost."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.http.serving import HANG_TIMEOUT, Server, serving
from tests.store_kinds import STORES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WRITERS = 16


@pytest.fixture(scope="module", params=[(kind, workers) for kind in STORES for workers in (1, 2)], ids=str)
def busy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    kind, workers = request.param
    with serving(tmp_path_factory.mktemp("busy"), kind=kind, workers=workers) as server:
        yield server


def at_once(server: Server, write: Callable[[httpx.Client, int], httpx.Response]) -> list[httpx.Response]:
    """Let every writer do it at the same moment, each over a connection of its own."""
    ready = threading.Barrier(WRITERS)

    def work(number: int) -> httpx.Response:
        with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client:
            client.get("/status")
            ready.wait(HANG_TIMEOUT)
            return write(client, number)

    with ThreadPoolExecutor(WRITERS) as threads:
        return list(threads.map(work, range(WRITERS)))


def place(server: Server, surname: str) -> str:
    answer = httpx.post(f"{server.url}/v1/people", json={"person_surname": surname, "n": None})
    return str(answer.headers["Location"])


def read(server: Server, where: str) -> dict[str, Any]:
    return dict(httpx.get(server.url + where).json())


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_of_many_changes_to_one_version_exactly_one_happens(busy: Server, surname: str, method: str) -> None:
    for round_ in range(5):
        where = place(busy, surname)

        def write(client: httpx.Client, number: int, where: str = where) -> httpx.Response:
            document = {"person_surname": surname, "n": number}
            return client.request(method, where, json=document, headers={"If-Match": '"1"'})

        answers = at_once(busy, write)
        assert sorted(answer.status_code for answer in answers) == [200] + [412] * (WRITERS - 1), round_
        (winner,) = (answer for answer in answers if answer.status_code == 200)
        assert read(busy, where) == winner.json()


def test_changes_to_any_version_all_happen_and_none_is_lost(busy: Server, surname: str) -> None:
    where = place(busy, surname)
    answers = at_once(
        busy,
        lambda client, number: client.patch(where, json={f"member{number}": number}, headers={"If-Match": "*"}),
    )
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["version"] for answer in answers} == set(range(2, WRITERS + 2))
    assert read(busy, where).items() >= {f"member{number}": number for number in range(WRITERS)}.items()


def test_writers_who_read_again_after_412_lose_nothing(busy: Server, surname: str) -> None:
    where = httpx.post(f"{busy.url}/v1/people", json={"person_surname": surname, "sum": 0}).headers["Location"]

    def add_one(client: httpx.Client, _: int) -> httpx.Response:
        while True:
            seen = client.get(where)
            change = {"sum": seen.json()["sum"] + 1}
            answer = client.patch(where, json=change, headers={"If-Match": seen.headers["ETag"]})
            if answer.status_code != 412:
                return answer

    at_once(busy, add_one)
    assert read(busy, where)["sum"] == WRITERS
    assert read(busy, where)["version"] == WRITERS + 1


def test_a_person_is_erased_once(busy: Server, surname: str) -> None:
    where = place(busy, surname)
    answers = at_once(busy, lambda client, _: client.delete(where))
    assert sorted(answer.status_code for answer in answers) == [204] + [404] * (WRITERS - 1)
