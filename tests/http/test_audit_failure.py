"""While the audit log is not writable, changes fail, reads succeed at the same cost, and no event is lost."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, Any, cast

import httpx
import psutil
import pytest
from falcon import testing
from falcon.asgi import Request, Response

from peopleinfo.auth.principal import BOOTSTRAP_ADMIN, Scope
from peopleinfo.errors import AuditUnavailable
from peopleinfo.http import batch
from peopleinfo.http.batch_items import parse_item
from peopleinfo.http.middleware.audit import AuditMiddleware, RequestAudit
from peopleinfo.http.openapi.operations import OPERATIONS
from peopleinfo.people.person import encode_person
from peopleinfo.privacy.audit_file import MAX_QUEUE_SIZE
from tests.cli.commands import run
from tests.http.serving import ADMIN_KEY, AS_ADMIN, COMMAND, HANG_TIMEOUT, Server, environment, started
from tests.store_kinds import person_data

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from peopleinfo.privacy.audit import AuditEvent, AuditLog

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


def change(client: httpx.Client, name: str, location: str) -> httpx.Response:
    """Make a change with the operation of this name."""
    any_version = {"If-Match": "*"}
    rows = json.dumps(PERSON | {"person_name": "Imported"}).encode() + b"\n"
    changes = {
        "createPerson": lambda: client.post("/v1/people", json=PERSON),
        "storeData": lambda: client.post("/data", json=PERSON),
        "importPeople": lambda: client.post("/v1/people/import", content=rows, headers=NDJSON),
        "replacePerson": lambda: client.put(location, json=PERSON | {"person_name": "Z"}, headers=any_version),
        "changePerson": lambda: client.patch(location, json={"person_name": "Z"}, headers=any_version),
        "restoreVersion": lambda: client.post(f"{location}/restore", json={"version": 1}, headers={"If-Match": "*"}),
        "deletePerson": lambda: client.delete(location),
        "changePeople": lambda: client.post(
            "/v1/people/batch", json={"items": [{"operation": "create", "person": PERSON | {"person_name": "Batch"}}]}
        ),
    }
    return changes[name]()


CHANGES = [
    operation.name
    for operation in OPERATIONS
    if operation.scope is Scope.WRITE
    and operation.method != "get"
    and operation.name != "previewImport"  # it stores nothing
]


def people(client: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/v1/people?surname=audited").json()["people"]
    return found


@pytest.mark.parametrize("name", CHANGES)
def test_no_operation_changes_data_while_the_audit_log_is_missing(
    admin: httpx.Client, audit: Path, tmp_path: Path, name: str
) -> None:
    location = admin.post("/v1/people", json=PERSON).headers["Location"]
    before = people(admin)
    shutil.move(audit.parent, tmp_path / "elsewhere")
    rejected = change(admin, name, location)
    assert (rejected.status_code, rejected.json()["type"]) == (503, UNAVAILABLE)
    assert int(rejected.headers["Retry-After"]) >= 1
    assert people(admin) == before
    status = admin.get("/status")
    assert (status.status_code, status.json()["status"]) == (503, "unavailable")
    assert status.json()["store"] == "ok"
    assert "No such file" in status.json()["audit"]
    shutil.move(tmp_path / "elsewhere", audit.parent)
    assert change(admin, name, location).is_success
    assert people(admin) != before
    assert (admin.get("/status").status_code, admin.get("/status").json()["audit"]) == (200, "ok")


# Actions of the intent and of the outcome, if they differ from the operation: the erasure, and the items of the batch.
ACTIONS = {"deletePerson": ("erasePerson", "erasePerson"), "changePeople": ("createPerson", "changePeople")}


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_logs_its_intent_first(admin: httpx.Client, audit: Path, name: str) -> None:
    location = admin.post("/v1/people", json=PERSON).headers["Location"]
    response = change(admin, name, location)
    lines = [json.loads(line) for line in audit.read_bytes().splitlines()]
    events = [line for line in lines if line.get("request_id") == response.headers["X-Request-Id"]]
    intent, outcome = ACTIONS.get(name, (name, name))
    assert (events[0]["action"], events[0]["intent"]) == ("intent", intent)
    assert (events[-1]["action"], events[-1]["outcome"]) == (outcome, response.status_code)


def test_pending_events_are_written_when_the_audit_log_is_back(
    server: Server, admin: httpx.Client, audit: Path, tmp_path: Path
) -> None:
    shutil.rmtree(audit.parent)
    location = f"/v1/people/{'0' * 32}"
    reads = [admin.get(location).headers["X-Request-Id"] for _ in range(50)]
    rejected = [admin.post("/v1/people", json=PERSON) for _ in range(50)]
    assert {response.status_code for response in rejected} == {503}
    audit.parent.mkdir()
    done = admin.post("/v1/people", json=PERSON)
    assert done.status_code == 201
    server.terminate()
    lines = [json.loads(line) for line in audit.read_bytes().splitlines()]
    ids = [line.get("request_id") for line in lines if line["action"] != "intent"]
    requests = reads + [response.headers["X-Request-Id"] for response in (*rejected, done)]
    assert [request_id for request_id in ids if request_id in set(requests)] == requests
    assert run(tmp_path, "audit", "verify", audit).returncode == 0


@pytest.mark.parametrize("name", CHANGES)
def test_no_operation_changes_data_when_the_disk_is_full(
    store_kind: str, tmp_path: Path, audit: Path, name: str
) -> None:
    with started(tmp_path, kind=store_kind) as server:
        location = httpx.post(f"{server.url}/v1/people", json=PERSON).headers["Location"]
        server.terminate()
    audit.symlink_to("/dev/full")
    with (
        started(tmp_path, kind=store_kind, audit_log=f"file://{audit}") as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client,
    ):
        before = people(client)
        assert len(before) == 1
        rejected = change(client, name, location)
        assert (rejected.status_code, rejected.json()["type"]) == (503, UNAVAILABLE)
        assert "No space left" in rejected.json()["detail"]
        assert people(client) == before


def test_changes_are_rejected_when_stdout_has_no_reader(tmp_path: Path) -> None:
    settings = environment(store_url=f"sqlite:///{tmp_path / 'people.db'}", audit_log="stdout", port=0)
    process = subprocess.Popen(COMMAND, cwd=tmp_path, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stderr.readline().decode().partition(" on ")[2].split()[0]
        with httpx.Client(base_url=url, timeout=HANG_TIMEOUT) as client:
            location = client.post("/v1/people", json=PERSON).headers["Location"]
            process.stdout.close()
            for name in CHANGES:
                rejected = change(client, name, location)
                assert (rejected.status_code, rejected.json()["type"]) == (503, UNAVAILABLE)
            assert client.get(location).status_code == 200
            assert len(people(client)) == 1
            assert "Broken pipe" in client.get("/status").json()["audit"]
    finally:
        process.kill()
        process.communicate()


def test_reads_are_rejected_when_the_event_buffer_is_full(
    server: Server, admin: httpx.Client, audit: Path, tmp_path: Path
) -> None:
    rows = b"".join(b'{"person_surname":"Audited"}\n' for _ in range(1_000))
    admin.post("/v1/people/import", content=rows, headers=NDJSON)
    shutil.rmtree(audit.parent)
    for _ in range(MAX_QUEUE_SIZE // 30_000):
        response = admin.get("/v1/people?surname=audited&limit=1000")
        if response.status_code != 200:
            break
    assert (response.status_code, response.json()["type"]) == (503, UNAVAILABLE)
    # Neither the response of a smaller read nor that of an export is sent without its event.
    location = f"/v1/people/{'0' * 32}"
    statuses = [admin.get(location).status_code for _ in range(50)]
    assert statuses[-1] == 503
    assert admin.get("/v1/people/export").status_code == 503
    assert psutil.Process(server.process.pid).memory_info().rss < 500_000_000
    audit.parent.mkdir()
    assert admin.get(location).status_code == 404
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(HANG_TIMEOUT) == 0
    assert MAX_QUEUE_SIZE < audit.stat().st_size < MAX_QUEUE_SIZE + 1_000_000
    # The import's lines were deleted with the folder; all later lines exist.
    report = run(tmp_path, "audit", "verify", audit).stdout.decode().splitlines()
    assert len(report) == 1
    assert "start at" in report[0]


class LostEvents:
    """An audit log that cannot write the outcome of an operation."""

    def write(self, event: AuditEvent) -> None:
        if not event.intent:
            raise AuditUnavailable("full")

    record = write


def audited_request(action: str) -> Request:
    """Return a request whose operation has logged its intent."""
    req = Request(testing.create_scope(), None)  # type: ignore[arg-type]
    req.scope["request_id"] = "1"
    [operation] = [one for one in OPERATIONS if one.name == action]
    req.context.trail = RequestAudit(cast("AuditLog", LostEvents()), req, operation, "", ())
    req.context.principal = BOOTSTRAP_ADMIN
    return req


@pytest.mark.parametrize(
    ("action", "status", "slug"),
    [
        ("createPerson", 201, "outcome-unknown"), ("mergePeople", 201, "outcome-unknown"),
        ("undoMerge", 200, "outcome-unknown"), ("undoImport", 200, "outcome-unknown"),
        ("getPerson", 200, "audit-unavailable"), ("findPeople", 200, "audit-unavailable"),
        ("createPerson", 422, ""),
    ],
)  # fmt: skip
async def test_outcome_without_an_event_is_unknown(action: str, status: int, slug: str) -> None:
    req, resp = audited_request(action), Response()
    resp.status = status
    resp.data = b"{}"
    await AuditMiddleware(cast("AuditLog", LostEvents()), proxies=0).process_response(req, resp, None, True)
    assert resp.status_code == (503 if slug else status)
    assert (f"urn:peopleinfo:problem:{slug}".encode() in (resp.data or b"")) == bool(slug)


async def test_outcome_of_a_batch_item_without_an_event_is_unknown() -> None:
    req = audited_request("createPerson")
    item = parse_item({"operation": "create", "person": PERSON})
    record = encode_person("a" * 32, 1, person_data("Audited"), created_at="", updated_at="")
    result = json.loads(await batch._result(req, batch._Accepted(item, req.context.trail), record))
    assert (result["status"], result["problem"]["type"]) == (503, "urn:peopleinfo:problem:outcome-unknown")
