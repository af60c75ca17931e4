"""The service is replaced under constant load: a new one is started, the old one told to end, and no request fails."""

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

ROUNDS = int(os.environ.get("ROLLING_ROUNDS", "2"))  # 10 is what is promised, and takes a minute: docs/operations.md
CLIENTS = 4
PAUSE = 0.01  # seconds between two rounds of a client: a new server needs some of the CPU to start
DRAIN_SECONDS = 5.0  # a balancer on a busy machine has noticed by then


class Balancer:
    """Knows which servers say that they are ready, as a load balancer does, and hands one of them to whoever asks."""

    def __init__(self) -> None:
        self._targets: set[str] = set()
        self._ready: list[str] = []
        self._over = threading.Event()

    def add(self, url: str) -> None:
        self._targets.add(url)
        self._until(lambda: url in self._ready)

    def remove(self, url: str) -> None:
        self._targets.discard(url)

    def wait_until_gone(self, url: str) -> None:
        self._until(lambda: url not in self._ready)

    def choose(self) -> str:
        return random.choice(self._ready)

    def run(self) -> None:
        with httpx.Client(timeout=HANG_TIMEOUT) as client:
            while not self._over.wait(0.02):
                self._ready = [url for url in list(self._targets) if is_ready(client, url)]

    def end(self) -> None:
        self._over.set()

    def _until(self, holds: object) -> None:
        patience = monotonic() + HANG_TIMEOUT
        while not holds():  # type: ignore[operator]
            assert monotonic() < patience
            self._over.wait(0.01)


def is_ready(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(f"{url}/status/ready").status_code == 200
    except httpx.TransportError:
        return False


class Load:
    """Clients that keep their connections, create and read."""

    def __init__(self, balancer: Balancer) -> None:
        self._balancer = balancer
        self._over = threading.Event()
        self.asked = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        with httpx.Client(timeout=HANG_TIMEOUT) as client:
            while not self._over.wait(PAUSE):
                try:
                    self._one_round(client)
                except httpx.TransportError as error:
                    self.wrong.append(repr(error))

    def end(self) -> None:
        self._over.set()

    def _one_round(self, client: httpx.Client) -> None:
        made = client.post(f"{self._balancer.choose()}/v1/people", json={"person_surname": "Load"})
        read = client.get(f"{self._balancer.choose()}/data?person_surname=Load&limit=1")
        self.asked += 2
        self.wrong += [answer.text for answer in (made, read) if not answer.is_success]


@contextmanager
def loading(balancer: Balancer) -> Iterator[Load]:
    load = Load(balancer)
    with ThreadPoolExecutor(CLIENTS) as threads:
        running = [threads.submit(load.run) for _ in range(CLIENTS)]
        try:
            yield load
        finally:
            load.end()
        for client in running:
            client.result(HANG_TIMEOUT)


@pytest.mark.parametrize("workers", [1, 2])
def test_no_request_fails_while_the_service_is_replaced(tmp_path: Path, workers: int) -> None:
    balancer = Balancer()
    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(1))
        threads.submit(balancer.run)
        stack.callback(balancer.end)
        old = start(stack, tmp_path, balancer, workers)
        with loading(balancer) as load:
            for _ in range(ROUNDS if workers == 1 else 1):
                new = start(stack, tmp_path, balancer, workers)
                asked = load.asked
                old.process.send_signal(signal.SIGTERM)
                assert old.process.wait(HANG_TIMEOUT) == 0
                balancer.remove(old.url)
                assert load.asked > asked, "there was no load"
                old = new
        assert load.wrong == []
        assert load.asked > 0


def start(stack: ExitStack, folder: Path, balancer: Balancer, workers: int) -> Server:
    server = stack.enter_context(started(folder, drain_seconds=DRAIN_SECONDS, workers=workers))
    balancer.add(server.url)
    return server
