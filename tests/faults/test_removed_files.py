"""A server whose files are removed: what it has acknowledged is there after a kill -9 and a new start."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from peopleinfo.crypto.master import create_file
from tests.http.serving import HANGS, started

if TYPE_CHECKING:
    from pathlib import Path

    from tests.http.serving import Server


def with_key(folder: Path, *, encrypted: bool) -> dict[str, Any]:
    if not encrypted:
        return {}
    create_file(folder / "master.key")
    return {"encryption": f"file://{folder}/master.key"}


def post(server: Server) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/people", json={"person_surname": "Wal"}, timeout=HANGS)


def found(server: Server) -> set[str]:
    answer = httpx.get(f"{server.url}/v1/people", params={"surname": "Wal"}, timeout=HANGS)
    return {person["person_id"] for person in answer.json()["people"]}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("ending", ["kill", "terminate"])
@pytest.mark.parametrize(
    ("encrypted", "name"), [(False, "people.db-wal"), (True, "people.db-wal"), (True, "keys-of-people.db-wal")]
)
def test_every_acknowledged_person_is_there_after_a_log_was_removed(
    tmp_path: Path, encrypted: bool, name: str, ending: str, workers: int
) -> None:
    settings = with_key(tmp_path, encrypted=encrypted)
    with started(tmp_path, workers=workers, **settings) as server:
        acknowledged = {post(server).json()["person_id"] for _ in range(3)}
        (tmp_path / name).unlink()
        refused = [post(server) for _ in range(3)]
        while (status := httpx.get(f"{server.url}/status", timeout=HANGS)).status_code == 200:
            pass  # what is known of the store may be a second old
        getattr(server, ending)()
    assert {answer.status_code for answer in (*refused, status)} == {503}
    assert all(f"{name} was removed or replaced" in answer.text for answer in (*refused, status))
    with started(tmp_path, workers=workers, **settings) as server:
        assert found(server) == acknowledged
        assert post(server).status_code == 201
        server.terminate()


def test_metrics_show_the_size_of_the_write_ahead_log(tmp_path: Path) -> None:
    with started(tmp_path) as server:
        assert post(server).status_code == 201
        figures = httpx.get(f"{server.url}/metrics", timeout=HANGS).text
        shown = re.search(r"^peopleinfo_sqlite_wal_bytes (\S+)$", figures, re.MULTILINE)
        assert shown
        assert float(shown[1]) == (tmp_path / "people.db-wal").stat().st_size
        server.terminate()
