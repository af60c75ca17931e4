"""/metrics: totals of all workers, and access control."""

from __future__ import annotations

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from time import monotonic
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from tests import valkey_servers
from tests.http.serving import HANG_TIMEOUT, Server, serving, started
from tests.http.test_workers import workers_of

if TYPE_CHECKING:
    from pathlib import Path

WORKERS = 4
CLIENTS = 8
REQUESTS = 200


def scrape(server: Server, accept: str = "") -> dict[str, float]:
    """Return every sample of a scrape by its name and labels."""
    with closing(HTTPConnection(*server.address, timeout=HANG_TIMEOUT)) as connection:
        connection.request("GET", "/metrics", headers={"Accept": accept})
        response = connection.getresponse()
        text = response.read().decode()
    parse = openmetrics if "openmetrics" in response.headers["Content-Type"] else text_string_to_metric_families
    return {
        f"{sample.name}{{{','.join(f'{name}={value}' for name, value in sorted(sample.labels.items()))}}}": sample.value
        for family in parse(text)
        for sample in family.samples
    }


def requests_of(server: Server, route: str) -> float:
    counted = scrape(server)
    return sum(
        value
        for name, value in counted.items()
        if name.startswith("peopleinfo_http_requests_total") and f"route={route}," in name
    )


def send(server: Server, count: int) -> None:
    """Send requests over new connections, so that every worker gets some."""

    def client(share: int) -> None:
        for _ in range(share):
            with closing(HTTPConnection(*server.address, timeout=HANG_TIMEOUT)) as connection:
                connection.request("GET", "/v1/people?surname=nobody")
                assert connection.getresponse().status == 200

    with ThreadPoolExecutor(CLIENTS) as threads:
        list(threads.map(client, [count // CLIENTS] * CLIENTS))


def wait_for_count(server: Server, count: int) -> None:
    """Wait until the metrics count all requests; workers share their counts with a delay, and never count too many."""
    deadline = monotonic() + HANG_TIMEOUT
    while (counted := requests_of(server, "/v1/people")) != count:
        assert counted < count, f"{counted} were counted, {count} sent"
        assert monotonic() < deadline, f"{counted} of {count}"


def test_scrape_counts_all_workers_after_one_was_replaced(tmp_path: Path) -> None:
    with serving(tmp_path, workers=WORKERS) as server:
        send(server, REQUESTS)
        wait_for_count(server, REQUESTS)
        assert [requests_of(server, "/v1/people") for _ in range(10)] == [REQUESTS] * 10
        before = workers_of(server)
        before[0].kill()
        psutil.wait_procs(before[:1], timeout=HANG_TIMEOUT)
        wait_for_count(server, REQUESTS)
        wait_until_replaced(server)
        send(server, REQUESTS)
        wait_for_count(server, 2 * REQUESTS)


def wait_until_replaced(server: Server) -> None:
    """Wait until all workers run and have reported their metrics."""
    deadline = monotonic() + HANG_TIMEOUT
    while scrape(server)["peopleinfo_workers{}"] < WORKERS:
        assert monotonic() < deadline


def test_store_operations_and_requests_are_timed(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        httpx.post(f"{server.url}/v1/people", json={"person_surname": "Counted"})
        counted = scrape(server)
    assert counted["peopleinfo_store_operation_duration_seconds_count{operation=create}"] == 1
    assert counted["peopleinfo_http_request_duration_seconds_count{method=POST,route=/v1/people}"] == 1
    assert counted["peopleinfo_http_response_bytes_total{route=/v1/people}"] > 100
    assert counted["peopleinfo_http_requests_in_flight{}"] == 1  # the scrape itself
    assert counted["process_resident_memory_bytes{}"] > 1e6


def test_cached_read_is_counted_at_each_level(tmp_path: Path) -> None:
    with (
        valkey_servers.running_server() as cache,
        serving(tmp_path, cache_url=cache.url, cache_timeout=5, cache_fence_ttl=0.02) as server,
    ):
        path = httpx.post(f"{server.url}/v1/people", json={"person_surname": "Cached"}).headers["Location"]
        deadline = monotonic() + HANG_TIMEOUT
        while "local" not in httpx.get(f"{server.url}{path}").headers["Cache-Status"]:
            assert monotonic() < deadline
        counted = scrape(server)
    assert counted["peopleinfo_cache_reads_total{level=local,outcome=hit}"] == 1
    assert counted["peopleinfo_cache_reads_total{level=shared,outcome=miss}"] >= 1
    assert counted["peopleinfo_cache_lookups_total{outcome=miss}"] >= 1
    assert counted["peopleinfo_cache_fills_total{outcome=kept}"] >= 1
    assert counted["peopleinfo_cache_fences_total{outcome=cleared}"] == 1
    assert (counted["peopleinfo_cache_up{}"], counted["peopleinfo_cache_tracking_up{}"]) == (1, 1)
    assert counted["peopleinfo_cache_invalidation_lag_seconds_count{}"] >= 1


def test_dynamodb_consumption_is_counted(tmp_path: Path) -> None:
    with serving(tmp_path, kind="ministack") as server:
        path = httpx.post(f"{server.url}/v1/people", json={"person_surname": "Costly"}).headers["Location"]
        httpx.get(f"{server.url}{path}")
        counted = scrape(server)
    assert counted["peopleinfo_dynamodb_requests_total{action=PutItem,outcome=ok}"] >= 1
    assert counted["peopleinfo_dynamodb_consumed_units_total{action=PutItem}"] > 0
    assert counted["peopleinfo_dynamodb_consumed_units_total{action=GetItem}"] > 0
    assert counted["peopleinfo_dynamodb_pool_wait_seconds_count{}"] >= 2


def test_bulk_operations_are_counted_by_row(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        rows = b'{"person_surname": "One"}\n{"person_surname": 2}\n'
        headers = {"Content-Type": "application/x-ndjson"}
        httpx.post(f"{server.url}/v1/people/import", content=rows, headers=headers)
        httpx.get(f"{server.url}/v1/people/export")
        counted = scrape(server, accept="application/openmetrics-text; version=1.0.0")
    assert counted["peopleinfo_import_rows_total{outcome=stored}"] == 1
    assert counted["peopleinfo_import_rows_total{outcome=rejected}"] == 1
    assert counted["peopleinfo_export_people_total{}"] == 1
    assert counted["peopleinfo_bulk_operations_running{kind=import}"] == 0


@pytest.mark.parametrize(("setting", "status"), [("required", 401), ("none", 200)])
def test_setting_controls_access_to_the_metrics(tmp_path: Path, setting: str, status: int) -> None:
    with started(tmp_path, admin_key="k" * 43, metrics_auth=setting) as server:
        assert httpx.get(f"{server.url}/metrics").status_code == status
        assert httpx.get(f"{server.url}/v1/people?surname=a").status_code == 401
        with_key = httpx.get(f"{server.url}/metrics", headers={"Authorization": f"Bearer {'k' * 43}"})
        assert with_key.status_code == 200


def test_promtool_accepts_the_metrics(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("needs promtool (Debian: prometheus)")
    with serving(tmp_path) as server:
        httpx.post(f"{server.url}/v1/people", json={"person_surname": "Checked"})
        text = httpx.get(f"{server.url}/metrics").content
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
    assert re.search(rb"peopleinfo_instance_info\{id=\"[^\"]+:\d+\"\} 1\.0", text)
