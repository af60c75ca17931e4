"""The trash over HTTP: deleted people are listed, restored and erased, and each action is in the audit log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, serving
from tests.http.test_authentication import bearer, make_key
from tests.http.test_history import UNKNOWN, created, history, patched
from tests.http.test_problems import assert_problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAIL = "ada@example.org"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trash")


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    settings: dict[str, Any] = {"admin_key": ADMIN_KEY, "trash": "30d", "identifiers": "unique:email", "rate_limit": 0}
    with serving(folder, audit_log=f"file://{folder / 'audit.jsonl'}", **settings) as server:
        yield server.url


@pytest.fixture
def admin(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=HANG_TIMEOUT, headers=AS_ADMIN) as client:
        yield client
        for person in in_trash(client):
            assert client.delete(f"/v1/trash/{person['person_id']}").status_code == 204


def in_trash(client: httpx.Client) -> list[dict[str, Any]]:
    """Return the people of all pages of the trash."""
    people: list[dict[str, Any]] = []
    params = {"limit": "2"}
    while True:
        response = client.get("/v1/trash", params=params)
        assert response.status_code == 200, response.text
        people += response.json()["people"]
        if (cursor := response.json()["next_cursor"]) is None:
            return people
        params["cursor"] = cursor


def delete(client: httpx.Client, person: dict[str, Any], **params: str) -> httpx.Response:
    return client.delete(f"/v1/people/{person['person_id']}", params=params)


def actions(folder: Path, person: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the principals and actions of the completed changes of a person in the audit log."""
    lines = map(json.loads, (folder / "audit.jsonl").read_text().splitlines())
    return [
        (line["principal"], line["action"])
        for line in lines
        if person["person_id"] in line.get("people", ()) and line.get("outcome", 400) < 400
    ]


def test_deleted_person_is_listed_and_restored(folder: Path, admin: httpx.Client) -> None:
    token = admin.get("/v1/changes").json()["next"]
    person = patched(admin, created(admin, person_name="Ada", email=MAIL), person_surname="Second")
    location = f"/v1/people/{person['person_id']}"
    assert delete(admin, person).status_code == 204
    assert_problem(admin.get(location), 404, "person-not-found")
    assert_problem(admin.get(f"{location}/history"), 404, "person-not-found")
    assert_problem(delete(admin, person), 404, "person-not-found")
    assert admin.get("/v1/people", params={"q": MAIL}).json()["people"] == []
    assert admin.get("/v1/people", params={"q": "ada second"}).json()["people"] == []
    (entry,) = in_trash(admin)
    deleted_at, erased_after = entry.pop("deleted_at"), entry.pop("erased_after")
    assert entry == {
        "person_id": person["person_id"],
        "person_name": "Ada",
        "person_surname": "Second",
        "version": 3,
        "deleted_by": "admin-key",
    }
    assert deleted_at < erased_after
    restored = admin.post(f"/v1/trash/{person['person_id']}/restore")
    assert restored.status_code == 200, restored.text
    times = {"updated_at": restored.json()["updated_at"]}
    assert restored.json() == person | {"version": 4} | times
    assert restored.headers["ETag"] == '"4"'
    assert admin.get(location).json() == restored.json()
    assert admin.get("/v1/people", params={"q": MAIL}).json()["people"][0]["person_id"] == person["person_id"]
    assert_problem(admin.post(f"/v1/trash/{person['person_id']}/restore"), 404, "person-not-found")
    versions = [(version["operation"], version["fields"]) for version in history(admin, person)["versions"]]
    assert versions[2:] == [("deleted", []), ("restored", [])]
    changes = admin.get("/v1/changes", params={"since": token}).json()["changes"]
    assert [(change["version"], change["operation"]) for change in changes] == [
        (1, "created"), (2, "updated"), (3, "deleted"), (4, "restored"),
    ]  # fmt: skip
    assert delete(admin, person, erase="true").status_code == 204
    assert [action for _, action in actions(folder, person) if action.endswith("Person") and action != "getPerson"] == [
        "createPerson", "changePerson", "deletePerson", "restoreDeletedPerson", "erasePerson",
    ]  # fmt: skip
    assert "listTrash" in [action for _, action in actions(folder, person)]


def test_administrator_erases_at_once(folder: Path, admin: httpx.Client) -> None:
    stored, deleted, listed = created(admin), created(admin), created(admin)
    delete(admin, deleted)
    delete(admin, listed)
    assert delete(admin, stored, erase="true").status_code == 204
    assert delete(admin, deleted, erase="true").status_code == 204
    assert admin.delete(f"/v1/trash/{listed['person_id']}").status_code == 204
    assert in_trash(admin) == []
    for person in (stored, deleted, listed):
        assert_problem(delete(admin, person, erase="true"), 404, "person-not-found")
        assert_problem(admin.delete(f"/v1/trash/{person['person_id']}"), 404, "person-not-found")
        assert_problem(admin.post(f"/v1/trash/{person['person_id']}/restore"), 404, "person-not-found")
    assert actions(folder, stored)[-1] == ("admin-key", "erasePerson")
    assert actions(folder, listed)[-1] == ("admin-key", "eraseDeletedPerson")


def test_trash_requires_the_admin_scope(folder: Path, admin: httpx.Client) -> None:
    person = created(admin)
    writer = make_key(folder, "--scope", "people:read", "--scope", "people:write", name="writer")
    with httpx.Client(base_url=admin.base_url, timeout=HANG_TIMEOUT, headers=bearer(writer)) as client:
        assert_problem(delete(client, person, erase="true"), 403, "access-denied")
        assert delete(client, person).status_code == 204
        path = f"/v1/trash/{person['person_id']}"
        for response in (client.get("/v1/trash"), client.delete(path), client.post(f"{path}/restore")):
            assert_problem(response, 403, "access-denied")
    (entry,) = in_trash(admin)
    assert (entry["person_id"], entry["deleted_by"]) == (person["person_id"], "writer")


def test_person_whose_identifier_is_taken_is_restored_after_the_remedy(admin: httpx.Client) -> None:
    person = created(admin, email=MAIL)
    delete(admin, person)
    other = created(admin, email=MAIL.upper())
    response = admin.post(f"/v1/trash/{person['person_id']}/restore")
    problem = response.json()
    assert (response.status_code, problem["field"], problem["person_id"]) == (409, "email", other["person_id"])
    assert problem["detail"].endswith("correct or delete that person, then restore again")
    assert [entry["person_id"] for entry in in_trash(admin)] == [person["person_id"]]
    delete(admin, other)
    assert admin.post(f"/v1/trash/{person['person_id']}/restore").status_code == 200
    assert admin.post(f"/v1/trash/{other['person_id']}/restore").status_code == 409
    delete(admin, person, erase="true")


def test_invalid_requests_are_rejected(admin: httpx.Client) -> None:
    person = created(admin)
    for params in ({"erase": "yes"}, {"erase": ""}, {"earse": "true"}):
        assert_problem(delete(admin, person, **params), 422, "invalid-search")
    assert admin.get(f"/v1/people/{person['person_id']}").status_code == 200
    assert_problem(admin.get("/v1/trash", params={"limit": "0"}), 422, "invalid-search")
    assert_problem(admin.get("/v1/trash", params={"cursor": "x"}), 422, "invalid-cursor")
    for person_id in (UNKNOWN, "no-id"):
        assert_problem(admin.post(f"/v1/trash/{person_id}/restore"), 404, "person-not-found")
    stale = admin.delete(f"/v1/people/{person['person_id']}", headers={"If-Match": '"7"'})
    assert_problem(stale, 412, "version-conflict")
    assert in_trash(admin) == []


def test_deletion_erases_while_the_trash_is_off(tmp_path: Path) -> None:
    with serving(tmp_path) as server, httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client:
        delete(client, created(client))
        assert in_trash(client) == []
