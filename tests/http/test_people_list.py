"""The list of people by name, their number and their letters: in the API, the command and the client."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from peopleinfo_client import Client, Count
from tests.cli.commands import run
from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, serving
from tests.http.test_authentication import bearer, make_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PEOPLE = [("Zoë", "Ägir"), ("Ben", "Smith"), ("Anna", "Smith"), ("Ida", "Smithson"), ("Anna", "García López"), ("Ben", "Garcia")]  # fmt: skip
SORTED = ["Zoë", "Ben", "Anna", "Anna", "Ben", "Ida"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("list")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    with (
        serving(folder, admin_key=ADMIN_KEY, rate_limit=0) as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT, headers=AS_ADMIN) as client,
    ):
        for name, surname in PEOPLE:
            data = {"person_name": name, "person_surname": surname, "person_birthdate": f"19{len(surname) + 50}"}
            assert client.post("/v1/people", json=data).status_code == 201
        yield client


def kind_of(response: httpx.Response) -> tuple[int, str]:
    """Return the status and the kind of a problem."""
    return response.status_code, response.json()["type"].removeprefix("urn:peopleinfo:problem:")


def names(page: Any) -> list[str]:
    return [person["person_name"] for person in page["people"]]


def test_list_is_sorted_by_name_and_has_pages(client: httpx.Client, folder: Path) -> None:
    assert names(client.get("/v1/people?sort=name").json()) == SORTED
    found: list[str] = []
    cursor = None
    while cursor or not found:
        body = {"sort": "name", "limit": 4, "cursor": cursor}
        page = client.post("/v1/people/search", json=body).json()
        found, cursor = found + names(page), page["next_cursor"]
    assert found == SORTED
    printed = run(folder, "search", "--sort", "name").stdout.splitlines()
    assert [json.loads(line)["person_name"] for line in printed] == SORTED
    with Client(str(client.base_url), api_key=ADMIN_KEY) as people:
        assert [person.person_name for person in people.find(sort="name")] == SORTED


def test_sorted_list_has_filters(client: httpx.Client) -> None:
    assert names(client.get("/v1/people?sort=name&surname_prefix=SM").json()) == ["Anna", "Ben", "Ida"]
    assert names(client.get("/v1/people?sort=name&surname=smith&name=ben").json()) == ["Ben"]
    assert names(client.post("/v1/people/search", json={"sort": "name", "born_from": "1956"}).json()) == [
        "Ben",
        "Anna",
        "Ida",
    ]


def test_latest_updates_come_first(client: httpx.Client, folder: Path) -> None:
    created = [name for name, _ in PEOPLE]
    assert names(client.get("/v1/people?sort=-updated_at").json()) == created[::-1]
    printed = run(folder, "search", "--sort", "-updated_at", "--limit", "2").stdout.splitlines()
    assert [json.loads(line)["person_name"] for line in printed] == created[:3:-1]
    with Client(str(client.base_url), api_key=ADMIN_KEY) as people:
        assert [person.person_name for person in people.find(sort="-updated_at", surname="smith")] == ["Anna", "Ben"]


def test_cursor_of_another_order_is_rejected(client: httpx.Client) -> None:
    cursor = client.get("/v1/people?sort=name&limit=1").json()["next_cursor"]
    assert kind_of(client.get("/v1/people", params={"cursor": cursor})) == (422, "invalid-cursor")
    assert kind_of(client.get("/v1/people", params={"cursor": cursor, "sort": "name", "name": "x"}))[0] == 422


@pytest.mark.parametrize("query", ["sort=age", "sort=name&sort=name", "sort=name&q=anna"])
def test_invalid_order_is_rejected(client: httpx.Client, query: str) -> None:
    response = client.get(f"/v1/people?{query}")
    assert kind_of(response) == (422, "invalid-search")
    assert response.json()["errors"][0]["pointer"] == "sort"


def test_count_and_letters_are_the_same_in_the_api_the_command_and_the_client(
    client: httpx.Client, folder: Path
) -> None:
    assert client.get("/v1/people/count").json() == {"count": 6, "exact": True}
    body = {"surname_prefix": "smith", "name": "anna"}
    assert client.post("/v1/people/count", json=body).json() == {"count": 1, "exact": True}
    assert client.get("/v1/people/count", params={"q": "anna"}).status_code == 422
    assert client.get("/v1/people/letters").json() == {"letters": ["A", "G", "S"]}
    assert run(folder, "count", "--surname-prefix", "garcia").stdout == b"2\n"
    with Client(str(client.base_url), api_key=ADMIN_KEY) as people:
        assert people.count() == Count(6, exact=True)
        assert people.count(surname="smith") == Count(2, exact=True)
        assert people.letters() == ["A", "G", "S"]


def test_order_and_counts_do_not_reveal_hidden_names(client: httpx.Client, folder: Path) -> None:
    key = make_key(folder, "--scope", "people:read", "--hide-field", "person_surname", name="no-surnames")
    for path in ("/v1/people?sort=name", "/v1/people/count?surname=smith", "/v1/people/letters"):
        assert kind_of(client.get(path, headers=bearer(key))) == (403, "field-access-denied"), path
    assert client.get("/v1/people/count", headers=bearer(key)).json()["count"] == 6
    hidden = make_key(folder, "--scope", "people:read", "--hide-field", "person_birthdate", name="no-birthdates")
    (first, *_) = client.get("/v1/people?sort=name", headers=bearer(hidden)).json()["people"]
    assert (first["person_name"], first.get("person_birthdate")) == ("Zoë", None)
