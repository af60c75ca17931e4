"""Graceful shutdown: the server reports that it drains, completes requests in progress, and exits at once on a second signal."""

from __future__ import annotations

import signal
import socket
from time import monotonic
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from tests.http.serving import HANG_TIMEOUT, Server, serving, started
from tests.http.test_workers import workers_of

if TYPE_CHECKING:
    from pathlib import Path

LONG = 600.0  # longer than the test runs on any machine


@pytest.mark.parametrize("workers", [1, 2])
def test_draining_server_reports_it_and_still_serves(tmp_path: Path, workers: int) -> None:
    with started(tmp_path, drain_seconds=LONG, workers=workers) as server:
        assert httpx.get(f"{server.url}/status/ready").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        assert wait_until_draining(server).json()["status"] == "draining"
        created = httpx.post(f"{server.url}/v1/people", json={"person_surname": "Late"}, timeout=HANG_TIMEOUT)
        assert (created.status_code, created.headers["Connection"]) == (201, "close")
        assert httpx.get(f"{server.url}/status/live").status_code == 200


@pytest.mark.parametrize("workers", [1, 2])
def test_server_exits_with_0_after_the_drain_period(tmp_path: Path, workers: int) -> None:
    with serving(tmp_path, drain_seconds=0.5, workers=workers) as server:
        children = workers_of(server)
        assert server.terminate() == 0
        assert psutil.wait_procs(children, timeout=HANG_TIMEOUT)[1] == []


@pytest.mark.parametrize("workers", [1, 2])
def test_second_signal_ends_the_server_at_once(tmp_path: Path, workers: int) -> None:
    with started(tmp_path, drain_seconds=600, workers=workers) as server:
        children = workers_of(server)
        server.process.send_signal(signal.SIGTERM)
        wait_until_draining(server)
        assert server.terminate() == -signal.SIGTERM
        assert psutil.wait_procs(children, timeout=HANG_TIMEOUT)[1] == []


def test_request_in_progress_is_completed(tmp_path: Path) -> None:
    body = b'{"person_surname": "Slow"}'
    head = f"POST /v1/people HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with started(tmp_path) as server, socket.create_connection(server.address, timeout=HANG_TIMEOUT) as client:
        client.sendall(head.encode() + body[:5])
        wait_for_request(server)
        server.process.send_signal(signal.SIGTERM)
        wait_until_closed(server)
        client.sendall(body[5:])
        assert client.recv(12) == b"HTTP/1.1 201"
        assert server.process.wait(HANG_TIMEOUT) == 0


def wait_for_request(server: Server) -> None:
    """Wait until the server has read earlier data: it serves connections in order."""
    httpx.get(f"{server.url}/status/live", timeout=HANG_TIMEOUT)


def wait_until_closed(server: Server) -> None:
    deadline = monotonic() + HANG_TIMEOUT
    while monotonic() < deadline:
        try:
            socket.create_connection(server.address, timeout=HANG_TIMEOUT).close()
        except ConnectionError:
            return
    raise AssertionError("the server still listens")


def wait_until_draining(server: Server) -> httpx.Response:
    deadline = monotonic() + HANG_TIMEOUT
    while (response := httpx.get(f"{server.url}/status/ready", timeout=HANG_TIMEOUT)).status_code == 200:
        assert monotonic() < deadline, "the server does not drain"
    return response
