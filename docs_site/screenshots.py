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
        command = [sys.executable, "-m", "peopleinfo", "import", str(PEOPLE), *MAPPED]
        subprocess.run([*command, "--store-url", f"sqlite:///{folder}/people.db"], check=True, capture_output=True)
        browser = playwright.chromium.launch(executable_path=browsing.chromium(), args=["--no-sandbox"])
        take(browser, server.url)
        browser.close()


def take(browser: Browser, url: str) -> None:
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
        page.goto("/console/transfer")
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


if __name__ == "__main__":
    main()
