"""The end of a server: it says that it is about to end, serves on for a while, finishes what is under way, and ends at once when told twice."""

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

LONG = 600.0  # longer than the test takes on any machine


@pytest.mark.parametrize("workers", [1, 2])
def test_a_draining_server_says_so_and_serves_on(tmp_path: Path, workers: int) -> None:
    with started(tmp_path, drain_seconds=LONG, workers=workers) as server:
        assert httpx.get(f"{server.url}/status/ready").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        assert draining(server).json()["status"] == "draining"
        made = httpx.post(f"{server.url}/v1/people", json={"person_surname": "Late"}, timeout=HANG_TIMEOUT)
        assert (made.status_code, made.headers["Connection"]) == (201, "close")
        assert httpx.get(f"{server.url}/status/live").status_code == 200


@pytest.mark.parametrize("workers", [1, 2])
def test_it_ends_with_0_when_the_grace_is_over(tmp_path: Path, workers: int) -> None:
    with serving(tmp_path, drain_seconds=0.5, workers=workers) as server:
        children = workers_of(server)
        assert server.terminate() == 0
        assert psutil.wait_procs(children, timeout=HANG_TIMEOUT)[1] == []


@pytest.mark.parametrize("workers", [1, 2])
def test_a_second_signal_ends_it_at_once(tmp_path: Path, workers: int) -> None:
    with started(tmp_path, drain_seconds=600, workers=workers) as server:
        children = workers_of(server)
        server.process.send_signal(signal.SIGTERM)
        draining(server)
        assert server.terminate() == -signal.SIGTERM
        assert psutil.wait_procs(children, timeout=HANG_TIMEOUT)[1] == []


def test_a_request_under_way_is_answered(tmp_path: Path) -> None:
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
    """Wait until the server has read what was sent before: it answers in turn."""
    httpx.get(f"{server.url}/status/live", timeout=HANG_TIMEOUT)


def wait_until_closed(server: Server) -> None:
    patience = monotonic() + HANG_TIMEOUT
    while monotonic() < patience:
        try:
            socket.create_connection(server.address, timeout=HANG_TIMEOUT).close()
        except ConnectionError:
            return
    raise AssertionError("it still listens")


def draining(server: Server) -> httpx.Response:
    patience = monotonic() + HANG_TIMEOUT
    while (answer := httpx.get(f"{server.url}/status/ready", timeout=HANG_TIMEOUT)).status_code == 200:
        assert monotonic() < patience, "it goes on as if nobody had told it to end"
    return answer
