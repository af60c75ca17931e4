"""Pages keep their input during an outage and resume after it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from playwright.sync_api import expect

from tests.console import browsing
from tests.http.serving import serving, started
from tests.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

UNAVAILABLE = "The server does not respond"


def test_input_survives_an_outage_and_is_saved_once(browser: Browser, tmp_path: Path) -> None:
    with started(tmp_path, port=free_port()) as server, browsing.window(browser, server.url) as page:
        port = urlsplit(server.url).port
        page.goto("/console/people/new")
        page.get_by_label("Surname").fill("Beharrlich")
        page.get_by_label("Address").fill("A street\nA town")
        server.kill()
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("alert").filter(has_text="Your input is still in the form")).to_be_focused()
        expect(page.locator("#outage")).to_contain_text(UNAVAILABLE)
        with serving(tmp_path, port=port):
            page.get_by_role("button", name="Try again").click()
            expect(page.get_by_role("heading", name="Beharrlich")).to_be_visible()
            page.goto("/console")
            expect(page.locator(".who")).to_have_text(["Beharrlich"])


def test_search_resumes_after_an_outage(browser: Browser, tmp_path: Path) -> None:
    with started(tmp_path, port=free_port()) as server, browsing.window(browser, server.url) as page:
        port = urlsplit(server.url).port
        page.goto("/console")
        expect(page.get_by_role("heading", name="No people yet")).to_be_visible()
        server.kill()
        page.get_by_label("Name, birthdate, address, mail or phone").press_sequentially("abc")
        expect(page.locator("#outage")).to_contain_text(UNAVAILABLE)
        with serving(tmp_path, port=port):
            expect(page.get_by_role("heading", name="No matches")).to_be_visible()
            expect(page.locator("#outage")).to_have_text("")


def test_banner_disappears_without_a_click_after_an_outage(browser: Browser, tmp_path: Path) -> None:
    with started(tmp_path, port=free_port()) as server, browsing.window(browser, server.url) as page:
        port = urlsplit(server.url).port
        page.goto("/console/people/new")
        page.get_by_label("Surname").fill("Geduldig")
        server.kill()
        page.get_by_role("button", name="Save").click()
        expect(page.locator("#outage")).to_contain_text("This page reconnects automatically")
        with serving(tmp_path, port=port):
            expect(page.locator("#outage")).to_have_text("")
            expect(page.locator("#problem")).to_contain_text("The server responds again")
            page.locator("#problem").get_by_role("button", name="Save").click()
            expect(page.get_by_role("heading", name="Geduldig")).to_be_visible()
