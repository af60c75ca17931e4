"""A real Prometheus monitors real services under load: panels have data, and alerts fire on a fault and clear after its repair."""

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
from tests.observability.expressions import PROMETHEUS, RECORDED, panels, with_windows
from tests.ports import free_port
from tests.store_kinds import GENEROUS_TIMEOUT, store_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WINDOW = 6  # seconds, instead of minutes and hours
THROTTLED = b'{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}'


class Throttle(ThreadingHTTPServer):
    """A proxy to DynamoDB that throttles every request while `throttles` is set."""

    daemon_threads = False  # closing the server waits for running requests

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _ThrottlingHandler)
        self.target = urlsplit(target).netloc
        self.throttles = False


class _ThrottlingHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Throttle

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.throttles:
            self._respond(400, THROTTLED)
            return
        upstream = HTTPConnection(self.server.target, timeout=HANG_TIMEOUT)
        upstream.request("POST", "/", body, dict(self.headers))
        response = upstream.getresponse()
        self._respond(response.status, response.read())
        upstream.close()

    def _respond(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Prometheus:
    """Client of the API of Prometheus."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=HANG_TIMEOUT)

    def has(self, expression: str) -> bool:
        """Return whether an expression has data now."""
        response = self._client.get("/api/v1/query", params={"query": expression}).json()
        assert response["status"] == "success", (expression, response)
        return bool(response["data"]["result"])

    def is_firing(self, alert: str) -> bool:
        alerts = self._client.get("/api/v1/alerts").json()["data"]["alerts"]
        return any(item["labels"]["alertname"] == alert and item["state"] == "firing" for item in alerts)

    def check_alert(self, alert: str, inject: Callable[[], None], repair: Callable[[], None]) -> None:
        """Inject a fault, wait until the alert fires, repair the fault, and wait until the alert clears."""
        wait_until(lambda: not self.is_firing(alert), f"{alert} fires without a fault")
        inject()
        try:
            wait_until(lambda: self.is_firing(alert), f"{alert} does not fire")
        finally:
            repair()
        wait_until(lambda: not self.is_firing(alert), f"{alert} does not clear")

    def close(self) -> None:
        self._client.close()


class MonitoredServices:
    """A service on DynamoDB with a cache, a service on SQLite with two workers, load on both, and a Prometheus that scrapes them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.throttle = stack.enter_context(throttling_proxy())
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
        self.prometheus = Prometheus(stack.enter_context(run_prometheus(folder, services)))
        stack.callback(self.prometheus.close)
        stack.enter_context(generate_load(services))


def url_of(throttle: Throttle) -> str:
    return f"http://127.0.0.1:{throttle.server_port}"


@contextmanager
def throttling_proxy() -> Iterator[Throttle]:
    with Throttle(dynamodb_servers.endpoint("ministack")) as throttle, ThreadPoolExecutor(1) as thread:
        thread.submit(throttle.serve_forever)
        yield throttle
        throttle.shutdown()


@contextmanager
def run_prometheus(folder: Path, services: list[Server]) -> Iterator[str]:
    """Start Prometheus with the rules of the project, shortened to windows of seconds."""
    for name in ("recording.yml", "alerts.yml"):
        (folder / name).write_text(with_windows(WINDOW, (PROMETHEUS / name).read_text()))
    targets = [urlsplit(service.url).netloc for service in services]
    settings = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["recording.yml", "alerts.yml"],
        "scrape_configs": [{"job_name": "peopleinfo", "static_configs": [{"targets": targets}]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(settings))  # JSON is valid YAML
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
        wait_until(lambda: is_ready(url), "Prometheus does not respond")
        yield url
    finally:
        process.kill()
        process.wait(HANG_TIMEOUT)


def is_ready(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/-/ready").status_code == 200
    return False


def wait_until(condition: Callable[[], object], message: str) -> None:
    deadline = monotonic() + HANG_TIMEOUT
    while not condition():
        assert monotonic() < deadline, message
        sleep(0.1)  # Prometheus offers no event to await


@contextmanager
def generate_load(services: list[Server]) -> Iterator[None]:
    stopped = threading.Event()
    with ThreadPoolExecutor(2 * len(services)) as threads:
        clients = [threads.submit(send_requests, server, stopped) for server in services for _ in range(2)]
        try:
            yield
        finally:
            stopped.set()
    for client in clients:
        client.result()


def send_requests(server: Server, stopped: threading.Event) -> None:
    """Send requests that update every metric of the dashboards, even during a fault."""
    rows = {"Content-Type": "application/x-ndjson"}
    with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client:
        while not stopped.wait(0.1):
            created = client.post("/v1/people", json={"person_surname": "Load"})
            for _ in range(3):
                client.get(created.headers.get("Location", "/v1/people/0"))
            client.get("/v1/people?surname=load")
            client.get("/status")
            client.post("/v1/people/import", content=b'{"person_surname": "Row"}', headers=rows)
            with suppress(httpx.RemoteProtocolError):  # the server aborts an export after a store error
                client.get("/v1/people/export?surname=row")


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MonitoredServices]:
    if shutil.which("prometheus") is None:
        pytest.skip("needs prometheus (Debian: prometheus)")
    with ExitStack() as stack:
        yield MonitoredServices(tmp_path_factory.mktemp("monitored"), stack)


def test_cache_alert_fires_when_redis_is_killed_and_clears_when_it_returns(monitored: MonitoredServices) -> None:
    monitored.prometheus.check_alert("PeopleInfoCacheDown", monitored.cache.stop, monitored.cache.start)


def test_throttling_alert_fires_and_clears_with_dynamodb(monitored: MonitoredServices) -> None:
    """Scrapes must succeed meanwhile, so the authentication of a scrape must not depend on the store."""

    def throttle(*, on: bool) -> None:
        monitored.throttle.throttles = on

    monitored.prometheus.check_alert("PeopleInfoStoreThrottled", lambda: throttle(on=True), lambda: throttle(on=False))


def test_every_panel_and_recording_rule_has_data(monitored: MonitoredServices) -> None:
    missing = {name: with_windows(4 * WINDOW, expression) for name, expression in panels().items()} | {
        name: name for name in RECORDED
    }

    def all_have_data() -> bool:
        for name, expression in list(missing.items()):
            if monitored.prometheus.has(expression):
                del missing[name]
        return not missing

    with suppress(AssertionError):
        wait_until(all_have_data, "some expressions have no data")
    assert missing == {}
