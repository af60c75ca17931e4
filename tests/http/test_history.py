"""The history of a person over HTTP: versions, differences, and the restore of an earlier version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, serving
from tests.http.test_authentication import bearer, make_key
from tests.http.test_problems import assert_problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STORE_KINDS = ["sqlite", "sqlite+cache", "ministack"]
UNKNOWN = "0123456789abcdef0123456789abcdef"


def created(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    response = client.post("/v1/people", json={"person_surname": "First", **fields})
    assert response.status_code == 201
    person: dict[str, Any] = response.json()
    return person


def patched(client: httpx.Client, person: dict[str, Any], **fields: Any) -> dict[str, Any]:
    headers = {"If-Match": f'"{person["version"]}"', "Content-Type": "application/merge-patch+json"}
    response = client.patch(f"/v1/people/{person['person_id']}", json=fields, headers=headers)
    assert response.status_code == 200, response.text
    changed: dict[str, Any] = response.json()
    return changed


def history(client: httpx.Client, person: dict[str, Any], **params: Any) -> dict[str, Any]:
    response = client.get(f"/v1/people/{person['person_id']}/history", params=params)
    assert response.status_code == 200, response.text
    page: dict[str, Any] = response.json()
    return page


def restore(client: httpx.Client, person: dict[str, Any], body: Any, *, if_match: str | None = "*") -> httpx.Response:
    headers = {} if if_match is None else {"If-Match": if_match}
    return client.post(f"/v1/people/{person['person_id']}/restore", json=body, headers=headers)


def test_history_names_the_changed_fields(client: httpx.Client) -> None:
    first = created(client, person_name="Anna", note=1)
    second = patched(client, first, person_surname="Second", note=None, more=[1])
    page = history(client, first)
    assert page == {
        "versions": [
            {
                "version": 1,
                "at": first["created_at"],
                "by": "anonymous",
                "operation": "created",
                "fields": ["person_name", "person_surname", "note"],
            },
            {
                "version": 2,
                "at": second["updated_at"],
                "by": "anonymous",
                "operation": "updated",
                "fields": ["person_surname", "more", "note"],
            },
        ],
        "next_cursor": None,
    }


def test_each_version_can_be_read(client: httpx.Client) -> None:
    first = created(client)
    second = patched(client, first, person_surname="Second")
    path = f"/v1/people/{first['person_id']}/history"
    assert [client.get(f"{path}/{version}").json() for version in (1, 2)] == [first, second]
    assert client.head(f"{path}/1").status_code == 200


@pytest.mark.parametrize("version", ["0", "3", "-1", "999999999", "9" * 30, "one", "%31%30"])
def test_missing_version_is_not_found(client: httpx.Client, version: str) -> None:
    person = patched(client, created(client), person_surname="Second")
    response = client.get(f"/v1/people/{person['person_id']}/history/{version}")
    assert_problem(response, 404, "version-not-found")


def test_person_without_record_has_no_history(client: httpx.Client) -> None:
    deleted = created(client)
    assert client.delete(f"/v1/people/{deleted['person_id']}").status_code == 204
    for person_id in (UNKNOWN, deleted["person_id"]):
        assert_problem(client.get(f"/v1/people/{person_id}/history"), 404, "person-not-found")
        assert_problem(client.get(f"/v1/people/{person_id}/history/1"), 404, "person-not-found")
        response = restore(client, {"person_id": person_id}, {"version": 1})
        assert_problem(response, 404, "person-not-found")


def test_pages_of_a_history_have_each_version_once(client: httpx.Client) -> None:
    person = created(client)
    for number in range(7):
        person = patched(client, person, person_surname=f"Surname{number}")
    whole = history(client, person)["versions"]
    found, cursor = [], None
    while True:
        page = history(client, person, limit=3, **({"cursor": cursor} if cursor else {}))
        found += page["versions"]
        if (cursor := page["next_cursor"]) is None:
            break
    assert found == whole
    assert [version["version"] for version in found] == list(range(1, 9))
    assert [version["fields"] for version in found[1:]] == [["person_surname"]] * 7


def test_cursor_of_another_person_is_rejected(client: httpx.Client) -> None:
    person, other = (patched(client, created(client), person_surname="Second") for _ in range(2))
    cursor = history(client, person, limit=1)["next_cursor"]
    response = client.get(f"/v1/people/{other['person_id']}/history", params={"cursor": cursor})
    assert_problem(response, 422, "invalid-cursor")


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "limit=1&limit=2", "since=1", "cursor=a&cursor=b"]
)
def test_invalid_page_of_a_history_is_rejected(client: httpx.Client, query: str) -> None:
    response = client.get(f"/v1/people/{created(client)['person_id']}/history?{query}")
    assert_problem(response, 422, "invalid-search")


def test_restore_stores_the_old_fields_as_a_new_version(client: httpx.Client) -> None:
    first = created(client, person_name="Anna", note=1.50)
    second = patched(client, first, person_surname="Second", note=None)
    response = restore(client, first, {"version": 1}, if_match='"2"')
    restored = response.json()
    assert (response.status_code, response.headers["ETag"]) == (200, '"3"')
    own = ("version", "updated_at")
    assert {name: value for name, value in restored.items() if name not in own} == {
        name: value for name, value in first.items() if name not in own
    }
    assert client.get(f"/v1/people/{first['person_id']}").json() == restored
    assert client.get("/v1/people", params={"surname": "First"}).json()["people"].count(restored) == 1
    last = history(client, second)["versions"][-1]
    assert (last["version"], last["operation"], last["fields"]) == (3, "restored", ["person_surname", "note"])


def test_restore_of_an_outdated_version_is_rejected(client: httpx.Client) -> None:
    first = created(client)
    patched(client, first, person_surname="Second")
    assert_problem(restore(client, first, {"version": 1}, if_match='"1"'), 412, "version-conflict")
    assert_problem(restore(client, first, {"version": 1}, if_match=None), 428, "precondition-required")
    assert_problem(restore(client, first, {"version": 9}), 404, "version-not-found")
    assert len(history(client, first)["versions"]) == 2


@pytest.mark.parametrize("body", [{}, [], {"version": "1"}, {"version": 0}, {"version": 1.5}, {"version": 1, "x": 1}])
def test_invalid_restore_is_rejected(client: httpx.Client, body: Any) -> None:
    person = created(client)
    assert_problem(restore(client, person, body), 422, "invalid-search")
    assert len(history(client, person)["versions"]) == 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("history")


@pytest.fixture(scope="module")
def admin(folder: Path) -> Iterator[httpx.Client]:
    with (
        serving(folder, admin_key=ADMIN_KEY, rate_limit=0) as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT, headers=AS_ADMIN) as client,
    ):
        yield client


def test_restricted_key_sees_its_own_fields_only(folder: Path, admin: httpx.Client) -> None:
    person = created(admin, person_address="1 Secret Lane", note="secret note")
    person = patched(admin, person, person_address="2 Secret Lane", note="other secret")
    person = patched(admin, person, person_name="Ada", note="third secret")
    options = [option for field in ("person_address", "*") for option in ("--hide-field", field)]
    key = make_key(folder, "--scope", "people:read", "--scope", "people:write", *options, name="names-only")
    with httpx.Client(base_url=admin.base_url, timeout=HANG_TIMEOUT, headers=bearer(key)) as client:
        fields = [version["fields"] for version in history(client, person)["versions"]]
        assert fields == [["person_surname"], [], ["person_name"]]
        path = f"/v1/people/{person['person_id']}/history"
        responses = [client.get(path), *(client.get(f"{path}/{version}") for version in (1, 2, 3))]
        assert [response.status_code for response in responses] == [200] * 4
        for response in responses:
            assert not any(text in response.content for text in (b"Secret", b"secret", b"note", b"person_address"))
        assert_problem(restore(client, person, {"version": 1}), 403, "field-access-denied")


def test_history_requires_the_scopes_of_reads_and_changes(folder: Path, admin: httpx.Client) -> None:
    person = created(admin)
    reader = make_key(folder, "--scope", "people:read", name="reader")
    writer = make_key(folder, "--scope", "people:write", name="writer")
    path = f"/v1/people/{person['person_id']}"
    for key, read, change in ((reader, 200, 403), (writer, 403, 200)):
        with httpx.Client(base_url=admin.base_url, timeout=HANG_TIMEOUT, headers=bearer(key)) as client:
            assert client.get(f"{path}/history").status_code == read
            assert client.get(f"{path}/history/1").status_code == read
            assert client.get("/v1/changes").status_code == read
            assert restore(client, person, {"version": 1}).status_code == change
    last = history(admin, person)["versions"][-1]
    assert (last["by"], last["operation"]) == ("writer", "restored")


def test_history_that_is_off_has_the_current_version(tmp_path: Path) -> None:
    with (
        serving(tmp_path, history="0") as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client,
    ):
        person = patched(client, created(client), person_surname="Second")
        (version,) = history(client, person)["versions"]
        assert (version["version"], version["fields"]) == (2, None)
