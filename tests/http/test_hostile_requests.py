"""Three thousand requests that nobody should send: each is refused in words, and the server goes on serving in the memory that it had."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.http.hostile_requests import CANARY, JSON, Hostile, requests
from tests.http.serving import HANG_TIMEOUT, Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUESTS = 3_000
GROWTH = 80_000_000  # bytes; some bodies are 10 MB long, and four come at a time


@pytest.fixture
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("target"), body_timeout=0.3) as server:
        yield server


def test_three_thousand_hostile_requests_are_refused_and_do_no_harm(target: Server) -> None:
    with httpx.Client(base_url=target.url, timeout=HANG_TIMEOUT) as client:
        place = client.post("/v1/people", json={"person_surname": "Bystander"}).headers["Location"]
        hostile = requests(place, REQUESTS)
        assert len(hostile) == REQUESTS
        before = target.resident_bytes
        with ThreadPoolExecutor(4) as threads:
            wrong = [found for found in threads.map(lambda each: what_is_wrong(target, each), hostile) if found]
        assert wrong == []
        assert target.resident_bytes - before < GROWTH
        assert client.get("/status").json()["status"] == "ok"
        assert client.get(place).status_code == 200
        assert client.post("/v1/people", json={"person_surname": "Afterwards"}).status_code == 201


def test_slow_bodies_are_given_up_without_holding_anybody_else_up(target: Server) -> None:
    connections = [socket.create_connection(target.address, timeout=HANG_TIMEOUT) for _ in range(50)]
    head = f"Host: localhost\r\nContent-Type: {JSON}\r\nContent-Length: 1000\r\n\r\n{{".encode()
    for number, connection in enumerate(connections):
        path = (b"/v1/people", b"/data", b"/v1/people/search", b"/v1/people/import")[number % 4]
        connection.sendall(b"POST " + path + b" HTTP/1.1\r\n" + head)
    assert httpx.get(f"{target.url}/status", timeout=HANG_TIMEOUT).status_code == 200
    for connection in connections:
        with connection:
            answer = read(connection, "POST")
            assert answer is not None
            assert answer[0] == 408


def what_is_wrong(server: Server, hostile: Hostile) -> str | None:
    """Send a request, and say what is wrong with its answer."""
    with socket.create_connection(server.address, timeout=HANG_TIMEOUT) as connection:
        try:
            connection.sendall(hostile.request)
            if hostile.broken:
                connection.shutdown(socket.SHUT_WR)
        except ConnectionError:
            pass  # refused before it was whole
        answer = read(connection, hostile.method)
    if answer is None:
        return None if hostile.broken else f"{hostile.what}: no answer"
    status, media_type, body = answer
    if status >= 500:
        return f"{hostile.what}: {status} {body[:200]!r}"
    if status < 400:
        harmless = hostile.tolerated or (media_type == "application/x-ndjson" and b'"stored":0' in body)
        return None if harmless else f"{hostile.what}: {status} {body[:200]!r}"
    if media_type != "application/problem+json":
        return f"{hostile.what}: {media_type}"
    if body and (json.loads(body)["status"] != status or CANARY.encode() in body):
        return f"{hostile.what}: {body[:500]!r}"
    return None


def read(connection: socket.socket, method: str) -> tuple[int, str, bytes] | None:
    """Return the status, the media type and the body of an answer, None when the connection was closed instead."""
    response = HTTPResponse(connection, method=method)
    try:
        response.begin()
        return response.status, response.headers.get_content_type(), response.read()
    except (ConnectionError, HTTPException):
        return None
    finally:
        response.close()
