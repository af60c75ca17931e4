"""/data, the API of the service that PeopleInfo grew out of: whoever uses it need not change anything."""

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
        answer = client.get(path)
        assert answer.status_code == 200
        people += answer.json()
        if "next" not in answer.links:
            return people
        path = answer.links["next"]["url"]


def test_what_was_submitted_comes_back_byte_for_byte(client: httpx.Client, surname: str) -> None:
    submitted = (
        f' {{"person_surname" :"{surname}", "person_address":"\\u00e9\\/","person_name":" Anna ",\n'
        '"score":1.50E+02, "person_birthdate":"some day", "big":12345678901234567890123, "none":null, "list":[1,{}]}  '
    ).encode()
    answer = client.post("/data", content=submitted, headers=JSON)
    assert (answer.status_code, answer.content) == (200, submitted)


def test_the_answer_says_where_the_person_is(client: httpx.Client, surname: str) -> None:
    stored = client.post("/data", json=person(surname))
    assert client.get(stored.headers["Location"]).json()["person_surname"] == surname


def test_a_birthdate_may_be_any_text_here(client: httpx.Client, surname: str) -> None:
    assert client.post("/data", json=person(surname, person_birthdate="11 Feb. 1990")).status_code == 200
    assert client.get("/data", params={"person_surname": surname}).json()[0]["person_birthdate"] == "11 Feb. 1990"


def test_other_members_are_kept(client: httpx.Client, surname: str) -> None:
    client.post("/data", json=person(surname, shoes={"size": [41, 42]}, vip=True))
    (found,) = client.get("/data", params={"person_surname": surname}).json()
    assert (found["shoes"], found["vip"]) == ({"size": [41, 42]}, True)


@pytest.mark.parametrize("member", ["person_name", "person_surname", "person_birthdate", "person_address"])
@pytest.mark.parametrize("value", ["absent", None, "", "  ", 7, ["x"], {}, False])
def test_each_of_the_four_members_is_required(client: httpx.Client, surname: str, member: str, value: Any) -> None:
    submitted = person(surname) | {member: value}
    if value == "absent":
        del submitted[member]
    answer = client.post("/data", json=submitted)
    assert (answer.status_code, answer.json()["error"]) == (400, "Missing required fields")
    assert [reason["pointer"] for reason in answer.json()["errors"]] == [f"/{member}"]
    assert client.get("/data", params={"person_surname": surname}).json() == []


@pytest.mark.parametrize("document", [[], "text", 1, None, True, [person("Nobody")]])
def test_a_document_that_is_no_object_misses_all_its_fields(client: httpx.Client, document: Any) -> None:
    answer = client.post("/data", content=json.dumps(document), headers=JSON)
    assert (answer.status_code, answer.json()["error"]) == (400, "Missing required fields")


def test_nobody_of_that_name_is_an_empty_list(client: httpx.Client, surname: str) -> None:
    answer = client.get("/data", params={"person_surname": surname})
    assert (answer.status_code, answer.json()) == (200, [])


@pytest.mark.parametrize(
    "query", ["", "?person_surname", "?person_surname=", "?person_surname=%20", "?person_surname=a&person_surname=b"]
)
def test_a_list_needs_one_surname(client: httpx.Client, query: str) -> None:
    answer = client.get("/data" + query)
    assert (answer.status_code, answer.json()["error"]) == (400, "person_surname query parameter is required")


def test_two_people_of_one_surname_are_both_there_oldest_first(client: httpx.Client, surname: str) -> None:
    for name in ("Zoe", "Adam"):
        client.post("/data", json=person(surname, person_name=name))
    found = client.get("/data", params={"person_surname": surname}).json()
    assert [someone["person_name"] for someone in found] == ["Zoe", "Adam"]


def test_twins_share_everything_but_the_id(client: httpx.Client, surname: str) -> None:
    for _ in range(2):
        client.post("/data", json=person(surname))
    first, second = client.get("/data", params={"person_surname": surname}).json()
    assert first["person_id"] != second["person_id"]


def test_a_surname_is_found_however_it_is_typed(client: httpx.Client, surname: str) -> None:
    client.post("/data", json=person(f"O’Müßig-{surname}"))
    (found,) = client.get("/data", params={"person_surname": f"OMUSSIG {surname}".upper().replace(" ", "")}).json()
    assert found["person_surname"] == f"O’Müßig-{surname}"


def test_250_people_of_one_surname_come_back_exactly_once_each(client: httpx.Client, surname: str) -> None:
    for number in range(250):
        client.post("/data", json=person(surname, number=number))
    found = every_page(client, f"/data?person_surname={surname}")
    assert [someone["number"] for someone in found] == list(range(250))


def test_a_page_has_100_people_unless_it_is_told_otherwise(client: httpx.Client, surname: str) -> None:
    for number in range(101):
        client.post("/data", json=person(surname, number=number))
    sizes = {
        limit: len(client.get("/data", params={"person_surname": surname, **limit_of(limit)}).json())
        for limit in ("", "1", "100", "101", "1000")
    }
    assert sizes == {"": 100, "1": 1, "100": 100, "101": 101, "1000": 101}


def limit_of(limit: str) -> dict[str, str]:
    return {"limit": limit} if limit else {}


def test_the_next_page_is_as_long_as_the_first(client: httpx.Client, surname: str) -> None:
    for number in range(7):
        client.post("/data", json=person(surname, number=number))
    first = client.get("/data", params={"person_surname": surname, "limit": 3})
    second = client.get(first.links["next"]["url"])
    assert [someone["number"] for someone in second.json()] == [3, 4, 5]


def test_the_last_page_leads_nowhere(client: httpx.Client, surname: str) -> None:
    for _ in range(3):
        client.post("/data", json=person(surname))
    assert "Link" not in client.get("/data", params={"person_surname": surname, "limit": 3}).headers


def test_the_link_to_the_next_page_holds_any_surname(client: httpx.Client, surname: str) -> None:
    odd = f'{surname} >; rel="prev", <&#?%+é'
    for _ in range(3):
        client.post("/data", json=person(odd))
    answer = client.get("/data", params={"person_surname": odd, "limit": 2})
    assert list(answer.links) == ["next"]
    assert len(client.get(answer.links["next"]["url"]).json()) == 1


def test_no_surname_stands_in_the_link_to_the_next_page(client: httpx.Client, surname: str) -> None:
    for number in range(5):
        client.post("/data", json=person(surname, number=number))
    first = client.get("/data", params={"person_surname": surname, "limit": 2})
    link = httpx.URL(first.links["next"]["url"])
    assert list(link.params) == ["cursor"]
    assert surname.lower() not in str(link).lower()
    alone = {"cursor": link.params["cursor"]}
    both = client.get("/data", params={"person_surname": surname, **alone})
    assert [someone["number"] for someone in both.json()] == [2, 3]
    assert len(client.get("/data", params={"limit": 1, **alone}).json()) == 1
    for wrong in ({"person_surname": f"{surname}x", **alone}, {"cursor": "x"}, {"cursor": alone["cursor"][:-1]}):
        answer = client.get("/data", params=wrong)
        assert answer.status_code == 422
        assert answer.json()["type"] == "urn:peopleinfo:problem:invalid-cursor"


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "x", "", "1.5", "٣", "1" * 400, "+1", " 1"])
def test_a_limit_is_a_whole_number_from_1_to_1000(client: httpx.Client, surname: str, limit: str) -> None:
    answer = client.get("/data", params={"person_surname": surname, "limit": limit})
    assert answer.status_code == 422
    assert [reason["pointer"] for reason in answer.json()["errors"]] == ["limit"]


def test_people_of_both_apis_are_the_same_people(client: httpx.Client, surname: str) -> None:
    client.post("/data", json=person(surname))
    client.post("/v1/people", json={"person_surname": surname, "person_name": "Bea"})
    old = client.get("/data", params={"person_surname": surname}).json()
    new = client.get("/v1/people", params={"surname": surname}).json()["people"]
    assert old == new
    assert [someone["person_name"] for someone in old] == ["Anna", "Bea"]


def test_a_person_that_breaks_another_rule_is_refused_with_every_reason(client: httpx.Client, surname: str) -> None:
    answer = client.post("/data", json=person(surname, person_name="a\x07b", person_address="x" * 2_001, version=3))
    assert answer.status_code == 422
    pointers = {reason["pointer"] for reason in answer.json()["errors"]}
    assert pointers == {"/person_name", "/person_address", "/version"}
    assert answer.json()["error"] == answer.json()["detail"]
