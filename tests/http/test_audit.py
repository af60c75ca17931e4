"""Audit events: every read, change and rejected attempt, with person ids and field names but no values."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.cli.commands import run, started
from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, serving
from tests.http.test_authentication import bearer, make_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ANNA = {
    "person_name": "Annacanary",
    "person_surname": "Müllercanary",
    "person_address": "Street canary",
    "own canary": 7,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audited")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    audit = f"file://{folder / 'audit.jsonl'}"
    with (
        serving(folder, admin_key=ADMIN_KEY, rate_limit=0, audit_log=audit, trusted_proxies=1) as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client,
    ):
        client.headers.update(AS_ADMIN)
        yield client


def events(folder: Path, response: httpx.Response, text: str = "") -> list[dict[str, Any]]:
    """Return the outcome events of a request, once they contain a text."""
    deadline = time.monotonic() + HANG_TIMEOUT
    while time.monotonic() < deadline:
        lines = [json.loads(line) for line in (folder / "audit.jsonl").read_bytes().splitlines()]
        found = [
            line for line in lines if line.get("request_id") == response.headers["X-Request-Id"] and "outcome" in line
        ]
        if found and text in str(found):
            return found
        time.sleep(0.05)
    raise AssertionError("the audit log has no event of the request")


def create_person(client: httpx.Client) -> str:
    return str(client.post("/v1/people", json=ANNA).json()["person_id"])


def test_change_is_logged_before_its_response(client: httpx.Client, folder: Path) -> None:
    response = client.post("/v1/people", json=ANNA, headers={"X-Forwarded-For": "6.6.6.6, 192.0.2.7"})
    last = json.loads((folder / "audit.jsonl").read_bytes().splitlines()[-1])
    assert (last["action"], last["principal"], last["outcome"]) == ("createPerson", "admin-key", 201)
    assert last["people"] == [response.json()["person_id"]]
    assert last["fields"] == ["person_name", "person_surname", "person_address", "*"]
    assert last["client"] == "192.0.2.7"  # from the trusted proxy, not from the client


def test_every_read_is_logged(client: httpx.Client, folder: Path) -> None:
    person_id = create_person(client)
    for response in (
        client.get(f"/v1/people/{person_id}"),
        client.get("/v1/people?surname=mullercanary"),
        client.post("/v1/people/search", json={"surname": "mullercanary"}),
        client.get("/data?person_surname=mullercanary"),
        client.get("/v1/people/export"),
        client.get("/v1/people/export", headers={"Accept": "text/csv"}),
        client.post("/v1/people/export", json={"surname": "mullercanary"}),
    ):
        assert response.status_code == 200
        people = [logged_id for event in events(folder, response, person_id) for logged_id in event.get("people", ())]
        assert people.count(person_id) == 1


def test_every_change_is_logged(client: httpx.Client, folder: Path) -> None:
    person_id = create_person(client)
    any_version = {"If-Match": "*"}
    for response, action, fields in (
        (client.put(f"/v1/people/{person_id}", json=ANNA, headers=any_version), "replacePerson", 4),
        (
            client.patch(f"/v1/people/{person_id}", json={"person_address": None}, headers=any_version),
            "changePerson",
            1,
        ),
        (client.delete(f"/v1/people/{person_id}"), "erasePerson", 0),
    ):
        (event,) = events(folder, response)
        assert (event["action"], event["people"]) == (action, [person_id])
        assert len(event.get("fields", ())) == fields


def test_import_logs_every_stored_person(client: httpx.Client, folder: Path) -> None:
    rows = b"".join(json.dumps({"person_surname": f"Rowcanary{number}"}).encode() + b"\n" for number in range(700))
    response = client.post("/v1/people/import", content=rows, headers={"Content-Type": "application/x-ndjson"})
    stored = [line["person_id"] for line in map(json.loads, response.text.splitlines()) if line["result"] == "stored"]
    assert [logged_id for event in events(folder, response) for logged_id in event.get("people", ())] == stored


def test_rejected_request_is_logged(client: httpx.Client, folder: Path) -> None:
    key = make_key(folder, "--scope", "metrics:read", name="curious")
    for headers, outcome, principal in ((bearer(key), 403, "curious"), (bearer("x"), 401, None)):
        response = client.get(f"/v1/people/{'0' * 32}", headers=headers)
        (event,) = events(folder, response)
        assert (event["outcome"], event.get("principal"), event["people"]) == (outcome, principal, ["0" * 32])


def test_invalid_person_id_is_not_logged(client: httpx.Client, folder: Path) -> None:
    (event,) = events(folder, client.get("/v1/people/Annacanary"))
    assert "people" not in event


def test_request_without_personal_data_is_not_logged(client: httpx.Client, folder: Path) -> None:
    for path in ("/status", "/metrics", "/docs", "/nowhere"):
        client.get(path)
    marker = client.get("/v1/people?surname=x")
    events(folder, marker)
    assert {json.loads(line)["action"] for line in (folder / "audit.jsonl").read_bytes().splitlines()} <= {
        "createPerson", "findPeople", "searchPeople", "getPerson", "replacePerson", "changePerson", "erasePerson", "importPeople",
        "exportPeople", "exportFound", "listData", "end", "intent",
    }  # fmt: skip


def test_workers_write_verifiable_chains_without_personal_data(tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    with serving(tmp_path, workers=2, audit_log=f"file://{audit}") as server:
        for _ in range(20):
            httpx.post(f"{server.url}/v1/people", json=ANNA)
            httpx.get(f"{server.url}/v1/people?surname=Annacanary")
    checked = run(tmp_path, "audit", "verify", audit)
    assert checked.returncode == 0, checked.stdout
    assert b"62 lines of 2 writers, 2 of them shut down gracefully" in checked.stdout
    assert b"canary" not in audit.read_bytes()
    content = audit.read_bytes()
    audit.write_bytes(content.replace(b'"anonymous"', b'"other"', 1))
    assert run(tmp_path, "audit", "verify", audit).returncode == 1
    writer = json.loads(content.splitlines()[0])["writer"].encode()
    audit.write_bytes(b"".join(line for line in content.splitlines(keepends=True) if writer not in line))
    checked = run(tmp_path, "audit", "verify", audit)
    assert (checked.returncode, writer in checked.stdout) == (1, True)
    audit.write_bytes(content[: content.rindex(b"\n", 0, -1) + 1])
    assert run(tmp_path, "audit", "verify", audit).returncode == 1


def test_audit_on_stdout_is_verified_among_other_lines(tmp_path: Path) -> None:
    with serving(tmp_path, audit_log="stdout") as server:
        httpx.post(f"{server.url}/v1/people", json=ANNA)
    assert b'"event":"audit"' in server.log.read_bytes()
    assert run(tmp_path, "audit", "verify", server.log).returncode == 0


def test_follow_reads_from_the_start_and_across_rotation(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    with started(tmp_path, "audit", "follow", file, stdout=subprocess.PIPE) as following:
        assert following.stdout is not None
        file.write_bytes(b"one\ntw")
        assert following.stdout.readline() == b"one\n"
        with file.open("ab") as more:
            more.write(b"o\n")
        assert following.stdout.readline() == b"two\n"
        with file.open("ab") as more:
            file.rename(tmp_path / "audit.jsonl.1")
            more.write(b"three\n")
        file.write_bytes(b"four\n")
        assert following.stdout.readline() == b"three\n"
        assert following.stdout.readline() == b"four\n"
        with file.open("ab") as more:
            more.write(b"five\n")
        following.send_signal(signal.SIGTERM)
        assert following.stdout.read() == b"five\n"
        assert following.wait(HANG_TIMEOUT) == 0


def test_follow_rotates_a_file_that_exceeds_its_limit(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    file.write_bytes(b"x" * 1024 * 1024 + b"\n")
    with started(tmp_path, "audit", "follow", file, "--rotate-mb", "1", stdout=subprocess.PIPE) as following:
        assert following.stdout is not None
        assert len(following.stdout.readline()) == 1024 * 1024 + 1
        deadline = time.monotonic() + HANG_TIMEOUT
        while not (tmp_path / "audit.jsonl.1").exists():
            assert time.monotonic() < deadline, "the file was not rotated"
        file.write_bytes(b"next\n")
        assert following.stdout.readline() == b"next\n"
        following.send_signal(signal.SIGTERM)
        assert following.wait(HANG_TIMEOUT) == 0


def test_missing_audit_file_is_named_in_the_error(tmp_path: Path) -> None:
    ended = run(tmp_path, "audit", "verify", "nowhere.jsonl")
    assert ended.returncode != 0
    assert b"nowhere.jsonl" in ended.stderr
