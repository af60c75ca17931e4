"""HTTP/1.1 on the wire: invalid, oversized and slow requests, and offers of other protocols."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import weakref
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from peopleinfo.http import uvicorn_protocol
from peopleinfo.http.memory_budget import Budget
from tests.http.serving import HANG_TIMEOUT, Server, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.store_kinds import MonotonicClock

STORE_KINDS = ["sqlite"]  # parsing precedes any access to the store
JSON = b"Host: localhost\r\nContent-Type: application/json\r\n"


def exchange(server: Server, *pieces: bytes) -> bytes:
    """Send pieces over one connection, and return all data until the server closes it."""
    response = b""
    with socket.create_connection(server.address, timeout=HANG_TIMEOUT) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
            while received := connection.recv(65_536):
                response += received
        except ConnectionError:  # the server closed it before it had read everything
            pass
    return response


def with_close(request: bytes) -> bytes:
    """Make a request the last one of its connection."""
    return request.replace(b"Host: localhost\r\n", b"Host: localhost\r\nConnection: close\r\n")


def status(response: bytes) -> int:
    return int(response.split(b" ", 2)[1])


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET /status\r\n\r\n", 505),
        (b"FOO /status HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /status HTTP/3.0\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /status HTTP/2.0\r\nHost: localhost\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /v1/people/\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /data?person_surname=\xc3\xa9 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nHost x\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nHost: localhost\r\nX : a\r\n\r\n", 400),
        (b"POST /data HTTP/1.1\r\n" + JSON + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /data HTTP/1.1\r\n" + JSON + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
        (b"POST /data HTTP/1.1\r\n" + JSON + b"Content-Length: -2\r\n\r\n{}", 400),
        (b"POST /data HTTP/1.1\r\n" + JSON + b"Content-Length: 99999999999999999999999\r\n\r\n{}", 400),
        (b"GET /" + b"x" * 1_024 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (b"GET /" + b"%41" * 10_000 + b"?x HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431),
        (b"GET /status HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 40_000 + b"\r\n\r\n", 431),
        (b"GET /status HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", 431),
        (b"GET /status HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 100 + b"\r\n", 431),
        (b"GET /status HTTP/1.1\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nHost: localhost\r\nhost: evil.example\r\n\r\n", 400),
        (b"GET /status HTTP/1.0\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nHost:\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nHost: localhost, localhost\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nHost: local host\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nHost: localhost/status\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nHost: user@localhost\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nHost: localhost:http\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nHost: " + b"a" * 300 + b"\r\n\r\n", 400),
        (b"POST /data HTTP/1.1\r\n" + JSON + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 501),
        (b"POST /data HTTP/1.1\r\n" + JSON + b"Transfer-Encoding: gzip\r\n\r\n{}", 501),
        (b"POST /data HTTP/1.1\r\n" + JSON + b"Transfer-Encoding: chunked, gzip\r\n\r\n", 400),
        (b"POST /data HTTP/1.1\r\n" + JSON + b"Transfer-Encoding: deflate\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
        (b"POST /data HTTP/1.1\r\n" + JSON + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (b"POST /data HTTP/1.1\r\n" + JSON + b"Transfer-Encoding: identity\r\n\r\n", 501),
        (b"POST /data HTTP/1.1\r\n" + JSON + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST /data HTTP/1.0\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ],
)
def test_invalid_request_gets_a_problem_and_closes_the_connection(
    server: Server, request_: bytes, expected: int
) -> None:
    head, _, body = exchange(server, request_).partition(b"\r\n\r\n")
    assert status(head) == expected
    assert b"content-type: application/problem+json" in head.lower()
    assert b"connection: close" in head.lower()
    assert json.loads(body)["status"] == expected


def test_long_query_is_accepted_with_a_path_of_1_kib(server: Server) -> None:
    request_ = b"GET /" + b"x" * 1_023 + b"?" + b"y" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert status(exchange(server, with_close(request_))) == 404


def test_header_section_of_30_kib_is_accepted(server: Server) -> None:
    request_ = b"GET /status HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 30_000 + b"\r\n\r\n"
    assert status(exchange(server, with_close(request_))) == 200


@pytest.mark.parametrize("start", [b"GET /status HTTP/1.1\r\nX: ", b"GET /", b"GET /status HTTP/1.1\r\nX: y\r\n" * 1])
def test_endless_header_section_does_not_fill_the_memory(server: Server, start: bytes) -> None:
    before = server.resident_bytes
    exchange(server, start, *[b"x" * 100_000] * 300)
    assert server.resident_bytes - before < 20_000_000


def test_endless_list_of_headers_does_not_fill_the_memory(server: Server) -> None:
    before = server.resident_bytes
    exchange(server, b"GET /status HTTP/1.1\r\n", *[b"X: y\r\n" * 20_000] * 300)
    assert server.resident_bytes - before < 20_000_000


def test_endless_trailers_do_not_fill_the_memory(server: Server) -> None:
    before = server.resident_bytes
    head = b"POST /data HTTP/1.1\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
    exchange(server, head, *[b"X: y\r\n" * 20_000] * 300)
    assert server.resident_bytes - before < 20_000_000


@pytest.mark.parametrize("upgrade", [b"h2c", b"websocket", b"TLS/1.0"])
@pytest.mark.parametrize("chunked", [False, True])
def test_upgrade_offer_is_ignored_and_the_body_is_read(server: Server, upgrade: bytes, *, chunked: bool) -> None:
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 21"
    body = b"15\r\n" + b'{"person_name":"Abc"}' + b"\r\n0\r\n\r\n" if chunked else b'{"person_name":"Abc"}'
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQ\r\nUpgrade: " + upgrade + b"\r\n"
    request_ = b"POST /v1/people HTTP/1.1\r\n" + JSON + offer + framing + b"\r\n\r\n" + body
    follows = with_close(b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n")
    for cut in (len(request_), len(request_) - 5, request_.index(body), 40):  # at several boundaries between the pieces
        response = exchange(server, request_[:cut], request_[cut:] + follows)
        assert response.startswith(b"HTTP/1.1 201 ")
        assert response.count(b"HTTP/1.1 200 OK") == 1


def test_upgrade_offer_without_a_body_is_ignored(server: Server) -> None:
    offer = b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    response = exchange(server, offer, with_close(b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    assert response.count(b"HTTP/1.1 200 OK") == 2


def test_pipelined_requests_get_responses_in_order(server: Server) -> None:
    requests = b"".join(
        b"GET /v1/people/%d HTTP/1.1\r\nHost: localhost\r\n\r\nGET /status HTTP/1.1\r\nHost: localhost\r\n\r\n" % n
        for n in range(20)
    )
    response = exchange(server, requests + with_close(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    assert [int(part[:3]) for part in response.split(b"HTTP/1.1 ")[1:]] == [404, 200] * 20 + [200]


@pytest.mark.parametrize(
    "host", [b"localhost", b"localhost:80", b"localhost:", b"127.0.0.1:4000", b"[::1]", b"[::1]:4000"]
)
@pytest.mark.parametrize("name", [b"Host", b"host", b"HOST"])
def test_one_valid_host_is_accepted(server: Server, name: bytes, host: bytes) -> None:
    assert (
        status(exchange(server, b"GET /status HTTP/1.1\r\nConnection: close\r\n%b: %b\r\n\r\n" % (name, host))) == 200
    )


@pytest.mark.parametrize("coding", [b"chunked", b"Chunked", b"chunked "])
def test_chunked_is_the_transfer_coding_of_requests(server: Server, coding: bytes) -> None:
    body = b"15\r\n" + b'{"person_name":"Abc"}' + b"\r\n0\r\n\r\n"
    request_ = with_close(b"POST /v1/people HTTP/1.1\r\n" + JSON + b"Transfer-Encoding: " + coding + b"\r\n\r\n") + body
    assert status(exchange(server, request_)) == 201


def test_trailer_is_not_a_header(server: Server) -> None:
    body = b"15\r\n" + b'{"person_name":"Abc"}' + b"\r\n0\r\nHost: evil.example\r\nExpect: 100-continue\r\n\r\n"
    request_ = b"POST /v1/people HTTP/1.1\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\n" + body
    response = exchange(server, request_ + with_close(b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    assert [int(part[:3]) for part in response.split(b"HTTP/1.1 ")[1:]] == [201, 200]


ONE = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize("cut", [1, 1_000, 8_192, 8_193, 100_000])
async def test_few_pipelined_requests_wait_and_all_get_responses(cut: int) -> None:
    release = asyncio.Event()
    count = 5_000

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await release.wait()
        await no_content(scope, receive, send)

    async with serve_protocol(app) as (state, reader, writer), asyncio.timeout(HANG_TIMEOUT):
        many = ONE * count
        writer.write(many[:cut])
        writer.write(many[cut:])
        while not (state.connections and (one := connection_of(state)).pipeline):
            await asyncio.sleep(0)
        for _ in range(100):  # iterations of the event loop in which it could read more
            await asyncio.sleep(0)
            assert len(one.pipeline) <= 2
        release.set()
        for _ in range(count):
            assert status(await reader.readuntil(b"\r\n\r\n")) == 204


async def test_body_of_a_pipelined_request_arrives_completely() -> None:
    bodies: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            event = await receive()
            body, more = body + event["body"], event["more_body"]
        bodies.append(body)
        await no_content(scope, receive, send)

    sent = [bytes([65 + n]) * n * 70_000 for n in range(5)]
    posts = [b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body for body in sent]
    async with serve_protocol(app) as (_, reader, writer), asyncio.timeout(HANG_TIMEOUT):
        writer.write(b"".join(posts))
        for _ in posts:
            assert status(await reader.readuntil(b"\r\n\r\n")) == 204
    assert bodies == sent


@pytest.mark.parametrize(
    "request_", [ONE, ONE + ONE, b"GARBAGE\r\n\r\n", ONE[:-2] + b"X: y\r\n" * 10_000, ONE + b"GET /"]
)
async def test_connection_is_freed_without_garbage_collection(request_: bytes) -> None:
    gc.disable()
    try:
        async with serve_protocol(no_content) as (state, reader, writer), asyncio.timeout(HANG_TIMEOUT):
            while not state.connections:
                await asyncio.sleep(0)
            one = weakref.ref(connection_of(state))
            writer.write(request_)
            await reader.readuntil(b"\r\n\r\n")
            writer.close()
            while one() is not None:  # loops forever if it refers to itself
                await asyncio.sleep(0)
    finally:
        gc.enable()


async def test_rejection_follows_the_responses_to_earlier_requests() -> None:
    release = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await release.wait()
        await no_content(scope, receive, send)

    async with serve_protocol(app) as (state, reader, writer), asyncio.timeout(HANG_TIMEOUT):
        writer.write(ONE + ONE + b"GARBAGE\r\n\r\n" + ONE)
        while not (state.connections and connection_of(state).pipeline):
            await asyncio.sleep(0)
        release.set()
        statuses = [int(part[:3]) for part in (await reader.read()).split(b"HTTP/1.1 ")[1:]]
        assert statuses == [204, 204, 400]


async def test_invalid_body_of_a_waiting_request_is_rejected_after_earlier_responses() -> None:
    release = asyncio.Event()
    methods: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        methods.append(scope["method"])
        await release.wait()
        await no_content(scope, receive, send)

    bad = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nXX\r\n"
    async with serve_protocol(app) as (state, reader, writer), asyncio.timeout(HANG_TIMEOUT):
        writer.write(ONE)
        while not methods:
            await asyncio.sleep(0)
        writer.write(bad)
        while connection_of(state).cycle.scope["method"] != "POST":
            await asyncio.sleep(0)
        release.set()
        statuses = [int(part[:3]) for part in (await reader.read()).split(b"HTTP/1.1 ")[1:]]
        assert statuses == [204, 400]
        assert methods == ["GET"]


async def test_invalid_body_after_the_response_started_closes_the_connection() -> None:
    async def app(_: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass

    async with serve_protocol(app) as (_, reader, writer), asyncio.timeout(HANG_TIMEOUT):
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        await reader.readuntil(b"a\r\n")
        writer.write(b"XX\r\n")
        assert await reader.read() == b""


async def test_request_in_progress_receives_the_disconnect_while_another_one_waits() -> None:
    disconnected = asyncio.Event()

    async def app(_: Any, receive: Any, __: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        disconnected.set()

    async with serve_protocol(app) as (state, _, writer), asyncio.timeout(HANG_TIMEOUT):
        writer.write(ONE + ONE)
        while not (state.connections and connection_of(state).pipeline):
            await asyncio.sleep(0)
        connection_of(state).transport.abort()
        await disconnected.wait()


async def test_waiting_requests_of_all_connections_are_limited_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    release = asyncio.Event()
    monkeypatch.setattr(uvicorn_protocol, "RECEIVED", budget := Budget(50_000))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await release.wait()
        await no_content(scope, receive, send)

    async with serve_protocol(app) as (state, reader, writer), asyncio.timeout(HANG_TIMEOUT):
        writer.write(ONE * 4_000)
        while not (state.connections and connection_of(state).pipeline):
            await asyncio.sleep(0)
        assert budget.used <= budget.size
        release.set()
        response = await reader.read()
        assert response.count(b"HTTP/1.1 204 ") < 10
        assert response.count(b"HTTP/1.1 503 ") == 1
        assert b"Retry-After: 1" in response
        while state.connections:
            await asyncio.sleep(0)
        assert budget.used == 0


async def test_unread_responses_of_all_connections_are_counted_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn_protocol, "RESPONSES", budget := Budget(1))
    async with serve_protocol(respond_in_one_piece) as (state, _, writer), asyncio.timeout(HANG_TIMEOUT):
        writer.write(ONE)
        while budget.used < 50_000_000:
            await asyncio.sleep(0.01)
        writer.transport.abort()
        while state.connections:
            await asyncio.sleep(0.01)
        assert budget.used == 0


def test_absolute_target_is_reduced_to_its_path(server: Server) -> None:
    assert (
        status(exchange(server, with_close(b"GET http://elsewhere.example/status HTTP/1.1\r\nHost: localhost\r\n\r\n")))
        == 200
    )


def test_many_pipelined_requests_take_little_memory(server: Server) -> None:
    one = b"GET / HTTP/1.1\r\nHost:localhost\r\n\r\n"
    before = server.resident_bytes
    with ExitStack() as stack:
        for _ in range(5):
            connection = stack.enter_context(socket.create_connection(server.address, timeout=HANG_TIMEOUT))
            connection.setblocking(False)
            with suppress(BlockingIOError):  # the server has stopped reading
                for _ in range(16):
                    connection.send(one * 8_000)
        assert status(exchange(server, with_close(b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n"))) == 200
        assert server.resident_bytes - before < 15_000_000


def test_http_1_0_gets_a_response_and_a_closed_connection(server: Server) -> None:
    assert status(exchange(server, b"GET /status HTTP/1.0\r\n\r\n")) == 200


@pytest.mark.parametrize("body", [b"", b"{"])
@pytest.mark.parametrize(
    "path", [b"/v1/people", b"/v1/people/search", b"/v1/people/export", b"/data", b"/v1/people/import"]
)
def test_missing_body_times_out(impatient_server: Server, path: bytes, body: bytes) -> None:
    request_ = b"POST " + path + b" HTTP/1.1\r\n" + JSON + b"Content-Length: 10\r\n\r\n" + body
    response = exchange(impatient_server, request_)
    assert status(response) == 408
    assert b"connection: close" in response


def test_expect_100_continue_is_confirmed_only_if_the_body_is_read(impatient_server: Server) -> None:
    request_head = b"Expect: 100-continue\r\nContent-Length: 10\r\n\r\n"
    wanted = exchange(impatient_server, b"POST /data HTTP/1.1\r\n" + JSON + request_head)
    unwanted = exchange(impatient_server, with_close(b"POST /data HTTP/1.1\r\nHost: localhost\r\n" + request_head))
    assert wanted.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 408 ")
    assert unwanted.startswith(b"HTTP/1.1 415 ")


@pytest.fixture(scope="module")
def impatient_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("impatient"), body_timeout=0.2) as server:
        yield server


@pytest.mark.parametrize("head", [b"", b"GET /status HTT", b"GET /status HTTP/1.1\r\nX: y\r\n", b"\r\n"])
async def test_incomplete_header_section_times_out(monkeypatch: pytest.MonkeyPatch, head: bytes) -> None:
    monkeypatch.setattr(uvicorn_protocol, "HEADER_TIMEOUT", 0.2)
    response = await response_of_protocol(head)
    assert response == b"" if head in (b"", b"\r\n") else status(response) == 408


async def test_body_that_continues_after_the_response_times_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(uvicorn_protocol, "HEADER_TIMEOUT", 0.2)
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n"
    response = await response_of_protocol(head, trickle=b"x")
    assert status(response) == 204


async def test_idle_connection_is_closed_but_not_one_in_use(
    monkeypatch: pytest.MonkeyPatch, moment: MonotonicClock
) -> None:
    monkeypatch.setattr(asyncio.get_running_loop(), "time", moment)
    async with serve_protocol(no_content, timeout_keep_alive=60) as (_, reader, writer):
        for _ in range(3):
            writer.write(ONE)
            assert status(await reader.readuntil(b"\r\n\r\n")) == 204
            moment.now += 50
        moment.now += 20
        assert await reader.read() == b""


async def test_slow_handler_does_not_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn_protocol, "HEADER_TIMEOUT", 0.1)

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.3)
        await no_content(scope, receive, send)

    async with serve_protocol(slow, timeout_keep_alive=0.1) as (_, reader, writer), asyncio.timeout(HANG_TIMEOUT):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert status(await reader.readuntil(b"\r\n\r\n")) == 204


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("pieces", "closes"), [([b"abc"], False), ([b"a", b"bc"], False), ([b"abc"], True)])
async def test_response_of_known_length_arrives_completely(method: str, pieces: list[bytes], *, closes: bool) -> None:
    headers = [(b"content-length", b"3"), (b"x-test", b"yes"), *([(b"connection", b"close")] if closes else [])]

    async def app(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for piece in pieces[:-1]:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": pieces[-1]})

    async with serve_protocol(app) as (_, reader, writer), asyncio.timeout(HANG_TIMEOUT):
        request_head = f"{method} / HTTP/1.1\r\nHost: a\r\n"
        if not closes:
            writer.write(f"{request_head}\r\n".encode())
        writer.write(f"{request_head}Connection: close\r\n\r\n".encode())
        responses = (await reader.read()).split(b"HTTP/1.1 200 OK\r\n")[1:]
        assert len(responses) == (1 if closes else 2)
        for response in responses:
            head, _, body = response.partition(b"\r\n\r\n")
            assert body == (b"abc" if method == "GET" else b"")
            assert {b"content-length: 3", b"x-test: yes"} <= set(head.split(b"\r\n"))
        assert responses[-1].count(b"connection: close\r\n") == 1


@pytest.mark.parametrize("body", [b"ab", b"abcd"])
async def test_response_with_a_wrong_length_is_aborted(body: bytes) -> None:
    async def app(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]})
        await send({"type": "http.response.body", "body": body})

    async with serve_protocol(app) as (_, reader, writer), asyncio.timeout(HANG_TIMEOUT):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert not (await reader.read()).endswith(b"\r\n\r\nabc")


@pytest.mark.parametrize("value", [b"a\r\nb: c", b"a\nb: c", b"a\rb", b"a\0b"])
async def test_header_injection_is_prevented(value: bytes) -> None:
    async def app(_: Any, __: Any, send: Any) -> None:
        headers = [(b"content-length", b"0"), (b"x-test", value)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})

    async with serve_protocol(app) as (_, reader, writer), asyncio.timeout(HANG_TIMEOUT):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        response = await reader.read()
        assert response == b"" or status(response) == 500
        assert b"x-test" not in response


async def stream_response(_: Any, __: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(1_000):
        await send({"type": "http.response.body", "body": bytes(100_000), "more_body": True})


async def respond_in_one_piece(_: Any, __: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
    await send({"type": "http.response.body", "body": bytes(100_000_000)})


@pytest.mark.parametrize("app", [stream_response, respond_in_one_piece])
async def test_connection_of_a_client_that_does_not_read_is_aborted(monkeypatch: pytest.MonkeyPatch, app: Any) -> None:
    monkeypatch.setattr(uvicorn_protocol, "WRITE_TIMEOUT", 0.2)
    async with serve_protocol(app) as (state, _, writer), asyncio.timeout(HANG_TIMEOUT):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        while not (state.tasks or state.total_requests):  # until the app is called
            await asyncio.sleep(0.01)
        while state.connections:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_request_that_the_app_does_not_complete_gets_a_problem(*, is_cancelled: bool) -> None:
    started = asyncio.Event()

    async def app(_: Any, __: Any, ___: Any) -> None:
        started.set()
        if is_cancelled:
            await asyncio.Event().wait()
        raise RuntimeError

    async with serve_protocol(app) as (state, reader, writer), asyncio.timeout(HANG_TIMEOUT):
        writer.write(ONE)
        await started.wait()
        for task in tuple(state.tasks) if is_cancelled else ():  # as the server does at the end of a shutdown
            task.cancel()
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert status(head) == json.loads(body)["status"] == (503 if is_cancelled else 500)
    assert b"application/problem+json" in head
    assert (b"Retry-After" in head) == is_cancelled


async def test_connection_above_the_limit_gets_503_and_others_continue() -> None:
    async with (
        serve_protocol(no_content, limit_concurrency=2) as (state, reader, writer),
        asyncio.timeout(HANG_TIMEOUT),
    ):
        address = writer.get_extra_info("peername")
        _, second = await asyncio.open_connection(*address)
        while len(state.connections) < 2:
            await asyncio.sleep(0.01)
        surplus, third = await asyncio.open_connection(*address)
        head, _, body = (await surplus.read()).partition(b"\r\n\r\n")
        assert status(head) == json.loads(body)["status"] == 503
        assert b"Retry-After: 1" in head
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 204 ")
        for one in (second, third):
            one.close()


def test_server_at_its_connection_limit_accepts_new_ones_after_others_close(tmp_path: Path) -> None:
    request_head = b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with serving(tmp_path, max_connections=3) as server:
        idle = [socket.create_connection(server.address, timeout=HANG_TIMEOUT) for _ in range(3)]
        while status(exchange(server, request_head) or b"HTTP/1.1 503 ") == 200:  # until all are accepted
            pass
        for one in idle:
            one.close()
        while status(exchange(server, request_head) or b"HTTP/1.1 503 ") == 503:
            pass


def connection_of(state: ServerState) -> uvicorn_protocol.Protocol:
    (one,) = state.connections
    assert isinstance(one, uvicorn_protocol.Protocol)
    return one


async def no_content(_: Any, __: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


@asynccontextmanager
async def serve_protocol(
    app: Any, **options: Any
) -> AsyncIterator[tuple[ServerState, asyncio.StreamReader, asyncio.StreamWriter]]:
    """Serve an app with the protocol alone; yield the server's state, and a connection to it."""
    config = Config(app, interface="asgi3", log_config=None, ws="none", **options)
    config.load()
    loop = asyncio.get_running_loop()
    state = ServerState()
    listening = await loop.create_server(lambda: uvicorn_protocol.Protocol(config, state, {}), "127.0.0.1", 0)
    async with listening:
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        try:
            yield state, reader, writer
        finally:
            writer.close()


async def response_of_protocol(head: bytes, trickle: bytes = b"") -> bytes:
    """Send data to the protocol alone, and return its response once it has closed the connection."""

    async with serve_protocol(no_content) as (_, reader, writer), asyncio.timeout(HANG_TIMEOUT):
        writer.write(head)
        response = b""
        try:
            while True:
                try:
                    received = await asyncio.wait_for(reader.read(65_536), 0.05)
                except TimeoutError:
                    writer.write(trickle)
                    continue
                if not received:
                    return response
                response += received
        except ConnectionError:
            return response
