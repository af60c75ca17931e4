"""Finding people: whoever types sees them come."""

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

MANY = 130


@pytest.fixture(scope="module", autouse=True)
def stored(server: Server) -> None:
    people = [("Anna", "Müller", "1990-02-11"), ("Ben", "Mulligan", "1985"), ("Elif", "Öztürk", "2001-07")]
    with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client:
        for name, surname, born in people:
            data = {"person_name": name, "person_surname": surname, "person_birthdate": born}
            assert client.post("/v1/people", json=data).status_code == 201
        lines = "".join(f'{{"person_name":"N{n}","person_surname":"Zahlreich"}}\n' for n in range(MANY))
        client.post("/v1/people/import", content=lines, headers={"Content-Type": "application/x-ndjson"})


def search_for(page: Page, text: str) -> None:
    page.get_by_label("Surname, or how it begins").press_sequentially(text)


def found(page: Page, *names: str) -> None:
    expect(page.locator(".who")).to_have_text(list(names))


def test_typing_the_beginning_of_a_surname_finds_people_without_the_umlaut(page: Page) -> None:
    page.goto("/console")
    search_for(page, "mull")
    found(page, "Müller, Anna", "Mulligan, Ben")
    expect(page.get_by_text("2 people")).to_be_visible()


def test_the_root_leads_to_the_console(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", name="People")).to_be_visible()


def test_a_first_name_and_a_surname_find_one_who_has_both(page: Page) -> None:
    page.goto("/console")
    search_for(page, "elif ozturk")
    found(page, "Öztürk, Elif")


def test_a_search_is_narrowed_by_the_year_of_birth(page: Page) -> None:
    page.goto("/console")
    page.get_by_text("Narrow it down").click()
    page.get_by_label("Born from").fill("1990")
    page.get_by_label("Born to").fill("1990-12")
    search_for(page, "mul")
    found(page, "Müller, Anna")


def test_half_a_year_is_explained_while_it_is_typed(page: Page) -> None:
    page.goto("/console")
    page.get_by_text("Narrow it down").click()
    page.get_by_label("Born from").fill("199")
    expect(page.locator("#empty [role=alert]")).to_contain_text("must be a date like 1990-02-11, 1990-02, 1990")


INVALID = {
    "Born from": ["11.02.1990", "1990-13", "1990-02-30", "0000", "--02-11", "soon"],
    "Born to": ["31/12/1999", "99", "1999-1"],
}


@pytest.mark.parametrize("label", INVALID)
def test_invalid_filter_shows_a_message_without_list_and_export(page: Page, label: str) -> None:
    page.goto("/console")
    found_anyone(page)
    page.get_by_text("Narrow it down").click()
    for value in INVALID[label]:
        page.get_by_label(label).fill(value)
        nothing_but(page, f"{label}: ")
        page.get_by_label(label).fill("")
        found_anyone(page)


def found_anyone(page: Page) -> None:
    expect(page.locator(".who").first).to_be_visible()
    expect(page.get_by_role("group", name="Export who is found")).to_be_visible()


def nothing_but(page: Page, message: str) -> None:
    expect(page.locator("#empty [role=alert]")).to_contain_text(message)
    expect(page.locator(".who")).to_have_count(0)
    expect(page.get_by_role("group", name="Export who is found")).to_be_hidden()
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()


def test_export_that_is_clicked_at_once_is_not_that_of_an_earlier_search(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/console")
    found_anyone(page)
    page.get_by_text("Narrow it down").click()
    page.evaluate(
        """() => {
            const field = document.querySelector("#born_from");
            field.value = "11.02.1990";
            field.dispatchEvent(new Event("input", { bubbles: true }));
            const { x, y } = document.querySelector("#export button").getBoundingClientRect();
            document.elementFromPoint(x + 4, y + 4)?.click();
        }"""
    )
    nothing_but(page, "Born from: must be a date")
    assert [url for url in asked if url.endswith("/export")] == []


def test_first_name_that_is_given_twice_is_refused(page: Page) -> None:
    page.goto("/console")
    page.get_by_text("Narrow it down").click()
    page.get_by_label("First name").fill("Ben")
    search_for(page, "mul, Anna")
    nothing_but(page, "First name: must be given once")
    page.get_by_label("First name").fill("Anna")
    found(page, "Müller, Anna")


def test_everything_after_a_comma_is_the_first_name(page: Page) -> None:
    page.goto("/console")
    search_for(page, "mul, Anna, Maria")
    expect(page.get_by_text("Nobody is called that")).to_be_visible()


@pytest.mark.parametrize("typed", ["?born_from=11.02.1990", "?surname=mul", "?born_form=1990", "#surname=mul"])
def test_address_with_filters_shows_a_message_without_list(page: Page, typed: str) -> None:
    page.goto("/console")
    found_anyone(page)
    page.goto(f"/console{typed}")
    nothing_but(page, "Filters in the address are not read.")
    search_for(page, "elif")
    found(page)
    expect(page.get_by_text("Nobody is called that")).to_be_visible()
    assert page.url.endswith("/console")


def test_the_whole_surname_leaves_out_those_that_only_begin_so(page: Page) -> None:
    page.goto("/console")
    page.get_by_text("Narrow it down").click()
    page.get_by_role("checkbox", name="The whole surname").check()
    search_for(page, "muller")
    found(page, "Müller, Anna")


def test_results_go_on_for_as_long_as_one_scrolls(page: Page) -> None:
    page.goto("/console")
    search_for(page, "zahl")
    expect(page.locator(".who").first).to_have_text("Zahlreich, N0")
    browsing.scroll_to(page, MANY)
    expect(page.get_by_text(f"{MANY} people")).to_be_visible()
    names = page.locator(".who").all_text_contents()
    assert names == [f"Zahlreich, N{n}" for n in range(MANY)]


def test_results_continue_when_the_end_is_reached_again_before_the_page_is_drawn(page: Page) -> None:
    page.goto("/console")
    search_for(page, "zahl")
    expect(page.locator(".who").first).to_have_text("Zahlreich, N0")
    page.evaluate("""() => {
        const down = () => scrollTo(0, document.body.scrollHeight);
        new MutationObserver(down).observe(document.querySelector("#results"), { childList: true });
        down();
    }""")
    expect(page.locator(".row")).to_have_count(MANY)


def test_whoever_comes_back_finds_the_search_as_it_was(page: Page) -> None:
    page.goto("/console")
    search_for(page, "oztu")
    found(page, "Öztürk, Elif")
    page.get_by_role("link", name="Öztürk, Elif").click()
    expect(page.get_by_role("heading", name="Elif Öztürk")).to_be_visible()
    assert "oztu" not in page.url
    page.get_by_role("link", name="People").last.click()
    expect(page.get_by_label("Surname, or how it begins")).to_have_value("oztu")
    found(page, "Öztürk, Elif")


@pytest.mark.parametrize("form", ["CSV", "NDJSON"])
def test_all_who_are_found_are_exported_and_no_address_names_them(page: Page, form: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/console")
    search_for(page, "zahl")
    expect(page.locator(".who").first).to_have_text("Zahlreich, N0")
    assert page.locator(".who").count() < MANY
    assert {person["person_name"] for person in exported(page, form)} == {f"N{n}" for n in range(MANY)}
    assert [url for url in asked if "zahl" in url.lower()] == []


def test_an_export_is_as_narrow_as_the_search(page: Page) -> None:
    page.goto("/console")
    page.get_by_text("Narrow it down").click()
    page.get_by_label("Born to").fill("1986")
    search_for(page, "mul")
    found(page, "Mulligan, Ben")
    assert [person["person_name"] for person in exported(page, "CSV")] == ["Ben"]
    page.get_by_role("button", name="Clear").click()
    page.get_by_label("Surname, or how it begins").fill("elif ozturk")
    found(page, "Öztürk, Elif")
    assert [person["person_birthdate"] for person in exported(page, "NDJSON")] == ["2001-07"]


def exported(page: Page, form: str) -> list[dict[str, str]]:
    with page.expect_download() as download:
        page.get_by_role("group", name="Export who is found").get_by_role("button", name=form, exact=True).click()
    assert download.value.suggested_filename == f"people.{form.lower()}"
    with Path(download.value.path()).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file) if form == "CSV" else map(json.loads, file))


def test_nobody_found_says_what_to_try(page: Page) -> None:
    page.goto("/console")
    search_for(page, "qqq")
    expect(page.get_by_role("heading", name="Nobody is called that")).to_be_visible()
    expect(page.get_by_role("group", name="Export who is found")).to_be_hidden()
    page.get_by_role("button", name="Show everyone").click()
    expect(page.locator(".row").first).to_be_visible()


def test_people_are_found_and_opened_by_keyboard_alone(page: Page) -> None:
    page.goto("/console")
    page.keyboard.press("Tab")
    page.keyboard.press("/")
    page.keyboard.type("mull")
    found(page, "Müller, Anna", "Mulligan, Ben")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).to_have_title(re.compile("Ben Mulligan"))


def test_the_first_tab_stop_leads_past_the_navigation(page: Page) -> None:
    page.goto("/console/no/such")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_where_people_are_sealed_whole_surnames_are_searched_and_the_page_says_so(
    browser: Browser, tmp_path: Path
) -> None:
    create_file(tmp_path / "master.key")
    with serving(tmp_path, encryption=f"file://{tmp_path / 'master.key'}") as sealed:
        for name in ("Anna", "Ben"):
            person = {"person_name": name, "person_surname": "Müller"}
            assert httpx.post(f"{sealed.url}/v1/people", json=person, timeout=HANG_TIMEOUT).status_code == 201
        with browsing.window(browser, sealed.url) as page:
            page.goto("/console")
            search_for(page, "mull")
            expect(page.get_by_text("Names are sealed here: people are found by the whole surname")).to_be_visible()
            expect(page.get_by_text("Nobody is called that")).to_be_visible()
            page.get_by_role("searchbox", name="The whole surname").press_sequentially("er")
            found(page, "Müller, Anna", "Müller, Ben")
            page.get_by_role("searchbox", name="The whole surname").fill("ben muller")
            found(page, "Müller, Ben")
