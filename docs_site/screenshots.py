"""Take the screenshots of the console in docs/pictures, with invented people: `python -m docs_site.screenshots`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from playwright.sync_api import sync_playwright

from peopleinfo_client import Client
from tests.console import browsing
from tests.http.serving import serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT: Final = Path(__file__).parents[1]
FOLDER: Final = ROOT / "docs" / "pictures"
PEOPLE: Final = ROOT / "examples" / "people.csv"
MAPPED: Final = ["--map", "person_address=Street, City, Country", "--date-format", "%d/%m/%Y"]


def main() -> None:
    """Serve the people of the example, and take the screenshots."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server, sync_playwright() as playwright:
        store = f"sqlite:///{folder}/people.db"
        run("import", str(PEOPLE), *MAPPED, "--store-url", store)
        browser = playwright.chromium.launch(executable_path=browsing.chromium(), args=["--no-sandbox"])
        take(browser, server.url, store)
        browser.close()


def run(*arguments: str) -> None:
    """Run a command."""
    subprocess.run([sys.executable, "-m", "peopleinfo", *arguments], check=True, capture_output=True)


def take(browser: Browser, url: str, store: str) -> None:
    """Take a screenshot of each page."""
    with browsing.window(browser, url) as page:
        page.set_viewport_size({"width": 1000, "height": 620})
        page.goto("/console")
        page.get_by_label("Name, birthdate, address, mail or phone").fill("garcia")
        page.get_by_text("1 person", exact=True).wait_for()
        page.screenshot(path=FOLDER / "search.png")
        page.locator(".who").first.click()
        page.locator("#person").wait_for()
        page.screenshot(path=FOLDER / "person.png")
        take_conflict(page, url)
        take_duplicates(page, url, store)
        page.goto("/console/import-export")
        page.locator("input[type=file]").set_input_files(PEOPLE)
        page.locator("#preview .good").first.wait_for()
        for column in ("Street", "City", "Country"):
            page.get_by_label(f"Use of the column {column}").select_option("Address")
        page.locator("#date_format").select_option("%d/%m/%Y")
        page.locator("#preview").get_by_text("will be stored").first.wait_for()
        page.set_viewport_size({"width": 1000, "height": 860})
        page.screenshot(path=FOLDER / "import.png")
    with browsing.window(browser, url, "phone", dark=True) as page:
        page.goto("/console")
        page.locator(".row").first.wait_for()
        page.screenshot(path=FOLDER / "phone.png")


def take_conflict(page: Page, url: str) -> None:
    """Edit the address of the shown person after another client has changed it, and take a screenshot of both versions."""
    page.locator("#edit").click()
    page.locator("#person_address").fill("Plaza Mayor 7, Toledo, Spain")
    with Client(url) as people:
        people.patch(next(people.find(surname="garcia-lopez")), {"person_address": "Gran Vía 1, Madrid, Spain"})
    page.locator("#save").click()
    page.get_by_role("radio").first.wait_for()
    page.screenshot(path=FOLDER / "conflict.png")


def take_duplicates(page: Page, url: str, store: str) -> None:
    """Add a second record of a person, compare all records, and take a screenshot of the pair."""
    with Client(url) as people:
        second = {"person_name": "Maria Jose", "person_surname": "Garcia Lopez", "person_birthdate": "1978-01-19"}
        people.create(second | {"person_address": "Calle Mayor 5, Toledo"})
    run("duplicates", "scan", "--store-url", store)
    page.set_viewport_size({"width": 1000, "height": 760})
    page.goto("/console/duplicates")
    page.locator("#sides tbody").wait_for()
    page.screenshot(path=FOLDER / "duplicates.png")
    page.set_viewport_size({"width": 1000, "height": 620})


if __name__ == "__main__":
    main()
