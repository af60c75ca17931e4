"""Personal data appears in responses only: not in logs, metrics, traces, audit events or error messages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from peopleinfo.http.openapi.operations import OPERATIONS
from peopleinfo.settings import Settings
from tests import valkey_servers
from tests.cli.commands import environment, run
from tests.http.crashing_service import CANARY
from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, Server, started
from tests.http.test_tracing import receiving

if TYPE_CHECKING:
    from collections.abc import Iterator

CRASHING = (sys.executable, str(Path(__file__).with_name("crashing_service.py")))
PERSON = {
    "person_name": f"{CANARY} given",
    "person_surname": f"{CANARY} family",
    "person_birthdate": "1987-06-05",
    "person_address": f"1 {CANARY} Street",
    f"{CANARY} field": {f"{CANARY} inner": f"{CANARY} value"},
}
ROWS = f'{json.dumps(PERSON)}\n{{"person_name": 7, "person_surname": "{CANARY}"}}\n{{"{CANARY}\n'.encode()
TABLE = f"name,surname,dob,{CANARY}\n{CANARY},{CANARY},{CANARY},{CANARY}\n{CANARY},{CANARY},1987-06-05,\n".encode()
BODIES = (
    (json.dumps(PERSON).encode(), "application/json"),
    (json.dumps(PERSON | {"person_birthdate": CANARY}).encode(), "application/json"),
    (f'{{"{CANARY}": '.encode(), "application/json"),
    (json.dumps({"surname": CANARY, CANARY: CANARY}).encode(), "application/json"),
    (json.dumps({"surname": CANARY, "born_from": CANARY}).encode(), "application/json"),
    (json.dumps({"surname": f"{CANARY} family"}).encode(), "application/json"),
    (json.dumps({"person_name": CANARY, "person_address": None}).encode(), "application/merge-patch+json"),
    (ROWS, "application/x-ndjson"),
    (TABLE, "text/csv"),
    (b"", CANARY),
)
HEADERS: tuple[dict[str, str], ...] = (
    {"If-Match": "*"},
    {"If-Match": f'"{CANARY}"', "Idempotency-Key": CANARY, "Cache-Control": CANARY, "traceparent": CANARY},
    {"Authorization": f"Bearer {CANARY}", "X-Forwarded-For": CANARY, "X-Request-Id": CANARY, "Origin": f"https://{CANARY}.example"},
    {"Cookie": f"peopleinfo_session={CANARY}", "User-Agent": CANARY, "Referer": f"https://x.example/{CANARY}", "Host": f"{CANARY}.example"},
)  # fmt: skip


QUERIES: tuple[dict[str, str], ...] = (
    {}, {"surname": CANARY}, {"person_surname": f"{CANARY} family", "limit": "1"}, {CANARY: CANARY},
)  # fmt: skip


def call_every_operation(client: httpx.Client) -> list[httpx.Response]:
    """Call every operation with personal data in every part of the request."""
    responses = [client.request(CANARY.upper(), f"/{CANARY}", params={CANARY: CANARY}) for _ in range(2)]
    for operation in OPERATIONS:
        created = client.post("/v1/people", json=PERSON, headers=AS_ADMIN).json()["person_id"]
        bodies = BODIES if operation.body else ((b"", "text/plain"),)
        for person_id in (created, CANARY) if "{" in operation.path else (created,):
            path = operation.path.replace("{person_id}", person_id)
            for headers in HEADERS:
                for query in QUERIES[:1] if operation.body else QUERIES:
                    for content, kind in bodies:
                        sent = client.build_request(
                            operation.method, path, params=query, content=content,
                            headers=AS_ADMIN | headers | {"Content-Type": kind},
                        )  # fmt: skip
                        responses.append(client.send(sent))
    return responses


def leaks(outputs: dict[str, bytes]) -> list[str]:
    """Return each output that contains personal data, with the surrounding text."""
    found = []
    for name, text in outputs.items():
        for value in (CANARY.lower().encode(), b"1987-06-05"):
            at = text.lower().find(value)
            if at >= 0:
                found.append(f"{name}: {text[max(0, at - 150) : at + 50]!r}")
    return found


def server_headers(responses: list[httpx.Response]) -> bytes:
    """Return the headers of responses, except the link to the next page, which repeats the client's own query."""
    return b"".join(
        header + value for response in responses for header, value in response.headers.raw if header.lower() != b"link"
    )


@pytest.fixture(scope="module")
def cache() -> Iterator[valkey_servers.Server]:
    with valkey_servers.running_server() as server:
        yield server


def stop_and_read_outputs(server: Server, folder: Path) -> dict[str, bytes]:
    """Stop a server, and return its outputs by name."""
    assert server.terminate() == 0
    assert server.process.stderr is not None
    return {
        "stdout": server.log.read_bytes(),
        "stderr": server.process.stderr.read(),
        "audit": (folder / "audit.jsonl").read_bytes(),
    }


def settings(folder: Path, cache: valkey_servers.Server) -> dict[str, Any]:
    return {
        "admin_key": ADMIN_KEY,
        "audit_log": f"file://{folder / 'audit.jsonl'}",
        "cache_url": cache.url,
        "cache_timeout": 5,
        "cache_fence_ttl": 0.02,
        "log_level": "debug",
        "rate_limit": 0,
        "cors_origins": "https://app.example.org",
    }


def test_requests_leak_no_personal_data(
    tmp_path: Path, cache: valkey_servers.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{receiver.server.server_port}")
        with (
            started(tmp_path, **settings(tmp_path, cache)) as server,
            httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client,
        ):
            responses = call_every_operation(client)
            metrics = client.get("/metrics", headers=AS_ADMIN).content
            keys = b"\n".join(cache.client.scan_iter())
            outputs = stop_and_read_outputs(server, tmp_path)
    assert {response.status_code for response in responses} >= {200, 201, 204, 400, 401, 404, 412, 415, 422}
    assert 500 not in {response.status_code for response in responses}
    assert len(receiver.spans) > len(responses)
    assert keys
    assert outputs["audit"].count(b"\n") > 100
    assert outputs["stdout"].count(b"\n") > 100
    outputs |= {"metrics": metrics, "spans": str(receiver.spans).encode(), "Redis keys": keys}
    assert leaks(outputs | {"headers": server_headers(responses)}) == []


def test_crashes_leak_no_personal_data(
    tmp_path: Path, cache: valkey_servers.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{receiver.server.server_port}")
        command = (*CRASHING, "serve")
        with (
            started(tmp_path, command=command, **settings(tmp_path, cache)) as server,
            httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT, headers=AS_ADMIN | {"If-Match": "*"}) as client,
        ):
            path = client.post("/v1/people", json=PERSON).headers["Location"]
            responses = [
                client.put(path, json=PERSON),
                client.get(path),
                client.delete(path),
                client.request("TRACE", path),
            ]
            with pytest.raises(httpx.RemoteProtocolError):
                client.get("/v1/people/export")
            metrics = client.get("/metrics").content
            outputs = stop_and_read_outputs(server, tmp_path)
    assert [response.status_code for response in responses] == [500, 500, 204, 500]
    log = outputs["stdout"]
    assert log.count(b'"event":"unhandled_exception"') >= 2
    assert log.count(b"ValueError") >= 4  # in a handler, twice in the background, in the stream, outside the middleware
    assert b"KeyError" in log
    bodies = b"".join(response.content for response in responses)
    outputs |= {
        "metrics": metrics,
        "spans": str(receiver.spans).encode(),
        "headers": server_headers(responses),
        "bodies": bodies,
    }
    assert leaks(outputs) == []


def test_commands_leak_no_personal_data(tmp_path: Path) -> None:
    audit = {"AUDIT_LOG": f"file://{tmp_path / 'audit.jsonl'}"}
    (tmp_path / "rows.ndjson").write_bytes(json.dumps(PERSON).encode())
    (tmp_path / "table.csv").write_bytes(TABLE)
    assert run(tmp_path, "import", "rows.ndjson").returncode == 0
    person_id = json.loads(run(tmp_path, "search", "--surname", f"{CANARY} family").stdout)["person_id"]
    outputs: dict[str, bytes] = {}
    for command in (
        ["import", "table.csv"], ["import", "rows.ndjson"], ["doctor"], ["stats"], ["backup", "copy"],
        ["copy", "--to", "sqlite:///other.db"], ["get", "0" * 32],
        ["search", "--surname", CANARY, "--born-from", CANARY], ["retention", "run", "--retention-period", "1d"], ["person", "delete", person_id],
    ):  # fmt: skip
        ran = run(tmp_path, *command, settings=audit)
        outputs[" ".join(command)] = ran.stdout + ran.stderr
    outputs["audit"] = (tmp_path / "audit.jsonl").read_bytes()
    quoted = outputs.pop(f"search --surname {CANARY} --born-from {CANARY}")
    assert b"born_from" in quoted or b"born-from" in quoted
    assert leaks(outputs) == []


def test_crashing_command_reports_the_location_without_personal_data(tmp_path: Path) -> None:
    (tmp_path / "rows.ndjson").write_bytes(json.dumps(PERSON).encode())
    assert run(tmp_path, "import", "rows.ndjson").returncode == 0
    person_id = json.loads(run(tmp_path, "search", "--surname", f"{CANARY} family").stdout)["person_id"]
    ran = subprocess.run(
        [*CRASHING, "get", person_id], cwd=tmp_path, env=environment(), capture_output=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (1, b"")
    assert b"KeyError" in ran.stderr
    assert b"crashing_service.py" in ran.stderr
    assert leaks({"stderr": ran.stderr}) == []


def test_printed_settings_contain_no_secret() -> None:
    secrets = {"admin_key": "s3cret" * 6, "cache_password": "s3cret"}
    assert "s3cret" not in repr(Settings.load({}, cache_url="redis://one.example:6379", **secrets))
    # pragma: allowlist nextline secret
    assert "s3cret" not in repr(Settings.load({}, cache_url="redis://user:s3cret@one.example:6379"))
