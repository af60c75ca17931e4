"""Pages show all fields of people as text and never execute them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import expect

from tests.console import browsing
from tests.console.hostile_texts import TEXTS
from tests.http.serving import HANG_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from tests.http.serving import Server


@pytest.fixture(scope="module")
def people(server: Server) -> list[str]:
    """Return the ids of people with hostile names, one per text."""
    with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client:
        records = [
            {"person_name": f"A{text}", "person_surname": text, "person_address": f"{text}\n{text}"} for text in TEXTS
        ]
        return [
            client.post("/v1/people", json=person | {"note": text}).json()["person_id"]
            for person, text in zip(records, TEXTS, strict=True)
        ]


@pytest.fixture
def unharmed(browser: Browser, server: Server) -> Iterator[Page]:
    with browsing.window(browser, server.url) as page:
        yield page
        assert page.evaluate("window.harmed") is None


def test_list_shows_names_and_addresses_as_text(unharmed: Page, people: list[str]) -> None:
    unharmed.goto("/console")
    browsing.scroll_to(unharmed, len(people))
    shown = unharmed.evaluate("[...document.querySelectorAll('.who, .line')].map(e => e.textContent)")
    for text in TEXTS:
        assert f"{text}, A{text}" in shown
        assert f"{text}, {text}" in shown


def test_search_accepts_hostile_text(unharmed: Page, people: list[str]) -> None:
    text = next(text for text in TEXTS if text.startswith("<marquee"))
    unharmed.goto("/console")
    unharmed.get_by_label("Name, birthdate, address, mail or phone").fill(text)
    expect(unharmed.locator(".who")).to_have_text([f"{text}, A{text}"])


def test_person_page_shows_all_fields_as_text(unharmed: Page, people: list[str]) -> None:
    for person_id, text in zip(people, TEXTS, strict=True):
        show(unharmed, person_id)
        name = f"A{text} {text}"
        expect(unharmed.locator("#id")).to_have_text(person_id)
        assert unharmed.evaluate("document.querySelector('h1').textContent") == name
        texts = unharmed.evaluate("[...document.querySelectorAll('.text')].map(e => e.textContent)")
        assert texts == [f"A{text}", text, f"{text}\n{text}", text]
        assert unharmed.evaluate("window.harmed") is None


def show(page: Page, person_id: str) -> None:
    """Show a person: load the page for the first one, then run its script again for each of the others."""
    path = f"/console/people/{person_id}"
    if page.url == "about:blank":
        page.goto(path)
        return
    page.evaluate(
        """([path, name]) => {
            history.replaceState(null, "", path);
            return import(document.querySelector(`script[src$="/${name}"]`).src + "?" + path);
        }""",
        [path, "person.js"],
    )


def test_hostile_field_names_are_shown_edited_compared_and_stored(unharmed: Page, server: Server) -> None:
    fields = {text: {text: [text]} for text in TEXTS}
    with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client:
        response = client.post("/v1/people", json={"person_name": "Hostile"} | fields)
        path = response.headers["Location"]
        unharmed.goto(path.replace("/v1/", "/console/"))
        expect(unharmed.locator("#person")).to_be_visible()
        names = unharmed.evaluate("[...document.querySelectorAll('#more > dt')].map(e => e.textContent)")
        assert set(names) == set(TEXTS)
        unharmed.get_by_role("link", name="Edit").click()
        unharmed.get_by_label("First name").fill("Hostile 2")
        unharmed.get_by_role("group", name="<plaintext>", exact=True).get_by_label("Value").fill('["<b>mine</b>"]')
        headers = {"If-Match": "*", "Content-Type": "application/merge-patch+json"}
        client.patch(path, json={"<plaintext>": "<b>theirs</b>"}, headers=headers)
        unharmed.get_by_role("button", name="Save").click()
        expect(unharmed.get_by_role("cell", name="<b>mine</b>")).to_be_visible()
        unharmed.get_by_label("<plaintext>: Yours").check()
        unharmed.get_by_role("button", name="Save selection").click()
        expect(unharmed.get_by_role("heading", name="Hostile 2")).to_be_visible()
        person = client.get(path).json()
    assert {name: person[name] for name in TEXTS} == fields | {"<plaintext>": ["<b>mine</b>"]}
