"""Searches: GET /v1/people and POST /v1/people/search, which say the same in two forms, and their pages."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    Ask = Callable[..., httpx.Response]


@pytest.fixture(params=["query", "body"])
def ask(request: pytest.FixtureRequest, client: httpx.Client) -> Ask:
    """Search in either form."""

    def in_query(**search: Any) -> httpx.Response:
        return client.get("/v1/people?" + urlencode(search, doseq=True))

    def in_body(**search: Any) -> httpx.Response:
        return client.post("/v1/people/search", json=search)

    return in_query if request.param == "query" else in_body


def add(client: httpx.Client, surname: str, name: str | None = None, born: str | None = None) -> str:
    members = {"person_surname": surname, "person_name": name, "person_birthdate": born}
    answer = client.post("/v1/people", json={key: value for key, value in members.items() if value})
    assert answer.status_code == 201
    return str(answer.json()["person_id"])


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [person["person_id"] for person in answer.json()["people"]]


def everyone(ask: Ask, **search: Any) -> list[str]:
    """Return the ids of all the pages of a search."""
    answer = ask(**search)
    found = ids(answer)
    while cursor := answer.json()["next_cursor"]:
        answer = ask(**search, cursor=cursor)
        found += ids(answer)
    return found


def pointers(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 422, answer.text
    return sorted(reason["pointer"] for reason in answer.json()["errors"])


def test_a_surname_is_found_however_it_is_typed(ask: Ask, client: httpx.Client, surname: str) -> None:
    person = add(client, f"Ó'Straße-{surname}")
    for spelling in (f"O’STRASSE{surname}", f"o strasse{surname}".replace("o s", "os"), f"Ó'Straße-{surname}"):
        assert everyone(ask, surname=spelling) == [person]


def test_an_exact_search_wants_the_spelling(ask: Ask, client: httpx.Client, surname: str) -> None:
    accented, plain = add(client, f"Müller{surname}"), add(client, f"Muller{surname}")
    assert everyone(ask, surname=f"Muller{surname}", match="exact") == [plain]
    assert everyone(ask, surname=f"Mu\u0308ller{surname}", match="exact") == [accented]
    assert everyone(ask, surname=f"Muller{surname}", match="folded") == [accented, plain]


def test_a_prefix_finds_everyone_whose_surname_begins_so(ask: Ask, client: httpx.Client, surname: str) -> None:
    people = {add(client, f"{surname}{end}") for end in ("", "a", "Ä", "ß", " b", "\U0010fffd")}
    add(client, surname[:-1])
    assert set(everyone(ask, surname_prefix=surname.upper())) == people


def test_a_given_name_narrows_a_search(ask: Ask, client: httpx.Client, surname: str) -> None:
    anna, _ = add(client, surname, "Anná"), add(client, surname, "Bea")
    assert everyone(ask, surname=surname, name="ANNA") == [anna]
    assert everyone(ask, surname=surname, name="ANNA", match="exact") == []


def test_a_mononym_is_found_by_its_one_name(ask: Ask, client: httpx.Client, surname: str) -> None:
    person = client.post("/v1/people", json={"person_name": surname}).json()["person_id"]
    assert everyone(ask, surname=surname) == [person]


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
def test_a_range_finds_everyone_who_may_be_born_in_it(
    ask: Ask, client: httpx.Client, surname: str, search: dict[str, str], years: set[str]
) -> None:
    born = ("1989-12-31", "1990", "1990-05", "1990-05-17", "1991", "--05-17", None)
    people = {add(client, surname, born=date): date for date in born}
    assert {people[person] for person in everyone(ask, surname=surname, **search)} == years


def test_people_without_a_filter_are_all_people(ask: Ask, client: httpx.Client, surname: str) -> None:
    person = add(client, surname)
    found = everyone(ask, limit=1000)
    assert person in found
    assert len(found) == len(set(found))


def test_people_of_a_surname_come_oldest_first(ask: Ask, client: httpx.Client, surname: str) -> None:
    people = [add(client, surname, name) for name in ("Zoe", "Adam", "Mia")]
    assert everyone(ask, surname=surname) == people


@pytest.mark.parametrize("kind", ["surname", "surname_prefix"])
def test_pages_of_any_size_hold_everyone_once(ask: Ask, client: httpx.Client, surname: str, kind: str) -> None:
    people = [add(client, surname) for _ in range(23)]
    for limit in (1, 2, 7, 22, 23, 24):
        assert everyone(ask, **{kind: surname}, limit=limit) == people


def test_a_page_has_100_people_unless_it_is_told_otherwise(ask: Ask, client: httpx.Client, surname: str) -> None:
    people = [add(client, surname) for _ in range(101)]
    assert ids(ask(surname=surname)) == people[:100]


def test_the_last_page_has_no_next(ask: Ask, client: httpx.Client, surname: str) -> None:
    add(client, surname)
    assert ask(surname=surname, limit=1).json()["next_cursor"] is None


def test_a_cursor_outlives_people_who_come_and_go(ask: Ask, client: httpx.Client, surname: str) -> None:
    people = [add(client, surname) for _ in range(10)]
    first = ask(surname=surname, limit=5)
    # Those before, at and behind the place where the page ended, and somebody who moves away.
    for gone in (people[0], people[4], people[5]):
        client.delete(f"/v1/people/{gone}")
    client.patch(f"/v1/people/{people[6]}", json={"person_surname": f"Other{surname}"}, headers={"If-Match": "*"})
    come = add(client, surname)
    second = ask(surname=surname, limit=50, cursor=first.json()["next_cursor"])
    assert ids(second) == [*people[7:], come]


def test_a_cursor_is_good_more_than_once(ask: Ask, client: httpx.Client, surname: str) -> None:
    for _ in range(3):
        add(client, surname)
    cursor = ask(surname=surname, limit=1).json()["next_cursor"]
    assert ids(ask(surname=surname, cursor=cursor)) == ids(ask(surname=surname, cursor=cursor))


def test_a_cursor_may_go_on_in_the_other_form_and_with_another_limit(client: httpx.Client, surname: str) -> None:
    people = [add(client, surname) for _ in range(4)]
    cursor = client.get("/v1/people", params={"surname": surname, "limit": 1}).json()["next_cursor"]
    answer = client.post("/v1/people/search", json={"surname": surname, "limit": 2, "cursor": cursor})
    assert ids(answer) == people[1:3]


def test_a_cursor_says_nothing(client: httpx.Client, surname: str) -> None:
    people = [add(client, surname) for _ in range(2)]
    cursor = client.get("/v1/people", params={"surname": surname, "limit": 1}).json()["next_cursor"]
    inside = base64.urlsafe_b64decode(cursor + "==")
    assert surname.lower().encode() not in inside.lower()
    assert bytes.fromhex(people[0]) not in inside


def test_a_cursor_of_another_search_is_refused(ask: Ask, client: httpx.Client, surname: str) -> None:
    for _ in range(2):
        add(client, surname, "Anna")
    cursor = ask(surname=surname, limit=1).json()["next_cursor"]
    others: list[dict[str, Any]] = [
        {"surname": surname + "x"},
        {"surname_prefix": surname},
        {"surname": surname, "name": "Anna"},
        {"surname": surname, "match": "exact"},
        {"surname": surname, "born_from": "1990"},
        {},
    ]
    for other in others:
        answer = ask(**other, cursor=cursor)
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:peopleinfo:problem:invalid-cursor")


def test_a_cursor_with_any_letter_altered_added_or_missing_is_refused(
    ask: Ask, client: httpx.Client, surname: str
) -> None:
    for _ in range(2):
        add(client, surname)
    cursor = ask(surname=surname, limit=1).json()["next_cursor"]
    altered = {cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :] for at in range(len(cursor))}
    altered |= {cursor[:-1], cursor + "A", cursor + "=", cursor + "!", cursor[1:], cursor[:5] + "\n" + cursor[5:]}
    altered |= {cursor.lower(), " " + cursor, "x", "é", "=", "\ud7ff"}
    accepted = [wrong for wrong in altered if ask(surname=surname, cursor=wrong).status_code != 422]
    assert accepted == []


def test_every_wrong_parameter_is_named_at_once(ask: Ask) -> None:
    answer = ask(
        surname="x",
        surname_prefix="y",
        name=" ",
        born_from="soon",
        born_to="--02-11",
        match="near",
        limit="0",
        year="1",
    )
    assert pointers(answer) == sorted(["surname_prefix", "name", "born_from", "born_to", "match", "limit", "year"])


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "x", "", "1.0", "1e2", "9" * 5000, "०"])
def test_a_limit_is_a_whole_number_from_1_to_1000(ask: Ask, limit: str) -> None:
    assert pointers(ask(limit=limit)) == ["limit"]


@pytest.mark.parametrize("limit", ["1.0", "1e2", "0", "-1", "1001", "true", "[1]", "{}", '"x"'])
def test_a_limit_in_a_body_is_a_whole_number_too(client: httpx.Client, limit: str) -> None:
    body = f'{{"limit":{limit}}}'
    answer = client.post("/v1/people/search", content=body, headers={"Content-Type": "application/json"})
    assert pointers(answer) == ["limit"]


@pytest.mark.parametrize(
    "name", ["surname", "surname_prefix", "name", "born_from", "born_to", "match", "limit", "cursor"]
)
def test_a_parameter_stands_once(client: httpx.Client, name: str) -> None:
    assert pointers(client.get(f"/v1/people?{name}=1&{name}=2")) == [name]


@pytest.mark.parametrize("name", ["surname", "surname_prefix", "name", "born_from", "born_to", "match", "cursor"])
@pytest.mark.parametrize("value", [1, True, [], {}, ["x"]])
def test_a_member_of_a_search_is_a_string(client: httpx.Client, name: str, value: Any) -> None:
    assert pointers(client.post("/v1/people/search", json={name: value})) == [name]


@pytest.mark.parametrize("document", ["[]", "null", "1", '"x"'])
def test_a_search_in_a_body_is_an_object(client: httpx.Client, document: str) -> None:
    answer = client.post("/v1/people/search", content=document, headers={"Content-Type": "application/json"})
    assert pointers(answer) == [""]


def test_null_is_as_good_as_absent_in_a_body(client: httpx.Client, surname: str) -> None:
    person = add(client, surname)
    names = ("surname_prefix", "name", "born_from", "born_to", "match", "limit", "cursor")
    answer = client.post("/v1/people/search", json={"surname": surname} | dict.fromkeys(names))
    assert ids(answer) == [person]


def test_a_page_may_not_be_kept_by_anybody_between(ask: Ask) -> None:
    assert ask(surname="x").headers["Cache-Control"] == "private, no-cache"
