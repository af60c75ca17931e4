"""Unsaved input of the edit page survives a reload."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.console import browsing
from tests.console.test_login import ADMIN, sign_in
from tests.http.serving import serving

if TYPE_CHECKING:
    from pathlib import Path

    import httpx
    from playwright.sync_api import Browser, Page


@pytest.fixture
def edit_page(client: httpx.Client) -> str:
    """Return the path of the edit page of a person."""
    person = {"person_name": "Dora", "person_surname": "Entwurf", "score": 7}
    location = client.post("/v1/people", json=person).headers["Location"]
    return f"{location.replace('/v1/', '/console/')}/edit"


def stored(page: Page) -> str:
    return str(page.evaluate("JSON.stringify({...sessionStorage, ...localStorage})"))


def test_reload_restores_the_input_on_request(page: Page, edit_page: str) -> None:
    page.goto(edit_page)
    page.get_by_label("Address").fill("A street\nA town")
    page.get_by_role("group", name="score").get_by_label("Value").fill("[8.50,")
    page.get_by_role("button", name="Add a field").click()
    page.get_by_label("Name", exact=True).last.fill("tags")
    page.reload()
    page.get_by_role("button", name="Restore input").click()
    expect(page.get_by_label("Address")).to_have_value("A street\nA town")
    expect(page.get_by_role("group", name="score").get_by_label("Value")).to_have_value("[8.50,")
    expect(page.get_by_role("group", name="tags")).to_be_visible()


def test_discarded_draft_is_not_offered_again(page: Page, edit_page: str) -> None:
    page.goto(edit_page)
    page.get_by_label("Address").fill("A street")
    page.reload()
    page.get_by_role("button", name="Discard input").click()
    expect(page.get_by_label("Address")).to_have_value("")
    assert "A street" not in stored(page)
    page.reload()
    expect(page.get_by_label("Surname")).to_have_value("Entwurf")
    expect(page.get_by_role("button", name="Restore input")).to_be_hidden()


def test_saved_and_cancelled_input_leaves_no_draft(page: Page, edit_page: str) -> None:
    page.goto(edit_page)
    page.get_by_label("Address").fill("A street")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Dora Entwurf", exact=True)).to_be_visible()
    assert "A street" not in stored(page)
    page.goto(edit_page)
    page.get_by_label("Address").fill("Another street")
    page.get_by_role("link", name="Cancel").click()
    expect(page.get_by_role("heading", name="Dora Entwurf", exact=True)).to_be_visible()
    assert "Another street" not in stored(page)


def test_reverted_input_leaves_no_draft(page: Page, edit_page: str) -> None:
    page.goto(edit_page)
    page.get_by_label("Address").fill("A street")
    assert "A street" in stored(page)
    page.get_by_label("Address").fill("")
    assert "draft" not in stored(page)


def test_restored_draft_of_a_changed_person_leads_to_the_conflict_page(
    page: Page, edit_page: str, client: httpx.Client
) -> None:
    page.goto(edit_page)
    page.get_by_label("Address").fill("My street")
    headers = {"If-Match": "*", "Content-Type": "application/merge-patch+json"}
    api_path = edit_page.removesuffix("/edit").replace("/console/", "/v1/")
    assert client.patch(api_path, json={"person_address": "Their street"}, headers=headers).status_code == 200
    page.reload()
    page.get_by_role("button", name="Restore input").click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="This person has changed")).to_be_focused()
    expect(page.get_by_role("cell", name="My street")).to_be_visible()
    expect(page.get_by_role("cell", name="Their street")).to_be_visible()


def test_restored_draft_of_a_new_person_is_stored_once(page: Page, client: httpx.Client, size: str) -> None:
    surname = f"Einmal{size}"
    page.goto("/console/people/new")
    page.get_by_label("Surname").fill(surname)
    page.route("**/v1/people", lambda route: (route.fetch(), route.abort()))  # the response is lost
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    page.unroute_all()
    page.reload()
    page.get_by_role("button", name="Restore input").click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name=surname)).to_be_visible()
    assert len(client.get("/v1/people", params={"surname": surname}).json()["people"]) == 1


def test_logout_drops_drafts(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path, admin_key=ADMIN) as server, browsing.window(browser, server.url) as page:
        sign_in(page, ADMIN, at="/console/people/new")
        page.get_by_label("Surname").fill("Vertraulich")
        assert "Vertraulich" in stored(page)
        browsing.open_menu(page)
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        assert "Vertraulich" not in stored(page)
