"""Field access: a restricted key cannot read, search or change hidden fields."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from peopleinfo.http.openapi.operations import FIELD_ACCESS_OPERATIONS, OPERATIONS
from tests.cli.commands import run
from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, serving
from tests.http.test_authentication import bearer, make_key, problem_of
from tests.http.test_problems import assert_problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PERSON = {
    "person_name": "Ada",
    "person_surname": "Masked",
    "person_birthdate": "1985-12-10",
    "person_address": "1 Secret Lane",
    "note": "of her own",
}
SECRETS = (b"1985", b"Secret Lane", b"of her own")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("masked")


@pytest.fixture(scope="module")
def admin(folder: Path) -> Iterator[httpx.Client]:
    with (
        serving(folder, admin_key=ADMIN_KEY, rate_limit=0) as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client,
    ):
        client.headers.update(AS_ADMIN)
        yield client


@pytest.fixture(scope="module")
def person_id(admin: httpx.Client) -> str:
    return str(admin.post("/v1/people", json=PERSON).json()["person_id"])


@pytest.fixture(scope="module")
def restricted(folder: Path, admin: httpx.Client) -> Iterator[httpx.Client]:
    """A client with a key that reveals names only."""
    hidden = [option for field in ("person_birthdate", "person_address", "*") for option in ("--hide-field", field)]
    key = make_key(folder, "--scope", "people:read", "--scope", "people:write", *hidden, name="names-only")
    with httpx.Client(base_url=admin.base_url, timeout=HANG_TIMEOUT, headers=bearer(key)) as client:
        yield client


def test_every_read_omits_hidden_fields(restricted: httpx.Client, person_id: str) -> None:
    for response in (
        restricted.get(f"/v1/people/{person_id}"),
        restricted.get("/v1/people?surname=masked"),
        restricted.get("/v1/people?surname_prefix=mask&name=ada"),
        restricted.get("/v1/people"),
        restricted.post("/v1/people/search", json={"surname": "masked"}),
        restricted.get("/data?person_surname=masked"),
        restricted.get("/v1/people/export"),
        restricted.get("/v1/people/export", headers={"Accept": "text/csv"}),
        restricted.post("/v1/people/export", json={"surname": "masked"}),
    ):
        assert response.status_code == 200
        assert person_id.encode() in response.content
        assert b"Masked" in response.content
        assert not [secret for secret in SECRETS if secret in response.content], response.text
        assert b"person_address" not in response.content or response.headers["Content-Type"].startswith("text/csv")


def test_visible_fields_are_returned_unchanged(restricted: httpx.Client, person_id: str, admin: httpx.Client) -> None:
    full = admin.get(f"/v1/people/{person_id}")
    visible = restricted.get(f"/v1/people/{person_id}")
    hidden = ("person_birthdate", "person_address", "note")
    assert visible.json() == {name: value for name, value in full.json().items() if name not in hidden}
    assert visible.headers["ETag"].startswith(full.headers["ETag"].rstrip('"'))


@pytest.mark.parametrize(
    "filters", [{"born_from": "1980"}, {"born_to": "1990"}, {"surname": "masked", "born_to": "1990"}]
)
def test_search_by_a_hidden_field_is_rejected(
    restricted: httpx.Client, person_id: str, filters: dict[str, str]
) -> None:
    for response in (
        restricted.get("/v1/people", params=filters),
        restricted.post("/v1/people/search", json=filters),
        restricted.get("/v1/people/export", params=filters),
        restricted.post("/v1/people/export", json=filters),
    ):
        assert response.status_code == 403
        assert response.json()["type"] == "urn:peopleinfo:problem:field-access-denied"
        assert person_id not in response.text


def test_search_by_hidden_names_is_rejected(folder: Path, admin: httpx.Client, person_id: str) -> None:
    nameless = bearer(make_key(folder, "--hide-field", "person_name", name="nameless"))
    for path in (
        "/v1/people?surname=masked",
        "/v1/people?name=ada",
        "/data?person_surname=masked",
        "/v1/people?surname_prefix=m",
    ):
        assert admin.get(path, headers=nameless).status_code == 403
    response = admin.get(f"/v1/people/{person_id}", headers=nameless)
    assert "person_name" not in response.json()
    assert response.json()["note"] == "of her own"


def test_change_of_visible_fields_keeps_hidden_fields(restricted: httpx.Client, admin: httpx.Client) -> None:
    created = admin.post("/v1/people", json=PERSON)
    location = created.headers["Location"]
    changed = restricted.patch(location, json={"person_name": "Augusta"}, headers={"If-Match": '"1"'})
    assert changed.status_code == 200
    assert not [secret for secret in SECRETS if secret in changed.content]
    full = admin.get(location).json()
    assert {name: full[name] for name in PERSON} == PERSON | {"person_name": "Augusta"}


@pytest.mark.parametrize(
    "patch", [{"person_address": None}, {"person_name": "A", "person_birthdate": "2000"}, {"note": 1}, {"new": 1}, []]
)
def test_change_of_hidden_fields_is_rejected(
    restricted: httpx.Client, admin: httpx.Client, person_id: str, patch: Any
) -> None:
    before = admin.get(f"/v1/people/{person_id}").content
    response = restricted.patch(f"/v1/people/{person_id}", json=patch, headers={"If-Match": "*"})
    assert response.status_code == 403
    assert admin.get(f"/v1/people/{person_id}").content == before


def test_operation_that_cannot_hide_fields_is_rejected(
    restricted: httpx.Client, admin: httpx.Client, person_id: str
) -> None:
    before = admin.get(f"/v1/people/{person_id}").content
    for operation in OPERATIONS:
        if operation.scope and operation.name not in FIELD_ACCESS_OPERATIONS and operation.scope.startswith("people:"):
            path = operation.path.replace("{person_id}", person_id)
            response = restricted.request(operation.method, path, json=PERSON, headers={"If-Match": "*"})
            assert response.status_code == 403, operation.name
            assert problem_of(response)["type"] in (
                "urn:peopleinfo:problem:field-access-denied", "urn:peopleinfo:problem:access-denied",
            )  # fmt: skip
    assert admin.get(f"/v1/people/{person_id}").content == before


def test_restricted_key_may_create_people(restricted: httpx.Client, admin: httpx.Client) -> None:
    created = restricted.post("/v1/people", json=PERSON)
    assert created.status_code == 201
    assert admin.get(created.headers["Location"]).json()["person_address"] == "1 Secret Lane"


def test_csv_export_omits_hidden_custom_fields(restricted: httpx.Client, person_id: str) -> None:
    table = restricted.get("/v1/people/export", headers={"Accept": "text/csv"}).text
    row = next(row for row in csv.DictReader(table.splitlines()) if row["person_id"] == person_id)
    assert "note" not in row
    assert (row["person_name"], row["person_address"]) == ("Ada", "")


@pytest.mark.parametrize("field", ["person_id", "version"])
def test_identifying_fields_cannot_be_hidden(tmp_path: Path, field: str) -> None:
    ended = run(tmp_path, "keys", "create", "x", "--hide-field", field)
    assert ended.returncode == 1
    assert field.encode() in ended.stderr


def test_hidden_identifier_of_another_person_cannot_be_guessed(tmp_path: Path) -> None:
    with (
        serving(tmp_path, admin_key=ADMIN_KEY, identifiers="unique:email") as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client,
    ):
        client.post("/v1/people", json=PERSON | {"email": "ada@example.org"}, headers=AS_ADMIN).raise_for_status()
        hidden = ("--hide-field", "email")
        client.headers = bearer(
            make_key(tmp_path, "--scope", "people:read", "--scope", "people:write", *hidden, name="no-mail")
        )
        for email in ("ada@example.org", "free@example.org"):
            person = {"person_name": "A", "person_surname": "B", "person_birthdate": "1990", "person_address": "C"}
            guess = person | {"email": email}
            item = {"operation": "create", "person": guess}
            assert_problem(client.post("/v1/people", json=guess), 403, "field-access-denied")
            assert_problem(client.post("/data", json=guess), 403, "field-access-denied")
            (result,) = client.post("/v1/people/batch", json={"items": [item]}).json()["results"]
            assert result["status"] == 403
            rows = client.post("/v1/people/import", json=guess, headers={"Content-Type": "application/x-ndjson"})
            (error,) = json.loads(rows.text.splitlines()[0])["errors"]
            assert error["reason"] == "is hidden from this API key and unique: leave it out"
            assert client.post("/v1/people", json=person).status_code == 201
        for key in ("person_id", "email"):
            rows = client.post(
                f"/v1/people/import?key={key}", json=guess, headers={"Content-Type": "application/x-ndjson"}
            )
            assert_problem(rows, 403, "field-access-denied")
