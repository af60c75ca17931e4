"""Fixtures: one browser, one server per test module and one window per test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.console import browsing
from tests.http.serving import HANG_TIMEOUT, Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Start a browser for this folder only: it blocks asynchronous tests in the same thread."""
    if problem := browsing.missing():
        pytest.skip(problem)
    expect.set_options(timeout=HANG_TIMEOUT * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browsing.chromium(), args=browsing.FLAGS)
        yield browser
        browsing.close_contexts()
        browser.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client:
        yield client


@pytest.fixture(params=browsing.SIZES)
def size(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def page(browser: Browser, server: Server, size: str) -> Iterator[Page]:
    with browsing.window(browser, server.url, size) as page:
        yield page
