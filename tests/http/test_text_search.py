"""The search box: GET /v1/people?q=, POST /v1/people/search and the command return the same people in the same order."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from peopleinfo_client import Client
from tests.cli.commands import run
from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, serving
from tests.http.test_authentication import bearer, make_key
from tests.search_cases import CASES, OTHERS, SearchCase, person

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def client(folder: Path) -> Iterator[httpx.Client]:
    with (
        serving(folder, admin_key=ADMIN_KEY, rate_limit=0) as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT, headers=AS_ADMIN) as client,
    ):
        yield client


def add(client: httpx.Client, *people: Any) -> None:
    for data in people:
        assert client.post("/v1/people", json=data.to_dict()).status_code == 201


def search(client: httpx.Client, text: str, **parameters: Any) -> Any:
    in_query = client.get("/v1/people", params={"q": text, **parameters})
    assert in_query.status_code == 200, in_query.text
    in_body = client.post("/v1/people/search", json={"q": text, **parameters})
    assert in_body.json() | {"next_cursor": None} == in_query.json() | {"next_cursor": None}
    return in_query.json()


def names(found: Any) -> list[str]:
    return [person.get("person_name", "") for person in found["people"]]


@pytest.mark.parametrize("name", list(CASES))
def test_box_finds_people(client: httpx.Client, folder: Path, name: str) -> None:
    case: SearchCase = CASES[name]
    add(client, *OTHERS, *case.people)
    assert {text: names(search(client, text)) for text in case.queries} == case.queries
    text, expected = next(iter(case.queries.items()))
    printed = run(folder, "search", text, "--json").stdout.splitlines()
    assert [json.loads(line).get("person_name", "") for line in printed] == expected
    with Client(str(client.base_url), api_key=ADMIN_KEY) as people:
        assert [found.person_name or "" for found in people.search(text)] == expected


def test_response_names_the_kind_of_match_and_the_number_of_matches(client: httpx.Client) -> None:
    add(client, person("Anna", "Müller", found_by="chance"), person("Anna", "Mueller"), person("Eva", "Muller"))
    found = search(client, "muller", limit=2)
    assert names(found) == ["Anna", "Eva"]
    assert [person["found_by"] for person in found["people"]] == ["exact", "exact"]
    assert (found["count"], found["more_exist"]) == (3, False)
    rest = client.get("/v1/people", params={"q": "muller", "limit": 2, "cursor": found["next_cursor"]}).json()
    assert names(rest) == ["Anna"]
    assert rest["next_cursor"] is None


def test_narrow_search_finds_no_typos(client: httpx.Client) -> None:
    add(client, person("Anna", "Schneider"))
    assert names(search(client, "schnieder")) == ["Anna"]
    assert client.get("/v1/people?q=schnieder&forgiving=false").json()["people"] == []
    assert client.post("/v1/people/search", json={"q": "schnieder", "forgiving": False}).json()["people"] == []


def test_created_changed_and_deleted_person_is_found_by_current_fields(client: httpx.Client) -> None:
    created = client.post("/v1/people", json=person("Anna", "Roth", phone="030 123456").to_dict()).json()
    assert names(search(client, "030/123456")) == ["Anna"]
    path = f"/v1/people/{created['person_id']}"
    client.patch(
        path,
        json={"phone": "040 654321", "person_surname": "Quast"},
        headers={"If-Match": "*", "Content-Type": "application/merge-patch+json"},
    )
    assert names(search(client, "030/123456")) == names(search(client, "roth")) == []
    assert names(search(client, "quast 040 654321")) == ["Anna"]
    client.delete(path)
    assert names(search(client, "quast")) == []


@pytest.mark.parametrize(
    ("parameters", "pointer"),
    [({"q": ""}, "q"), ({"q": " , "}, "q"), ({"q": "x" * 257}, "q"), ({"q": "a", "surname": "b"}, "surname"), ({"q": "a", "forgiving": "maybe"}, "forgiving"),
     ({"q": "a", "limit": "0"}, "limit"), ({"q": ["a", "b"]}, "q"), ({"q": "a", "other": "b"}, "other")],
)  # fmt: skip
def test_invalid_parameters_are_rejected(client: httpx.Client, parameters: dict[str, Any], pointer: str) -> None:
    response = client.get("/v1/people", params=parameters)
    assert response.status_code == 422
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]


@pytest.mark.parametrize("forgiving", [0, 1, 1.5, "", [True], {}])
def test_forgiving_of_another_type_is_rejected(client: httpx.Client, forgiving: Any) -> None:
    response = client.post("/v1/people/search", json={"q": None, "forgiving": forgiving})
    assert response.status_code == 422
    assert [error["pointer"] for error in response.json()["errors"]] == ["q", "forgiving"]


def test_cursor_of_another_text_is_rejected(client: httpx.Client) -> None:
    add(client, person("A", "Roth"), person("B", "Roth"))
    cursor = search(client, "roth", limit=1)["next_cursor"]
    assert client.get("/v1/people", params={"q": "rot", "cursor": cursor}).status_code == 422


def test_hidden_fields_do_not_match(client: httpx.Client, folder: Path) -> None:
    add(client, person("Anna", "Roth", address="12 Elm Row", born="1984-11-05", phone="030 123456"))
    hidden = [option for field in ("person_birthdate", "person_address", "*") for option in ("--hide-field", field)]
    key = make_key(folder, "--scope", "people:read", *hidden, name="names-only")
    with httpx.Client(base_url=client.base_url, timeout=HANG_TIMEOUT, headers=bearer(key)) as restricted:
        for text in ("elm row", "1984", "030 123456", "roth elm"):
            assert restricted.get("/v1/people", params={"q": text}).json()["people"] == [], text
        (found,) = restricted.get("/v1/people", params={"q": "roth"}).json()["people"]
        assert found.keys() == {
            "person_id",
            "person_name",
            "person_surname",
            "version",
            "created_at",
            "updated_at",
            "found_by",
        }


@pytest.fixture
def strict(folder: Path) -> Iterator[httpx.Client]:
    """A client of a server with a unique identifier."""
    identifiers = "unique:employee_no,unique:phone,email"
    with (
        serving(folder, rate_limit=0, admin_key=ADMIN_KEY, identifiers=identifiers) as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT, headers=AS_ADMIN) as client,
    ):
        yield client


def test_second_person_with_a_unique_identifier_is_rejected(strict: httpx.Client, folder: Path) -> None:
    first = strict.post(
        "/v1/people", json=person("Anna", "Roth", employee_no="E-0042", phone="030 123456", email="a@b.c").to_dict()
    )
    for fields in ({"employee_no": "e0042"}, {"phone": "+49 30 123456"}):
        response = strict.post("/v1/people", json=person("Bea", "Quast", **fields).to_dict())
        assert response.status_code == 409
        assert response.json() | {"detail": ""} == {
            "type": "urn:peopleinfo:problem:identifier-conflict", "title": "Identifier conflict", "status": 409, "detail": "",
            "field": next(iter(fields)), "person_id": first.json()["person_id"], "request_id": response.json()["request_id"],
        }  # fmt: skip
    assert (
        strict.post(
            "/v1/people", json=person("Bea", "Quast", email="a@b.c", employee_no="E-0043").to_dict()
        ).status_code
        == 201
    )
    assert names(search(strict, "E-0042")) == ["Anna"]
    assert names(search(strict, "quast")) == ["Bea"]
    key = make_key(folder, "--scope", "people:write", name="writer")
    with httpx.Client(base_url=strict.base_url, timeout=HANG_TIMEOUT, headers=bearer(key)) as writer:
        assert "person_id" not in writer.post("/v1/people", json={"person_name": "C", "employee_no": "E0042"}).json()


def test_person_keeps_its_own_unique_identifier(strict: httpx.Client) -> None:
    created = strict.post("/v1/people", json={"person_name": "Anna", "employee_no": 7}).json()
    other = strict.post("/v1/people", json={"person_name": "Bea", "employee_no": 8}).json()
    path = f"/v1/people/{created['person_id']}"
    headers = {"If-Match": "*", "Content-Type": "application/merge-patch+json"}
    assert strict.patch(path, json={"person_name": "Eva"}, headers=headers).status_code == 200
    assert strict.patch(path, json={"employee_no": 8}, headers=headers).status_code == 409
    strict.delete(f"/v1/people/{other['person_id']}")
    assert strict.patch(path, json={"employee_no": 8}, headers=headers).status_code == 200
