"""The history of a person and the trash in the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.console.test_accessibility import violations_of
from tests.http.serving import Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx
    from playwright.sync_api import Page


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server"), trash="30d") as server:
        yield server


def create(client: httpx.Client, **fields: object) -> str:
    """Create a person and return its id."""
    return str(client.post("/v1/people", json=fields).json()["person_id"])


def test_earlier_version_is_compared_and_brought_back(page: Page, client: httpx.Client) -> None:
    person_id = create(client, person_name="Anna", person_surname="Muster", person_birthdate="1990-02-11")
    page.goto(f"/console/people/{person_id}/edit")
    page.get_by_label("Surname").fill("Married")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Anna Married")).to_be_visible()
    page.get_by_role("tab", name="Details").press("ArrowRight")
    expect(page.get_by_role("tab", name="History")).to_be_focused()
    changed = page.get_by_role("row", name="Surname")
    expect(changed.get_by_role("cell")).to_have_text(["Muster", "Married"])
    assert violations_of(page) == []
    page.locator("summary", has_text="Version 1").press("Enter")
    expect(page.get_by_role("row", name="Birthdate").get_by_role("cell")).to_have_text(["–", "11 Feb 1990"])
    page.get_by_role("button", name="Bring this back").press("Enter")
    expect(page.get_by_text("Version 1 is back as version 3.")).to_be_visible()
    expect(page.get_by_role("heading", name="Anna Muster")).to_be_visible()
    expect(page.locator("#versions summary").first).to_contain_text("restored by anonymous – Surname")
    assert client.get(f"/v1/people/{person_id}").json()["person_surname"] == "Muster"
    page.reload()
    expect(page.get_by_role("tab", name="History")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_text("Version 3", exact=True)).to_be_visible()


def test_version_is_not_brought_back_over_a_concurrent_change(page: Page, client: httpx.Client) -> None:
    person_id = create(client, person_surname="First")
    headers = {"If-Match": "*", "Content-Type": "application/merge-patch+json"}
    client.patch(f"/v1/people/{person_id}", json={"person_surname": "Second"}, headers=headers)
    page.goto(f"/console/people/{person_id}#history")
    page.get_by_text("Version 1", exact=True).click()
    client.patch(f"/v1/people/{person_id}", json={"person_surname": "Third"}, headers=headers)
    page.get_by_role("button", name="Bring this back").click()
    expect(page.get_by_text("The record has changed. Open it again.")).to_be_visible()
    assert client.get(f"/v1/people/{person_id}").json()["person_surname"] == "Third"


def test_deleted_person_is_restored_from_the_trash(page: Page, client: httpx.Client) -> None:
    person_id = create(client, person_name="Anna", person_surname="Gone")
    page.goto(f"/console/people/{person_id}")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete now").click()
    expect(page.get_by_text("Anna Gone has been deleted.")).to_be_visible()
    page.goto("/console/trash")
    restore = page.get_by_role("button", name="Restore Anna Gone")
    expect(restore).to_be_visible()
    assert violations_of(page) == []
    restore.click()
    expect(page.get_by_text("Anna Gone has been restored.")).to_be_visible()
    expect(page.get_by_text("The trash is empty.")).to_be_visible()
    page.goto(f"/console/people/{person_id}#history")
    expect(page.locator("summary b")).to_have_text(["Version 3", "Version 2", "Version 1"])


def test_person_is_erased_after_a_confirmation(page: Page, client: httpx.Client) -> None:
    person_id = create(client, person_surname="Erased")
    client.delete(f"/v1/people/{person_id}")
    page.goto("/console/trash")
    erase = page.get_by_role("button", name="Erase Erased now")
    erase.click()
    dialog = page.get_by_role("dialog", name="Erase Erased?")
    assert violations_of(page) == []
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()
    erase.click()
    dialog.get_by_role("button", name="Erase now").click()
    expect(page.get_by_text("Erased has been erased.")).to_be_visible()
    assert client.get("/v1/trash").json()["people"] == []
    assert client.post(f"/v1/trash/{person_id}/restore").status_code == 404
