"""A key from which members are hidden does not see them, cannot find them out, and cannot wipe them."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from peopleinfo.http.operations import FIELD_ACCESS_OPERATIONS, OPERATIONS
from tests.cli.commands import run
from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, serving
from tests.http.test_authentication import bearer, make_key
from tests.http.test_authentication import refusal as problem

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
def masked(folder: Path, admin: httpx.Client) -> Iterator[httpx.Client]:
    """A client that sees names alone."""
    hidden = [option for member in ("person_birthdate", "person_address", "*") for option in ("--hide-field", member)]
    key = make_key(folder, "--scope", "people:read", "--scope", "people:write", *hidden, name="names-only")
    with httpx.Client(base_url=admin.base_url, timeout=HANG_TIMEOUT, headers=bearer(key)) as client:
        yield client


def test_every_way_to_read_leaves_out_what_is_hidden(masked: httpx.Client, person_id: str) -> None:
    for answer in (
        masked.get(f"/v1/people/{person_id}"),
        masked.get("/v1/people?surname=masked"),
        masked.get("/v1/people?surname_prefix=mask&name=ada"),
        masked.get("/v1/people"),
        masked.post("/v1/people/search", json={"surname": "masked"}),
        masked.get("/data?person_surname=masked"),
        masked.get("/v1/people/export"),
        masked.get("/v1/people/export", headers={"Accept": "text/csv"}),
        masked.post("/v1/people/export", json={"surname": "masked"}),
    ):
        assert answer.status_code == 200
        assert person_id.encode() in answer.content
        assert b"Masked" in answer.content
        assert not [secret for secret in SECRETS if secret in answer.content], answer.text
        assert b"person_address" not in answer.content or answer.headers["Content-Type"].startswith("text/csv")


def test_what_is_not_hidden_is_answered_as_it_is(masked: httpx.Client, person_id: str, admin: httpx.Client) -> None:
    whole = admin.get(f"/v1/people/{person_id}")
    seen = masked.get(f"/v1/people/{person_id}")
    hidden = ("person_birthdate", "person_address", "note")
    assert seen.json() == {name: value for name, value in whole.json().items() if name not in hidden}
    assert seen.headers["ETag"].startswith(whole.headers["ETag"].rstrip('"'))


@pytest.mark.parametrize(
    "filters", [{"born_from": "1980"}, {"born_to": "1990"}, {"surname": "masked", "born_to": "1990"}]
)
def test_nobody_is_found_by_what_is_hidden(masked: httpx.Client, person_id: str, filters: dict[str, str]) -> None:
    for answer in (
        masked.get("/v1/people", params=filters),
        masked.post("/v1/people/search", json=filters),
        masked.get("/v1/people/export", params=filters),
        masked.post("/v1/people/export", json=filters),
    ):
        assert answer.status_code == 403
        assert answer.json()["type"] == "urn:peopleinfo:problem:field-access-denied"
        assert person_id not in answer.text


def test_a_key_that_sees_no_names_cannot_find_by_them(folder: Path, admin: httpx.Client, person_id: str) -> None:
    nameless = bearer(make_key(folder, "--hide-field", "person_name", name="nameless"))
    for path in (
        "/v1/people?surname=masked",
        "/v1/people?name=ada",
        "/data?person_surname=masked",
        "/v1/people?surname_prefix=m",
    ):
        assert admin.get(path, headers=nameless).status_code == 403
    answer = admin.get(f"/v1/people/{person_id}", headers=nameless)
    assert "person_name" not in answer.json()
    assert answer.json()["note"] == "of her own"


def test_what_is_seen_can_be_changed_and_what_is_hidden_stays(masked: httpx.Client, admin: httpx.Client) -> None:
    made = admin.post("/v1/people", json=PERSON)
    place = made.headers["Location"]
    changed = masked.patch(place, json={"person_name": "Augusta"}, headers={"If-Match": '"1"'})
    assert changed.status_code == 200
    assert not [secret for secret in SECRETS if secret in changed.content]
    whole = admin.get(place).json()
    assert {name: whole[name] for name in PERSON} == PERSON | {"person_name": "Augusta"}


@pytest.mark.parametrize(
    "patch", [{"person_address": None}, {"person_name": "A", "person_birthdate": "2000"}, {"note": 1}, {"new": 1}, []]
)
def test_what_is_hidden_cannot_be_changed(
    masked: httpx.Client, admin: httpx.Client, person_id: str, patch: Any
) -> None:
    before = admin.get(f"/v1/people/{person_id}").content
    answer = masked.patch(f"/v1/people/{person_id}", json=patch, headers={"If-Match": "*"})
    assert answer.status_code == 403
    assert admin.get(f"/v1/people/{person_id}").content == before


def test_what_cannot_hide_is_refused(masked: httpx.Client, admin: httpx.Client, person_id: str) -> None:
    before = admin.get(f"/v1/people/{person_id}").content
    for operation in OPERATIONS:
        if operation.scope and operation.name not in FIELD_ACCESS_OPERATIONS and operation.scope.startswith("people:"):
            path = operation.path.replace("{person_id}", person_id)
            answer = masked.request(operation.method, path, json=PERSON, headers={"If-Match": "*"})
            assert answer.status_code == 403, operation.name
            assert problem(answer)["type"] in (
                "urn:peopleinfo:problem:field-access-denied", "urn:peopleinfo:problem:access-denied",
            )  # fmt: skip
    assert admin.get(f"/v1/people/{person_id}").content == before


def test_whoever_cannot_see_may_still_add(masked: httpx.Client, admin: httpx.Client) -> None:
    made = masked.post("/v1/people", json=PERSON)
    assert made.status_code == 201
    assert admin.get(made.headers["Location"]).json()["person_address"] == "1 Secret Lane"


def test_a_table_has_no_columns_for_what_people_brought(masked: httpx.Client, person_id: str) -> None:
    table = masked.get("/v1/people/export", headers={"Accept": "text/csv"}).text
    row = next(row for row in csv.DictReader(table.splitlines()) if row["person_id"] == person_id)
    assert "note" not in row
    assert (row["person_name"], row["person_address"]) == ("Ada", "")


@pytest.mark.parametrize("member", ["person_id", "version"])
def test_what_names_a_person_cannot_be_hidden(tmp_path: Path, member: str) -> None:
    ended = run(tmp_path, "keys", "create", "--name", "x", "--hide-field", member)
    assert ended.returncode == 1
    assert member.encode() in ended.stderr
