"""The health page shows the metrics of the service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    import httpx
    from playwright.sync_api import Page


@pytest.mark.parametrize("gauge", ["requests", "errors", "median", "slow", "store"])
def test_health_page_shows_the_gauge_of_a_metric(page: Page, client: httpx.Client, gauge: str) -> None:
    assert client.post("/v1/people", json={"person_surname": "Gauge"}).status_code == 201
    page.goto("/console/health")
    expect(page.get_by_text("Healthy", exact=True)).to_be_visible()
    expect(page.locator(f"#{gauge} output")).to_be_visible()
