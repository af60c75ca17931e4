"""Concurrent changes of one person: a stale version gets 412, and no update is lost."""

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


def write_concurrently(server: Server, write: Callable[[httpx.Client, int], httpx.Response]) -> list[httpx.Response]:
    """Run all writers at the same moment, each over its own connection."""
    ready = threading.Barrier(WRITERS)

    def work(number: int) -> httpx.Response:
        with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client:
            client.get("/status")
            ready.wait(HANG_TIMEOUT)
            return write(client, number)

    with ThreadPoolExecutor(WRITERS) as threads:
        return list(threads.map(work, range(WRITERS)))


def create_person(server: Server, surname: str) -> str:
    response = httpx.post(f"{server.url}/v1/people", json={"person_surname": surname, "n": None})
    return str(response.headers["Location"])


def read(server: Server, path: str) -> dict[str, Any]:
    return dict(httpx.get(server.url + path).json())


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_exactly_one_of_many_changes_to_a_version_succeeds(busy: Server, surname: str, method: str) -> None:
    for round_ in range(5):
        path = create_person(busy, surname)

        def write(client: httpx.Client, number: int, path: str = path) -> httpx.Response:
            document = {"person_surname": surname, "n": number}
            return client.request(method, path, json=document, headers={"If-Match": '"1"'})

        responses = write_concurrently(busy, write)
        assert sorted(response.status_code for response in responses) == [200] + [412] * (WRITERS - 1), round_
        (winner,) = (response for response in responses if response.status_code == 200)
        assert read(busy, path) == winner.json()


def test_concurrent_changes_of_any_version_all_succeed(busy: Server, surname: str) -> None:
    path = create_person(busy, surname)
    responses = write_concurrently(
        busy,
        lambda client, number: client.patch(path, json={f"field{number}": number}, headers={"If-Match": "*"}),
    )
    assert {response.status_code for response in responses} == {200}
    assert {response.json()["version"] for response in responses} == set(range(2, WRITERS + 2))
    assert read(busy, path).items() >= {f"field{number}": number for number in range(WRITERS)}.items()


def test_writers_that_retry_after_412_lose_no_update(busy: Server, surname: str) -> None:
    path = httpx.post(f"{busy.url}/v1/people", json={"person_surname": surname, "sum": 0}).headers["Location"]

    def add_one(client: httpx.Client, _: int) -> httpx.Response:
        while True:
            seen = client.get(path)
            change = {"sum": seen.json()["sum"] + 1}
            response = client.patch(path, json=change, headers={"If-Match": seen.headers["ETag"]})
            if response.status_code != 412:
                return response

    write_concurrently(busy, add_one)
    assert read(busy, path)["sum"] == WRITERS
    assert read(busy, path)["version"] == WRITERS + 1


def test_person_is_deleted_once(busy: Server, surname: str) -> None:
    path = create_person(busy, surname)
    responses = write_concurrently(busy, lambda client, _: client.delete(path))
    assert sorted(response.status_code for response in responses) == [204] + [404] * (WRITERS - 1)
