"""While the audit cannot be written, no change is made, reads go on at the same cost, and nothing is left out afterwards."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest

from peopleinfo.auth.principal import Scope
from peopleinfo.http.operations import OPERATIONS
from peopleinfo.privacy.audit_file import WAITING_SIZE
from tests.cli.commands import run
from tests.http.serving import ADMIN_KEY, AS_ADMIN, COMMAND, HANG_TIMEOUT, Server, environment, started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STORE_KINDS = ["sqlite", "ministack"]
PERSON = {"person_name": "A", "person_surname": "Audited", "person_birthdate": "2000", "person_address": "B"}
NDJSON = {"Content-Type": "application/x-ndjson"}
UNAVAILABLE = "urn:peopleinfo:problem:audit-unavailable"


@pytest.fixture
def audit(tmp_path: Path) -> Path:
    (tmp_path / "audit").mkdir()
    return tmp_path / "audit" / "audit.jsonl"


@pytest.fixture
def server(store_kind: str, tmp_path: Path, audit: Path) -> Iterator[Server]:
    settings: dict[str, Any] = {"audit_log": f"file://{audit}", "admin_key": ADMIN_KEY, "rate_limit": 0}
    with started(tmp_path, kind=store_kind, **settings) as server:
        yield server


@pytest.fixture
def admin(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT, headers=AS_ADMIN) as client:
        yield client


def change(client: httpx.Client, name: str, place: str) -> httpx.Response:
    """Make a change by the operation of this name."""
    star = {"If-Match": "*"}
    rows = json.dumps(PERSON).encode() + b"\n"
    changes = {
        "createPerson": lambda: client.post("/v1/people", json=PERSON),
        "storeData": lambda: client.post("/data", json=PERSON),
        "importPeople": lambda: client.post("/v1/people/import", content=rows, headers=NDJSON),
        "replacePerson": lambda: client.put(place, json=PERSON | {"person_name": "Z"}, headers=star),
        "changePerson": lambda: client.patch(place, json={"person_name": "Z"}, headers=star),
        "erasePerson": lambda: client.delete(place),
    }
    return changes[name]()


CHANGES = [operation.name for operation in OPERATIONS if operation.scope is Scope.WRITE]


def people(client: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/v1/people?surname=audited").json()["people"]
    return found


@pytest.mark.parametrize("name", CHANGES)
def test_no_operation_changes_anything_while_the_audit_is_gone(
    admin: httpx.Client, audit: Path, tmp_path: Path, name: str
) -> None:
    place = admin.post("/v1/people", json=PERSON).headers["Location"]
    before = people(admin)
    shutil.move(audit.parent, tmp_path / "elsewhere")
    refused = change(admin, name, place)
    assert (refused.status_code, refused.json()["type"]) == (503, UNAVAILABLE)
    assert int(refused.headers["Retry-After"]) >= 1
    assert people(admin) == before
    status = admin.get("/status")
    assert (status.status_code, status.json()["status"]) == (503, "unavailable")
    assert status.json()["store"] == "ok"
    assert "No such file" in status.json()["audit"]
    shutil.move(tmp_path / "elsewhere", audit.parent)
    assert change(admin, name, place).is_success
    assert people(admin) != before
    assert (admin.get("/status").status_code, admin.get("/status").json()["audit"]) == (200, "ok")


@pytest.mark.parametrize("name", CHANGES)
def test_every_operation_that_changes_is_announced_first(admin: httpx.Client, audit: Path, name: str) -> None:
    place = admin.post("/v1/people", json=PERSON).headers["Location"]
    answer = change(admin, name, place)
    lines = [json.loads(line) for line in audit.read_bytes().splitlines()]
    of_it = [line for line in lines if line.get("request_id") == answer.headers["X-Request-Id"]]
    assert (of_it[0]["action"], of_it[0]["intent"]) == ("intent", name)
    assert (of_it[-1]["action"], of_it[-1]["outcome"]) == (name, answer.status_code)


def test_everything_is_written_when_the_audit_is_back(
    server: Server, admin: httpx.Client, audit: Path, tmp_path: Path
) -> None:
    shutil.rmtree(audit.parent)
    place = f"/v1/people/{'0' * 32}"
    reads = [admin.get(place).headers["X-Request-Id"] for _ in range(50)]
    refused = [admin.post("/v1/people", json=PERSON) for _ in range(50)]
    assert {answer.status_code for answer in refused} == {503}
    audit.parent.mkdir()
    done = admin.post("/v1/people", json=PERSON)
    assert done.status_code == 201
    server.terminate()
    lines = [json.loads(line) for line in audit.read_bytes().splitlines()]
    ids = [line.get("request_id") for line in lines if line["action"] != "intent"]
    requests = reads + [answer.headers["X-Request-Id"] for answer in (*refused, done)]
    assert [one for one in ids if one in set(requests)] == requests
    assert run(tmp_path, "audit", "verify", audit).returncode == 0


@pytest.mark.parametrize("name", CHANGES)
def test_no_operation_changes_anything_when_the_disk_is_full(
    store_kind: str, tmp_path: Path, audit: Path, name: str
) -> None:
    with started(tmp_path, kind=store_kind) as server:
        place = httpx.post(f"{server.url}/v1/people", json=PERSON).headers["Location"]
        server.terminate()
    audit.symlink_to("/dev/full")
    with (
        started(tmp_path, kind=store_kind, audit_log=f"file://{audit}") as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client,
    ):
        before = people(client)
        assert len(before) == 1
        refused = change(client, name, place)
        assert (refused.status_code, refused.json()["type"]) == (503, UNAVAILABLE)
        assert "No space left" in refused.json()["detail"]
        assert people(client) == before


def test_a_stdout_that_nothing_reads_refuses_changes(tmp_path: Path) -> None:
    settings = environment(store_url=f"sqlite:///{tmp_path / 'people.db'}", audit_log="stdout", port=0)
    process = subprocess.Popen(COMMAND, cwd=tmp_path, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stderr.readline().decode().partition(" on ")[2].split()[0]
        with httpx.Client(base_url=url, timeout=HANG_TIMEOUT) as client:
            place = client.post("/v1/people", json=PERSON).headers["Location"]
            process.stdout.close()
            for name in CHANGES:
                refused = change(client, name, place)
                assert (refused.status_code, refused.json()["type"]) == (503, UNAVAILABLE)
            assert client.get(place).status_code == 200
            assert len(people(client)) == 1
            assert "Broken pipe" in client.get("/status").json()["audit"]
    finally:
        process.kill()
        process.communicate()


def test_reads_are_refused_when_their_events_cannot_be_kept(
    server: Server, admin: httpx.Client, audit: Path, tmp_path: Path
) -> None:
    rows = b"".join(b'{"person_surname":"Audited"}\n' for _ in range(1_000))
    admin.post("/v1/people/import", content=rows, headers=NDJSON)
    shutil.rmtree(audit.parent)
    for _ in range(WAITING_SIZE // 30_000):
        answer = admin.get("/v1/people?surname=audited&limit=1000")
        if answer.status_code != 200:
            break
    assert (answer.status_code, answer.json()["type"]) == (503, UNAVAILABLE)
    # Neither the response of a smaller read nor that of an export is sent without its event.
    place = f"/v1/people/{'0' * 32}"
    statuses = [admin.get(place).status_code for _ in range(50)]
    assert statuses[-1] == 503
    assert admin.get("/v1/people/export").status_code == 503
    assert psutil.Process(server.process.pid).memory_info().rss < 500_000_000
    audit.parent.mkdir()
    assert admin.get(place).status_code == 404
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(HANG_TIMEOUT) == 0
    assert WAITING_SIZE < audit.stat().st_size < WAITING_SIZE + 1_000_000
    # The lines of the import went with the folder; all after those are there.
    told = run(tmp_path, "audit", "verify", audit).stdout.decode().splitlines()
    assert len(told) == 1
    assert "begin at" in told[0]
