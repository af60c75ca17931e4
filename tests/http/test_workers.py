"""Several workers act as one service: all see each acknowledged change, and they end together."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from tests.http.serving import HANG_TIMEOUT, Server, serving, started
from tests.store_kinds import STORES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONNECTIONS = 24


@pytest.fixture(scope="module", params=STORES)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("pair"), kind=str(request.param), workers=2) as server:
        yield server


@pytest.fixture
def clients(pair: Server) -> Iterator[list[httpx.Client]]:
    """Clients with connections to both workers; request ids start with a prefix of the worker."""
    with ExitStack() as stack:
        clients = [stack.enter_context(httpx.Client(base_url=pair.url, timeout=HANG_TIMEOUT)) for _ in range(2)]
        while len({worker(client) for client in clients}) < 2:
            assert len(clients) < 1_000, "one worker never gets a connection"
            clients.append(stack.enter_context(httpx.Client(base_url=pair.url, timeout=HANG_TIMEOUT)))
        yield clients


def worker(client: httpx.Client) -> str:
    return str(client.get("/status").headers["X-Request-Id"]).partition("-")[0]


def test_every_worker_reads_a_change_of_another_at_once(clients: list[httpx.Client], surname: str) -> None:
    for number, writer in enumerate(clients[-4:] + clients[:4]):
        person = writer.post("/v1/people", json={"person_surname": surname, "n": number})
        location = person.headers["Location"]
        for reader in clients:
            assert reader.get(location).content == person.content
            assert len(reader.get("/data", params={"person_surname": surname}).json()) == number + 1
        writer.patch(location, json={"n": -1}, headers={"If-Match": '"1"'})
        assert {reader.get(location).json()["n"] for reader in clients} == {-1}


def test_no_worker_finds_a_person_that_another_has_deleted(clients: list[httpx.Client], surname: str) -> None:
    location = clients[0].post("/v1/people", json={"person_surname": surname}).headers["Location"]
    assert {reader.get(location).status_code for reader in clients} == {200}
    clients[-1].delete(location)
    assert {reader.get(location).status_code for reader in clients} == {404}


def test_cursor_of_one_worker_is_valid_at_another(clients: list[httpx.Client], surname: str) -> None:
    for _ in range(2):
        clients[0].post("/v1/people", json={"person_surname": surname})
    cursors = [c.get("/v1/people", params={"surname": surname, "limit": 1}).json()["next_cursor"] for c in clients]
    for reader, cursor in zip(clients, reversed(cursors), strict=True):
        page = reader.get("/v1/people", params={"surname": surname, "cursor": cursor})
        assert len(page.json()["people"]) == 1


def test_idempotency_key_is_shared_by_all_workers(clients: list[httpx.Client], surname: str) -> None:
    headers = {"Idempotency-Key": surname}
    responses = [c.post("/v1/people", json={"person_surname": surname}, headers=headers) for c in clients]
    assert len({response.content for response in responses}) == 1


def test_sigterm_to_the_parent_ends_all_workers(tmp_path: Path) -> None:
    with serving(tmp_path, workers=2) as server:
        children = psutil.Process(server.process.pid).children(recursive=True)
        assert len(children) >= 2
        assert server.terminate() == 0
        _, alive = psutil.wait_procs(children, timeout=HANG_TIMEOUT)
        assert alive == []


def test_killed_worker_is_replaced_without_data_loss(tmp_path: Path) -> None:
    with serving(tmp_path, workers=2) as server:
        httpx.post(f"{server.url}/v1/people", json={"person_surname": "Kept"})
        before = workers_of(server)
        before[0].kill()
        psutil.wait_procs(before[:1], timeout=HANG_TIMEOUT)
        response = httpx.get(f"{server.url}/data", params={"person_surname": "Kept"}, timeout=HANG_TIMEOUT)
        assert len(response.json()) == 1


def test_worker_that_cannot_start_does_not_end_the_others(tmp_path: Path) -> None:
    store, away = tmp_path / "people.db", tmp_path / "away.db"
    with started(tmp_path, workers=2) as server:
        wait_for_all(server, 2)  # the service ends if a worker of its start cannot start
        killed, other = workers_of(server)
        store.rename(away)  # so that no worker can start
        killed.kill()
        assert server.process.stderr is not None
        assert server.process.stderr.readline().startswith(b"peopleinfo: the server cannot start: ")
        assert other.is_running()
        assert httpx.get(f"{server.url}/status/live", timeout=HANG_TIMEOUT).status_code == 200
        away.rename(store)
        while len(workers_of(server)) < 2 or not all(is_live(server) for _ in range(4)):
            time.sleep(0.1)
        assert server.terminate() == 0


def wait_for_all(server: Server, count: int) -> None:
    """Wait until so many workers have responded."""
    responded: set[str] = set()
    while len(responded) < count:
        with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client:
            responded.add(worker(client))


def is_live(server: Server) -> bool:
    return httpx.get(f"{server.url}/status/live", timeout=HANG_TIMEOUT).status_code == 200


def test_workers_end_after_their_parent_was_killed(tmp_path: Path) -> None:
    with started(tmp_path, workers=2) as server:
        workers = workers_of(server)
        assert len(workers) == 2
        server.kill()
        _, alive = psutil.wait_procs(workers, timeout=HANG_TIMEOUT)
        assert alive == []


def workers_of(server: Server) -> list[psutil.Process]:
    children = psutil.Process(server.process.pid).children()
    return [child for child in children if is_worker(child)]


def is_worker(process: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # or a zombie, until the parent has noticed
        return False
