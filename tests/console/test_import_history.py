"""The page "Import history": an import with a wrong mapping is undone in the browser.

IMPORT_ROWS sets the number of imported rows of a longer run.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.console.test_accessibility import violations_of
from tests.console.test_import_export import choose, start, table

if TYPE_CHECKING:
    from pathlib import Path

    import httpx
    from playwright.sync_api import Page

ROWS = int(os.environ.get("IMPORT_ROWS", "1500"))  # two batches of the log


@pytest.mark.parametrize("size", ["desktop"])
def test_import_with_a_wrong_mapping_is_undone(page: Page, client: httpx.Client, tmp_path: Path) -> None:
    client.post("/v1/people", json={"person_surname": "Before"})
    before = sorted(client.get("/v1/people/export").content.splitlines())
    choose(page, table(tmp_path / "wrong.csv", "Wrong", ROWS))
    page.get_by_label("Last name").select_option("person_address")
    start(page)
    found = client.get("/v1/people?limit=2").json()["people"]
    changed = next(one["person_id"] for one in found if one.get("person_surname") != "Before")
    headers = {"If-Match": "*", "Content-Type": "application/merge-patch+json"}
    assert client.patch(f"/v1/people/{changed}", json={"note": "edited"}, headers=headers).status_code == 200
    page.get_by_role("link", name="Import history").last.click()

    expect(page.get_by_role("row", name="wrong.csv")).to_contain_text(f"{ROWS:,}")
    assert violations_of(page) == []
    page.get_by_role("button", name="Undo this import").click()
    page.get_by_role("dialog").get_by_role("button", name="Undo this import").click()
    expect(page.get_by_role("heading", name="is undone")).to_be_visible()
    expect(
        page.get_by_text(f"{ROWS - 1:,} people deleted, 0 people restored, 1 person left unchanged.")
    ).to_be_visible()
    expect(page.get_by_role("row", name=changed)).to_contain_text("has changed since the import")
    expect(page.get_by_role("row", name="wrong.csv")).to_contain_text("Undone")
    assert client.delete(f"/v1/people/{changed}").status_code == 204
    assert sorted(client.get("/v1/people/export").content.splitlines()) == before


@pytest.mark.parametrize("size", ["phone"])
def test_imports_do_not_scroll_sideways_on_a_phone(page: Page, client: httpx.Client) -> None:
    name = "addresses-of-the-branch-office-2026.csv"
    client.post(
        f"/v1/people/import?filename={name}", content=b"person_surname\nPhone\n", headers={"Content-Type": "text/csv"}
    )
    page.goto("/console/imports")
    expect(page.get_by_text(name)).to_be_visible()
    table = page.get_by_role("region", name="Imports")
    assert table.evaluate("box => box.scrollWidth <= box.clientWidth")
    assert violations_of(page) == []
