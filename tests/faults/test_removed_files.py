"""A server with removed files: acknowledged people survive a kill -9 and a restart."""

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


def encryption_settings(folder: Path, *, encrypted: bool) -> dict[str, Any]:
    if not encrypted:
        return {}
    create_file(folder / "master.key")
    return {"encryption": f"file://{folder}/master.key"}


def kill_all(server: Server) -> None:
    """Kill a server and its workers, as a power failure would."""
    processes = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children(recursive=True)]
    for process in processes:
        process.kill()
    server.process.wait(HANG_TIMEOUT)
    psutil.wait_procs(processes, timeout=HANG_TIMEOUT)


def post(server: Server) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/people", json={"person_surname": "Wal"}, timeout=HANG_TIMEOUT)


def find_ids(server: Server) -> set[str]:
    response = httpx.get(f"{server.url}/v1/people", params={"surname": "Wal"}, timeout=HANG_TIMEOUT)
    return {person["person_id"] for person in response.json()["people"]}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("stop", [kill_all, Server.terminate])
@pytest.mark.parametrize(
    ("encrypted", "name"), [(False, "people.db-wal"), (True, "people.db-wal"), (True, "keys-of-people.db-wal")]
)
def test_acknowledged_people_survive_the_removal_of_a_log(
    tmp_path: Path, encrypted: bool, name: str, stop: Callable[[Server], object], workers: int
) -> None:
    settings = encryption_settings(tmp_path, encrypted=encrypted)
    with started(tmp_path, workers=workers, **settings) as server:
        while f"peopleinfo_workers {workers}.0" not in httpx.get(f"{server.url}/metrics", timeout=HANG_TIMEOUT).text:
            pass  # a worker that starts after the removal finds an empty log
        acknowledged = {post(server).json()["person_id"] for _ in range(3)}
        (tmp_path / name).unlink()
        rejected = [post(server) for _ in range(3)]
        while (status := httpx.get(f"{server.url}/status", timeout=HANG_TIMEOUT)).status_code == 200:
            pass  # the last health check may be a second old
        stop(server)
    assert {response.status_code for response in (*rejected, status)} == {503}
    assert all(f"{name} was removed or replaced" in response.text for response in (*rejected, status))
    with started(tmp_path, workers=workers, **settings) as server:
        assert find_ids(server) == acknowledged
        assert post(server).status_code == 201
        server.terminate()


def test_metrics_show_the_size_of_the_write_ahead_log(tmp_path: Path) -> None:
    with started(tmp_path) as server:
        assert post(server).status_code == 201
        metrics = httpx.get(f"{server.url}/metrics", timeout=HANG_TIMEOUT).text
        size = re.search(r"^peopleinfo_sqlite_wal_bytes (\S+)$", metrics, re.MULTILINE)
        assert size
        assert float(size[1]) == (tmp_path / "people.db-wal").stat().st_size
        server.terminate()
