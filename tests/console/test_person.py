"""View, create, edit and delete a person."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Page, expect

if TYPE_CHECKING:
    import httpx

ANNA = (
    b'{"person_name":"Anna","person_surname":"Muster","person_birthdate":"1990-02-11","person_address":"12 Lindenweg\\nLeipzig",'
    b'"score":1.50,"account":12345678901234567890123,"languages":{"turkish":{"since":2014,"levels":["B1","B2"]}},"nothing":null}'
)
PERSON_URL = re.compile("/console/people/[0-9a-f]{32}$")


@pytest.fixture
def anna(client: httpx.Client) -> str:
    """Return the API path of Anna."""
    answer = client.post("/v1/people", content=ANNA, headers={"Content-Type": "application/json"})
    return str(answer.headers["Location"])


def page_of(path: str) -> str:
    return path.replace("/v1/", "/console/")


def change(client: httpx.Client, path: str, **fields: Any) -> None:
    headers = {"If-Match": "*", "Content-Type": "application/merge-patch+json"}
    assert client.patch(path, json=fields, headers=headers).status_code == 200


def test_person_page_shows_all_fields_as_sent(page: Page, anna: str) -> None:
    page.goto(page_of(anna))
    for text in (
        "Anna Muster",
        "11 Feb 1990",
        "12 Lindenweg",
        "1.50",
        "12345678901234567890123",
        "turkish",
        "2014",
        "B2",
    ):
        expect(page.get_by_text(text, exact=False).first).to_be_visible()


def test_unknown_person_shows_a_message(page: Page) -> None:
    page.goto(f"/console/people/{'0' * 32}")
    expect(page.get_by_role("heading", name="Person not found")).to_be_visible()


def test_person_is_created_with_fields_of_every_type(page: Page, client: httpx.Client) -> None:
    page.goto("/console")
    page.get_by_role("link", name="Add a person").click()
    page.get_by_label("First name").fill("Jörg")
    page.get_by_label("Birthdate").fill("1970-05")
    page.get_by_label("Address").fill("Am Markt 1\nJena")
    for name, value, kind in (
        ("e-mail", "j@example.org", "Text"),
        ("score", "2.50", "JSON"),
        ("tags", '["a", null]', "JSON"),
    ):
        page.get_by_role("button", name="Add a field").click()
        page.get_by_label("Name", exact=True).last.fill(name)
        page.get_by_label("Value", exact=True).last.fill(value)
        page.get_by_label("Type").last.select_option(kind)
    page.get_by_role("button", name="Save").click()
    expect(page).to_have_url(PERSON_URL)
    expect(page.get_by_role("status")).to_contain_text(["Jörg has been added."])
    body = client.get(page.url.replace("/console/", "/v1/")).text
    assert '"person_name":"Jörg","person_birthdate":"1970-05","person_address":"Am Markt 1\\nJena"' in body
    assert '"e-mail":"j@example.org","score":2.50,"tags":["a",null]' in body


def test_validation_errors_are_shown_at_their_fields_and_input_is_kept(page: Page) -> None:
    page.goto("/console/people/new")
    page.get_by_label("Birthdate").fill("2023-02-30")
    page.get_by_label("Address").fill("Somewhere")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert").filter(has_text="Check your input")).to_be_focused()
    expect(page.get_by_label("Birthdate")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("Must be a day that exists in the calendar.")).to_be_visible()
    expect(page.locator("#form .wrong").first).to_have_text("Enter a first name or a surname.")
    for label in ("First name", "Surname"):
        expect(page.get_by_label(label)).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#problem")).not_to_contain_text("person_")
    expect(page.get_by_label("Address")).to_have_value("Somewhere")
    page.get_by_role("link", name="Birthdate").click()
    expect(page.get_by_label("Birthdate")).to_be_focused()


def test_invalid_json_is_not_sent(page: Page, anna: str) -> None:
    page.goto(f"{page_of(anna)}/edit")
    page.get_by_label("Value", exact=True).last.fill("{oops")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("is not JSON").first).to_be_visible()


def test_invalid_json_is_reported_at_its_field_with_its_name(page: Page) -> None:
    page.goto("/console/people/new")
    page.get_by_label("Surname").fill("Muster")
    for name, value in (("tags", '["a",'), ("score", "1,5")):
        page.get_by_role("button", name="Add a field").click()
        page.get_by_label("Name", exact=True).last.fill(name)
        page.get_by_label("Type").last.select_option("JSON")
        page.get_by_label("Value", exact=True).last.fill(value)
    page.get_by_role("button", name="Save").click()
    for name in ("tags", "score"):
        expect(page.locator("#problem").get_by_role("link", name=f"{name}: is not JSON")).to_be_visible()
        field = page.get_by_role("group", name=name)
        expect(field.get_by_label("Value")).to_have_attribute("aria-invalid", "true")
        expect(field.locator(".wrong")).to_contain_text("Is not JSON")


def test_edit_preserves_all_other_fields(page: Page, anna: str, client: httpx.Client) -> None:
    before = client.get(anna).text
    page.goto(page_of(anna))
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("First name").fill("Anne")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Anne Muster")).to_be_visible()
    after = client.get(anna).text
    assert after.partition('"version"')[0] == before.replace('"Anna"', '"Anne"').partition('"version"')[0]


def test_nested_field_is_edited_and_another_is_removed(page: Page, anna: str, client: httpx.Client) -> None:
    page.goto(f"{page_of(anna)}/edit")
    languages = page.get_by_role("group", name="languages")
    languages.get_by_label("Value").fill('{"turkish": {"since": 2015.0, "levels": ["C1"]}, "none": null}')
    page.get_by_role("group", name="score").get_by_role("button").click()
    page.get_by_role("button", name="Save").click()
    expect(page).to_have_url(PERSON_URL)
    body = client.get(anna).text
    assert '"languages":{"turkish":{"since":2015.0,"levels":["C1"]},"none":null}' in body
    assert '"account":12345678901234567890123' in body
    assert "score" not in body


def test_conflict_page_shows_both_versions_and_saves_the_selection(page: Page, anna: str, client: httpx.Client) -> None:
    page.goto(f"{page_of(anna)}/edit")
    page.get_by_label("First name").fill("Mine")
    page.get_by_label("Address").fill("My street 1")
    change(client, anna, person_address="Their street 2", score=7, person_surname="Theirs")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="This person has changed")).to_be_focused()
    expect(page.get_by_label("First name: Yours")).to_be_checked()
    expect(page.get_by_label("Surname: Current")).to_be_checked()
    expect(page.get_by_label("score: Current")).to_be_checked()
    for side in ("Current", "Yours"):
        expect(page.get_by_label(f"Address: {side}")).not_to_be_checked()
    page.get_by_label("Address: Yours").check()
    page.get_by_role("button", name="Save selection").click()
    expect(page).to_have_url(PERSON_URL)
    person = client.get(anna).json()
    assert (person["person_name"], person["person_surname"], person["person_address"], person["score"]) == (
        "Mine",
        "Theirs",
        "My street 1",
        7,
    )


def test_conflict_page_can_discard_own_changes(page: Page, anna: str, client: httpx.Client) -> None:
    page.goto(f"{page_of(anna)}/edit")
    page.get_by_label("First name").fill("Mine")
    change(client, anna, person_name="Theirs")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Discard my changes").click()
    expect(page.get_by_role("textbox", name="First name")).to_have_value("Theirs")


def test_deletion_is_delayed_and_can_be_undone(page: Page, anna: str, client: httpx.Client) -> None:
    page.goto(page_of(anna))
    page.get_by_role("button", name="Delete").click()
    tray = page.get_by_role("region", name="Pending deletions")
    expect(tray).to_contain_text("Anna Muster will be deleted in")
    assert client.get(anna).status_code == 200
    tray.get_by_role("button", name="Undo").click()
    expect(tray).to_be_hidden()
    assert client.get(anna).status_code == 200


def test_pending_deletion_continues_on_other_pages(page: Page, anna: str, client: httpx.Client) -> None:
    page.clock.install()
    page.goto(page_of(anna))
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("region", name="Pending deletions")).to_be_visible()
    page.get_by_role("link", name="Add a person").first.click()
    expect(page.get_by_role("region", name="Pending deletions")).to_contain_text("Anna Muster")
    page.clock.fast_forward(31_000)
    expect(page.get_by_role("status")).to_contain_text(["Anna Muster has been deleted."])
    assert client.get(anna).status_code == 404


def test_changed_person_is_not_deleted(page: Page, anna: str, client: httpx.Client) -> None:
    page.goto(page_of(anna))
    page.get_by_role("button", name="Delete").click()
    change(client, anna, person_name="Changed")
    page.get_by_role("button", name="Delete now").click()
    expect(page.get_by_role("status")).to_contain_text(["was not deleted: the record has changed"])
    assert client.get(anna).status_code == 200


def test_browser_storage_contains_no_names(page: Page, anna: str) -> None:
    page.goto(page_of(anna))
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("region", name="Pending deletions")).to_contain_text("Anna Muster")
    storage = page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie])")
    assert "Anna" not in storage
    assert "Muster" not in storage
    page.get_by_role("button", name="Undo").click()


@pytest.mark.usefixtures("anna")
def test_similar_people_are_shown_while_a_person_is_added(page: Page, client: httpx.Client) -> None:
    for number in range(40):  # names are no evidence in an empty store
        client.post("/v1/people", json={"person_name": f"Name{number}", "person_surname": f"Other{number}"})
    page.goto("/console/people/new")
    page.get_by_label("First name").fill("Ana")
    page.get_by_label("Surname").fill("Muster")
    page.get_by_label("Birthdate").fill("1990-02-11")
    page.get_by_label("Address").fill("12 Lindenweg, Leipzig")
    expect(page.get_by_text("Perhaps already here")).to_be_visible()
    expect(page.get_by_text("same birthdate").first).to_be_visible()
    link = page.get_by_role("link", name="Anna Muster").first
    assert (link.get_attribute("href") or "").startswith("/console/people/")
    page.get_by_label("Surname").fill("Quite-Different")
    page.get_by_label("Birthdate").fill("1955-07-30")
    expect(page.get_by_text("Perhaps already here")).to_be_hidden()
