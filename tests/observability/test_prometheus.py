"""A real Prometheus watches real services under load: what is drawn has data, alerts fire when something breaks, and clear after."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic, sleep
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest

from tests import dynamodb_servers, valkey_servers
from tests.http.serving import HANG_TIMEOUT, Server, serving
from tests.observability.expressions import PROMETHEUS, RECORDED, panels, within
from tests.ports import free_port
from tests.store_kinds import GENEROUS_TIMEOUT, store_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WINDOW = 6  # seconds, instead of minutes and hours
THROTTLED = b'{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}'


class Throttle(ThreadingHTTPServer):
    """A way to DynamoDB that refuses every call while it is told to, as a table without capacity does."""

    daemon_threads = False  # so that closing it waits for whoever it serves

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Throttled)
        self.target = urlsplit(target).netloc
        self.refuses = False


class _Throttled(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Throttle

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.refuses:
            self._answer(400, THROTTLED)
            return
        way = HTTPConnection(self.server.target, timeout=HANG_TIMEOUT)
        way.request("POST", "/", body, dict(self.headers))
        answer = way.getresponse()
        self._answer(answer.status, answer.read())
        way.close()

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Prometheus:
    """The server that watches, asked over its API."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=HANG_TIMEOUT)

    def has(self, expression: str) -> bool:
        """Say whether an expression has data now."""
        answer = self._client.get("/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", (expression, answer)
        return bool(answer["data"]["result"])

    def is_firing(self, alert: str) -> bool:
        alerts = self._client.get("/api/v1/alerts").json()["data"]["alerts"]
        return any(one["labels"]["alertname"] == alert and one["state"] == "firing" for one in alerts)

    def follow(self, alert: str, broken: Callable[[], None], mended: Callable[[], None]) -> None:
        """Break something, wait until the alert fires, mend it, and wait until it has cleared."""
        wait_until(lambda: not self.is_firing(alert), f"{alert} fires although nothing is broken")
        broken()
        try:
            wait_until(lambda: self.is_firing(alert), f"{alert} does not fire")
        finally:
            mended()
        wait_until(lambda: not self.is_firing(alert), f"{alert} does not clear")

    def close(self) -> None:
        self._client.close()


class Watched:
    """A service on DynamoDB with a cache, another one on SQLite with two workers, both under load, and a Prometheus that watches them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.throttle = stack.enter_context(throttling())
        self.cache = stack.enter_context(valkey_servers.running_server())
        store = (
            store_url("ministack", folder).partition("?")[0]
            + f"?endpoint={url_of(self.throttle)}&timeout={GENEROUS_TIMEOUT}"
        )
        (folder / "cloud").mkdir()
        services = [
            stack.enter_context(
                serving(folder / "cloud", store_url=store, cache_url=self.cache.url, cache_fence_ttl=0.1)
            ),
            stack.enter_context(serving(folder, workers=2, audit_log=f"file://{folder / 'audit.jsonl'}")),
        ]
        self.prometheus = Prometheus(stack.enter_context(watching(folder, services)))
        stack.callback(self.prometheus.close)
        stack.enter_context(loading(services))


def url_of(throttle: Throttle) -> str:
    return f"http://127.0.0.1:{throttle.server_port}"


@contextmanager
def throttling() -> Iterator[Throttle]:
    with Throttle(dynamodb_servers.endpoint("ministack")) as throttle, ThreadPoolExecutor(1) as thread:
        thread.submit(throttle.serve_forever)
        yield throttle
        throttle.shutdown()


@contextmanager
def watching(folder: Path, services: list[Server]) -> Iterator[str]:
    """Start Prometheus with the project's own rules, whose windows are short."""
    for name in ("recording.yml", "alerts.yml"):
        (folder / name).write_text(within(WINDOW, (PROMETHEUS / name).read_text()))
    targets = [urlsplit(service.url).netloc for service in services]
    settings = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["recording.yml", "alerts.yml"],
        "scrape_configs": [{"job_name": "peopleinfo", "static_configs": [{"targets": targets}]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(settings))  # which is YAML, too
    port = free_port()
    command = [
        str(shutil.which("prometheus")),
        "--config.file=prometheus.yml",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: is_ready(url), "Prometheus does not answer")
        yield url
    finally:
        process.kill()
        process.wait(HANG_TIMEOUT)


def is_ready(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/-/ready").status_code == 200
    return False


def wait_until(holds: Callable[[], object], otherwise: str) -> None:
    patience = monotonic() + HANG_TIMEOUT
    while not holds():
        assert monotonic() < patience, otherwise
        sleep(0.1)  # what Prometheus finds sets no event here


@contextmanager
def loading(services: list[Server]) -> Iterator[None]:
    over = threading.Event()
    with ThreadPoolExecutor(2 * len(services)) as threads:
        clients = [threads.submit(visit, server, over) for server in services for _ in range(2)]
        try:
            yield
        finally:
            over.set()
    for client in clients:
        client.result()


def visit(server: Server, over: threading.Event) -> None:
    """Use everything that the dashboards tell of, whatever is broken meanwhile."""
    rows = {"Content-Type": "application/x-ndjson"}
    with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client:
        while not over.wait(0.1):
            made = client.post("/v1/people", json={"person_surname": "Load"})
            for _ in range(3):
                client.get(made.headers.get("Location", "/v1/people/0"))
            client.get("/v1/people?surname=load")
            client.get("/status")
            client.post("/v1/people/import", content=b'{"person_surname": "Row"}', headers=rows)
            with suppress(
                httpx.RemoteProtocolError
            ):  # an export that lost its store breaks off: nobody shall take it for whole
                client.get("/v1/people/export?surname=row")


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    found = shutil.which("prometheus")
    if found is None:
        pytest.skip("needs prometheus (Debian: prometheus)")
    with ExitStack() as stack:
        yield Watched(tmp_path_factory.mktemp("watched"), stack)


def test_an_alert_fires_when_redis_is_killed_and_clears_when_it_is_back(watched: Watched) -> None:
    watched.prometheus.follow("PeopleInfoCacheDown", watched.cache.stop, watched.cache.start)


def test_an_alert_fires_when_dynamodb_throttles_and_clears_after(watched: Watched) -> None:
    """Also the service itself has to be asked for its figures then, which it is not when it asks the store who wants them."""

    def throttle(*, on: bool) -> None:
        watched.throttle.refuses = on

    watched.prometheus.follow("PeopleInfoStoreThrottled", lambda: throttle(on=True), lambda: throttle(on=False))


def test_whatever_is_drawn_or_recorded_has_data(watched: Watched) -> None:
    missing = {name: within(4 * WINDOW, drawn) for name, drawn in panels().items()} | {name: name for name in RECORDED}

    def all_found() -> bool:
        for name, expression in list(missing.items()):
            if watched.prometheus.has(expression):
                del missing[name]
        return not missing

    with suppress(AssertionError):
        wait_until(all_found, "some have none")
    assert missing == {}
