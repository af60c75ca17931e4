"""Redis dies under load, comes back empty or with old data: no request fails, and a server that was started without it joins it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.http.serving import HANG_TIMEOUT, Server, serving
from tests.valkey_servers import running_server as serving_cache

if TYPE_CHECKING:
    from pathlib import Path

    from tests.valkey_servers import Server as Cache

CLIENTS = 8
QUIET = 0.5  # seconds for which a new cache keeps nothing


class Load:
    """Clients that create, change and read without a pause, and count what they are answered."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._over = threading.Event()
        self.asked = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        with httpx.Client(base_url=self._server.url, timeout=HANG_TIMEOUT) as client:
            while not self._over.is_set():
                made = client.post("/v1/people", json={"person_surname": "Load"})
                if not made.is_success:
                    self.wrong.append(made.text)
                    return
                path = made.headers["Location"]
                changed = client.patch(
                    path,
                    json={"n": 1},
                    headers={"If-Match": '"1"', "Content-Type": "application/merge-patch+json"},
                )
                answers = [made, changed, client.get(path), client.get("/v1/people?surname=load")]
                self.asked += len(answers)
                self.wrong += [answer.text for answer in answers if not answer.is_success]
                if answers[2].json()["version"] != 2:
                    self.wrong.append("a process did not see its own change")

    def end(self) -> None:
        self._over.set()

    def go_on(self, requests: int) -> None:
        """Wait until so many more requests are answered."""
        until = self.asked + requests
        while self.asked < until and not self.wrong:
            self._over.wait(0.01)


@pytest.mark.parametrize("old_data", [False, True])
def test_no_request_fails_when_redis_dies_and_comes_back(tmp_path: Path, *, old_data: bool) -> None:
    with serving_cache() as cache, serving(tmp_path, cache_url=cache.url, cache_fence_ttl=QUIET) as server:
        wait_for(server, "ok")
        load = Load(server)
        with ThreadPoolExecutor(CLIENTS) as threads:
            running = [threads.submit(load.run) for _ in range(CLIENTS)]
            try:
                load.go_on(100)
                for _ in range(3):
                    bounce(cache, load, old_data=old_data)
            finally:
                load.end()
            for client in running:
                client.result(HANG_TIMEOUT)
        assert load.wrong == []


def bounce(cache: Cache, load: Load, *, old_data: bool) -> None:
    """Kill the cache, let the clients feel it, and bring it back."""
    if old_data:
        with cache.client as client:
            client.save()
    cache.stop()
    load.go_on(100)
    cache.start()
    load.go_on(100)


def test_a_server_started_without_redis_works_and_joins_it(tmp_path: Path) -> None:
    with serving_cache() as cache:
        cache.stop()
        with (
            serving(tmp_path, cache_url=cache.url, cache_fence_ttl=QUIET) as server,
            httpx.Client(timeout=HANG_TIMEOUT) as client,
        ):
            path = client.post(f"{server.url}/v1/people", json={"person_surname": "Early"}).headers["Location"]
            assert client.get(f"{server.url}{path}").headers["Cache-Status"] == "peopleinfo; fwd=bypass"
            cache.start()
            wait_for(server, "ok")
            while "hit" not in client.get(f"{server.url}{path}").headers["Cache-Status"]:
                pass
            fresh = client.get(f"{server.url}{path}", headers={"Cache-Control": "no-cache"})
            assert fresh.headers["Cache-Status"] == "peopleinfo; fwd=request"


def wait_for(server: Server, state: str) -> None:
    with httpx.Client(timeout=HANG_TIMEOUT) as client:
        while client.get(f"{server.url}/status").json()["cache"] != state:
            pass
