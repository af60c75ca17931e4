"""Health checks, metrics by route, and the access log."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

import httpx

from peopleinfo import __version__
from tests.http.serving import HANG_TIMEOUT, Server, started
from tests.store_kinds import CACHED

if TYPE_CHECKING:
    from pathlib import Path


def test_healthy_server_reports_ok(client: httpx.Client, store_kind: str) -> None:
    response = client.get("/status")
    assert response.status_code == 200
    cache = {"cache": "ok"} if store_kind == CACHED else {}
    assert response.json() == {"statusCode": 200, "status": "ok", "version": __version__, "store": "ok"} | cache
    assert response.headers["Cache-Control"] == "no-store"


def test_removed_database_is_reported_as_a_store_error(tmp_path: Path) -> None:
    with started(tmp_path) as server:
        for file in tmp_path.glob("people.db*"):
            file.unlink()
        response = wait_until_unavailable(server)
        server.terminate()
    assert (response.status_code, response.json()["statusCode"], response.json()["status"]) == (503, 503, "unavailable")
    assert "people.db was removed" in response.json()["store"]
    assert int(response.headers["Retry-After"]) > 0


def test_replaced_database_is_reported_as_unavailable(tmp_path: Path) -> None:
    with started(tmp_path) as server:
        database = tmp_path / "people.db"
        database.rename(tmp_path / "moved.db")
        database.write_bytes(b"")
        assert wait_until_unavailable(server).json()["status"] == "unavailable"
        server.terminate()


def wait_until_unavailable(server: Server) -> httpx.Response:
    """Request the status until the server reports a failure; its last check may be a second old."""
    deadline = monotonic() + HANG_TIMEOUT
    while (response := httpx.get(f"{server.url}/status", timeout=HANG_TIMEOUT)).status_code == 200:
        assert monotonic() < deadline
    return response


def test_server_without_its_database_is_live_but_not_ready(tmp_path: Path) -> None:
    with started(tmp_path) as server:
        for file in tmp_path.glob("people.db*"):
            file.unlink()
        wait_until_unavailable(server)
        assert httpx.get(f"{server.url}/status/ready").status_code == 503
        assert httpx.get(f"{server.url}/status/live").status_code == 200
        server.terminate()


def test_metrics_count_requests_by_route_and_not_by_path(client: httpx.Client, surname: str) -> None:
    client.get(f"/v1/people/{surname}")
    client.get("/data", params={"person_surname": surname})
    client.get(f"/{surname}")
    metrics = client.get("/metrics")
    assert metrics.headers["Content-Type"].startswith("text/plain")
    assert surname not in metrics.text
    for line in (
        'peopleinfo_http_requests_total{method="GET",route="/v1/people/{person_id}",status="404"}',
        'peopleinfo_http_requests_total{method="GET",route="/data",status="200"}',
        'peopleinfo_http_requests_total{method="GET",route="(no route)",status="404"}',
    ):
        assert line in metrics.text


def test_access_log_has_a_line_for_each_request_without_personal_data(tmp_path: Path) -> None:
    with started(tmp_path) as server:
        canary = "Canary4711"
        with httpx.Client(base_url=server.url) as client:
            location = client.post("/v1/people", json={"person_surname": canary, canary: canary}).headers["Location"]
            client.get("/v1/people", params={"surname": canary, "name": canary})
            client.get(location, headers={"User-Agent": canary, "X-Request-Id": canary})
            last = client.get(f"/v1/people/{canary}?{canary}={canary}").headers["X-Request-Id"]
        assert server.terminate() == 0
        log = server.log.read_text()
    assert canary not in log
    assert location.rpartition("/")[2] not in log
    assert sum('"event":"request"' in line and '"/status"' not in line for line in log.splitlines()) == 4
    assert f'"request_id":"{last}"' in log


def test_openmetrics_format_is_returned_on_request(client: httpx.Client) -> None:
    response = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n")
