"""Pages pass the serious axe-core rules, on desktop and phone, in light and dark mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]

from tests.console import browsing
from tests.http.serving import HANG_TIMEOUT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.http.serving import Server

SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def anna(server: Server) -> str:
    """Return the id of a person with fields of every type."""
    person = {
        "person_name": "Anna", "person_surname": "Müller", "person_birthdate": "1990-02-11", "person_address": "12 Lindenweg\nLeipzig",
        "languages": {"german": "native", "turkish": {"level": "B2"}}, "member of": ["choir", "library"], "score": 1.5, "none": None, "yes": True,
    }  # fmt: skip
    return str(httpx.post(f"{server.url}/v1/people", json=person, timeout=HANG_TIMEOUT).json()["person_id"])


def violations_of(page: Page) -> list[str]:
    """Return the serious and critical violations of a page."""
    page.wait_for_load_state("networkidle")
    violations = Axe().run(page).response["violations"]
    return [f"{v['id']}: {v['help']}: {[n['html'] for n in v['nodes']]}" for v in violations if v["impact"] in SERIOUS]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_pages_have_no_serious_accessibility_violations(
    browser: Browser, server: Server, anna: str, size: str, dark: bool
) -> None:
    with browsing.window(browser, server.url, size, dark=dark) as page:
        for path in (
            "/console",
            f"/console/people/{anna}",
            f"/console/people/{anna}/edit",
            "/console/people/new",
            "/console/import-export",
            "/console/health",
            "/console/sign-in",
            "/console/x",
        ):
            page.goto(path)
            assert violations_of(page) == [], path


def test_dynamic_content_has_no_serious_accessibility_violations(
    browser: Browser, server: Server, anna: str, size: str
) -> None:
    with browsing.window(browser, server.url, size) as page:
        page.goto(f"/console/people/{anna}/edit")
        page.get_by_label("Birthdate").fill("never")
        page.get_by_role("button", name="Save").click()
        page.locator("#form .wrong").wait_for()
        assert violations_of(page) == [], "rejected"
        page.get_by_label("Birthdate").fill("1991")
        headers = {"If-Match": "*", "Content-Type": "application/merge-patch+json"}
        httpx.patch(
            f"{server.url}/v1/people/{anna}", json={"person_birthdate": "1992"}, headers=headers, timeout=HANG_TIMEOUT
        )
        page.get_by_role("button", name="Save").click()
        page.locator(".choice").first.wait_for()
        assert violations_of(page) == [], "a conflict"
        page.get_by_role("button", name="Discard my changes").click()
        page.get_by_role("link", name="Cancel").click()
        page.get_by_role("button", name="Delete").click()
        page.get_by_role("button", name="Undo").wait_for()
        page.locator("#filters summary").click()
        assert violations_of(page) == [], "pending deletion"
        page.get_by_role("button", name="Undo").click()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_documentation_of_the_api_has_the_header_and_the_contrast_of_the_console(
    browser: Browser, server: Server, size: str, dark: bool
) -> None:
    with browsing.window(browser, server.url, size, dark=dark) as page:
        page.goto("/docs")
        page.locator(".opblock").first.wait_for()
        # Swagger UI puts a link into a button; every other rule applies.
        assert [v for v in violations_of(page) if not v.startswith("nested-interactive")] == []
        page.get_by_role("navigation", name="Console").get_by_role("link", name="People").click()
        page.get_by_role("heading", name="People").wait_for()
