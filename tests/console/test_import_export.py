"""Import of files of any format and export on the page."""

from __future__ import annotations

import csv
import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.console.test_accessibility import violations_of
from tests.workbooks import workbook

if TYPE_CHECKING:
    import httpx
    from playwright.sync_api import Page, Route

ROWS, BAD = 10_000, 37
HEADER = "First name;Last name;Date of birth;Street;City;E-mail"


@pytest.fixture
def surname(size: str, request: pytest.FixtureRequest) -> str:
    return f"Import{abs(hash((size, request.node.name))):x}"


def table(path: Path, surname: str, rows: int, bad: int = 0) -> Path:
    """Write a CSV file in which `bad` rows, evenly distributed, have an invalid birthdate."""
    every = rows // bad if bad else rows + 1
    wrong = {every * (n + 1) - 1 for n in range(bad)}
    lines = [
        f'N{n};{surname};{"31/02/1990" if n in wrong else "21/02/1990"};"Street {n}, ""left""\nback";Leipzig;n{n}@example.org'
        for n in range(rows)
    ]
    path.write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
    return path


def choose(page: Page, file: Path) -> None:
    page.goto("/console/import-export")
    page.locator("#file").set_input_files(file)
    expect(page.get_by_role("heading", name="Check the preview")).to_be_focused()
    expect(page.get_by_role("button", name="Import", exact=True)).to_be_enabled()


def start(page: Page) -> None:
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("heading", name="Import finished")).to_be_visible()


def expect_counts(page: Page, **counts: int) -> None:
    for result, count in counts.items():
        expect(page.locator(f"#{result}")).to_have_text(f"{count:,}")


def stored(client: httpx.Client, surname: str) -> list[dict[str, str]]:
    people = client.get("/v1/people", params={"surname": surname, "limit": 1000}).json()["people"]
    own = ("person_id", "version", "created_at", "updated_at")
    return [{name: value for name, value in person.items() if name not in own} for person in people]


def test_workbook_of_a_clerk_is_imported(page: Page, client: httpx.Client, surname: str, tmp_path: Path) -> None:
    file = tmp_path / "members.xlsx"
    header = ["Vorname", "Nachname", "Geburtsdatum", "PLZ"]
    rows: list[list[Any]] = [header, ["Jörg", surname, date(1990, 2, 11), "04109"], ["Ute", surname]]
    file.write_bytes(workbook({"Members": rows}))
    choose(page, file)
    expect(page.locator("#found-format")).to_contain_text("Excel workbook")
    expect(page.locator("#preview")).to_contain_text("11 Feb 1990")
    start(page)
    expect_counts(page, stored=2, rejected=0)
    assert stored(client, surname) == [
        {"person_name": "Jörg", "person_surname": surname, "person_birthdate": "1990-02-11", "PLZ": "04109"},
        {"person_name": "Ute", "person_surname": surname},
    ]


def test_sheet_of_a_workbook_is_selected(page: Page, client: httpx.Client, surname: str, tmp_path: Path) -> None:
    file = tmp_path / "years.xlsx"
    header = ["Vorname", "Nachname"]
    file.write_bytes(workbook({"2025": [header, ["Ida", surname]], "2026": [header, ["Per", surname]]}))
    choose(page, file)
    expect(page.locator("#warnings")).to_contain_text("Only the sheet '2025' is read; '2026' is not.")
    page.get_by_label("Sheet of the workbook").select_option("2026")
    expect(page.locator("#preview")).to_contain_text("Per")
    start(page)
    expect_counts(page, stored=1)
    assert [person["person_name"] for person in stored(client, surname)] == ["Per"]


def test_vcard_is_imported(page: Page, client: httpx.Client, surname: str, tmp_path: Path) -> None:
    file = tmp_path / "contact.vcf"
    card = (
        f"BEGIN:VCARD\r\nVERSION:3.0\r\nN:{surname};María;;;\r\nFN:María {surname}\r\nBDAY:1985-12-24\r\nEND:VCARD\r\n"
    )
    file.write_text(card, encoding="utf-8", newline="")
    choose(page, file)
    expect(page.locator("#found-format")).to_contain_text("vCard")
    expect(page.get_by_role("heading", name="Columns")).to_be_hidden()
    start(page)
    expect_counts(page, stored=1, rejected=0)
    person = stored(client, surname)[0]
    assert (person["person_name"], person["person_birthdate"]) == ("María", "1985-12-24")


def test_contacts_of_google_are_imported(page: Page, client: httpx.Client, surname: str, tmp_path: Path) -> None:
    file = tmp_path / "contacts.csv"
    header = "First Name,Middle Name,Last Name,Birthday,E-mail 1 - Label,E-mail 1 - Value,Phone 1 - Value"
    file.write_text(f"{header}\nÅsa,,{surname},1979-07-01,* Work,asa@example.org,+46 8 123456\n", encoding="utf-8")
    choose(page, file)
    start(page)
    expect_counts(page, stored=1, rejected=0)
    person = stored(client, surname)[0]
    assert (person["person_name"], person["person_birthdate"]) == ("Åsa", "1979-07-01")
    assert "asa@example.org" in person.values()


def test_semicolon_file_in_latin_1_keeps_its_umlauts_and_dates(
    page: Page, client: httpx.Client, surname: str, tmp_path: Path
) -> None:
    file = tmp_path / "alt.csv"
    lines = ["Vorname;Nachname;Geburtsdatum;Straße;Ort", f"Jörg;{surname};24.12.1980;Königstraße 1;Köln"]
    file.write_bytes("\r\n".join([*lines, f"Bärbel;{surname};3.1.1999;Weg 2;Düren\r\n"]).encode("latin-1"))
    choose(page, file)
    expect(page.locator("#found-format")).to_contain_text("separated by semicolon")
    expect(page.locator("#preview")).to_contain_text("24 Dec 1980")
    start(page)
    expect_counts(page, stored=2, rejected=0)
    assert [(p["person_name"], p["person_birthdate"]) for p in stored(client, surname)] == [
        ("Jörg", "1980-12-24"),
        ("Bärbel", "1999-01-03"),
    ]


def test_preview_names_format_encoding_delimiter_and_header_and_has_no_violations(
    page: Page, surname: str, tmp_path: Path
) -> None:
    file = tmp_path / "titled.csv"
    file.write_text(f"Members 2026\n\nName,Surname,Born\nÄnne,{surname},1990\n,,\nA,{surname},soon\n", encoding="utf-8")
    choose(page, file)
    for text in ("titled.csv: CSV, UTF-8", "separated by comma", "names of the columns in line 3"):
        expect(page.locator("#found-format")).to_contain_text(text)
    expect(page.locator("#preview .good").filter(has_text="will be stored")).to_have_count(1)
    expect(page.locator("#preview .bad")).to_contain_text("Birthdate")
    assert violations_of(page) == []


def test_changed_options_change_the_preview_and_the_import(
    page: Page, client: httpx.Client, surname: str, tmp_path: Path
) -> None:
    file = tmp_path / "odd.csv"
    file.write_text(f"A,B,C,D\nDora,{surname},1/5/1990,Main Street\nEve,{surname},soon,Hill\n", encoding="utf-8")
    choose(page, file)
    expect(page.locator("#warnings")).to_contain_text("No column contains a name. You can change this below.")
    uses = {"A": "First name", "B": "Surname", "C": "Birthdate", "D": "Address"}
    for column, use in uses.items():
        page.get_by_label(f"Use of the column {column}").select_option(use)
    page.get_by_label("Date format").select_option("%m/%d/%Y")
    page.get_by_label("Rows with an unreadable date").select_option("keep")
    expect(page.locator("#preview")).to_contain_text("5 Jan 1990")
    start(page)
    expect_counts(page, stored=2)
    people = stored(client, surname)
    assert people[0] == {
        "person_name": "Dora", "person_surname": surname, "person_birthdate": "1990-01-05", "person_address": "Main Street",
    }  # fmt: skip
    assert "soon" in people[1].values()
    assert "person_birthdate" not in people[1]


def test_import_of_ten_thousand_rows_rejects_37_invalid_rows(
    page: Page, client: httpx.Client, surname: str, size: str, tmp_path: Path
) -> None:
    rows, bad = (ROWS, BAD) if size == "desktop" else (600, 7)
    choose(page, table(tmp_path / "people.csv", surname, rows, bad))
    start(page)
    expect_counts(page, stored=rows - bad, rejected=bad)
    expect(page.locator("#progress")).to_have_js_property("value", 1)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all").click()
    with Path(download.value.path()).open(encoding="utf-8-sig", newline="") as file:
        rejects = list(csv.DictReader(file))
    assert len(rejects) == bad
    assert all(row["reason"].startswith("Birthdate must") for row in rejects)
    assert rejects[0]["line"] == str(2 * (rows // bad))  # after the header, each row takes two lines
    found = client.get("/v1/people", params={"surname": surname, "name": "N0"}).json()["people"]
    assert [(p["person_birthdate"], p["E-mail"]) for p in found] == [("1990-02-21", "n0@example.org")]


def test_same_file_again_is_reported_as_already_imported(
    page: Page, client: httpx.Client, surname: str, tmp_path: Path
) -> None:
    file = tmp_path / "people.csv"
    file.write_text(f"surname,name\n{surname},A\n{surname},B\n")
    choose(page, file)
    start(page)
    expect_counts(page, stored=2, unchanged=0)
    page.get_by_role("button", name="Import another file").click()
    page.locator("#file").set_input_files(file)
    expect(page.get_by_role("button", name="Import", exact=True)).to_be_enabled()
    start(page)
    expect_counts(page, stored=0, unchanged=2)
    assert len(stored(client, surname)) == 2


def test_edited_export_updates_the_people_with_the_same_id(
    page: Page, client: httpx.Client, surname: str, tmp_path: Path
) -> None:
    for name in ("Ada", "Bo"):
        client.post("/v1/people", json={"person_name": name, "person_surname": surname, "note": "=1"})
    form = {"surname": surname, "format": "csv", "for": "excel"}
    exported = client.post("/v1/people/export", json=form).content
    file = tmp_path / "edited.csv"
    file.write_bytes(exported.replace(b"Ada", b"Adele"))
    choose(page, file)
    expect(page.get_by_label("Rows of stored people")).to_have_value("person_id")
    start(page)
    expect_counts(page, stored=0, updated=1, unchanged=1, rejected=0)
    assert [(p["person_name"], p["note"]) for p in stored(client, surname)] == [("Adele", "=1"), ("Bo", "=1")]


def test_every_attempt_has_a_new_key_and_its_retry_the_same_one(
    page: Page, client: httpx.Client, surname: str, tmp_path: Path
) -> None:
    file = tmp_path / "people.csv"
    file.write_text(f"surname,name\n{surname},A\n")
    keys: list[str] = []

    def lose_the_first_response(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) > 1:
            route.continue_()
            return
        route.fetch()
        route.abort()

    page.route("**/v1/people/import?*", lose_the_first_response)
    choose(page, file)
    start(page)
    assert len(stored(client, surname)) == 1
    page.get_by_role("button", name="Import another file").click()
    page.locator("#file").set_input_files(file)
    expect(page.get_by_role("button", name="Import", exact=True)).to_be_enabled()
    start(page)
    first, retry, second = keys
    assert first == retry != second


def test_cancelled_import_keeps_the_stored_people_and_can_be_completed(
    page: Page, client: httpx.Client, surname: str, tmp_path: Path
) -> None:
    file = table(tmp_path / "people.csv", surname, 40)
    choose(page, file)
    page.route("**/v1/people/import?*", lambda _: None)  # never responds
    page.get_by_role("button", name="Import", exact=True).click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", name="Import cancelled")).to_be_focused()
    expect(page.get_by_text("The people that were stored before are kept")).to_be_visible()
    page.unroute_all()
    page.get_by_role("button", name="Import another file").click()
    page.locator("#file").set_input_files(file)
    expect(page.get_by_role("button", name="Import", exact=True)).to_be_enabled()
    start(page)
    assert len(stored(client, surname)) == 40


def test_dropped_file_opens_the_preview(page: Page, surname: str) -> None:
    page.goto("/console/import-export")
    dropped = page.evaluate_handle(
        "text => { const d = new DataTransfer(); d.items.add(new File([text], 'people.csv')); return d; }",
        f"name\n{surname}\n",
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": dropped})
    expect(page.get_by_role("heading", name="Check the preview")).to_be_visible()
    expect(page.locator("#preview")).to_contain_text(surname)


@pytest.mark.parametrize(
    "content", [b"", b"%PDF-1.7 not a table", b"\x89PNG\r\n\x1a\n"], ids=["empty", "PDF", "picture"]
)
def test_unreadable_file_shows_a_message(page: Page, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "odd.csv"
    file.write_bytes(content)
    page.goto("/console/import-export")
    page.locator("#file").set_input_files(file)
    expect(page.get_by_text("odd.csv cannot be imported:")).to_be_visible()
    expect(page.get_by_role("heading", name="Check the preview")).to_be_hidden()


@pytest.mark.parametrize("form", ["Excel workbook", "vCard", "FHIR", "CSV for Excel"])
def test_export_links_have_the_format_that_they_name(page: Page, client: httpx.Client, surname: str, form: str) -> None:
    client.post("/v1/people", json={"person_surname": surname})
    page.goto("/console/import-export")
    with page.expect_download() as download:
        page.get_by_role("link", name=form).click()
    content = Path(download.value.path()).read_bytes()
    starts = {"Excel workbook": b"PK", "vCard": b"BEGIN:VCARD", "FHIR": b"{", "CSV for Excel": "\ufeff".encode()}
    assert content.startswith(starts[form])


@pytest.mark.parametrize("form", ["Plain CSV", "NDJSON"])
def test_export_contains_all_people(page: Page, client: httpx.Client, surname: str, form: str) -> None:
    client.post("/v1/people", json={"person_surname": surname})
    page.goto("/console/import-export")
    with page.expect_download() as download:
        page.get_by_role("link", name=form).click()
    assert download.value.suggested_filename == f"people.{form.removeprefix('Plain ').lower()}"
    with Path(download.value.path()).open(encoding="utf-8", newline="") as file:
        people = list(csv.DictReader(file)) if form == "Plain CSV" else list(map(json.loads, file))
    assert surname in {person.get("person_surname") for person in people}
