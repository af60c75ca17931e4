"""A server that goes away and comes back: nothing is lost, and the page goes on."""

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

AWAY = "The service does not answer"


def test_what_was_typed_survives_and_is_saved_once(browser: Browser, tmp_path: Path) -> None:
    with started(tmp_path, port=free_port()) as gone, browsing.window(browser, gone.url) as page:
        port = urlsplit(gone.url).port
        page.goto("/console/people/new")
        page.get_by_label("Surname").fill("Beharrlich")
        page.get_by_label("Address").fill("A street\nA town")
        gone.kill()
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("alert").filter(has_text="Nothing you typed is lost")).to_be_focused()
        expect(page.locator("#outage")).to_contain_text(AWAY)
        with serving(tmp_path, port=port):
            page.get_by_role("button", name="Try again").click()
            expect(page.get_by_role("heading", name="Beharrlich")).to_be_visible()
            page.goto("/console")
            expect(page.locator(".who")).to_have_text(["Beharrlich"])


def test_a_search_waits_for_the_server_and_goes_on(browser: Browser, tmp_path: Path) -> None:
    with started(tmp_path, port=free_port()) as gone, browsing.window(browser, gone.url) as page:
        port = urlsplit(gone.url).port
        page.goto("/console")
        expect(page.get_by_role("heading", name="Nobody here yet")).to_be_visible()
        gone.kill()
        page.get_by_label("Surname, or how it begins").press_sequentially("abc")
        expect(page.locator("#outage")).to_contain_text(AWAY)
        with serving(tmp_path, port=port):
            expect(page.get_by_role("heading", name="Nobody is called that")).to_be_visible()
            expect(page.locator("#outage")).to_have_text("")
