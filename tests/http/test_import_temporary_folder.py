"""An import reports the number of stored people if the temporary folder cannot hold its response."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.http.import_responses import failure
from tests.http.serving import HANG_TIMEOUT, started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.http.serving import Server

PEOPLE = 20
INVALID_ROWS = 12_000  # their errors make the response exceed the buffer in memory


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder of the servers of a test."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def file_of(surname: str, invalid_rows: int = INVALID_ROWS) -> bytes:
    people = [{"person_surname": surname, "n": n} for n in range(PEOPLE)]
    wrong = [{"person_surname": 1, "person_name": 2}] * invalid_rows
    return b"".join(json.dumps(row).encode() + b"\n" for row in people + wrong)


def imported(server: Server, content: bytes, key: str | None) -> httpx.Response:
    headers = {"Content-Type": "application/x-ndjson"} | ({"Idempotency-Key": key} if key else {})
    return httpx.post(f"{server.url}/v1/people/import", content=content, headers=headers, timeout=HANG_TIMEOUT)


def stored(server: Server, surname: str) -> int:
    found = httpx.get(f"{server.url}/v1/people/export", params={"surname": surname}, timeout=HANG_TIMEOUT)
    return len(found.content.splitlines())


def assert_stored_count_is_reported(server: Server, surname: str, key: str | None) -> None:
    response = imported(server, file_of(surname), key)
    problem = failure(response)
    assert problem is not None
    assert (problem["status"], problem["type"]) == (503, "urn:peopleinfo:problem:store-unavailable")
    (count,) = re.findall(r"; this import has stored (\d+) people", problem["detail"])
    assert int(count) == stored(server, surname) == PEOPLE
    assert ("the same Idempotency-Key" in problem["detail"]) is (key is not None)


@pytest.mark.parametrize("key", [None, "a-key"])
def test_import_reports_the_stored_count_when_the_temporary_folder_was_removed(
    tmp_path: Path, folder: Path, key: str | None
) -> None:
    with started(tmp_path) as server:
        assert imported(server, file_of("Before"), None).status_code == 200  # the server has chosen its folder
        shutil.rmtree(folder)
        assert_stored_count_is_reported(server, "Removed", key)
        folder.mkdir()
        if key:
            *_, done = imported(server, file_of("Removed"), key).text.splitlines()
            account = json.loads(done)
            assert account["stored"] + account["unchanged"] == PEOPLE
            assert account["rejected"] == INVALID_ROWS
            assert stored(server, "Removed") == PEOPLE


def test_import_that_needs_no_temporary_folder_works_without_one(tmp_path: Path, folder: Path) -> None:
    with started(tmp_path) as server:
        assert imported(server, file_of("Before"), None).status_code == 200
        shutil.rmtree(folder)
        assert imported(server, file_of("Short", invalid_rows=0), None).status_code == 200


def test_import_reports_the_stored_count_when_the_response_exceeds_the_file_size_limit(
    tmp_path: Path, folder: Path
) -> None:
    with started(tmp_path, kind="ministack") as server:  # a store without files, which the limit would also affect
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (1_300_000, 1_300_000))
        assert_stored_count_is_reported(server, "Limited", "a-key")
        again = imported(server, file_of("Limited", invalid_rows=0), "a-key")
        problem = failure(again)
        assert problem is not None
        assert (problem["status"], stored(server, "Limited")) == (
            422,
            PEOPLE,
        )  # it is not the file of the first request


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a disk: run as root, outside a restricted container")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_import_reports_the_stored_count_when_the_temporary_folder_is_full(tmp_path: Path, folder: Path) -> None:
    with small_disk(folder), started(tmp_path) as server:
        assert_stored_count_is_reported(server, "Full", "a-key")
        assert_stored_count_is_reported(server, "Full", "a-key")
