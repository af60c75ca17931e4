"""The import and its preview read tables of any dialect, encoding and language alike, and account for every row."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.table_cases import CASES, TableCase

if TYPE_CHECKING:
    import httpx

STORE_KINDS = ["sqlite"]  # files are read before any access to the store
_READ_ONLY = ("person_id", "version", "created_at", "updated_at")
_ANY = {"Content-Type": "application/octet-stream"}  # the format is detected


@pytest.mark.parametrize("case", CASES, ids=str)
def test_import_stores_the_people_of_the_table(client: httpx.Client, case: TableCase) -> None:
    params = _params(case) | {"force": "true"}  # other cases describe the same people
    response = client.post("/v1/people/import", content=case.content, params=params, headers=_ANY)
    assert response.status_code == 200, response.text
    *results, done = map(json.loads, response.content.splitlines())
    numbers = {"stored": len(case.people), "rejected": len(case.rejected), "skipped": len(case.skipped)}
    assert {name: done[name] for name in numbers} == numbers
    assert done["rows"] == sum(numbers.values())
    _assert_lines(results, case)
    ids = [result["person_id"] for result in results if result["result"] == "stored"]
    stored = [client.get(f"/v1/people/{person_id}").json() for person_id in ids]
    for person_id in ids:  # so that the next import of the same person stores it
        client.delete(f"/v1/people/{person_id}").raise_for_status()
    assert [{name: value for name, value in one.items() if name not in _READ_ONLY} for one in stored] == case.people


@pytest.mark.parametrize("case", CASES, ids=str)
def test_preview_shows_the_people_of_the_table(client: httpx.Client, case: TableCase) -> None:
    response = client.post("/v1/people/import/preview", content=case.content, params=_params(case), headers=_ANY)
    assert response.status_code == 200, response.text
    rows = response.json()["rows"]
    assert [row["person"] for row in rows if row["result"] == "valid"] == case.people
    _assert_lines(rows, case)


def _params(case: TableCase) -> dict[str, Any]:
    return {name: [value for other, value in case.options if other == name] for name, _ in case.options}


def _assert_lines(results: list[dict[str, Any]], case: TableCase) -> None:
    """Check the lines and reasons of rejected and skipped rows."""
    rejected = {row["line"]: row["errors"][0]["reason"] for row in results if row["result"] == "rejected"}
    assert rejected.keys() == case.rejected.keys()
    assert [line for line, reason in case.rejected.items() if reason not in rejected[line]] == []
    skipped = {row["line"] for row in results if row["result"] == "skipped"}
    # Successive blank rows have one result.
    assert skipped <= set(case.skipped)
    assert all(line in skipped or line - 1 in case.skipped for line in case.skipped)
