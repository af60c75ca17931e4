"""POST /v1/people/import reads the files of other programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.format_cases import CASES, Case

if TYPE_CHECKING:
    import httpx

_READ_ONLY = ("person_id", "version", "created_at", "updated_at")
_UNDECLARED = "application/octet-stream"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_server_stores_the_people_of_the_file(client: httpx.Client, store_kind: str, case: Case) -> None:
    check(client, case, _UNDECLARED)
    if store_kind == "sqlite":  # the media type has an effect before the rows reach a store
        check(client, case, case.media_type)


def check(client: httpx.Client, case: Case, media_type: str) -> None:
    response = client.post(
        "/v1/people/import", params={"force": "true"}, content=case.content, headers={"Content-Type": media_type}
    )  # other cases describe the same people
    assert response.status_code == 200, response.text
    *results, done = map(json.loads, response.content.splitlines())
    assert (done["result"], done["stored"], done["rejected"]) == ("done", len(case.people), case.rejected)
    ids = [result["person_id"] for result in results if result["result"] == "stored"]
    stored = client.post("/v1/people/batch-get", json={"ids": ids}).json()["results"] if ids else []
    found = [one["person"] for one in stored]
    assert [{name: value for name, value in one.items() if name not in _READ_ONLY} for one in found] == case.people
