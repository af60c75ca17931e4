"""Merges over HTTP: previews, idempotent merges, redirects of merged ids, undos with decisions, and the required scope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, serving
from tests.http.test_authentication import bearer, make_key
from tests.http.test_history import created, history, patched
from tests.http.test_problems import assert_problem

if TYPE_CHECKING:
    from pathlib import Path

STORE_KINDS = ["sqlite", "sqlite+cache"]
MERGED = ("merged_into", "merge_id")
UNKNOWN = "0123456789abcdef0123456789abcdef"


def body_of(survivor: dict[str, Any], *merged: dict[str, Any], **more: Any) -> dict[str, Any]:
    named = [{"person_id": person["person_id"], "version": person["version"]} for person in (survivor, *merged)]
    return {"survivor": named[0], "merged": named[1:], **more}


def merge(client: httpx.Client, *people: dict[str, Any], key: str | None = None, **more: Any) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return client.post("/v1/merges", json=body_of(*people, **more), headers=headers)


def undo(client: httpx.Client, merge_id: str, **body: Any) -> httpx.Response:
    return client.post(f"/v1/merges/{merge_id}/undo", json=body)


def path(person: dict[str, Any]) -> str:
    return f"/v1/people/{person['person_id']}"


def pair(client: httpx.Client) -> tuple[dict[str, Any], dict[str, Any]]:
    return created(client, person_name="Anna"), created(client, person_name="Anne", person_address="12 Elm Row")


def test_merge_takes_selected_values_and_repeats_its_response(client: httpx.Client) -> None:
    anna, anne = pair(client)
    take = {"person_name": anne["person_id"]}
    preview = merge(client, anna, anne, take=take, preview=True)
    assert preview.status_code == 200
    assert client.get(path(anne)).status_code == 200
    response = merge(client, anna, anne, take=take, key=anna["person_id"])
    assert response.status_code == 201, response.text
    result = response.json()
    survivor = client.get(path(anna)).json()
    assert survivor["version"] == 2
    assert (survivor["person_name"], survivor["person_address"]) == ("Anne", "12 Elm Row")
    assert result["survivor"] == survivor | {"replaces": [anne["person_id"]]}
    assert result["merged"] == [{"person_id": anne["person_id"], "version": 2, "merged_into": anna["person_id"]}]
    assert {each["field"]: each["taken"] for each in result["differences"]} == {
        "person_name": anne["person_id"],
        "person_address": anne["person_id"],
    }
    assert preview.json()["differences"] == result["differences"]
    repeated = merge(client, anna, anne, take=take, key=anna["person_id"])
    assert (repeated.status_code, repeated.json()) == (200, result)


def test_merged_id_leads_to_the_survivor(client: httpx.Client) -> None:
    anna, anne = pair(client)
    third = created(client)
    first = merge(client, anna, anne).json()
    merge(client, third, first["survivor"])
    for _ in range(2):  # the second response may come from the cache
        response = client.get(path(anne))
        assert_problem(response, 307, "merged", members=MERGED)
        assert response.headers["Location"] == path(third)
        assert response.headers["Cache-Control"] == "no-store"
        assert (response.json()["merged_into"], response.json()["merge_id"]) == (
            third["person_id"],
            first["merge_id"],
        )
    assert client.get(path(anne), follow_redirects=True).json()["person_id"] == third["person_id"]
    before = client.get(path(anne), params={"as": "merged"})
    assert (before.status_code, before.json()) == (200, anne)
    assert_problem(client.get(path(anne), params={"as": "other"}), 422, "invalid-search")
    assert [version["operation"] for version in history(client, anne)["versions"]] == ["created", "merged"]
    for change in (
        client.put(path(anne), json={"person_name": "New"}, headers={"If-Match": "*"}),
        client.patch(path(anne), json={"person_name": "New"}, headers={"If-Match": "*"}),
        client.delete(path(anne), headers={"If-Match": "*"}),
        merge(client, created(client), anne),
    ):
        assert_problem(change, 409, "merged", members=MERGED)


def test_undo_after_an_edit_needs_a_decision(client: httpx.Client) -> None:
    anna, anne = pair(client)
    merged = merge(client, anna, anne).json()
    edited = patched(client, merged["survivor"], person_address="1 New Street", note=1)
    response = undo(client, merged["merge_id"])
    assert_problem(response, 409, "changed-since", members=["fields"])
    assert response.json()["fields"] == ["person_address"]
    keep = {"person_address": "merged"}
    preview = undo(client, merged["merge_id"], keep=keep, preview=True)
    assert client.get(path(edited)).json() == edited
    done = undo(client, merged["merge_id"], keep=keep)
    assert done.status_code == 200, done.text
    survivor, restored = client.get(path(anna)).json(), client.get(path(anne)).json()
    assert "person_address" not in survivor
    assert (survivor["note"], restored["person_address"], restored["person_name"]) == (1, "1 New Street", "Anne")
    assert (done.json()["survivor"], done.json()["merged"]) == (survivor, [restored])
    assert preview.json()["merged"][0]["person_address"] == "1 New Street"
    assert undo(client, merged["merge_id"]).json()["survivor"] == survivor
    record = client.get(f"/v1/merges/{merged['merge_id']}").json()
    assert client.get(f"{path(anne)}/merges").json() == {"merges": [record]}
    assert record["undone_by"] == record["by"] == "anonymous"
    assert record["undone_at"] >= record["at"]


def test_inner_merge_is_undone_after_the_outer_one(client: httpx.Client) -> None:
    anna, anne = pair(client)
    inner = merge(client, anna, anne).json()
    outer = merge(client, created(client), inner["survivor"]).json()
    response = undo(client, inner["merge_id"])
    assert_problem(response, 409, "undo-first", members=["merge_id"])
    assert response.json()["merge_id"] == outer["merge_id"]


def test_feed_names_the_survivor_of_a_merged_record(client: httpx.Client) -> None:
    anna, anne = pair(client)
    since = client.get("/v1/changes").json()["next"]
    merge(client, anna, anne)
    changes = client.get("/v1/changes", params={"since": since}).json()["changes"]
    merged = [change for change in changes if change["person_id"] == anne["person_id"] and change["version"] == 2]
    assert [(change["operation"], change["merged_into"]) for change in merged] == [("merged", anna["person_id"])]
    assert all("merged_into" not in change for change in changes if change["operation"] == "updated")


def test_erasure_of_a_merged_id_erases_the_survivor(client: httpx.Client) -> None:
    anna, anne = pair(client)
    merged = merge(client, anna, anne).json()
    assert client.get(path(anne)).status_code == 307
    assert client.delete(path(anne)).status_code == 204
    for person in (anna, anne):
        assert_problem(client.get(path(person)), 404, "person-not-found")
        assert_problem(client.get(path(person), params={"as": "merged"}), 404, "person-not-found")
    assert_problem(client.get(f"/v1/merges/{merged['merge_id']}"), 404, "merge-not-found")


def test_invalid_merges_are_rejected(client: httpx.Client) -> None:
    anna, anne = pair(client)
    assert_problem(merge(client, anna, anna), 409, "cycle")
    assert_problem(merge(client, anna, anne | {"person_id": UNKNOWN}), 404, "person-not-found")
    assert_problem(merge(client, anna, anne | {"version": 7}), 412, "version-conflict")
    assert_problem(merge(client, anna, anne, result={"person_name": ""}), 422, "invalid-person")
    assert_problem(merge(client, anna, *[created(client) for _ in range(20)]), 422, "merge-too-large")
    unknown = [{"person_id": f"{number:032x}", "version": 1} for number in range(20)]
    assert_problem(merge(client, anna, *unknown), 422, "merge-too-large")  # before any record is read
    response = client.post(
        "/v1/merges",
        json={"survivor": {"person_id": "x", "version": "1"}, "merged": [], "take": {"f": "x"}, "more": 1},
    )
    assert_problem(response, 422, "invalid-merge")
    pointers = {error["pointer"] for error in response.json()["errors"]}
    assert pointers == {"/survivor/person_id", "/survivor/version", "/merged", "/take/f", "/more"}
    assert_problem(undo(client, UNKNOWN), 404, "merge-not-found")
    merge_id = merge(client, anna, anne).json()["merge_id"]
    assert_problem(undo(client, merge_id, keep={"person_address": "other"}), 422, "invalid-merge")


def test_merge_requires_its_scope_and_access_to_all_fields(tmp_path: Path) -> None:
    keys = {
        ("--scope", "people:read", "--scope", "people:write"): 403,
        ("--scope", "people:merge"): 403,
        ("--scope", "people:merge", "--scope", "people:read", "--hide-field", "person_birthdate"): 403,
        ("--scope", "people:merge", "--scope", "people:read"): 201,
    }
    audit = tmp_path / "audit.jsonl"
    with (
        serving(tmp_path, admin_key=ADMIN_KEY, audit_log=f"file://{audit}") as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT, headers=AS_ADMIN) as client,
    ):
        people = pair(client)
        for number, (options, status) in enumerate(keys.items()):
            key = make_key(tmp_path, *options, name=f"merger{number}")
            for more in ({"preview": True}, {}):
                response = client.post("/v1/merges", json=body_of(*people) | more, headers=bearer(key))
                assert response.status_code == (status if "preview" not in more or status == 403 else 200)
                assert status == 201 or "Elm Row" not in response.text
        [merge_id] = {response.json()["merge_id"]}
        blind = bearer(make_key(tmp_path, "--scope", "people:merge", name="blind"))
        response = client.post(f"/v1/merges/{merge_id}/undo", json={"preview": True}, headers=blind)
        assert (response.status_code, "Elm Row" in response.text) == (403, False)
    events = audit.read_text()
    assert events.count('"intent":"mergePeople"') == 1
    assert "Elm Row" not in events
