"""Filters by identifiers: `?email=…`, `?phone=…` and the other names in PEOPLEINFO_IDENTIFIERS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from peopleinfo_client import Client, Count
from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, serving
from tests.http.test_authentication import bearer, make_key
from tests.http.test_people_list import kind_of, names
from tests.store_kinds import server_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PEOPLE: list[dict[str, Any]] = [
    {"person_name": "Ida", "person_surname": "Zorn", "email": "Ida+post@Example.org", "phone": "+49 30 1234567"},
    {"person_name": "Ben", "person_surname": "Roth", "phone": ["030/1234567", "+44 20 7946 0123 ext. 5"]},
    {"person_name": "Eve", "person_surname": "Adler", "email": ["eve@example.org", "ida+post@example.org"]},
    {"person_name": "Max", "person_surname": "Roth", "employee_no": "E-0042", "person_birthdate": "1990"},
    {"person_name": "Ann", "person_surname": "Quast", "phone": "+1 212 123 4567"},
]


@pytest.fixture(scope="module", params=["sqlite", "ministack"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("identifiers")
    settings: dict[str, Any] = server_settings(request.param, folder) | {"identifiers": "email,phone,employee_no"}
    with (
        serving(folder, admin_key=ADMIN_KEY, rate_limit=0, **settings) as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT, headers=AS_ADMIN) as client,
    ):
        for data in PEOPLE:
            assert client.post("/v1/people", json=data).status_code == 201
        yield client


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"email": "IDA+POST@example.org"}, ["Eve", "Ida"]),
        ({"email": "ida@example.org"}, []),
        ({"phone": "+49 (0)30 123-45-67"}, ["Ben", "Ida"]),
        ({"phone": "0049301234567"}, ["Ben", "Ida"]),
        ({"phone": "020 7946 0123"}, ["Ben"]),
        ({"phone": "212-123-4567"}, ["Ann"]),
        ({"phone": "1234567"}, ["Ann", "Ben", "Ida"]),
        ({"employee_no": "e 0042"}, ["Max"]),
        ({"phone": "030 1234567", "surname": "roth"}, ["Ben"]),
        ({"phone": "030 1234567", "surname_prefix": "z"}, ["Ida"]),
        ({"phone": "030 1234567", "email": "ida+post@example.org"}, ["Ida"]),
        ({"employee_no": "E0042", "born_from": "1991"}, []),
        ({"employee_no": "E0042", "born_to": "1991", "name": "max"}, ["Max"]),
    ],
)
def test_filter_finds_people_with_an_identifier(
    client: httpx.Client, filters: dict[str, str], found: list[str]
) -> None:
    page = client.get("/v1/people", params=filters).json()
    assert (names(page), page["count"], page["more_exist"]) == (found, len(found), False)
    assert client.post("/v1/people/search", json=filters).json() == page
    expected = {"count": len(found), "exact": True}
    assert client.get("/v1/people/count", params=filters).json() == expected
    assert client.post("/v1/people/count", json=filters).json() == expected


def test_pages_of_people_with_an_identifier_have_cursors(client: httpx.Client) -> None:
    first = client.get("/v1/people?phone=1234567&limit=2").json()
    second = client.get("/v1/people", params={"phone": "1234567", "limit": 2, "cursor": first["next_cursor"]}).json()
    assert (names(first), names(second), second["next_cursor"]) == (["Ann", "Ben"], ["Ida"], None)
    other = client.get("/v1/people", params={"phone": "234567", "cursor": first["next_cursor"]})
    assert kind_of(other) == (422, "invalid-cursor")


def test_invalid_filter_is_rejected(client: httpx.Client) -> None:
    for query in ("phone=", "phone=abc", "phone=1&phone=2", "email=a@b.example&sort=-updated_at", "email=a@b.example&q=anna",
                  "email=a@b.example&unknown=1"):  # fmt: skip
        assert kind_of(client.get(f"/v1/people?{query}")) == (422, "invalid-search"), query
    assert kind_of(client.get("/v1/people/count?phone=1&limit=5")) == (422, "invalid-search")
    assert kind_of(client.post("/v1/people/search", json={"phone": 1234567})) == (422, "invalid-search")


def test_hidden_identifier_is_no_filter(tmp_path: Path) -> None:
    with (
        serving(tmp_path, admin_key=ADMIN_KEY, rate_limit=0) as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT, headers=AS_ADMIN) as client,
    ):
        client.post("/v1/people", json=PEOPLE[0])
        key = bearer(make_key(tmp_path, "--scope", "people:read", "--hide-field", "email", name="clerk"))
        for path in ("/v1/people?email=ida%2Bpost@example.org", "/v1/people/count?email=ida%2Bpost@example.org"):
            assert kind_of(client.get(path, headers=key))[0] == 403
            assert client.get(path).status_code == 200
        page = client.get("/v1/people?phone=030 1234567", headers=key).json()
        assert (names(page), "email" in page["people"][0]) == (["Ida"], False)


def test_client_finds_and_counts_by_an_identifier(client: httpx.Client) -> None:
    with Client(str(client.base_url), api_key=ADMIN_KEY) as people:
        assert [person.person_name for person in people.find(email="eve@example.org")] == ["Eve"]
        assert people.count(phone="030 1234567") == Count(2, exact=True)
