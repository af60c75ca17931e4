"""The console imports tables like the command and the API: it sends them to the same operations."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.console.test_import_export import choose, expect_counts, start
from tests.table_cases import CASES, TableCase, in_order

if TYPE_CHECKING:
    from pathlib import Path

    import httpx
    from playwright.sync_api import Page

_READ_ONLY = ("person_id", "version", "created_at", "updated_at")
# A form replaces the options; two dates may need the user to choose a format.
_WITHOUT_OPTIONS = [case for case in CASES if case.people and not case.options and "orde" not in case.name]
_EVERY_SIXTH = _WITHOUT_OPTIONS[::6]  # a page takes seconds; the API imports all cases


def people(client: httpx.Client) -> dict[str, dict[str, Any]]:
    exported = client.get("/v1/people/export", headers={"Accept": "application/x-ndjson"}).text.splitlines()
    return {person["person_id"]: person for person in map(json.loads, exported)}


@pytest.mark.parametrize("case", _EVERY_SIXTH, ids=str)
def test_page_stores_the_people_of_the_table(page: Page, client: httpx.Client, tmp_path: Path, case: TableCase) -> None:
    file = tmp_path / "people.csv"
    file.write_bytes(case.content)
    before = people(client)
    choose(page, file)
    start(page)
    expect_counts(page, stored=len(case.people), rejected=len(case.rejected))
    stored = {person_id: person for person_id, person in people(client).items() if person_id not in before}
    for person_id in stored:  # so that the next import of the same person stores it
        client.delete(f"/v1/people/{person_id}").raise_for_status()
    found = [{name: value for name, value in one.items() if name not in _READ_ONLY} for one in stored.values()]
    assert sorted(found, key=in_order) == sorted(case.people, key=in_order)
