"""Generate load. The cost of a request is the CPU time, user and system, of the server's processes."""

import asyncio
import gc
import json
import os
import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, cast

import uvloop

from bench.servers import Server

CONNECTIONS = 16
WARM_UP = 1_000
MANY = 64  # connections for requests at a fixed rate


def request(method: str, path: str, body: bytes = b"", *, key: str = "", lines: str = "") -> bytes:
    """Return the bytes of an HTTP request, with an API key when one is given, and with further header lines."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    if key:
        head += f"Authorization: Bearer {key}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}{lines}\r\n".encode() + body


@contextmanager
def _patient() -> Iterator[None]:
    """Lower the priority of the client, so that a response does not let it preempt the server."""
    if not hasattr(os, "SCHED_BATCH"):
        yield
        return
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def microseconds(
    server: Server,
    requests: list[bytes],
    count: int,
    *,
    forget: Callable[[], None] | None = None,
    connections: int = CONNECTIONS,
    warm_up: int = WARM_UP,
) -> float:
    """Send `count` requests from the list, in turn, over a few connections; return CPU microseconds per request.

    `forget` runs first and whenever the list starts again, so that no response comes from the cache.
    """
    together = count if forget is None else min(count, len(requests))
    with _patient():
        uvloop.run(send(server.port, requests, warm_up if forget is None else together, connections))
        before = server.cpu()
        for _ in range(0, count, together):
            if forget:
                forget()
            uvloop.run(send(server.port, requests, together, connections))
    return (server.cpu() - before) / count * 1e6


def post(server: Server, path: str, bodies: list[bytes], *, key: str = "") -> list[bytes]:
    """Send every body once; return the response bodies in any order."""
    return uvloop.run(send(server.port, [request("POST", path, body, key=key) for body in bodies], len(bodies)))


def upload(server: Server, path: str, value: Any) -> None:
    """Send a value with PUT."""
    uvloop.run(send(server.port, [request("PUT", path, json.dumps(value).encode())], 1))


def get(server: Server, path: str, *, key: str = "") -> bytes:
    """Return the body of one response."""
    return uvloop.run(send(server.port, [request("GET", path, key=key)], 1))[0]


async def send(port: int, requests: list[bytes], count: int, connections: int = CONNECTIONS) -> list[bytes]:
    """Send `count` of the requests, repeating the list if it is shorter; return the response bodies in any order."""
    waiting = iter(range(count))
    bodies: list[bytes] = []
    await asyncio.gather(*(_client(port, requests, waiting, bodies) for _ in range(min(connections, count))))
    return bodies


async def _client(port: int, requests: list[bytes], waiting: Iterator[int], bodies: list[bytes]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number in waiting:
        writer.write(requests[number % len(requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 2"):
            raise RuntimeError(head.decode())
        if length := re.search(rb"content-length: (\d+)", head, re.IGNORECASE):
            bodies.append(await reader.readexactly(int(length[1])))
        else:  # no body, or one in chunks
            bodies.append(await reader.readuntil(b"\r\n0\r\n\r\n") if b"chunked" in head else b"")
    writer.close()


def throughput(server: Server, requests: list[bytes], count: int) -> float:
    """Return the requests per second of a closed loop: each connection sends its next request after the response."""
    began = perf_counter()
    uvloop.run(send(server.port, requests, count))
    return count / (perf_counter() - began)


def latencies(server: Server, requests: list[bytes], rate: float, count: int) -> list[float]:
    """Send `count` requests at a fixed rate per second; return the sorted latencies in seconds.

    This is an open loop: a request is sent at its scheduled time, whether or not earlier ones have completed. Latency counts from that time
    and includes the wait for a connection, so a stalled server is charged for all requests of the stall.
    """
    gc.disable()  # garbage collection of this client must not count for the server
    try:
        return sorted(uvloop.run(_at_rate(server.port, requests, rate, count)))
    finally:
        gc.enable()


async def _at_rate(port: int, requests: list[bytes], rate: float, count: int) -> list[float]:
    loop = asyncio.get_running_loop()
    traffic = _Traffic(count, loop.create_future())
    for _ in range(MANY):
        await loop.create_connection(lambda: _Connection(traffic), "127.0.0.1", port)
    started = perf_counter()
    for number in range(count):
        due = started + number / rate
        while perf_counter() < due:  # noqa: ASYNC110 - the clock of the loop has milliseconds, which is too coarse
            await asyncio.sleep(0)
        traffic.send(requests[number % len(requests)], due)
    await traffic.over
    return traffic.seconds


class _Traffic:
    """The requests in flight, those that wait for a connection, and the latencies of the completed ones."""

    def __init__(self, count: int, over: asyncio.Future[None]) -> None:
        self.seconds: list[float] = []
        self.over = over
        self._count = count
        self._idle: list[_Connection] = []
        self._waiting: deque[tuple[bytes, float]] = deque()

    def send(self, message: bytes, due: float) -> None:
        """Send a request as soon as a connection is free."""
        if self._idle:
            self._idle.pop().send_message(message, due)
        else:
            self._waiting.append((message, due))

    def is_idle(self, connection: "_Connection") -> None:
        """Give a connection to the next waiting request."""
        if self._waiting:
            connection.send_message(*self._waiting.popleft())
        else:
            self._idle.append(connection)

    def answered(self, seconds: float) -> None:
        """Record a response."""
        self.seconds.append(seconds)
        if len(self.seconds) == self._count:
            self.over.set_result(None)


class _Connection(asyncio.Protocol):
    """A connection with one request at a time."""

    def __init__(self, traffic: _Traffic) -> None:
        self._traffic = traffic
        self._answer = b""
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._traffic.is_idle(self)

    def send_message(self, message: bytes, due: float) -> None:
        self._due = due
        self._transport.write(message)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, blank, body = self._answer.partition(b"\r\n\r\n")
        if not blank or len(body) < int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0]):
            return
        seconds, self._answer = perf_counter() - self._due, b""
        if not head.startswith(b"HTTP/1.1 2"):
            self._traffic.over.set_exception(RuntimeError(head.decode()))
            return
        self._traffic.is_idle(self)
        self._traffic.answered(seconds)
