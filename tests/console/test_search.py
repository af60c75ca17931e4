"""Search as you type, filters, paging and export."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import Page, expect

from peopleinfo.crypto.master_key import create_file
from tests.console import browsing
from tests.http.serving import HANG_TIMEOUT, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.http.serving import Server

COUNT = 130


@pytest.fixture(scope="module", autouse=True)
def people(server: Server) -> None:
    people = [("Anna", "Müller", "1990-02-11"), ("Ben", "Mulligan", "1985"), ("Elif", "Öztürk", "2001-07")]
    with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client:
        for name, surname, born in people:
            data = {"person_name": name, "person_surname": surname, "person_birthdate": born}
            assert client.post("/v1/people", json=data).status_code == 201
        lines = "".join(f'{{"person_name":"N{n}","person_surname":"Zahlreich"}}\n' for n in range(COUNT))
        client.post("/v1/people/import", content=lines, headers={"Content-Type": "application/x-ndjson"})


def search_for(page: Page, text: str) -> None:
    page.get_by_label("Name, birthdate, address, mail or phone").press_sequentially(text)


def expect_names(page: Page, *names: str) -> None:
    expect(page.locator(".who")).to_have_text(list(names))


def test_surname_prefix_matches_without_the_umlaut(page: Page) -> None:
    page.goto("/console")
    search_for(page, "mull")
    expect_names(page, "Müller, Anna", "Mulligan, Ben")
    expect(page.get_by_text("2 people")).to_be_visible()


def test_root_redirects_to_the_console(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", name="People")).to_be_visible()


def test_first_name_and_surname_match_people_with_both(page: Page) -> None:
    page.goto("/console")
    search_for(page, "elif ozturk")
    expect_names(page, "Öztürk, Elif")


def test_birthdate_filters_restrict_the_search(page: Page) -> None:
    page.goto("/console")
    page.locator("#filters summary").click()
    page.get_by_label("Born from").fill("1990")
    page.get_by_label("Born to").fill("1990-12")
    search_for(page, "mul")
    expect_names(page, "Müller, Anna")


def test_incomplete_year_shows_a_message(page: Page) -> None:
    page.goto("/console")
    page.locator("#filters summary").click()
    page.get_by_label("Born from").fill("199")
    expect(page.locator("#empty [role=alert]")).to_contain_text("must be a date like 1990-02-11, 1990-02, 1990")


INVALID = {
    "Born from": ["11.02.1990", "1990-13", "1990-02-30", "0000", "--02-11", "soon"],
    "Born to": ["31/12/1999", "99", "1999-1"],
}


@pytest.mark.parametrize("label", INVALID)
def test_invalid_filter_shows_a_message_without_list_and_export(page: Page, label: str) -> None:
    page.goto("/console")
    expect_results(page)
    page.locator("#filters summary").click()
    for value in INVALID[label]:
        page.get_by_label(label).fill(value)
        expect_message_only(page, f"{label}: ")
        page.get_by_label(label).fill("")
        expect_results(page)


def expect_results(page: Page) -> None:
    expect(page.locator(".who").first).to_be_visible()
    expect(page.locator("#tools summary", has_text="Export")).to_be_visible()


def expect_message_only(page: Page, message: str) -> None:
    expect(page.locator("#empty [role=alert]")).to_contain_text(message)
    expect(page.locator(".who")).to_have_count(0)
    expect(page.locator("#tools summary", has_text="Export")).to_be_hidden()
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()


def test_export_during_input_does_not_use_the_previous_search(page: Page) -> None:
    requested_urls: list[str] = []
    page.on("request", lambda request: requested_urls.append(request.url))
    page.goto("/console")
    expect_results(page)
    page.locator("#filters summary").click()
    page.evaluate(
        """() => {
            const field = document.querySelector("#born_from");
            field.value = "11.02.1990";
            field.dispatchEvent(new Event("input", { bubbles: true }));
            document.querySelector("details:has(#export)").open = true;
            const { x, y } = document.querySelector("#export button").getBoundingClientRect();
            document.elementFromPoint(x + 4, y + 4)?.click();
        }"""
    )
    expect_message_only(page, "Born from: must be a date")
    assert [url for url in requested_urls if url.endswith("/export")] == []


def test_two_first_names_are_rejected(page: Page) -> None:
    page.goto("/console")
    page.locator("#filters summary").click()
    page.get_by_label("First name").fill("Ben")
    search_for(page, "mul, Anna")
    expect_message_only(page, "First name: must be given once")
    page.get_by_label("First name").fill("Anna")
    expect_names(page, "Müller, Anna")


def test_text_after_a_comma_is_the_first_name(page: Page) -> None:
    page.goto("/console")
    search_for(page, "mul, Anna, Maria")
    expect(page.get_by_text("No matches")).to_be_visible()


INVALID_ADDRESSES = {
    "?born_from=11.02.1990": "filters after",
    "?surname=mul": "filters after",
    "?born_form=1990#q=mul": "filters after",
    "#born_form=1990": "an unknown filter: born_form",
    "#length=1": "an unknown filter: length",
    "#q=mul&q=elif": "a filter twice: q",
    "#q=mul&born_from=11.02.1990": "Born from: must be a date",
}


@pytest.mark.parametrize("address", INVALID_ADDRESSES)
def test_invalid_filters_in_the_address_show_a_message_without_list_and_export(page: Page, address: str) -> None:
    page.goto("/console")
    expect_results(page)
    page.goto(f"/console{address}")
    expect_message_only(page, INVALID_ADDRESSES[address])
    page.reload()
    if "born_from" not in address or "?" in address:
        page.get_by_label("Name, birthdate, address, mail or phone").fill("elif")
        expect_names(page, "Öztürk, Elif")


def test_address_restores_the_search_and_no_request_contains_it(page: Page) -> None:
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url.partition("#")[0]))
    page.goto("/console")
    page.locator("#filters summary").click()
    page.get_by_label("Born to").fill("1986")
    search_for(page, "mül")
    expect_names(page, "Mulligan, Ben")
    page.wait_for_url("**/console#q=m%C3%BCl&born_to=1986")
    address = page.url
    with page.context.expect_page() as opened:
        page.evaluate("address => open(address)", address)
    other = opened.value
    expect_names(other, "Mulligan, Ben")
    expect(other.get_by_label("Born to")).to_have_value("1986")
    other.close()
    assert [url for url in requested if "1986" in url] == []


def test_another_fragment_starts_another_search(page: Page) -> None:
    page.goto("/console#q=qqqq")
    expect(page.get_by_text("No matches")).to_be_visible()
    page.evaluate("location.hash = 'q=mulligan'")
    expect_names(page, "Mulligan, Ben")


def test_skip_link_keeps_the_search(page: Page) -> None:
    page.goto("/console#q=mulligan")
    expect_names(page, "Mulligan, Ben")
    page.evaluate("location.hash = 'main'")
    expect(page).to_have_url(re.compile("#q=mulligan$"))


def test_whole_surname_excludes_longer_surnames(page: Page) -> None:
    page.goto("/console")
    page.locator("#filters summary").click()
    page.get_by_role("checkbox", name="Whole surname only").check()
    search_for(page, "muller")
    expect_names(page, "Müller, Anna")


def test_scrolling_loads_further_pages(page: Page) -> None:
    page.goto("/console")
    search_for(page, "zahl")
    expect(page.locator(".who").first).to_have_text("Zahlreich, N0")
    browsing.scroll_to(page, COUNT)
    expect(page.get_by_text(f"{COUNT} people")).to_be_visible()
    names = page.locator(".who").all_text_contents()
    assert names == sorted(f"Zahlreich, N{n}" for n in range(COUNT))


def test_further_pages_load_if_the_end_stays_in_view(page: Page) -> None:
    page.goto("/console")
    search_for(page, "zahl")
    expect(page.locator(".who").first).to_have_text("Zahlreich, N0")
    page.evaluate("""() => {
        const down = () => scrollTo(0, document.body.scrollHeight);
        new MutationObserver(down).observe(document.querySelector("#results tbody"), { childList: true });
        down();
    }""")
    expect(page.locator(".row")).to_have_count(COUNT)


def test_back_link_restores_the_search(page: Page) -> None:
    page.goto("/console")
    search_for(page, "oztu")
    expect_names(page, "Öztürk, Elif")
    page.get_by_role("link", name="Öztürk, Elif").click()
    expect(page.get_by_role("heading", name="Elif Öztürk")).to_be_visible()
    assert "oztu" not in page.url
    page.get_by_role("link", name="People").last.click()
    expect(page.get_by_label("Name, birthdate, address, mail or phone")).to_have_value("oztu")
    expect_names(page, "Öztürk, Elif")


@pytest.mark.parametrize("form", ["CSV", "NDJSON"])
def test_export_contains_all_results_and_no_url_contains_a_name(page: Page, form: str) -> None:
    requested_urls: list[str] = []
    page.on("request", lambda request: requested_urls.append(request.url))
    page.goto("/console")
    search_for(page, "zahl")
    expect(page.locator(".who").first).to_have_text("Zahlreich, N0")
    assert page.locator(".who").count() < COUNT
    assert {person["person_name"] for person in exported(page, form)} == {f"N{n}" for n in range(COUNT)}
    assert [url for url in requested_urls if "zahl" in url.lower()] == []


def test_export_applies_the_filters_of_the_search(page: Page) -> None:
    page.goto("/console")
    page.locator("#filters summary").click()
    page.get_by_label("Born to").fill("1986")
    search_for(page, "mul")
    expect_names(page, "Mulligan, Ben")
    assert [person["person_name"] for person in exported(page, "CSV")] == ["Ben"]
    page.get_by_role("button", name="Clear").click()
    page.get_by_label("Name, birthdate, address, mail or phone").fill("elif ozturk")
    expect_names(page, "Öztürk, Elif")
    assert [person["person_birthdate"] for person in exported(page, "NDJSON")] == ["2001-07"]


def exported(page: Page, form: str) -> list[dict[str, str]]:
    with page.expect_download() as download:
        page.locator("#tools summary", has_text="Export").click()
        page.get_by_role("group", name="Export results").get_by_role("button", name=form).first.click()
    assert download.value.suggested_filename == f"people.{form.lower()}"
    with Path(download.value.path()).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file) if form == "CSV" else map(json.loads, file))


def test_empty_result_suggests_what_to_do(page: Page) -> None:
    page.goto("/console")
    search_for(page, "qqq")
    expect(page.get_by_role("heading", name="No matches")).to_be_visible()
    expect(page.locator("#tools summary", has_text="Export")).to_be_hidden()
    page.get_by_role("button", name="Show all people").click()
    expect(page.locator(".row").first).to_be_visible()


def test_search_works_with_the_keyboard_only(page: Page) -> None:
    page.goto("/console")
    page.keyboard.press("Tab")
    page.keyboard.press("/")
    page.keyboard.type("mull")
    expect_names(page, "Müller, Anna", "Mulligan, Ben")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).to_have_title(re.compile("Ben Mulligan"))


def test_first_tab_stop_skips_the_navigation(page: Page) -> None:
    page.goto("/console/no/such")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_encrypted_store_is_searched_by_any_text_and_filtered_by_whole_surnames(
    browser: Browser, tmp_path: Path
) -> None:
    create_file(tmp_path / "master.key")
    with serving(tmp_path, encryption=f"file://{tmp_path / 'master.key'}") as encrypted:
        for name in ("Anna", "Ben"):
            person = {"person_name": name, "person_surname": "Müller"}
            assert httpx.post(f"{encrypted.url}/v1/people", json=person, timeout=HANG_TIMEOUT).status_code == 201
        with browsing.window(browser, encrypted.url) as page:
            page.goto("/console")
            search_for(page, "muller")
            expect_names(page, "Müller, Anna", "Müller, Ben")
            page.locator("#filters summary").click()
            page.get_by_label("First name").fill("Ben")
            expect(page.get_by_text("Names are encrypted")).to_be_visible()
            expect_names(page, "Müller, Ben")


FOUND_BY = {
    "ozturk elif": "",
    "Müler": "similar spelling",
    "1990-02-11": "",
    "11.02.1990": "",
    "12 Lindenweg": "",
    "anna@example.org": "mail, phone or number",
    "0341/123-456": "mail, phone or number",
    "mulligan, ben": "",
}


@pytest.mark.parametrize("text", FOUND_BY)
def test_box_finds_people_by_any_text_and_names_the_kind_of_match(page: Page, client: httpx.Client, text: str) -> None:
    anna = client.get("/v1/people", params={"surname": "müller", "name": "Anna"}).json()["people"][0]
    contact = {"email": "anna@example.org", "phone": "+49 341 123456", "person_address": "12 Lindenweg"}
    headers = {"If-Match": "*", "Content-Type": "application/merge-patch+json"}
    assert client.patch(f"/v1/people/{anna['person_id']}", json=contact, headers=headers).status_code == 200
    page.goto("/console")
    search_for(page, text)
    expect(page.locator("#found")).to_have_text("1 person")
    if FOUND_BY[text]:
        expect(page.locator(".tag")).to_have_text(FOUND_BY[text])
    else:
        expect(page.locator(".tag")).to_have_count(0)


def test_no_similar_spellings_are_found_if_the_filter_excludes_them(page: Page) -> None:
    page.goto("/console")
    search_for(page, "mulligen")
    expect_names(page, "Mulligan, Ben")
    page.locator("#filters summary").click()
    page.get_by_label("No similar spellings").check()
    expect(page.get_by_role("heading", name="No matches for “mulligen”")).to_be_visible()
