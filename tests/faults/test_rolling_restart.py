"""Rolling restart under constant load: a new server starts, the old one stops, and no request fails."""

from __future__ import annotations

import os
import random
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from time import monotonic
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.http.serving import HANG_TIMEOUT, Server, started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROUNDS = int(os.environ.get("ROLLING_ROUNDS", "2"))  # docs/operations.md promises 10, which take a minute
CLIENTS = 4
PAUSE = 0.01  # seconds between two rounds of a client: a new server needs some of the CPU to start
DRAIN_SECONDS = 5.0  # a balancer on a busy machine notices within this time


class Balancer:
    """Tracks which servers are ready, as a load balancer does, and selects one for each request."""

    def __init__(self) -> None:
        self._targets: set[str] = set()
        self._ready: list[str] = []
        self._stopped = threading.Event()

    def add(self, url: str) -> None:
        self._targets.add(url)
        self._wait_until(lambda: url in self._ready)

    def remove(self, url: str) -> None:
        self._targets.discard(url)

    def wait_until_gone(self, url: str) -> None:
        self._wait_until(lambda: url not in self._ready)

    def choose(self) -> str:
        return random.choice(self._ready)

    def run(self) -> None:
        with httpx.Client(timeout=HANG_TIMEOUT) as client:
            while not self._stopped.wait(0.02):
                self._ready = [url for url in list(self._targets) if is_ready(client, url)]

    def stop(self) -> None:
        self._stopped.set()

    def _wait_until(self, condition: object) -> None:
        deadline = monotonic() + HANG_TIMEOUT
        while not condition():  # type: ignore[operator]
            assert monotonic() < deadline
            self._stopped.wait(0.01)


def is_ready(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(f"{url}/status/ready").status_code == 200
    except httpx.TransportError:
        return False


class Load:
    """Clients that keep their connections, create and read."""

    def __init__(self, balancer: Balancer) -> None:
        self._balancer = balancer
        self._stopped = threading.Event()
        self.completed = 0
        self.errors: list[str] = []

    def run(self) -> None:
        with httpx.Client(timeout=HANG_TIMEOUT) as client:
            while not self._stopped.wait(PAUSE):
                try:
                    self._one_round(client)
                except httpx.TransportError as error:
                    self.errors.append(repr(error))

    def stop(self) -> None:
        self._stopped.set()

    def _one_round(self, client: httpx.Client) -> None:
        created = client.post(f"{self._balancer.choose()}/v1/people", json={"person_surname": "Load"})
        read = client.get(f"{self._balancer.choose()}/data?person_surname=Load&limit=1")
        self.completed += 2
        self.errors += [response.text for response in (created, read) if not response.is_success]


@contextmanager
def under_load(balancer: Balancer) -> Iterator[Load]:
    load = Load(balancer)
    with ThreadPoolExecutor(CLIENTS) as threads:
        futures = [threads.submit(load.run) for _ in range(CLIENTS)]
        try:
            yield load
        finally:
            load.stop()
        for client in futures:
            client.result(HANG_TIMEOUT)


@pytest.mark.parametrize("workers", [1, 2])
def test_no_request_fails_while_the_service_is_replaced(tmp_path: Path, workers: int) -> None:
    balancer = Balancer()
    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(1))
        threads.submit(balancer.run)
        stack.callback(balancer.stop)
        old = start(stack, tmp_path, balancer, workers)
        with under_load(balancer) as load:
            for _ in range(ROUNDS if workers == 1 else 1):
                new = start(stack, tmp_path, balancer, workers)
                completed = load.completed
                old.process.send_signal(signal.SIGTERM)
                assert old.process.wait(HANG_TIMEOUT) == 0
                balancer.remove(old.url)
                assert load.completed > completed, "there was no load"
                old = new
        assert load.errors == []
        assert load.completed > 0


def start(stack: ExitStack, folder: Path, balancer: Balancer, workers: int) -> Server:
    server = stack.enter_context(started(folder, drain_seconds=DRAIN_SECONDS, workers=workers))
    balancer.add(server.url)
    return server
