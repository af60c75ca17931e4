"""The variants of the service lack the part that a benchmark compares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
from bench.servers import ours

if TYPE_CHECKING:
    from pathlib import Path

    from bench.servers import Server

READS = 150  # more than the burst of a connection without a credential


def metrics_after_reads(server: Server) -> str:
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client:
        for _ in range(READS):
            client.get("/v1/people", params={"surname": "Lund"}).raise_for_status()
        return client.get("/metrics").text


def test_variant_without_metrics_counts_no_request(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/people.db"
    with ours(store, module="bench.variants.no_metrics", PEOPLEINFO_ALLOW_ANONYMOUS="true") as server:
        assert '{method="GET",route="/v1/people",status="200"}' not in metrics_after_reads(server)


def test_variant_without_authentication_neither_limits_nor_delays_requests(tmp_path: Path) -> None:
    settings = {"PEOPLEINFO_ADMIN_KEY": "0" * 64, "PEOPLEINFO_RATE_LIMIT": "10"}
    with ours(f"sqlite:///{tmp_path}/people.db", module="bench.variants.no_auth", **settings) as server:
        metrics = metrics_after_reads(server)
    assert "peopleinfo_http_requests_delayed_total 0.0" in metrics
    assert f'{{method="GET",route="/v1/people",status="200"}} {READS}.0' in metrics
