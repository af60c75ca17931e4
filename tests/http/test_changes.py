"""The feed of changes over HTTP."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, serving
from tests.http.test_authentication import bearer, make_key
from tests.http.test_history import created, patched, restore
from tests.http.test_problems import assert_problem
from tests.http.test_sign_out import sign_in

if TYPE_CHECKING:
    from pathlib import Path

    from tests.http.serving import Server

STORE_KINDS = ["sqlite", "sqlite+cache"]


def current_token(client: httpx.Client) -> str:
    response = client.get("/v1/changes")
    assert response.status_code == 200
    page = response.json()
    assert (page["changes"], page["more"]) == ([], False)
    return str(page["next"])


def changes_since(client: httpx.Client, token: str, **params: Any) -> list[dict[str, Any]]:
    """Return the changes of all pages."""
    changes: list[dict[str, Any]] = []
    while True:
        response = client.get("/v1/changes", params={"since": token, **params})
        assert response.status_code == 200, response.text
        page = response.json()
        changes += page["changes"]
        token = page["next"]
        if not page["more"]:
            return changes


def test_feed_has_each_operation(client: httpx.Client) -> None:
    token = current_token(client)
    first = created(client)
    second = patched(client, first, person_surname="Second")
    third = restore(client, first, {"version": 1}).json()
    assert client.delete(f"/v1/people/{first['person_id']}").status_code == 204
    changes = changes_since(client, token)
    for change, person in zip(changes, (first, second, third), strict=False):
        assert (change["version"], change["at"]) == (person["version"], person["updated_at"])
    assert [(change["person_id"], change["version"], change["operation"]) for change in changes] == [
        (first["person_id"], 1, "created"),
        (first["person_id"], 2, "updated"),
        (first["person_id"], 3, "restored"),
        (first["person_id"], 4, "deleted"),
    ]


@pytest.mark.parametrize("limit", [1, 2, 1000])
def test_pages_of_the_feed_have_each_change_once(client: httpx.Client, limit: int) -> None:
    token = current_token(client)
    people = [created(client) for _ in range(5)]
    changes = changes_since(client, token, limit=limit)
    assert [change["person_id"] for change in changes] == [person["person_id"] for person in people]


def test_import_and_legacy_creation_are_in_the_feed(client: httpx.Client) -> None:
    token = current_token(client)
    rows = b"".join(json.dumps({"person_surname": f"Row{number}"}).encode() + b"\n" for number in range(3))
    client.post("/v1/people/import", content=rows, headers={"Content-Type": "application/x-ndjson"}).raise_for_status()
    legacy = {"person_name": "A", "person_surname": "B", "person_birthdate": "1990", "person_address": "C"}
    client.post("/data", json=legacy).raise_for_status()
    changes = changes_since(client, token)
    assert [change["operation"] for change in changes] == ["created"] * 4
    by = [client.get(f"/v1/people/{change['person_id']}/history").json()["versions"][0]["by"] for change in changes]
    assert by == ["anonymous"] * 4


def test_export_returns_the_token_to_continue_from(client: httpx.Client) -> None:
    person = created(client)
    exported = client.get("/v1/people/export")
    later = created(client)
    assert person["person_id"] in exported.text
    changes = changes_since(client, exported.headers["Changes-Token"])
    assert [change["person_id"] for change in changes][-1:] == [later["person_id"]]


def test_feed_includes_current_records_on_request(client: httpx.Client) -> None:
    token = current_token(client)
    changed = patched(client, created(client), person_surname="Second")
    deleted = created(client)
    assert client.delete(f"/v1/people/{deleted['person_id']}").status_code == 204
    changes = changes_since(client, token, include="person")
    assert [change.get("person") for change in changes] == [changed, changed, None, None]


async def test_request_waits_for_a_change(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.url, timeout=HANG_TIMEOUT) as client:
        token = (await client.get("/v1/changes")).json()["next"]
        waiting = asyncio.ensure_future(client.get("/v1/changes", params={"since": token, "wait": 60}))
        await asyncio.sleep(0)
        person = (await client.post("/v1/people", json={"person_surname": "Awaited"})).json()
        page = (await waiting).json()
        assert [change["person_id"] for change in page["changes"]] == [person["person_id"]]
        page = (await client.get("/v1/changes", params={"since": page["next"], "wait": 1})).json()
        assert (page["changes"], page["more"]) == ([], False)


def test_waiting_request_ends_with_the_server(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client:
            token = current_token(client)

        async def wait_and_stop() -> httpx.Response:
            async with httpx.AsyncClient(base_url=server.url, timeout=HANG_TIMEOUT) as client:
                waiting = asyncio.ensure_future(client.get("/v1/changes", params={"since": token, "wait": 60}))
                await client.get("/status")
                while "/v1/changes" not in (await client.get("/metrics")).text:  # the request has not arrived yet
                    await asyncio.sleep(0.01)
                await asyncio.to_thread(server.terminate)
                return await waiting

        assert asyncio.run(wait_and_stop()).json()["changes"] == []


async def test_signed_out_session_receives_no_change(tmp_path: Path) -> None:
    with serving(tmp_path, admin_key=ADMIN_KEY) as server:
        session = sign_in(server.url)
        async with httpx.AsyncClient(base_url=server.url, timeout=HANG_TIMEOUT) as client:
            token = (await client.get("/v1/changes", headers=session)).json()["next"]
            params = {"since": token, "wait": 60}
            waiting = asyncio.ensure_future(client.get("/v1/changes", params=params, headers=session))
            for _ in range(10):  # the server handles the waiting request meanwhile
                await client.get("/status")
            assert (await client.post("/console/sign-out", headers=session)).status_code == 303
            await client.post("/v1/people", json={"person_surname": "Late"}, headers=AS_ADMIN)
            assert_problem(await waiting, 401, "not-authenticated")


@pytest.mark.parametrize("token", ["", "x", "A" * 40, "ä"])
def test_invalid_token_is_rejected(client: httpx.Client, token: str) -> None:
    assert_problem(client.get("/v1/changes", params={"since": token}), 400, "invalid-token")


def test_cursor_of_a_search_is_no_token(client: httpx.Client) -> None:
    created(client)
    created(client)
    cursor = client.get("/v1/people", params={"limit": 1}).json()["next_cursor"]
    assert_problem(client.get("/v1/changes", params={"since": cursor}), 400, "invalid-token")


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "wait=61", "wait=-1", "include=all", "limit=1&limit=2", "after=1"]
)
def test_invalid_parameter_of_the_feed_is_rejected(client: httpx.Client, query: str) -> None:
    assert_problem(client.get(f"/v1/changes?{query}"), 422, "invalid-search")


def test_restricted_key_sees_its_own_fields_in_the_feed(tmp_path: Path) -> None:
    with (
        serving(tmp_path, admin_key=ADMIN_KEY) as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT, headers=AS_ADMIN) as admin,
    ):
        token = current_token(admin)
        created(admin, person_address="1 Secret Lane", note="secret")
        hidden = ["--hide-field", "person_address", "--hide-field", "*"]
        key = make_key(tmp_path, "--scope", "people:read", *hidden, name="names-only")
        with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT, headers=bearer(key)) as client:
            (change,) = changes_since(client, token, include="person")
        assert change["person"].keys() == {"person_id", "person_surname", "version", "created_at", "updated_at"}
