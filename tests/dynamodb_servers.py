"""DynamoDB emulators: each starts when the first test needs it, and stops at the end of the session."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final
from urllib.request import Request, urlopen

import pytest

from tests.limits import FAST_LANE, HANG_TIMEOUT
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS: Final = ("ministack", "dynamodb-local")
# For signing; the emulators ignore them.
CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "tests",
    "AWS_SECRET_ACCESS_KEY": "tests",
    "AWS_EC2_METADATA_DISABLED": "true",
}
# Download directory of `make dynamodb-local`. The license of AWS's emulator permits tests but no redistribution.
_DYNAMODB_LOCAL: Final = Path(__file__).parent.parent / ".cache" / "dynamodb-local"
_cleanup = ExitStack()
_tables: dict[tuple[str, str], None] = {}  # (endpoint, name) of the tables that exist, oldest first


@dataclass
class _Running:
    urls: dict[str, str]


_running = _Running({})


def missing_requirement(kind: str) -> str | None:
    """Return the missing requirement of this emulator and how to provide it, or None."""
    if kind != "dynamodb-local":
        return None
    if shutil.which("java") is None:
        return "needs Java (Debian: default-jre-headless)"
    if not (_DYNAMODB_LOCAL / "DynamoDBLocal.jar").exists():
        return "needs DynamoDB Local: `make dynamodb-local` downloads it"
    return None


def endpoint(kind: str) -> str:
    """Return the URL of the emulator and start it if necessary. Skips the test if it cannot start."""
    assert kind in KINDS, kind
    if problem := missing_requirement(kind):
        pytest.skip(f"{kind} {problem}")
    if os.environ.get(FAST_LANE):
        pytest.skip(f"starts {kind}: `make test` runs it")
    if kind not in _running.urls:
        _running.urls[kind] = _start(kind)
    return _running.urls[kind]


def stop_all() -> None:
    """Stop all started servers."""
    _running.urls.clear()
    _tables.clear()
    _cleanup.close()


def record_table(endpoint: str | None, table: str) -> None:
    """Record a new table, which `deleting_tables` deletes."""
    _tables[(endpoint or "", table)] = None


@contextmanager
def deleting_tables() -> Iterator[None]:
    """Delete the tables created inside the context: an emulator becomes slower with each stored item."""
    before = set(_tables)
    yield
    for endpoint, table in [key for key in _tables if key not in before]:
        del _tables[(endpoint, table)]
        _call(endpoint, "UpdateTable", {"TableName": table, "DeletionProtectionEnabled": False})
        _call(endpoint, "DeleteTable", {"TableName": table})


def _call(endpoint: str, action: str, content: dict[str, Any]) -> None:
    """Call an emulator, which reads the account and the region from the header but checks no signature."""
    headers = {
        "Authorization": "AWS4-HMAC-SHA256 Credential=tests/20260101/eu-west-1/dynamodb/aws4_request",
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": f"DynamoDB_20120810.{action}",
    }
    with urlopen(Request(endpoint, json.dumps(content).encode(), headers), timeout=HANG_TIMEOUT):
        pass


def _start(kind: str) -> str:
    port = free_port()
    folder = Path(_cleanup.enter_context(tempfile.TemporaryDirectory(prefix=f"{kind}-")))
    if kind == "ministack":
        command = [str(Path(sys.executable).with_name("ministack"))]
        settings = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "TMPDIR": str(folder), "LOG_LEVEL": "ERROR"}
    else:
        library = f"-Djava.library.path={_DYNAMODB_LOCAL / 'DynamoDBLocal_lib'}"
        jar = str(_DYNAMODB_LOCAL / "DynamoDBLocal.jar")
        quick = [
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData",
        ]  # the second JIT compiler costs more CPU than it saves here
        java = ["java", "-Xmx512m", f"-Djava.io.tmpdir={folder}", *quick, library, "-jar", jar]
        command = [*java, "-port", str(port), "-inMemory", "-disableTelemetry"]
        settings = {}
    log = _cleanup.enter_context((folder / "log").open("wb"))
    process = subprocess.Popen(command, cwd=folder, env=os.environ | settings, stdout=log, stderr=subprocess.STDOUT)
    _cleanup.callback(process.wait, HANG_TIMEOUT)
    _cleanup.callback(process.kill)
    deadline = monotonic() + HANG_TIMEOUT
    while not _responds(port):
        assert process.poll() is None, (folder / "log").read_text()
        assert monotonic() < deadline, f"{kind} does not respond"
        sleep(0.05)  # it does not report when it is ready
    return f"http://127.0.0.1:{port}"


def _responds(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/", timeout=1):
            return True
    except OSError as error:
        return hasattr(error, "code")  # an HTTP error is a response too
