"""Redis is killed under load and restarted empty or with old data: no request fails. A server that started without it connects later."""

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
FENCE_TTL = 0.5  # seconds during which a new cache accepts no entries


class Load:
    """Clients that create, change and read continuously, and count their requests."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stopped = threading.Event()
        self.completed = 0
        self.errors: list[str] = []

    def run(self) -> None:
        with httpx.Client(base_url=self._server.url, timeout=HANG_TIMEOUT) as client:
            while not self._stopped.is_set():
                created = client.post("/v1/people", json={"person_surname": "Load"})
                if not created.is_success:
                    self.errors.append(created.text)
                    return
                path = created.headers["Location"]
                changed = client.patch(
                    path,
                    json={"n": 1},
                    headers={"If-Match": '"1"', "Content-Type": "application/merge-patch+json"},
                )
                responses = [created, changed, client.get(path), client.get("/v1/people?surname=load")]
                self.completed += len(responses)
                self.errors += [response.text for response in responses if not response.is_success]
                if responses[2].json()["version"] != 2:
                    self.errors.append("a process did not see its own change")

    def stop(self) -> None:
        self._stopped.set()

    def wait_for_requests(self, requests: int) -> None:
        """Wait until the given number of further requests is complete."""
        target = self.completed + requests
        while self.completed < target and not self.errors:
            self._stopped.wait(0.01)


@pytest.mark.parametrize("old_data", [False, True])
def test_no_request_fails_when_redis_is_killed_and_restarted(tmp_path: Path, *, old_data: bool) -> None:
    with serving_cache() as cache, serving(tmp_path, cache_url=cache.url, cache_fence_ttl=FENCE_TTL) as server:
        wait_for_cache(server, "ok")
        load = Load(server)
        with ThreadPoolExecutor(CLIENTS) as threads:
            futures = [threads.submit(load.run) for _ in range(CLIENTS)]
            try:
                load.wait_for_requests(100)
                for _ in range(3):
                    restart(cache, load, old_data=old_data)
            finally:
                load.stop()
            for client in futures:
                client.result(HANG_TIMEOUT)
        assert load.errors == []


def restart(cache: Cache, load: Load, *, old_data: bool) -> None:
    """Kill the cache, let the clients notice, and restart it."""
    if old_data:
        with cache.client as client:
            client.save()
    cache.stop()
    load.wait_for_requests(100)
    cache.start()
    load.wait_for_requests(100)


def test_server_started_without_redis_serves_and_connects_later(tmp_path: Path) -> None:
    with serving_cache() as cache:
        cache.stop()
        with (
            serving(tmp_path, cache_url=cache.url, cache_fence_ttl=FENCE_TTL) as server,
            httpx.Client(timeout=HANG_TIMEOUT) as client,
        ):
            path = client.post(f"{server.url}/v1/people", json={"person_surname": "Early"}).headers["Location"]
            assert client.get(f"{server.url}{path}").headers["Cache-Status"] == "peopleinfo; fwd=bypass"
            cache.start()
            wait_for_cache(server, "ok")
            while "hit" not in client.get(f"{server.url}{path}").headers["Cache-Status"]:
                pass
            fresh = client.get(f"{server.url}{path}", headers={"Cache-Control": "no-cache"})
            assert fresh.headers["Cache-Status"] == "peopleinfo; fwd=request"


def wait_for_cache(server: Server, state: str) -> None:
    with httpx.Client(timeout=HANG_TIMEOUT) as client:
        while client.get(f"{server.url}/status").json()["cache"] != state:
            pass
