"""/status and /metrics: what operators ask."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

import httpx

from peopleinfo import __version__
from tests.http.serving import HANG_TIMEOUT, Server, started
from tests.store_kinds import CACHED

if TYPE_CHECKING:
    from pathlib import Path


def test_a_server_that_can_serve_says_ok(client: httpx.Client, store_kind: str) -> None:
    answer = client.get("/status")
    assert answer.status_code == 200
    cache = {"cache": "ok"} if store_kind == CACHED else {}
    assert answer.json() == {"statusCode": 200, "status": "ok", "version": __version__, "store": "ok"} | cache
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_server_whose_database_was_removed_names_the_store(tmp_path: Path) -> None:
    with started(tmp_path) as server:
        for file in tmp_path.glob("people.db*"):
            file.unlink()
        answer = unavailable(server)
        server.terminate()
    assert (answer.status_code, answer.json()["statusCode"], answer.json()["status"]) == (503, 503, "unavailable")
    assert "people.db was removed" in answer.json()["store"]
    assert int(answer.headers["Retry-After"]) > 0


def test_a_server_whose_database_was_replaced_does_not_take_the_other_for_its_own(tmp_path: Path) -> None:
    with started(tmp_path) as server:
        database = tmp_path / "people.db"
        database.rename(tmp_path / "moved.db")
        database.write_bytes(b"")
        assert unavailable(server).json()["status"] == "unavailable"
        server.terminate()


def unavailable(server: Server) -> httpx.Response:
    """Ask until the service has noticed; what it knows of its store may be a second old."""
    patience = monotonic() + HANG_TIMEOUT
    while (answer := httpx.get(f"{server.url}/status", timeout=HANG_TIMEOUT)).status_code == 200:
        assert monotonic() < patience
    return answer


def test_a_server_without_its_database_is_alive_and_not_ready(tmp_path: Path) -> None:
    with started(tmp_path) as server:
        for file in tmp_path.glob("people.db*"):
            file.unlink()
        unavailable(server)
        assert httpx.get(f"{server.url}/status/ready").status_code == 503
        assert httpx.get(f"{server.url}/status/live").status_code == 200
        server.terminate()


def test_the_metrics_count_requests_by_route_and_never_by_path(client: httpx.Client, surname: str) -> None:
    client.get(f"/v1/people/{surname}")
    client.get("/data", params={"person_surname": surname})
    client.get(f"/{surname}")
    figures = client.get("/metrics")
    assert figures.headers["Content-Type"].startswith("text/plain")
    assert surname not in figures.text
    for line in (
        'peopleinfo_http_requests_total{method="GET",route="/v1/people/{person_id}",status="404"}',
        'peopleinfo_http_requests_total{method="GET",route="/data",status="200"}',
        'peopleinfo_http_requests_total{method="GET",route="(no route)",status="404"}',
    ):
        assert line in figures.text


def test_the_log_has_a_line_for_each_request_without_anything_of_it(tmp_path: Path) -> None:
    with started(tmp_path) as server:
        canary = "Canary4711"
        with httpx.Client(base_url=server.url) as client:
            place = client.post("/v1/people", json={"person_surname": canary, canary: canary}).headers["Location"]
            client.get("/v1/people", params={"surname": canary, "name": canary})
            client.get(place, headers={"User-Agent": canary, "X-Request-Id": canary})
            last = client.get(f"/v1/people/{canary}?{canary}={canary}").headers["X-Request-Id"]
        assert server.terminate() == 0
        log = server.log.read_text()
    assert canary not in log
    assert place.rpartition("/")[2] not in log
    assert sum('"event":"request"' in line and '"/status"' not in line for line in log.splitlines()) == 4
    assert f'"request_id":"{last}"' in log


def test_openmetrics_is_answered_to_whom_asks_for_it(client: httpx.Client) -> None:
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
