"""Duplicates over HTTP: match without storing, and the duplicates of a stored person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.http.test_problems import assert_problem

if TYPE_CHECKING:
    import httpx

STORE_KINDS = ["sqlite"]
UNKNOWN = "0123456789abcdef0123456789abcdef"


def someone(surname: str, **changes: str) -> dict[str, Any]:
    """Return a person whose birthdate and address depend on the surname."""
    number = int(surname[-6:], 16)
    return {
        "person_name": "Jonathan",
        "person_surname": surname,
        "person_birthdate": f"{1920 + number % 89}-{1 + number % 11:02}-{1 + number % 27:02}",
        "person_address": f"{number} Elm Row, Leeds LS1",
        **changes,
    }


def match(client: httpx.Client, person: dict[str, Any], **options: Any) -> dict[str, Any]:
    response = client.post("/v1/people/match", json={"person": person, **options})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def test_match_returns_candidates_with_evidence_and_stores_nothing(client: httpx.Client, surname: str) -> None:
    stored = client.post("/v1/people", json=someone(surname)).json()
    [candidate] = match(client, someone(surname, person_address="7 Mill Road, Leeds LS9"))["candidates"]
    assert candidate["person"] == stored
    assert candidate["person_id"] == stored["person_id"]
    assert candidate["grade"] in ("certain", "probable", "possible")
    assert 0.5 <= candidate["score"] <= 1
    assert [item["because"] for item in candidate["evidence"]] == [
        "same first name",
        "same surname",
        "same birthdate",
        "different addresses",
    ]
    assert set(candidate["evidence"][0]) == {"field", "agreement", "bits", "against_relatives", "because"}
    assert len(client.get("/v1/people", params={"surname": surname}).json()["people"]) == 1


def test_options_limit_the_candidates(client: httpx.Client, surname: str) -> None:
    for _ in range(3):
        client.post("/v1/people", json=someone(surname))
    assert len(match(client, someone(surname), count=2)["candidates"]) == 2
    assert match(client, someone(surname, person_name="Jon"), only_certain=True)["candidates"] == []
    assert match(client, someone(surname), threshold=1)["candidates"] == []


def test_duplicates_of_a_stored_person_leave_out_that_person(client: httpx.Client, surname: str) -> None:
    first, second = [client.post("/v1/people", json=someone(surname)).json() for _ in range(2)]
    path = f"/v1/people/{first['person_id']}/duplicates"
    found = client.get(path, params={"count": 1}).json()
    assert [one["person_id"] for one in found["candidates"]] == [second["person_id"]]
    assert client.head(path).status_code == 200
    assert_problem(client.get(f"/v1/people/{UNKNOWN}/duplicates"), 404, "person-not-found")


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ([], [""]),
        ({}, ["/person"]),
        ({"person": {"person_birthdate": "yesterday"}, "more": 1}, ["/more", "/person/person_birthdate"]),
        ({"person": {}, "count": 0, "threshold": 2, "only_certain": 1}, ["/count", "/threshold", "/only_certain"]),
        ({"person": {}, "threshold": [1], "count": "ten"}, ["/count", "/threshold"]),
    ],
)
def test_invalid_match_lists_every_error(client: httpx.Client, body: Any, pointers: list[str]) -> None:
    response = client.post("/v1/people/match", json=body)
    assert_problem(response, 422, "invalid-search")
    assert [error["pointer"] for error in response.json()["errors"]] == pointers


def test_invalid_options_of_duplicates_are_rejected(client: httpx.Client, surname: str) -> None:
    person = client.post("/v1/people", json=someone(surname)).json()
    response = client.get(f"/v1/people/{person['person_id']}/duplicates?count=1&count=2&other=1")
    assert_problem(response, 422, "invalid-search")
    assert [error["pointer"] for error in response.json()["errors"]] == ["other", "count"]
