"""The health page shows the metrics of the service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    import httpx
    from playwright.sync_api import Page


@pytest.mark.parametrize("gauge", ["requests", "client-errors", "server-errors", "median", "slow", "store"])
def test_health_page_shows_the_gauge_of_a_metric(page: Page, client: httpx.Client, gauge: str) -> None:
    assert client.post("/v1/people", json={"person_surname": "Gauge"}).status_code == 201
    page.goto("/console/health")
    expect(page.get_by_text("Healthy", exact=True)).to_be_visible()
    expect(page.locator(f"#{gauge} output")).to_be_visible()


def test_client_errors_are_counted_apart_from_server_errors(page: Page, client: httpx.Client) -> None:
    page.goto("/console/health")
    expect(page.locator("#client-errors .hint")).to_contain_text("since start")
    before = int(page.locator("#client-errors .hint").inner_text().split()[0])
    for _ in range(3):
        assert client.post("/v1/people", json={}).status_code == 422
    expect(page.locator("#client-errors .hint")).to_have_text(f"{before + 3} since start")
    expect(page.locator("#client-errors output")).not_to_have_text("0 %")
    expect(page.locator("#server-errors .hint")).to_have_text("0 since start")
    expect(page.locator("#chart-text")).to_contain_text("At most")
    assert "NaN" not in (page.locator("svg .client").get_attribute("d") or "NaN")


def test_routes_are_shown_on_request_within_the_window(page: Page, client: httpx.Client) -> None:
    client.post("/v1/people", json={})
    page.goto("/console/health")
    cell = page.get_by_role("rowheader", name="POST /v1/people", exact=True)
    expect(cell).to_be_hidden()
    page.get_by_text("Requests by route").click()
    expect(cell).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
