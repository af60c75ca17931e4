"""Export of selected people by their ids."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx

EXPORT = "/v1/people/export"


@pytest.fixture
def ids(client: httpx.Client, surname: str) -> list[str]:
    people = [{"person_name": name, "person_surname": surname, "score": 1.5} for name in ("Ada", "Bo", "Cy")]
    return [client.post("/v1/people", json=person).json()["person_id"] for person in people]


def names(client: httpx.Client, **body: Any) -> list[str]:
    response = client.post(EXPORT, json=body)
    assert response.status_code == 200, response.text
    return [json.loads(line)["person_name"] for line in response.text.splitlines()]


def test_export_has_the_selected_people_in_their_order(client: httpx.Client, ids: list[str]) -> None:
    assert names(client, person_ids=[ids[2], ids[0]], format="ndjson") == ["Cy", "Ada"]
    assert client.get(EXPORT, params={"person_ids": ids[1]}).json()["person_name"] == "Bo"


def test_export_has_the_people_that_a_search_box_finds(client: httpx.Client, ids: list[str], surname: str) -> None:
    assert names(client, q=f"{surname} bo", format="ndjson") == ["Bo"]
    assert sorted(names(client, q=surname, forgiving=False)) == ["Ada", "Bo", "Cy"]
    assert names(client, q=f"absent {surname}", forgiving=False) == []
    found = client.get(EXPORT, params={"q": f"cy {surname}", "format": "csv"})
    assert (found.headers["Content-Type"].split(";")[0], found.text.count("\n")) == ("text/csv", 2)
    for other in ({"name": "Ada"}, {"person_ids": ids}, {"limit": 1}, {"sort": "name"}):
        response = client.post(EXPORT, json={"q": surname, **other})
        assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, next(iter(other)))


def test_export_omits_unknown_ids(client: httpx.Client, ids: list[str]) -> None:
    client.delete(f"/v1/people/{ids[0]}", headers={"If-Match": "*"})
    assert names(client, person_ids=[*ids, "0" * 32, "no id"]) == ["Bo", "Cy"]


@pytest.mark.parametrize("form", ["csv", "xlsx", "vcard", "fhir", "fhir-bundle"])
def test_selected_people_are_exported_in_every_format(client: httpx.Client, ids: list[str], form: str) -> None:
    response = client.post(EXPORT, json={"person_ids": ids[:1], "format": form})
    assert response.status_code == 200, response.text
    assert form == "xlsx" or "Ada" in response.text
    assert "Cy" not in response.text


INVALID: list[dict[str, Any]] = [
    {"person_ids": []},
    {"person_ids": [1]},
    {"person_ids": {"a": "b"}},
    {"person_ids": ["0"] * 10_001},
    {"person_ids": ["0"], "surname": "x"},
]


@pytest.mark.parametrize("body", INVALID, ids=["none", "a number", "an object", "too many", "with a filter"])
def test_invalid_selection_is_rejected(client: httpx.Client, body: dict[str, Any]) -> None:
    response = client.post(EXPORT, json=body)
    assert response.status_code == 422
    assert {error["pointer"] for error in response.json()["errors"]} <= {"person_ids", "surname"}
