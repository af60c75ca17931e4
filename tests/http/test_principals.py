"""Idempotency keys, imports and cursors are valid for one principal only."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.cli.commands import run
from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, Server, serving
from tests.http.test_authentication import bearer, make_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def server(store_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with two principals: the administrator and anonymous clients."""
    folder = tmp_path_factory.mktemp("server")
    with serving(folder, kind=store_kind, admin_key=ADMIN_KEY, allow_anonymous="true", rate_limit=0) as server:
        yield server


@pytest.fixture
def admin(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT, headers=AS_ADMIN) as client:
        yield client


def add(client: httpx.Client, key: str, **fields: str) -> httpx.Response:
    return client.post("/v1/people", json=fields, headers={"Idempotency-Key": key})


def import_people(client: httpx.Client, key: str, *surnames: str) -> list[dict[str, object]]:
    rows = b"".join(json.dumps({"person_surname": surname}).encode() + b"\n" for surname in surnames)
    headers = NDJSON | {"Idempotency-Key": key}
    response = client.post("/v1/people/import", params={"force": "true"}, content=rows, headers=headers)
    return [json.loads(line) for line in response.text.splitlines()]


def test_idempotency_keys_are_separate_by_principal(client: httpx.Client, admin: httpx.Client, surname: str) -> None:
    key = uuid.uuid4().hex
    first, second = (add(one, key, person_surname=surname) for one in (admin, client))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["person_id"] != second.json()["person_id"]
    for one, response in ((admin, first), (client, second)):
        assert add(one, key, person_surname=surname).content == response.content
    assert len(client.get("/v1/people", params={"surname": surname}).json()["people"]) == 2


def test_other_content_with_the_key_of_another_principal_is_stored(
    client: httpx.Client, admin: httpx.Client, surname: str
) -> None:
    key = uuid.uuid4().hex
    deleted = add(admin, key, person_surname=surname)
    admin.delete(deleted.headers["Location"])
    assert add(client, key, person_surname=surname, person_name="Other").status_code == 201
    assert add(admin, key, person_surname=surname).status_code == 409


def test_imports_are_separate_by_principal(client: httpx.Client, admin: httpx.Client, surname: str) -> None:
    key = uuid.uuid4().hex
    assert import_people(admin, key, surname, surname)[-1]["stored"] == 2
    assert [line["result"] for line in import_people(client, key, surname)] == ["stored", "done"]
    assert [line["result"] for line in import_people(admin, key, surname, surname)] == [
        "unchanged",
        "unchanged",
        "done",
    ]


def test_cursor_of_another_principal_is_rejected(client: httpx.Client, admin: httpx.Client, surname: str) -> None:
    for _ in range(3):
        admin.post("/v1/people", json={"person_surname": surname})
    search = {"surname": surname, "limit": "1"}
    cursor = admin.get("/v1/people", params=search).json()["next_cursor"]
    assert len(admin.get("/v1/people", params=search | {"cursor": cursor}).json()["people"]) == 1
    link = admin.get("/data", params={"person_surname": surname, "limit": "1"}).headers["Link"].partition(">")[0][1:]
    assert len(admin.get(link).json()) == 1
    for response in (client.get("/v1/people", params=search | {"cursor": cursor}), client.get(link)):
        assert (response.status_code, response.json()["type"]) == (422, "urn:peopleinfo:problem:invalid-cursor")


def test_rotated_key_keeps_idempotency_keys_and_cursors(tmp_path: Path, surname: str) -> None:
    scopes = ("--scope", "people:write", "--scope", "people:read")
    alice, bob = (make_key(tmp_path, *scopes, name=name) for name in ("alice", "bob"))
    with serving(tmp_path, rate_limit=0) as server, httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client:

        def add_as(key: str, **fields: str) -> httpx.Response:
            headers = bearer(key) | {"Idempotency-Key": "o1"}
            return client.post("/v1/people", json={"person_surname": surname} | fields, headers=headers)

        first = add_as(alice)
        cursor = client.get("/v1/people?limit=1", headers=bearer(alice)).json()["next_cursor"]
        assert cursor is None
        assert add_as(bob).json()["person_id"] != first.json()["person_id"]
        assert add_as(bob, person_name="Other").status_code == 422  # bob has reused his own key for other content
        cursor = client.get("/v1/people?limit=1", headers=bearer(alice)).json()["next_cursor"]
        rotated = run(tmp_path, "keys", "rotate", "alice").stdout.decode().strip()
        assert rotated != alice
        assert add_as(rotated).content == first.content
        page = client.get("/v1/people", params={"limit": 1, "cursor": cursor}, headers=bearer(rotated))
        assert len(page.json()["people"]) == 1
        assert client.get("/v1/people", params={"limit": 1, "cursor": cursor}, headers=bearer(bob)).status_code == 422
