"""Nothing of anybody leaves the service but in answers: whatever it is asked, and whatever goes wrong, it says nobody's values elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from peopleinfo.http.operations import OPERATIONS
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
    f"{CANARY} member": {f"{CANARY} inner": f"{CANARY} value"},
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


def drive(client: httpx.Client) -> list[httpx.Response]:
    """Try every operation with values of people wherever a request has room for them."""
    answers = [client.request(CANARY.upper(), f"/{CANARY}", params={CANARY: CANARY}) for _ in range(2)]
    for operation in OPERATIONS:
        made = client.post("/v1/people", json=PERSON, headers=AS_ADMIN).json()["person_id"]
        bodies = BODIES if operation.body else ((b"", "text/plain"),)
        for person_id in (made, CANARY) if "{" in operation.path else (made,):
            path = operation.path.replace("{person_id}", person_id)
            for headers in HEADERS:
                for query in QUERIES[:1] if operation.body else QUERIES:
                    for content, kind in bodies:
                        sent = client.build_request(
                            operation.method, path, params=query, content=content,
                            headers=AS_ADMIN | headers | {"Content-Type": kind},
                        )  # fmt: skip
                        answers.append(client.send(sent))
    return answers


def leaks(places: dict[str, bytes]) -> list[str]:
    """Return the places where something of anybody is, with what stands around it."""
    found = []
    for place, text in places.items():
        for value in (CANARY.lower().encode(), b"1987-06-05"):
            at = text.lower().find(value)
            if at >= 0:
                found.append(f"{place}: {text[max(0, at - 150) : at + 50]!r}")
    return found


def headers_of_ours(answers: list[httpx.Response]) -> bytes:
    """Return the heads of answers, but for what names the client's own next page."""
    return b"".join(name + value for one in answers for name, value in one.headers.raw if name.lower() != b"link")


@pytest.fixture(scope="module")
def cache() -> Iterator[valkey_servers.Server]:
    with valkey_servers.running_server() as server:
        yield server


def written_by(server: Server, folder: Path) -> dict[str, bytes]:
    """Return what a server has written, once it has ended."""
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


def test_whatever_it_is_asked_it_says_nobodys_values_elsewhere(
    tmp_path: Path, cache: valkey_servers.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{receiver.server.server_port}")
        with (
            started(tmp_path, **settings(tmp_path, cache)) as server,
            httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client,
        ):
            answers = drive(client)
            metrics = client.get("/metrics", headers=AS_ADMIN).content
            keys = b"\n".join(cache.client.scan_iter())
            places = written_by(server, tmp_path)
    assert {one.status_code for one in answers} >= {200, 201, 204, 400, 401, 404, 412, 415, 422}
    assert 500 not in {one.status_code for one in answers}
    assert len(receiver.spans) > len(answers)
    assert keys
    assert places["audit"].count(b"\n") > 100
    assert places["stdout"].count(b"\n") > 100
    places |= {"metrics": metrics, "spans": str(receiver.spans).encode(), "names in Redis": keys}
    assert leaks(places | {"headers": headers_of_ours(answers)}) == []


def test_whatever_goes_wrong_it_says_nobodys_values(
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
            answers = [
                client.put(path, json=PERSON),
                client.get(path),
                client.delete(path),
                client.request("TRACE", path),
            ]
            with pytest.raises(httpx.RemoteProtocolError):
                client.get("/v1/people/export")
            metrics = client.get("/metrics").content
            places = written_by(server, tmp_path)
    assert [one.status_code for one in answers] == [500, 500, 204, 500]
    log = places["stdout"]
    assert log.count(b'"event":"unhandled_exception"') >= 2
    assert log.count(b"ValueError") >= 4  # in a handler, beside the answer twice, in the stream, outside of everything
    assert b"KeyError" in log
    bodies = b"".join(one.content for one in answers)
    places |= {
        "metrics": metrics,
        "spans": str(receiver.spans).encode(),
        "headers": headers_of_ours(answers),
        "bodies": bodies,
    }
    assert leaks(places) == []


def test_commands_print_people_where_they_are_asked_to_and_nowhere_else(tmp_path: Path) -> None:
    audit = {"AUDIT_LOG": f"file://{tmp_path / 'audit.jsonl'}"}
    (tmp_path / "rows.ndjson").write_bytes(json.dumps(PERSON).encode())
    (tmp_path / "table.csv").write_bytes(TABLE)
    assert run(tmp_path, "import", "rows.ndjson").returncode == 0
    person_id = json.loads(run(tmp_path, "search", f"{CANARY} family").stdout)["person_id"]
    says: dict[str, bytes] = {}
    for command in (
        ["import", "table.csv"], ["import", "rows.ndjson"], ["doctor"], ["stats"], ["backup", "copy"],
        ["copy", "--to", "sqlite:///other.db"], ["get", "0" * 32],
        ["search", CANARY, "--born-from", CANARY], ["retention", "run", "--retention-period", "1d"], ["person", "delete", person_id],
    ):  # fmt: skip
        ran = run(tmp_path, *command, settings=audit)
        says[" ".join(command)] = ran.stdout + ran.stderr
    says["audit"] = (tmp_path / "audit.jsonl").read_bytes()
    quoted = says.pop(f"search {CANARY} --born-from {CANARY}")
    assert b"born_from" in quoted or b"born-from" in quoted
    assert leaks(says) == []


def test_a_command_that_goes_wrong_says_where_and_nobodys_values(tmp_path: Path) -> None:
    (tmp_path / "rows.ndjson").write_bytes(json.dumps(PERSON).encode())
    assert run(tmp_path, "import", "rows.ndjson").returncode == 0
    person_id = json.loads(run(tmp_path, "search", f"{CANARY} family").stdout)["person_id"]
    ran = subprocess.run(
        [*CRASHING, "get", person_id], cwd=tmp_path, env=environment(), capture_output=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (1, b"")
    assert b"KeyError" in ran.stderr
    assert b"crashing_service.py" in ran.stderr
    assert leaks({"stderr": ran.stderr}) == []


def test_settings_that_are_printed_hold_no_secret() -> None:
    secrets = {"admin_key": "s3cret" * 6, "cache_password": "s3cret"}
    assert "s3cret" not in repr(Settings.load({}, cache_url="redis://one.example:6379", **secrets))
    # pragma: allowlist nextline secret
    assert "s3cret" not in repr(Settings.load({}, cache_url="redis://user:s3cret@one.example:6379"))
