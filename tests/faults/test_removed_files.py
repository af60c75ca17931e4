"""A server whose files are removed: what it has acknowledged is there after a kill -9 and a new start."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest

from peopleinfo.crypto.master_key import create_file
from tests.http.serving import HANG_TIMEOUT, Server, started

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def with_key(folder: Path, *, encrypted: bool) -> dict[str, Any]:
    if not encrypted:
        return {}
    create_file(folder / "master.key")
    return {"encryption": f"file://{folder}/master.key"}


def kill_all(server: Server) -> None:
    """End a server and its workers as a loss of power would."""
    processes = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children(recursive=True)]
    for process in processes:
        process.kill()
    server.process.wait(HANG_TIMEOUT)
    psutil.wait_procs(processes, timeout=HANG_TIMEOUT)


def post(server: Server) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/people", json={"person_surname": "Wal"}, timeout=HANG_TIMEOUT)


def found(server: Server) -> set[str]:
    answer = httpx.get(f"{server.url}/v1/people", params={"surname": "Wal"}, timeout=HANG_TIMEOUT)
    return {person["person_id"] for person in answer.json()["people"]}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("end", [kill_all, Server.terminate])
@pytest.mark.parametrize(
    ("encrypted", "name"), [(False, "people.db-wal"), (True, "people.db-wal"), (True, "keys-of-people.db-wal")]
)
def test_every_acknowledged_person_is_there_after_a_log_was_removed(
    tmp_path: Path, encrypted: bool, name: str, end: Callable[[Server], object], workers: int
) -> None:
    settings = with_key(tmp_path, encrypted=encrypted)
    with started(tmp_path, workers=workers, **settings) as server:
        while f"peopleinfo_workers {workers}.0" not in httpx.get(f"{server.url}/metrics", timeout=HANG_TIMEOUT).text:
            pass  # a worker that starts after the removal finds an empty log
        acknowledged = {post(server).json()["person_id"] for _ in range(3)}
        (tmp_path / name).unlink()
        refused = [post(server) for _ in range(3)]
        while (status := httpx.get(f"{server.url}/status", timeout=HANG_TIMEOUT)).status_code == 200:
            pass  # what is known of the store may be a second old
        end(server)
    assert {answer.status_code for answer in (*refused, status)} == {503}
    assert all(f"{name} was removed or replaced" in answer.text for answer in (*refused, status))
    with started(tmp_path, workers=workers, **settings) as server:
        assert found(server) == acknowledged
        assert post(server).status_code == 201
        server.terminate()


def test_metrics_show_the_size_of_the_write_ahead_log(tmp_path: Path) -> None:
    with started(tmp_path) as server:
        assert post(server).status_code == 201
        figures = httpx.get(f"{server.url}/metrics", timeout=HANG_TIMEOUT).text
        shown = re.search(r"^peopleinfo_sqlite_wal_bytes (\S+)$", figures, re.MULTILINE)
        assert shown
        assert float(shown[1]) == (tmp_path / "people.db-wal").stat().st_size
        server.terminate()
