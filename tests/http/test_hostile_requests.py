"""Malformed and malicious requests: each gets an error response, and the server keeps its memory use and stays available."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.http.hostile_requests import CANARY, JSON, HostileRequest, requests
from tests.http.serving import HANG_TIMEOUT, Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUESTS = 3_000
GROWTH = 80_000_000  # bytes; some bodies have 10 MB, and four arrive at a time


@pytest.fixture
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("target"), body_timeout=0.3) as server:
        yield server


def load_libraries(client: httpx.Client) -> None:
    """Make the server load what it loads on first use: the detection of encodings, phone numbers and the readers of formats."""
    rows = "surname;town\nMüller;Köln\n".encode("cp1252")
    assert client.post("/v1/people/import", content=rows, headers={"Content-Type": "text/csv"}).is_success
    assert client.get("/v1/people", params={"q": "+49 171 1234567"}).is_success


def test_server_rejects_hostile_requests_and_stays_available(target: Server) -> None:
    with httpx.Client(base_url=target.url, timeout=HANG_TIMEOUT) as client:
        location = client.post("/v1/people", json={"person_surname": "Bystander"}).headers["Location"]
        load_libraries(client)
        hostile = requests(location, REQUESTS)
        assert len(hostile) == REQUESTS
        before = target.resident_bytes
        with ThreadPoolExecutor(4) as threads:
            unexpected = [
                found for found in threads.map(lambda each: unexpected_response(target, each), hostile) if found
            ]
        assert unexpected == []
        assert target.resident_bytes - before < GROWTH
        assert client.get("/status").json()["status"] == "ok"
        assert client.get(location).status_code == 200
        assert client.post("/v1/people", json={"person_surname": "Afterwards"}).status_code == 201


def test_slow_bodies_time_out_without_delaying_other_requests(target: Server) -> None:
    connections = [socket.create_connection(target.address, timeout=HANG_TIMEOUT) for _ in range(50)]
    head = f"Host: localhost\r\nContent-Type: {JSON}\r\nContent-Length: 1000\r\n\r\n{{".encode()
    for number, connection in enumerate(connections):
        path = (b"/v1/people", b"/data", b"/v1/people/search", b"/v1/people/import")[number % 4]
        connection.sendall(b"POST " + path + b" HTTP/1.1\r\n" + head)
    assert httpx.get(f"{target.url}/status", timeout=HANG_TIMEOUT).status_code == 200
    for connection in connections:
        with connection:
            response = read(connection, "POST")
            assert response is not None
            assert response[0] == 408


def unexpected_response(server: Server, hostile: HostileRequest) -> str | None:
    """Send a request, and describe an unexpected response."""
    with socket.create_connection(server.address, timeout=HANG_TIMEOUT) as connection:
        try:
            connection.sendall(hostile.request)
            if hostile.incomplete:
                connection.shutdown(socket.SHUT_WR)
        except ConnectionError:
            pass  # rejected before it was complete
        response = read(connection, hostile.method)
    if response is None:
        return None if hostile.incomplete else f"{hostile.description}: no response"
    status, media_type, body = response
    if status >= 500:
        return f"{hostile.description}: {status} {body[:200]!r}"
    if status < 400:
        harmless = hostile.tolerated or (media_type == "application/x-ndjson" and b'"stored":0' in body)
        return None if harmless else f"{hostile.description}: {status} {body[:200]!r}"
    if media_type != "application/problem+json":
        return f"{hostile.description}: {media_type}"
    if body and (json.loads(body)["status"] != status or CANARY.encode() in body):
        return f"{hostile.description}: {body[:500]!r}"
    return None


def read(connection: socket.socket, method: str) -> tuple[int, str, bytes] | None:
    """Return the status, media type and body of a response; None if the connection was closed instead."""
    response = HTTPResponse(connection, method=method)
    try:
        response.begin()
        return response.status, response.headers.get_content_type(), response.read()
    except (ConnectionError, HTTPException):
        return None
    finally:
        response.close()
