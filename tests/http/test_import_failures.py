"""An import over HTTP with an Idempotency-Key stores each row once, whichever statement of its transactions fails."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http.failing_writer import ERRORS
from tests.http.import_responses import failure
from tests.http.serving import HANG_TIMEOUT, started

ROWS = 4
FAILING = (sys.executable, str(Path(__file__).with_name("failing_writer.py")), "serve")


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
def test_repeated_import_stores_each_row_once_whichever_statement_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str, *, encrypted: bool
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent.parent))
    settings: dict[str, Any] = {"encryption": encryption_in(tmp_path)} if encrypted else {}
    with (
        started(tmp_path, command=FAILING, **settings) as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client,
    ):
        for number in itertools.count(1):
            surname, fault = f"Import{number}", f"{number} {error}"
            (tmp_path / "fault").write_text(fault)
            failed = imported(client, surname)
            met = tmp_path / "fault.met"
            if not (met.exists() and met.read_text() == fault):
                break
            problem = failure(failed)
            assert problem is not None
            assert problem["status"] == 503
            stored = people_in(client, surname)
            if "this import has stored" in problem["detail"]:
                assert f"; this import has stored {len(stored)} people" in problem["detail"]
            *_, done = imported(client, surname).text.splitlines()
            account = json.loads(done)
            assert account["stored"] + account["unchanged"] == account["rows"] == ROWS
            assert people_in(client, surname) == list(range(ROWS)), f"after the failure of statement {number}"
        assert failed.status_code == 200
        assert number > 10


def encryption_in(folder: Path) -> str:
    """Create a master key, and return the setting that names it."""
    from peopleinfo.crypto.master_key import create_file

    create_file(folder / "master.key")
    return f"file://{folder / 'master.key'}"


def imported(client: httpx.Client, surname: str) -> httpx.Response:
    rows = b"".join(json.dumps({"person_surname": surname, "n": n}).encode() + b"\n" for n in range(ROWS))
    headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": surname}
    return client.post("/v1/people/import", content=rows, headers=headers)


def people_in(client: httpx.Client, surname: str) -> list[int]:
    found = client.get("/v1/people", params={"surname": surname, "limit": 100}).json()["people"]
    return sorted(person["n"] for person in found)
