"""The page "Duplicates": pairs are reviewed and merged by keyboard, and a merge is undone after an edit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.cli.commands import run
from tests.console.browsing import open_menu, window
from tests.console.test_accessibility import violations_of
from tests.http.serving import Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx
    from playwright.sync_api import Browser, Page

SURNAMES = (
    "Abendroth", "Bjornsson", "Castellano", "Dvorak", "Eriksen", "Fitzgerald", "Grzelak", "Haraldsen", "Ivanov", "Jankowski",
    "Kowalczyk", "Lindqvist", "Montalban", "Nakamura", "Okonkwo", "Papadakis", "Quintero", "Rasmussen", "Sorensen", "Takahashi",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with serving(folder) as server:
        yield server


def create(client: httpx.Client, name: str, surname: str, number: int = 1, **fields: object) -> str:
    """Create a person, and return its id."""
    born = {"person_birthdate": f"1980-04-{number:02}", "person_address": f"{number} Elm Row, Leeds LS1"}
    person = {"person_name": name, "person_surname": surname} | born | fields
    return str(client.post("/v1/people", json=person).json()["person_id"])


def scan(folder: Path) -> None:
    """Fill the review queue."""
    assert run(folder, "duplicates", "scan").returncode == 0


def read(client: httpx.Client, person_id: str) -> dict[str, Any]:
    """Return a person, without a redirect."""
    return dict(client.get(f"/v1/people/{person_id}").json())


def add_likely_duplicate(page: Page) -> str:
    """Add a person with a likely duplicate, which the page reports, and return its id."""
    page.goto("/console/people/new")
    for label, value in (("First name", "Johnathan"), ("Surname", "Zwillinger"), ("Birthdate", "1980-04-01")):
        page.get_by_label(label).fill(value)
    expect(page.get_by_text("Perhaps already here.")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Johnathan Zwillinger")).to_be_visible()
    return page.url.rsplit("/", 1)[1]


def test_likely_duplicate_is_added_merged_edited_and_unmerged(page: Page, client: httpx.Client, folder: Path) -> None:
    first = create(client, "Jonathan", "Zwillinger", note="first")
    second = add_likely_duplicate(page)
    before = [read(client, each) for each in (first, second)]

    page.get_by_role("tab", name="Duplicates").click()
    assert violations_of(page) == []
    page.get_by_role("link", name="Compare with Jonathan Zwillinger").click()
    expect(page.get_by_role("row", name="First name (different)")).to_contain_text("Johnathan")
    expect(page.get_by_role("button", name="Different people")).to_be_hidden()  # the pair is not in the queue yet
    scan(folder)
    page.goto("/console")
    open_menu(page)
    page.get_by_role("link", name="Duplicates").click()
    expect(page.get_by_role("heading", name="Zwillinger")).to_be_focused()
    expect(page.locator("#reasons")).to_contain_text("same birthdate")
    assert violations_of(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.keyboard.press("s")
    expect(page.get_by_role("radio", name="Added").and_(page.locator("#survivors input[checked]"))).to_be_focused()
    page.get_by_label("First name of record").and_(page.locator(f"[value='{second}']")).check()
    expect(page.locator("#result")).to_contain_text("Johnathan")
    assert violations_of(page) == []
    page.keyboard.press("Enter")
    expect(page.get_by_text("Merged into Johnathan Zwillinger.")).to_be_visible()
    expect(page.get_by_role("heading", name="No pairs to review")).to_be_visible()
    assert violations_of(page) == []
    merged = read(client, first)
    assert (merged["person_name"], merged["note"], merged["person_address"]) == (
        "Johnathan",
        "first",
        "1 Elm Row, Leeds LS1",
    )

    page.goto(f"/console/people/{first}/edit")
    page.get_by_label("First name").fill("Jon Edited")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Jon Edited Zwillinger")).to_be_visible()
    page.goto(f"/console/people/{second}")
    expect(page.get_by_text("This record was merged into Jon Edited Zwillinger")).to_be_visible()
    expect(page.get_by_role("button", name="Delete")).to_be_hidden()
    assert violations_of(page) == []
    page.get_by_role("button", name="Undo this merge").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("group", name="First name")).to_contain_text("Now: Jon Edited")
    assert violations_of(page) == []
    dialog.get_by_label("Johnathan Zwillinger keeps it").check()
    dialog.get_by_role("button", name="Undo this merge").click()
    expect(page.get_by_text("The merge is undone.")).to_be_visible()
    expect(page.get_by_role("heading", name="Jon Edited Zwillinger")).to_be_visible()
    after = [read(client, each) for each in (first, second)]
    fields = ("person_id", "person_name", "person_surname", "person_birthdate", "person_address", "note")
    expected = [before[0], before[1] | {"person_name": "Jon Edited"}]
    assert [{name: one.get(name) for name in fields} for one in after] == [
        {name: one.get(name) for name in fields} for one in expected
    ]
    for each in (first, second):
        assert client.delete(f"/v1/people/{each}").status_code == 204


def test_twenty_pairs_are_decided_by_keyboard(
    browser: Browser, server: Server, client: httpx.Client, folder: Path
) -> None:
    for number, surname in enumerate(SURNAMES, 1):
        create(client, "Katharina", surname, number)
        create(client, "Katarina", surname, number)
    scan(folder)
    with window(browser, server.url) as page:
        page.goto("/console/duplicates")
        expect(page.get_by_text("Could be twins")).to_be_visible()
        for key in "dlsdlsdlsdlsdlsdlsdl":
            before = page.locator("#title").text_content()
            page.keyboard.press(key)
            if key == "s":
                expect(page.locator("#survivors :checked")).to_be_focused()
                page.keyboard.press("Enter")
            expect(page.locator("#title:focus, #none:focus")).not_to_have_text(str(before))
        expect(page.get_by_role("heading", name="No pairs to review")).to_be_visible()
        states = {
            state: client.get(f"/v1/duplicates?state={state}&limit=50").json()
            for state in ("open", "different", "later")
        }
        assert {state: len(found["duplicates"]) for state, found in states.items()} == {
            "open": 0,
            "different": 7,
            "later": 7,
        }

        page.get_by_role("link", name="Different people").click()
        expect(page.get_by_text("Different people: decided by anonymous")).to_be_visible()
        title = str(page.locator("#title").text_content())
        page.keyboard.press("n")
        expect(page.get_by_text("2 of 7")).to_be_visible()
        page.keyboard.press("p")
        expect(page.locator("#title")).to_have_text(title)
        page.get_by_label("Keyboard shortcuts").uncheck()
        page.keyboard.press("l")
        page.get_by_role("button", name="Next").click()
        expect(page.get_by_text("2 of 7")).to_be_visible()
        page.get_by_label("Keyboard shortcuts").check()
        page.keyboard.press("l")
        expect(page.get_by_text("Decide later: ")).to_be_visible()
        expect(page.get_by_text("2 of 6")).to_be_visible()


def test_withdrawn_decision_waits_in_the_list_of_later_decisions(
    browser: Browser, server: Server, client: httpx.Client, folder: Path
) -> None:
    create(client, "Marina", "Wieczorek")
    create(client, "Martina", "Wieczorek")
    scan(folder)
    with window(browser, server.url) as page:
        page.goto("/console/duplicates")
        heading = page.get_by_role("heading", name="Wieczorek")
        expect(heading).to_be_focused()
        page.keyboard.press("d")
        expect(page.get_by_text("Different people: Mar")).to_be_visible()
        page.keyboard.press("u")
        expect(page.get_by_text("The decision is withdrawn.")).to_be_visible()
        expect(heading).to_be_focused()
        later = client.get("/v1/duplicates?state=later&limit=50").json()["duplicates"]
        pair = next(one for one in later if one["people"][0]["person_surname"] == "Wieczorek")
        client.post(f"/v1/duplicates/{pair['pair']}", json={"decision": "different", "note": "checked"})
        page.keyboard.press("d")
        expect(page.get_by_text("This pair has changed meanwhile.")).to_be_visible()
        expect(page.get_by_role("heading", name="No pairs to review")).to_be_visible()
