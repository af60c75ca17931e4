"""Searches by GET /v1/people and POST /v1/people/search: both forms return the same pages."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    Find = Callable[..., httpx.Response]


@pytest.fixture(params=["query", "body"])
def find(request: pytest.FixtureRequest, client: httpx.Client) -> Find:
    """Search in either form."""

    def in_query(**search: Any) -> httpx.Response:
        return client.get("/v1/people?" + urlencode(search, doseq=True))

    def in_body(**search: Any) -> httpx.Response:
        return client.post("/v1/people/search", json=search)

    return in_query if request.param == "query" else in_body


def add(client: httpx.Client, surname: str, name: str | None = None, born: str | None = None) -> str:
    fields = {"person_surname": surname, "person_name": name, "person_birthdate": born}
    response = client.post("/v1/people", json={key: value for key, value in fields.items() if value})
    assert response.status_code == 201
    return str(response.json()["person_id"])


def ids(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [person["person_id"] for person in response.json()["people"]]


def all_ids(find: Find, **search: Any) -> list[str]:
    """Return the ids on all pages of a search."""
    response = find(**search)
    found = ids(response)
    while cursor := response.json()["next_cursor"]:
        response = find(**search, cursor=cursor)
        found += ids(response)
    return found


def pointers(response: httpx.Response) -> list[str]:
    assert response.status_code == 422, response.text
    return sorted(reason["pointer"] for reason in response.json()["errors"])


def test_surname_is_found_in_any_spelling(find: Find, client: httpx.Client, surname: str) -> None:
    person = add(client, f"Ó'Straße-{surname}")
    for spelling in (f"O’STRASSE{surname}", f"o strasse{surname}".replace("o s", "os"), f"Ó'Straße-{surname}"):
        assert all_ids(find, surname=spelling) == [person]


def test_exact_search_requires_the_spelling(find: Find, client: httpx.Client, surname: str) -> None:
    accented, plain = add(client, f"Müller{surname}"), add(client, f"Muller{surname}")
    assert all_ids(find, surname=f"Muller{surname}", match="exact") == [plain]
    assert all_ids(find, surname=f"Mu\u0308ller{surname}", match="exact") == [accented]
    assert all_ids(find, surname=f"Muller{surname}", match="folded") == [accented, plain]


def test_prefix_finds_all_surnames_that_start_with_it(find: Find, client: httpx.Client, surname: str) -> None:
    people = {add(client, f"{surname}{end}") for end in ("", "a", "Ä", "ß", " b", "\U0010fffd")}
    add(client, surname[:-1])
    assert set(all_ids(find, surname_prefix=surname.upper())) == people


def test_given_name_narrows_a_search(find: Find, client: httpx.Client, surname: str) -> None:
    anna, _ = add(client, surname, "Anná"), add(client, surname, "Bea")
    assert all_ids(find, surname=surname, name="ANNA") == [anna]
    assert all_ids(find, surname=surname, name="ANNA", match="exact") == []


def test_mononym_is_found_by_its_only_name(find: Find, client: httpx.Client, surname: str) -> None:
    person = client.post("/v1/people", json={"person_name": surname}).json()["person_id"]
    assert all_ids(find, surname=surname) == [person]


@pytest.mark.parametrize(
    ("search", "years"),
    [
        ({"born_from": "1990"}, {"1990", "1990-05", "1990-05-17", "1991"}),
        ({"born_to": "1989-12"}, {"1989-12-31"}),
        ({"born_from": "1990-05", "born_to": "1990-05"}, {"1990", "1990-05", "1990-05-17"}),
        ({"born_from": "1990-05-17", "born_to": "1990-05-17"}, {"1990", "1990-05", "1990-05-17"}),
        ({"born_from": "1991", "born_to": "1990"}, set()),
    ],
)
def test_range_finds_all_people_possibly_born_in_it(
    find: Find, client: httpx.Client, surname: str, search: dict[str, str], years: set[str]
) -> None:
    born = ("1989-12-31", "1990", "1990-05", "1990-05-17", "1991", "--05-17", None)
    people = {add(client, surname, born=date): date for date in born}
    assert {people[person] for person in all_ids(find, surname=surname, **search)} == years


def test_search_without_a_filter_finds_all_people(find: Find, client: httpx.Client, surname: str) -> None:
    person = add(client, surname)
    found = all_ids(find, limit=1000)
    assert person in found
    assert len(found) == len(set(found))


def test_people_of_a_surname_are_sorted_by_creation(find: Find, client: httpx.Client, surname: str) -> None:
    people = [add(client, surname, name) for name in ("Zoe", "Adam", "Mia")]
    assert all_ids(find, surname=surname) == people


@pytest.mark.parametrize("kind", ["surname", "surname_prefix"])
def test_pages_of_any_size_contain_each_person_once(find: Find, client: httpx.Client, surname: str, kind: str) -> None:
    people = [add(client, surname) for _ in range(23)]
    for limit in (1, 2, 7, 22, 23, 24):
        assert all_ids(find, **{kind: surname}, limit=limit) == people


def test_page_has_100_people_by_default(find: Find, client: httpx.Client, surname: str) -> None:
    people = [add(client, surname) for _ in range(101)]
    assert ids(find(surname=surname)) == people[:100]


def test_last_page_has_no_cursor(find: Find, client: httpx.Client, surname: str) -> None:
    add(client, surname)
    assert find(surname=surname, limit=1).json()["next_cursor"] is None


def test_cursor_stays_valid_after_additions_and_deletions(find: Find, client: httpx.Client, surname: str) -> None:
    people = [add(client, surname) for _ in range(10)]
    first = find(surname=surname, limit=5)
    # People before, at and after the end of the page, and one with a changed surname.
    for deleted in (people[0], people[4], people[5]):
        client.delete(f"/v1/people/{deleted}")
    client.patch(f"/v1/people/{people[6]}", json={"person_surname": f"Other{surname}"}, headers={"If-Match": "*"})
    added = add(client, surname)
    second = find(surname=surname, limit=50, cursor=first.json()["next_cursor"])
    assert ids(second) == [*people[7:], added]


def test_cursor_can_be_used_repeatedly(find: Find, client: httpx.Client, surname: str) -> None:
    for _ in range(3):
        add(client, surname)
    cursor = find(surname=surname, limit=1).json()["next_cursor"]
    assert ids(find(surname=surname, cursor=cursor)) == ids(find(surname=surname, cursor=cursor))


def test_cursor_is_valid_in_the_other_form_and_with_another_limit(client: httpx.Client, surname: str) -> None:
    people = [add(client, surname) for _ in range(4)]
    cursor = client.get("/v1/people", params={"surname": surname, "limit": 1}).json()["next_cursor"]
    response = client.post("/v1/people/search", json={"surname": surname, "limit": 2, "cursor": cursor})
    assert ids(response) == people[1:3]


def test_cursor_reveals_no_personal_data(client: httpx.Client, surname: str) -> None:
    people = [add(client, surname) for _ in range(2)]
    cursor = client.get("/v1/people", params={"surname": surname, "limit": 1}).json()["next_cursor"]
    inside = base64.urlsafe_b64decode(cursor + "==")
    assert surname.lower().encode() not in inside.lower()
    assert bytes.fromhex(people[0]) not in inside


def test_cursor_of_another_search_is_rejected(find: Find, client: httpx.Client, surname: str) -> None:
    for _ in range(2):
        add(client, surname, "Anna")
    cursor = find(surname=surname, limit=1).json()["next_cursor"]
    others: list[dict[str, Any]] = [
        {"surname": surname + "x"},
        {"surname_prefix": surname},
        {"surname": surname, "name": "Anna"},
        {"surname": surname, "match": "exact"},
        {"surname": surname, "born_from": "1990"},
        {},
    ]
    for other in others:
        response = find(**other, cursor=cursor)
        assert (response.status_code, response.json()["type"]) == (422, "urn:peopleinfo:problem:invalid-cursor")


def test_modified_cursor_is_rejected(find: Find, client: httpx.Client, surname: str) -> None:
    for _ in range(2):
        add(client, surname)
    cursor = find(surname=surname, limit=1).json()["next_cursor"]
    altered = {cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :] for at in range(len(cursor))}
    altered |= {cursor[:-1], cursor + "A", cursor + "=", cursor + "!", cursor[1:], cursor[:5] + "\n" + cursor[5:]}
    altered |= {cursor.lower(), " " + cursor, "x", "é", "=", "\ud7ff"}
    accepted = [wrong for wrong in altered if find(surname=surname, cursor=wrong).status_code != 422]
    assert accepted == []


def test_all_invalid_parameters_are_reported_at_once(find: Find) -> None:
    response = find(
        surname="x",
        surname_prefix="y",
        name=" ",
        born_from="soon",
        born_to="--02-11",
        match="near",
        limit="0",
        year="1",
    )
    assert pointers(response) == sorted(["surname_prefix", "name", "born_from", "born_to", "match", "limit", "year"])


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "x", "", "1.0", "1e2", "9" * 5000, "०"])
def test_limit_must_be_an_integer_from_1_to_1000(find: Find, limit: str) -> None:
    assert pointers(find(limit=limit)) == ["limit"]


@pytest.mark.parametrize("limit", ["1.0", "1e2", "0", "-1", "1001", "true", "[1]", "{}", '"x"'])
def test_limit_in_a_body_must_be_an_integer(client: httpx.Client, limit: str) -> None:
    body = f'{{"limit":{limit}}}'
    response = client.post("/v1/people/search", content=body, headers={"Content-Type": "application/json"})
    assert pointers(response) == ["limit"]


@pytest.mark.parametrize(
    "name", ["surname", "surname_prefix", "name", "born_from", "born_to", "match", "limit", "cursor"]
)
def test_repeated_parameter_is_rejected(client: httpx.Client, name: str) -> None:
    assert pointers(client.get(f"/v1/people?{name}=1&{name}=2")) == [name]


@pytest.mark.parametrize("name", ["surname", "surname_prefix", "name", "born_from", "born_to", "match", "cursor"])
@pytest.mark.parametrize("value", [1, True, [], {}, ["x"]])
def test_field_of_a_search_must_be_a_string(client: httpx.Client, name: str, value: Any) -> None:
    assert pointers(client.post("/v1/people/search", json={name: value})) == [name]


@pytest.mark.parametrize("document", ["[]", "null", "1", '"x"'])
def test_search_body_must_be_an_object(client: httpx.Client, document: str) -> None:
    response = client.post("/v1/people/search", content=document, headers={"Content-Type": "application/json"})
    assert pointers(response) == [""]


def test_null_in_a_body_equals_an_absent_field(client: httpx.Client, surname: str) -> None:
    person = add(client, surname)
    names = ("surname_prefix", "name", "born_from", "born_to", "match", "limit", "cursor")
    response = client.post("/v1/people/search", json={"surname": surname} | dict.fromkeys(names))
    assert ids(response) == [person]


def test_page_may_not_be_cached_by_proxies(find: Find) -> None:
    assert find(surname="x").headers["Cache-Control"] == "private, no-cache"
