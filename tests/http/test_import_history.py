"""The list of imports over HTTP, and the undo of an import."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, serving
from tests.http.test_authentication import bearer, make_key
from tests.http.test_problems import assert_problem

if TYPE_CHECKING:
    from pathlib import Path

STORE_KINDS = ["sqlite+cache", "ministack"]
UNKNOWN = "0" * 32
ROWS = [{"person_surname": "Wrong", "person_name": str(number)} for number in range(3)]


def ndjson(rows: list[dict[str, Any]]) -> bytes:
    return b"\n".join(map(msgspec.json.encode, rows))


def import_people(client: httpx.Client, rows: list[dict[str, Any]], **params: str) -> None:
    headers = {"Content-Type": "application/x-ndjson"}
    response = client.post("/v1/people/import", content=ndjson(rows), params=params, headers=headers)
    assert response.status_code == 200, response.text
    assert b'"done"' in response.content.splitlines()[-1]


def imports(client: httpx.Client, **params: Any) -> list[dict[str, Any]]:
    response = client.get("/v1/imports", params=params)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["imports"]
    return found


def people(client: httpx.Client) -> list[bytes]:
    return sorted(client.get("/v1/people/export").content.splitlines())


def test_undo_of_an_import_removes_its_people_and_restores_others(client: httpx.Client) -> None:
    first = client.post("/v1/people", json={"person_surname": "Before"}).json()
    path = f"/v1/people/{first['person_id']}"
    rows = [*ROWS, {"person_id": first["person_id"], "person_surname": "After"}]
    import_people(client, rows, key="person_id", filename="C:\\lists\\members.csv")
    changed = next(person for person in client.get("/v1/people?surname=wrong").json()["people"])
    etag = {"If-Match": '"1"', "Content-Type": "application/merge-patch+json"}
    assert client.patch(f"/v1/people/{changed['person_id']}", json={"note": "kept"}, headers=etag).status_code == 200
    assert client.get(path).json()["person_surname"] == "After"

    (found,) = imports(client)
    import_id = found.pop("import_id")
    assert found.pop("started_at") > first["created_at"]
    assert found == {
        "principal": "anonymous",
        "file": {"name": "members.csv", "digest": hashlib.sha256(ndjson(rows)).hexdigest()},
        "state": "finished",
        "created": 3,
        "updated": 1,
        "deleted": 0,
        "restored": 0,
        "left": 0,
    }
    undone = client.post(f"/v1/imports/{import_id}/undo").json()
    assert (undone["state"], undone["deleted"], undone["restored"], undone["left"]) == ("undone", 2, 1, 1)
    assert undone["people_left"] == [{"person_id": changed["person_id"], "reason": "changed"}]
    assert client.get(path).json()["person_surname"] == "Before"
    assert [person["note"] for person in client.get("/v1/people?surname=wrong").json()["people"]] == ["kept"]
    assert client.post(f"/v1/imports/{import_id}/undo").json() == undone
    assert client.get(f"/v1/imports/{import_id}").json() == undone
    versions = client.get(f"{path}/history").json()["versions"]
    assert [one["operation"] for one in versions] == ["created", "updated", "restored"]


def test_name_of_the_file_comes_from_the_header(client: httpx.Client) -> None:
    headers = {
        "Content-Type": "application/x-ndjson",
        "Content-Disposition": "attachment; filename*=UTF-8''m%C3%BC.csv",
    }
    client.post("/v1/people/import", content=ndjson(ROWS), headers=headers)
    assert imports(client)[0]["file"]["name"] == "mü.csv"


def test_unknown_imports_and_invalid_pages_are_rejected(client: httpx.Client) -> None:
    for path in (f"/v1/imports/{UNKNOWN}", "/v1/imports/x"):
        assert_problem(client.get(path), 404, "import-not-found")
        assert_problem(client.post(f"{path}/undo"), 404, "import-not-found")
    assert_problem(client.get("/v1/imports?limit=0"), 422, "invalid-search")
    assert_problem(client.get("/v1/imports?cursor=x"), 422, "invalid-cursor")


def test_writers_see_their_own_imports_and_only_administrators_undo(tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    keys = {name: make_key(tmp_path, "--scope", "people:write", name=name) for name in ("one", "two")}
    with (
        serving(tmp_path, admin_key=ADMIN_KEY, rate_limit=0, audit_log=f"file://{audit}") as server,
        httpx.Client(base_url=server.url, headers=AS_ADMIN, timeout=HANG_TIMEOUT) as admin,
    ):
        for name, key in keys.items():
            for number in range(2):
                rows = ndjson([{"person_surname": name, "n": number}])
                headers = {"Content-Type": "application/x-ndjson", **bearer(key)}
                assert admin.post("/v1/people/import", content=rows, headers=headers).status_code == 200
        assert len(imports(admin)) == 4
        page = admin.get("/v1/imports?limit=3").json()
        assert len(imports(admin, limit=3, cursor=page["next_cursor"])) == 1
        own = admin.get("/v1/imports", headers=bearer(keys["one"])).json()["imports"]
        assert [one["principal"] for one in own] == ["one", "one"]
        path = f"/v1/imports/{own[0]['import_id']}"
        assert admin.get(path, headers=bearer(keys["one"])).status_code == 200
        assert_problem(admin.get(path, headers=bearer(keys["two"])), 404, "import-not-found")
        assert_problem(admin.post(f"{path}/undo", headers=bearer(keys["one"])), 403, "access-denied")
        assert admin.post(f"{path}/undo").json()["deleted"] == 1
    events = [msgspec.json.decode(line) for line in audit.read_bytes().splitlines()]
    undone = [(one["action"], len(one.get("people", ()))) for one in events if "undoImport" in one.values()]
    assert undone == [("undoImport", 0), ("intent", 0), ("undoImport", 1), ("undoImport", 0)]
