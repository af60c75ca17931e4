"""The list of people: columns, selection, and the way through the results."""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.console import browsing
from tests.console.test_accessibility import violations_of
from tests.http.serving import HANG_TIMEOUT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

    from tests.http.serving import Server

COUNT = 60  # more than one page


@pytest.fixture(scope="module", autouse=True)
def people(server: Server) -> None:
    lines = "".join(
        f'{{"person_name":"N{n}","person_surname":"Reihe","email":"n{n}@example.org","phone":"0341 5550{n}"}}\n'
        for n in range(COUNT)
    )
    headers = {"Content-Type": "application/x-ndjson"}
    httpx.post(f"{server.url}/v1/people/import", content=lines, headers=headers, timeout=HANG_TIMEOUT)


@pytest.fixture
def doomed(client: httpx.Client, size: str, request: pytest.FixtureRequest) -> str:
    """Return the surname of four people that the test may delete."""
    surname = f"Weg{abs(hash((size, request.node.name))):x}"
    for n in range(4):
        client.post("/v1/people", json={"person_name": f"N{n}", "person_surname": surname})
    return surname


def names_of(client: httpx.Client, surname: str) -> list[str]:
    return [p["person_name"] for p in client.get("/v1/people", params={"surname": surname}).json()["people"]]


def box(page: Page, name: str) -> Locator:
    return page.get_by_role("checkbox", name=f"Select {name}", exact=True)


def test_chosen_columns_are_shown_and_remembered(page: Page, size: str) -> None:
    page.goto("/console#q=reihe")
    expect(page.locator(".row").first).to_be_visible()
    page.locator("summary", has_text="Columns").click()
    page.get_by_role("group", name="Columns").get_by_role("checkbox", name="email").check()
    page.get_by_role("checkbox", name="Changed").check()
    page.get_by_role("checkbox", name="Birthdate").uncheck()
    expect(page.locator(".row").first).to_contain_text("n0@example.org")
    if size == "desktop":
        expect(page.get_by_role("columnheader")).to_have_text(["Name", "Address", "Changed", "email"])
    page.reload()
    expect(page.locator(".row").first).to_contain_text("n0@example.org")
    page.keyboard.press("Escape")
    expect(page.get_by_role("checkbox", name="email")).to_be_hidden()


def test_selected_people_are_deleted_together_and_restored_together(
    page: Page, client: httpx.Client, doomed: str
) -> None:
    page.goto(f"/console#q={doomed}&whole=on")
    box(page, f"N1 {doomed}").check()
    box(page, f"N2 {doomed}").check()
    expect(page.locator("#selected")).to_have_text("2 selected")
    page.get_by_role("group", name="Selected people").get_by_role("button", name="Delete").click()
    tray = page.get_by_role("region", name="Pending deletions")
    expect(tray).to_contain_text("2 people will be deleted in")
    expect(page.locator(".going")).to_have_count(2)
    tray.get_by_role("button", name="Undo").click()
    expect(page.locator(".going")).to_have_count(0)
    assert sorted(names_of(client, doomed)) == ["N0", "N1", "N2", "N3"]


def test_deleted_people_leave_the_list_and_changed_ones_are_kept(page: Page, client: httpx.Client, doomed: str) -> None:
    page.goto(f"/console#q={doomed}&whole=on")
    box(page, f"N0 {doomed}").check()
    box(page, f"N2 {doomed}").click(modifiers=["Shift"])
    expect(page.locator("#selected")).to_have_text("3 selected")
    changed = client.get("/v1/people", params={"surname": doomed, "name": "N1"}).json()["people"][0]["person_id"]
    headers = {"If-Match": "*", "Content-Type": "application/merge-patch+json"}
    client.patch(f"/v1/people/{changed}", json={"note": "new"}, headers=headers)
    page.get_by_role("group", name="Selected people").get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete now").click()
    expect(page.get_by_role("status").filter(has_text="2 people have been deleted.")).to_be_visible()
    expect(
        page.get_by_role("status").filter(has_text="1 person was not deleted: the record has changed")
    ).to_be_visible()
    expect(page.locator(".who")).to_have_text([f"{doomed}, N1", f"{doomed}, N3"])
    assert sorted(names_of(client, doomed)) == ["N1", "N3"]


def test_select_all_covers_the_list_and_another_search_clears_it(page: Page) -> None:
    page.goto("/console#q=reihe")
    page.get_by_label("Select all people in the list").check()
    expect(page.locator("#selected")).to_have_text(re.compile(r"^(50|60) selected$"))
    page.get_by_label("Name, birthdate, address, mail or phone").press_sequentially("x")
    expect(page.get_by_role("group", name="Selected people")).to_be_hidden()


def test_person_page_leads_through_the_results(page: Page) -> None:
    page.goto("/console#q=reihe")
    page.get_by_role("link", name="Reihe, N0", exact=True).click()
    expect(page.locator("#position")).to_have_text("1 of 50+")
    expect(page.get_by_role("link", name="Previous")).to_have_count(0)
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_role("heading", name="N1 Reihe")).to_be_visible()
    expect(page.locator("#position")).to_have_text("2 of 50+")
    page.get_by_role("link", name="Previous").click()
    expect(page.get_by_role("heading", name="N0 Reihe")).to_be_visible()
    page.get_by_role("link", name="People").last.click()
    expect(page).to_have_url(re.compile("/console#q=reihe$"))


def test_next_person_after_the_loaded_ones_is_found(page: Page) -> None:
    page.goto("/console#q=reihe")
    names = sorted(f"N{n}" for n in range(COUNT))
    page.get_by_role("link", name=f"Reihe, {names[49]}", exact=True).click()
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_role("heading", name=f"{names[50]} Reihe")).to_be_visible()
    expect(page.locator("#position")).to_have_text(f"51 of {COUNT}")


def test_person_page_links_mail_addresses_and_phone_numbers(page: Page) -> None:
    page.goto("/console#q=reihe")
    page.get_by_role("link", name="Reihe, N17", exact=True).click()
    expect(page.get_by_role("link", name="n17@example.org")).to_have_attribute("href", "mailto:n17@example.org")
    expect(page.get_by_role("link", name="0341 555017")).to_have_attribute("href", "tel:0341555017")


def test_print_shows_the_person_without_navigation_and_buttons(page: Page) -> None:
    page.goto("/console#q=reihe")
    page.get_by_role("link", name="Reihe, N17", exact=True).click()
    expect(page.locator("#person")).to_be_visible()
    page.emulate_media(media="print")
    expect(page.locator("#fields")).to_be_visible()
    for hidden in (".top", ".foot", ".crumbs", "#actions", "#copy"):
        expect(page.locator(hidden)).to_be_hidden()


def test_id_is_selected_if_the_clipboard_is_not_available(page: Page) -> None:
    page.goto("/console#q=reihe")
    page.get_by_role("link", name="Reihe, N17", exact=True).click()
    expect(page.locator("#person")).to_be_visible()
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.get_by_role("button", name="Copy").click()
    assert page.evaluate("getSelection().toString()") == page.locator("#id").inner_text()


def test_selection_and_menus_have_no_serious_accessibility_violations(
    browser: Browser, server: Server, size: str
) -> None:
    for dark in (False, True):
        with browsing.window(browser, server.url, size, dark=dark) as page:
            page.goto("/console#q=reihe")
            box(page, "N0 Reihe").check()
            page.locator("summary", has_text="Columns").click()
            assert violations_of(page) == []


def test_phone_header_is_one_line_with_a_menu(browser: Browser, server: Server) -> None:
    with browsing.window(browser, server.url, "phone") as page:
        page.set_viewport_size({"width": 360, "height": 740})
        page.goto("/console")
        header = page.get_by_role("banner").bounding_box()
        assert header is not None
        assert header["height"] < 64
        page.get_by_role("button", name="Menu").click()
        page.get_by_role("link", name="Health").click()
        expect(page.get_by_role("heading", name="Health")).to_be_visible()


@pytest.mark.parametrize("path", ["/console", "/console/people/new", "/console/import-export", "/console/health"])
def test_pages_fit_a_phone_of_360_pixels(browser: Browser, server: Server, path: str) -> None:
    with browsing.window(browser, server.url, "phone") as page:
        page.set_viewport_size({"width": 360, "height": 740})
        page.goto(path)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_save_bar_covers_no_field_at_200_percent_zoom(browser: Browser, server: Server) -> None:
    with browsing.window(browser, server.url) as page:
        page.set_viewport_size({"width": 640, "height": 430})  # 1280 x 860 at 200 %
        page.goto("/console/people/new")
        for label in ("First name", "Surname", "Birthdate", "Address"):
            field = page.get_by_label(label)
            field.focus()
            assert field.evaluate("""field => {
                const { x, y, width, height } = field.getBoundingClientRect();
                return [y + 2, y + height - 2].every(at => document.elementFromPoint(x + width / 2, at) === field);
            }"""), label


def test_letter_lists_the_surnames_that_start_with_it(page: Page, client: httpx.Client) -> None:
    client.post("/v1/people", json={"person_surname": "Xanthos"})
    page.goto("/console")
    letters = page.get_by_role("group", name="First letter of the surname")
    with_people = client.get("/v1/people/letters").json()["letters"]
    for letter in string.ascii_uppercase:
        button = letters.get_by_role("button", name=letter)
        expect(button).to_be_enabled() if letter in with_people else expect(button).to_be_disabled()
    letters.get_by_role("button", name="X").click()
    expect(page.locator(".who").first).to_have_text("Xanthos")
    expect(letters.get_by_role("button", name="X")).to_have_attribute("aria-pressed", "true")
    expect(page).to_have_url(re.compile("#letter=X$"))
    letters.get_by_role("button", name="X").click()
    expect(page.get_by_label("Name, birthdate, address, mail or phone")).to_have_value("")


@pytest.fixture
def unsorted_surname(client: httpx.Client, size: str, request: pytest.FixtureRequest) -> str:
    """Return the surname of three people that were stored in another order than A to Z."""
    surname = f"Ord{abs(hash((size, request.node.name))):x}"
    for name, born, address in (("Čeněk", "1990", "B"), ("Anna", "", "C"), ("Bea", "1970-05", "A")):
        person = {"person_name": name, "person_surname": surname, "person_birthdate": born, "person_address": address}
        client.post("/v1/people", json={field: value for field, value in person.items() if value})
    return surname


def test_list_is_in_alphabetical_order_by_default(page: Page, unsorted_surname: str) -> None:
    page.goto(f"/console#q={unsorted_surname}&whole=on")
    expect(page.locator(".who")).to_have_text([f"{unsorted_surname}, {name}" for name in ("Anna", "Bea", "Čeněk")])
    expect(page.get_by_role("columnheader", name="Name")).to_have_attribute("aria-sort", "ascending")


def test_list_is_sorted_by_the_chosen_order_and_the_address_keeps_it(page: Page, unsorted_surname: str) -> None:
    page.goto(f"/console#q={unsorted_surname}&whole=on")
    page.locator("summary", has_text="Columns").click()
    for label, names in (
        ("Name, A to Z", ["Anna", "Bea", "Čeněk"]),
        ("Name, Z to A", ["Čeněk", "Bea", "Anna"]),
        ("Birthdate, oldest first", ["Bea", "Čeněk", "Anna"]),
        ("Birthdate, youngest first", ["Čeněk", "Bea", "Anna"]),
        ("Address, A to Z", ["Bea", "Čeněk", "Anna"]),
        ("Changed, latest first", ["Bea", "Anna", "Čeněk"]),
    ):
        page.get_by_label("Sort by").select_option(label)
        expect(page.locator(".who")).to_have_text([f"{unsorted_surname}, {name}" for name in names])
    expect(page).to_have_url(re.compile("&sort=-updated_at$"))
    page.reload()
    expect(page.locator(".who").first).to_contain_text("Bea")


def test_heading_of_a_column_sorts_all_people_and_reverses_the_order(page: Page) -> None:
    page.goto("/console#q=reihe")
    page.get_by_role("columnheader", name="Name").get_by_role("button").click()
    expect(page.get_by_text(f"{COUNT} people", exact=True)).to_be_visible()
    expect(page.get_by_role("columnheader", name="Name")).to_have_attribute("aria-sort", "ascending")
    assert page.locator(".who").all_text_contents() == sorted(f"Reihe, N{n}" for n in range(COUNT))
    page.get_by_role("columnheader", name="Name").get_by_role("button").click()
    expect(page.locator(".who").first).to_have_text("Reihe, N9")
    expect(page.get_by_role("columnheader", name="Name")).to_have_attribute("aria-sort", "descending")


def test_list_by_name_comes_from_the_server_with_the_number_of_people(page: Page) -> None:
    with page.expect_request("**/v1/people/search") as searched:
        page.goto("/console#q=reihe&whole=on&sort=name")
    body = searched.value.post_data_json or {}
    assert (body["sort"], body["limit"], body["surname"]) == ("name", 50, "reihe")
    expect(page.get_by_text(f"{COUNT} people", exact=True)).to_be_visible()
    names = sorted(f"Reihe, N{n}" for n in range(COUNT))
    expect(page.locator(".who").first).to_have_text(names[0])
    page.get_by_text("Show more").scroll_into_view_if_needed()
    expect(page.locator(".who")).to_have_text(names)
    expect(page.get_by_role("columnheader", name="Name")).to_have_attribute("aria-sort", "ascending")


def test_unknown_order_in_the_address_shows_a_message(page: Page) -> None:
    page.goto("/console#q=reihe&sort=shoe_size")
    expect(page.locator("#empty [role=alert]")).to_contain_text("an unknown order: shoe_size")
    expect(page.locator(".who")).to_have_count(0)


def exported(page: Page, group: str, form: str) -> str:
    with page.expect_download() as download:
        page.get_by_role("group", name=group).get_by_role("button", name=form).click()
    return Path(download.value.path()).read_text(encoding="utf-8")


def test_selected_people_and_one_person_are_exported(page: Page) -> None:
    page.goto("/console#q=reihe")
    box(page, "N0 Reihe").check()
    box(page, "N11 Reihe").check()
    page.locator("#selection summary").click()
    cards = exported(page, "Export selected people", "vCard")
    assert cards.count("BEGIN:VCARD") == 2
    assert "n11@example.org" in cards
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Reihe, N17", exact=True).click()
    page.locator("#actions summary").click()
    assert exported(page, "Export this person", "CSV for Excel").startswith("\ufeffperson_id")
