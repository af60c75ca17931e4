"""Exhausted file descriptors: a process reports the error, serves its open connections, and recovers."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from tests.http.serving import COMMAND, HANG_TIMEOUT, Server, environment, started
from tests.http.test_workers import workers_of
from tests.store_kinds import STORES, store_url

if TYPE_CHECKING:
    from collections.abc import Iterator


EXHAUSTED = '"event":"open_files_exhausted"'


@contextmanager
def no_files_left(pids: list[int]) -> Iterator[None]:
    """Prevent processes from opening further files."""
    before = {pid: resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in pids}
    for pid, (_, hard) in before.items():
        used = set(map(int, (entry.name for entry in Path(f"/proc/{pid}/fd").iterdir())))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(set(range(len(used) + 1)) - used), hard))
    yield
    for pid, limits in before.items():
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


def processes(server: Server, workers: int) -> list[int]:
    return [server.process.pid] if workers == 1 else [worker.pid for worker in workers_of(server)]


def wait_until_all_serve(server: Server, workers: int) -> None:
    """Wait until each worker has served a request; request ids start with a prefix of the worker."""
    seen: set[str] = set()
    while len(seen) < workers:
        seen.add(httpx.get(f"{server.url}/status", timeout=HANG_TIMEOUT).headers["X-Request-Id"].partition("-")[0])


def wait_until_logged(server: Server, text: str) -> None:
    end = time.monotonic() + HANG_TIMEOUT
    while text not in server.log.read_text():
        assert time.monotonic() < end, server.log.read_text()
        time.sleep(0.05)


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs prlimit")
@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("workers", [1, 2])
def test_process_without_descriptors_reports_it_and_recovers(tmp_path: Path, kind: str, workers: int) -> None:
    with (
        started(tmp_path, kind=kind, workers=workers) as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client,
    ):
        wait_until_all_serve(server, workers)
        assert client.get("/status").status_code == 200
        pids = processes(server, workers)
        with no_files_left(pids):
            wait_until_logged(server, EXHAUSTED)
            assert client.get("/metrics").status_code in (200, 503)
            assert client.get("/v1/people?surname=x").status_code in (200, 503)
            with pytest.raises(httpx.HTTPError):  # no new connection is accepted
                connect_repeatedly(server)
        wait_until_accepted(server)
        created = client.post("/v1/people", json={"person_surname": "After"})
        assert created.status_code == 201
        metrics = client.get("/metrics").text
        assert "\npeopleinfo_open_files_exhausted_total 0" not in metrics
        assert all(psutil.pid_exists(pid) for pid in pids)
        assert server.terminate() == 0
    assert [line for line in server.log.read_text().splitlines() if '"unhandled_exception"' in line] == []


def connect_repeatedly(server: Server) -> None:
    """Send requests over new connections and keep them open, because a worker may have some descriptors left."""
    with ExitStack() as held:
        while True:
            held.enter_context(httpx.Client(base_url=server.url, timeout=2)).get("/status")


def wait_until_accepted(server: Server) -> None:
    """Connect until it succeeds: the event loop may still be closing the connections that it could not accept."""
    end = time.monotonic() + HANG_TIMEOUT
    while True:
        try:
            assert httpx.get(f"{server.url}/status", timeout=HANG_TIMEOUT).status_code == 200
        except httpx.TransportError:
            assert time.monotonic() < end
        else:
            return


def limited(folder: Path, soft: int, *command: str) -> subprocess.Popen[bytes]:
    """Start the service with a limit on open files."""
    limit = f"import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {soft})); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    return subprocess.Popen(
        [sys.executable, "-c", limit, *command],
        env=environment(port=0, store_url=store_url("sqlite", folder)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def test_limit_that_is_too_low_for_the_connections_is_reported(tmp_path: Path) -> None:
    with limited(tmp_path, 400, *COMMAND[1:]) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith(b"PeopleInfo serves ")
        assert process.stderr.readline().decode() == (
            "peopleinfo: each process accepts 144 connections: "
            "PEOPLEINFO_MAX_CONNECTIONS=4000 needs a limit of 4256 open files (ulimit -n, LimitNOFILE)\n"
        )
        process.terminate()
        assert process.wait(HANG_TIMEOUT) == 0


def test_limit_that_leaves_no_connection_is_refused(tmp_path: Path) -> None:
    with limited(tmp_path, 200, *COMMAND[1:]) as process:
        assert process.wait(HANG_TIMEOUT) == 2
        assert process.stderr is not None
        assert process.stderr.read().startswith(
            b"peopleinfo: the limit of open files is 200: PEOPLEINFO_MAX_CONNECTIONS=4000 needs"
        )
