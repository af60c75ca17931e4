"""Import of CSV files and export on the page."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    import httpx
    from playwright.sync_api import Page

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
        f'N{n};{surname};{"31/02/1990" if n in wrong else "11/02/1990"};"Street {n}, ""left""\nback";Leipzig;n{n}@example.org'
        for n in range(rows)
    ]
    path.write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
    return path


def choose(page: Page, file: Path) -> None:
    page.goto("/console/transfer")
    page.locator("#file").set_input_files(file)
    expect(page.get_by_role("heading", name="Match the columns")).to_be_focused()


def test_import_of_ten_thousand_rows_rejects_37_invalid_rows(
    page: Page, client: httpx.Client, surname: str, size: str, tmp_path: Path
) -> None:
    rows, bad = (ROWS, BAD) if size == "desktop" else (600, 7)
    choose(page, table(tmp_path / "people.csv", surname, rows, bad))
    for label, column in (("First name", "First name"), ("Surname", "Last name"), ("Birthdate", "Date of birth")):
        expect(page.get_by_label(label, exact=True)).to_have_value(column)
    page.get_by_label("Address", exact=True).select_option("Street")
    page.get_by_label("Address, second column").select_option("City")
    expect(page.locator("#preview")).to_contain_text("must be a date like")
    page.get_by_label("Date format").select_option("%d/%m/%Y")
    expect(page.locator("#preview")).to_contain_text("will be stored")
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_role("heading", name="Import finished")).to_be_visible()
    expect(page.locator("#stored")).to_have_text(f"{rows - bad:,}")
    expect(page.locator("#rejected")).to_have_text(str(bad))
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all").click()
    with Path(download.value.path()).open(encoding="utf-8-sig", newline="") as file:
        rejects = list(csv.DictReader(file, delimiter=";"))
    assert len(rejects) == bad
    assert all("person_birthdate must be a date" in row["reject_reason"] for row in rejects)
    assert rejects[0]["Street"].endswith('"left"\nback')
    first_bad = rows // bad
    assert rejects[0]["reject_line"] == str(2 * first_bad)  # after the header, each row takes two lines
    found = client.get("/v1/people", params={"surname": surname, "name": "N0"}).json()["people"]
    assert [(p["person_birthdate"], p["person_address"], p["E-mail"]) for p in found] == [
        ("1990-02-11", 'Street 0, "left"\nback Leipzig', "n0@example.org")
    ]


def test_repeated_import_creates_no_duplicates(page: Page, client: httpx.Client, surname: str, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text(f"surname,name\n{surname},A\n{surname},B\n")
    for counted in ("stored", "duplicate"):
        choose(page, file)
        page.get_by_role("button", name="Import").click()
        expect(page.locator(f"#{counted}")).to_have_text("2")
        expect(page.get_by_role("heading", name="Import finished")).to_be_visible()
    assert len(client.get("/v1/people", params={"surname": surname}).json()["people"]) == 2


def test_dropped_file_opens_the_mapping(page: Page, surname: str) -> None:
    page.goto("/console/transfer")
    dropped = page.evaluate_handle(
        "text => { const d = new DataTransfer(); d.items.add(new File([text], 'people.csv')); return d; }",
        f"name\n{surname}\n",
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": dropped})
    expect(page.get_by_role("heading", name="Match the columns")).to_be_visible()
    expect(page.locator("#preview")).to_contain_text(surname)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"name,name\nA,B\n", "two columns with the same name"), (b"colour\nred\n", "contains a name")],
    ids=["empty", "a column twice", "no name"],
)
def test_unreadable_file_shows_a_message(page: Page, tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "odd.csv"
    file.write_bytes(content)
    page.goto("/console/transfer")
    page.locator("#file").set_input_files(file)
    expect(page.get_by_text(message)).to_be_visible()


def test_windows_1252_file_keeps_its_umlauts(page: Page, client: httpx.Client, surname: str, tmp_path: Path) -> None:
    file = tmp_path / "alt.csv"
    file.write_bytes(f"Vorname;Surname\nJörg;{surname}\n".encode("cp1252"))
    choose(page, file)
    expect(page.get_by_label("File encoding")).to_have_value("windows-1252")
    page.get_by_label("First name", exact=True).select_option("Vorname")
    expect(page.locator("#preview")).to_contain_text("will be stored")
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_role("heading", name="Import finished")).to_be_visible()
    assert client.get("/v1/people", params={"surname": surname}).json()["people"][0]["person_name"] == "Jörg"


@pytest.mark.parametrize("form", ["CSV", "NDJSON"])
def test_export_contains_all_people(page: Page, client: httpx.Client, surname: str, form: str) -> None:
    client.post("/v1/people", json={"person_surname": surname})
    page.goto("/console/transfer")
    with page.expect_download() as download:
        page.get_by_role("link", name=form).click()
    assert download.value.suggested_filename == f"people.{form.lower()}"
    with Path(download.value.path()).open(encoding="utf-8", newline="") as file:
        people = list(csv.DictReader(file)) if form == "CSV" else list(map(json.loads, file))
    assert surname in {person.get("person_surname") for person in people}
