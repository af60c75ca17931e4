"""A page of another origin can read the error with which the server rejects it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.console import browsing
from tests.http.serving import ADMIN_KEY, Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("other"), admin_key=ADMIN_KEY) as server:
        yield server


def test_browser_shows_the_error_to_a_page_of_another_origin(browser: Browser, server: Server, other: Server) -> None:
    with browsing.window(browser, server.url, also=(other.url,)) as page:
        page.goto("/status")
        status, detail = page.evaluate(
            """async ([url, key]) => {
                const response = await fetch(url, { headers: { Authorization: `Bearer ${key}` } });
                return [response.status, (await response.json()).detail];
            }""",
            [f"{other.url}/v1/people?surname=x", ADMIN_KEY],
        )
    assert status == 403
    assert "PEOPLEINFO_CORS_ORIGINS" in detail
