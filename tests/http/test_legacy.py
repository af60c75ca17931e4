"""/data, the legacy API: existing clients need no changes."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

JSON = {"Content-Type": "application/json"}


def person(surname: str, **other: Any) -> dict[str, Any]:
    return {
        "person_name": "Anna",
        "person_surname": surname,
        "person_birthdate": "1990-02-11",
        "person_address": "12 Example Street",
    } | other


def every_page(client: httpx.Client, path: str) -> list[Any]:
    """Follow the Link headers from a first page to the last."""
    people: list[Any] = []
    while True:
        response = client.get(path)
        assert response.status_code == 200
        people += response.json()
        if "next" not in response.links:
            return people
        path = response.links["next"]["url"]


def test_create_returns_the_submitted_bytes(client: httpx.Client, surname: str) -> None:
    submitted = (
        f' {{"person_surname" :"{surname}", "person_address":"\\u00e9\\/","person_name":" Anna ",\n'
        '"score":1.50E+02, "person_birthdate":"some day", "big":12345678901234567890123, "none":null, "list":[1,{}]}  '
    ).encode()
    response = client.post("/data", content=submitted, headers=JSON)
    assert (response.status_code, response.content) == (200, submitted)


def test_create_returns_the_location(client: httpx.Client, surname: str) -> None:
    stored = client.post("/data", json=person(surname))
    assert client.get(stored.headers["Location"]).json()["person_surname"] == surname


def test_birthdate_may_be_any_text(client: httpx.Client, surname: str) -> None:
    assert client.post("/data", json=person(surname, person_birthdate="11 Feb. 1990")).status_code == 200
    assert client.get("/data", params={"person_surname": surname}).json()[0]["person_birthdate"] == "11 Feb. 1990"


def test_custom_fields_are_stored(client: httpx.Client, surname: str) -> None:
    client.post("/data", json=person(surname, shoes={"size": [41, 42]}, vip=True))
    (found,) = client.get("/data", params={"person_surname": surname}).json()
    assert (found["shoes"], found["vip"]) == ({"size": [41, 42]}, True)


@pytest.mark.parametrize("field", ["person_name", "person_surname", "person_birthdate", "person_address"])
@pytest.mark.parametrize("value", ["absent", None, "", "  ", 7, ["x"], {}, False])
def test_each_of_the_four_fields_is_required(client: httpx.Client, surname: str, field: str, value: Any) -> None:
    submitted = person(surname) | {field: value}
    if value == "absent":
        del submitted[field]
    response = client.post("/data", json=submitted)
    assert (response.status_code, response.json()["error"]) == (400, "Missing required fields")
    assert [reason["pointer"] for reason in response.json()["errors"]] == [f"/{field}"]
    assert client.get("/data", params={"person_surname": surname}).json() == []


@pytest.mark.parametrize("document", [[], "text", 1, None, True, [person("Nobody")]])
def test_body_that_is_not_an_object_lacks_all_fields(client: httpx.Client, document: Any) -> None:
    response = client.post("/data", content=json.dumps(document), headers=JSON)
    assert (response.status_code, response.json()["error"]) == (400, "Missing required fields")


def test_unknown_surname_returns_an_empty_list(client: httpx.Client, surname: str) -> None:
    response = client.get("/data", params={"person_surname": surname})
    assert (response.status_code, response.json()) == (200, [])


@pytest.mark.parametrize(
    "query", ["", "?person_surname", "?person_surname=", "?person_surname=%20", "?person_surname=a&person_surname=b"]
)
def test_list_requires_one_surname(client: httpx.Client, query: str) -> None:
    response = client.get("/data" + query)
    assert (response.status_code, response.json()["error"]) == (400, "person_surname query parameter is required")


def test_people_of_one_surname_are_sorted_by_creation(client: httpx.Client, surname: str) -> None:
    for name in ("Zoe", "Adam"):
        client.post("/data", json=person(surname, person_name=name))
    found = client.get("/data", params={"person_surname": surname}).json()
    assert [item["person_name"] for item in found] == ["Zoe", "Adam"]


def test_identical_people_get_different_ids(client: httpx.Client, surname: str) -> None:
    for _ in range(2):
        client.post("/data", json=person(surname))
    first, second = client.get("/data", params={"person_surname": surname}).json()
    assert first["person_id"] != second["person_id"]


def test_surname_is_found_in_any_spelling(client: httpx.Client, surname: str) -> None:
    client.post("/data", json=person(f"O’Müßig-{surname}"))
    (found,) = client.get("/data", params={"person_surname": f"OMUSSIG {surname}".upper().replace(" ", "")}).json()
    assert found["person_surname"] == f"O’Müßig-{surname}"


def test_250_people_of_one_surname_are_each_returned_once(client: httpx.Client, surname: str) -> None:
    for number in range(250):
        client.post("/data", json=person(surname, number=number))
    found = every_page(client, f"/data?person_surname={surname}")
    assert [item["number"] for item in found] == list(range(250))


def test_page_has_100_people_by_default(client: httpx.Client, surname: str) -> None:
    for number in range(101):
        client.post("/data", json=person(surname, number=number))
    sizes = {
        limit: len(client.get("/data", params={"person_surname": surname, **limit_of(limit)}).json())
        for limit in ("", "1", "100", "101", "1000")
    }
    assert sizes == {"": 100, "1": 1, "100": 100, "101": 101, "1000": 101}


def limit_of(limit: str) -> dict[str, str]:
    return {"limit": limit} if limit else {}


def test_next_page_has_the_limit_of_the_first(client: httpx.Client, surname: str) -> None:
    for number in range(7):
        client.post("/data", json=person(surname, number=number))
    first = client.get("/data", params={"person_surname": surname, "limit": 3})
    second = client.get(first.links["next"]["url"])
    assert [item["number"] for item in second.json()] == [3, 4, 5]


def test_last_page_has_no_link(client: httpx.Client, surname: str) -> None:
    for _ in range(3):
        client.post("/data", json=person(surname))
    assert "Link" not in client.get("/data", params={"person_surname": surname, "limit": 3}).headers


def test_link_to_the_next_page_supports_any_surname(client: httpx.Client, surname: str) -> None:
    odd = f'{surname} >; rel="prev", <&#?%+é'
    for _ in range(3):
        client.post("/data", json=person(odd))
    response = client.get("/data", params={"person_surname": odd, "limit": 2})
    assert list(response.links) == ["next"]
    assert len(client.get(response.links["next"]["url"]).json()) == 1


def test_link_to_the_next_page_contains_no_surname(client: httpx.Client, surname: str) -> None:
    for number in range(5):
        client.post("/data", json=person(surname, number=number))
    first = client.get("/data", params={"person_surname": surname, "limit": 2})
    link = httpx.URL(first.links["next"]["url"])
    assert list(link.params) == ["cursor"]
    assert surname.lower() not in str(link).lower()
    cursor_only = {"cursor": link.params["cursor"]}
    both = client.get("/data", params={"person_surname": surname, **cursor_only})
    assert [item["number"] for item in both.json()] == [2, 3]
    assert len(client.get("/data", params={"limit": 1, **cursor_only}).json()) == 1
    for wrong in (
        {"person_surname": f"{surname}x", **cursor_only},
        {"cursor": "x"},
        {"cursor": cursor_only["cursor"][:-1]},
    ):
        response = client.get("/data", params=wrong)
        assert response.status_code == 422
        assert response.json()["type"] == "urn:peopleinfo:problem:invalid-cursor"


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "x", "", "1.5", "٣", "1" * 400, "+1", " 1"])
def test_limit_must_be_an_integer_from_1_to_1000(client: httpx.Client, surname: str, limit: str) -> None:
    response = client.get("/data", params={"person_surname": surname, "limit": limit})
    assert response.status_code == 422
    assert [reason["pointer"] for reason in response.json()["errors"]] == ["limit"]


def test_both_apis_return_the_same_people(client: httpx.Client, surname: str) -> None:
    client.post("/data", json=person(surname))
    client.post("/v1/people", json={"person_surname": surname, "person_name": "Bea"})
    old = client.get("/data", params={"person_surname": surname}).json()
    new = client.get("/v1/people", params={"surname": surname}).json()["people"]
    assert old == new
    assert [item["person_name"] for item in old] == ["Anna", "Bea"]


def test_invalid_person_is_rejected_with_all_errors(client: httpx.Client, surname: str) -> None:
    response = client.post("/data", json=person(surname, person_name="a\x07b", person_address="x" * 2_001, version=3))
    assert response.status_code == 422
    pointers = {reason["pointer"] for reason in response.json()["errors"]}
    assert pointers == {"/person_name", "/person_address", "/version"}
    assert response.json()["error"] == response.json()["detail"]
