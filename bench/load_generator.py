"""Loads a server. The cost of a request is the CPU time, user and system, of the server's processes."""

import asyncio
import gc
import os
import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import cast

import uvloop

from bench.servers import Server

CONNECTIONS = 16
WARM_UP = 1_000
MANY = 64  # connections over which requests leave at a fixed rate


def request(method: str, path: str, body: bytes = b"", *, key: str = "") -> bytes:
    """Return a request as it goes over the wire, with an API key when there is one."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    if key:
        head += f"Authorization: Bearer {key}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


@contextmanager
def _patient() -> Iterator[None]:
    """Let the client wait for its turn: woken by an answer, it would interrupt a server that has used more time than itself."""
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
) -> float:
    """Send `count` requests, taken from the list in turn, over a few connections; return CPU microseconds a request.

    With `forget` that is done first and whenever the list begins anew, so that each is answered as if for the first time.
    """
    together = count if forget is None else min(count, len(requests))
    with _patient():
        uvloop.run(_send(server.port, requests, WARM_UP if forget is None else together, connections))
        before = server.cpu()
        for _ in range(0, count, together):
            if forget:
                forget()
            uvloop.run(_send(server.port, requests, together, connections))
    return (server.cpu() - before) / count * 1e6


def post(server: Server, path: str, bodies: list[bytes], *, key: str = "") -> list[bytes]:
    """Send every body once; return what was answered, in no order."""
    return uvloop.run(_send(server.port, [request("POST", path, body, key=key) for body in bodies], len(bodies)))


def get(server: Server, path: str, *, key: str = "") -> bytes:
    """Return the body of one answer."""
    return uvloop.run(_send(server.port, [request("GET", path, key=key)], 1))[0]


async def _send(port: int, requests: list[bytes], count: int, connections: int = CONNECTIONS) -> list[bytes]:
    """Send the first `count` of the requests, from the beginning again when there are fewer; return the bodies, in no order."""
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
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        bodies.append(await reader.readexactly(int(length[1])) if length else b"")
    writer.close()


def throughput(server: Server, requests: list[bytes], count: int) -> float:
    """Return how many requests a second are answered when each connection asks again as soon as it is answered."""
    began = perf_counter()
    uvloop.run(_send(server.port, requests, count))
    return count / (perf_counter() - began)


def latencies(server: Server, requests: list[bytes], rate: float, count: int) -> list[float]:
    """Send `count` requests at a fixed rate a second; return the seconds from when each was due to its whole answer, in order of length.

    A request leaves when it is due whether or not the ones before it are answered, and what it waits for a connection counts: a server
    that stands still is charged with everybody who would have come meanwhile.
    """
    gc.disable()  # of this client, whose pauses are not the server's
    try:
        return sorted(uvloop.run(_at_rate(server.port, requests, rate, count)))
    finally:
        gc.enable()


async def _at_rate(port: int, requests: list[bytes], rate: float, count: int) -> list[float]:
    loop = asyncio.get_running_loop()
    traffic = _Traffic(count, loop.create_future())
    for _ in range(MANY):
        await loop.create_connection(lambda: _Connection(traffic), "127.0.0.1", port)
    begun = perf_counter()
    for number in range(count):
        due = begun + number / rate
        while perf_counter() < due:  # noqa: ASYNC110 - the loop counts milliseconds, which is too coarse
            await asyncio.sleep(0)
        traffic.send(requests[number % len(requests)], due)
    await traffic.over
    return traffic.seconds


class _Traffic:
    """The requests under way, those that wait for a connection, and how long each took that was answered."""

    def __init__(self, count: int, over: asyncio.Future[None]) -> None:
        self.seconds: list[float] = []
        self.over = over
        self._count = count
        self._idle: list[_Connection] = []
        self._waiting: deque[tuple[bytes, float]] = deque()

    def send(self, asked: bytes, due: float) -> None:
        """Send a request, as soon as there is a connection."""
        if self._idle:
            self._idle.pop().ask(asked, due)
        else:
            self._waiting.append((asked, due))

    def is_idle(self, connection: "_Connection") -> None:
        """Use a connection for whoever waits."""
        if self._waiting:
            connection.ask(*self._waiting.popleft())
        else:
            self._idle.append(connection)

    def answered(self, seconds: float) -> None:
        """Note an answer."""
        self.seconds.append(seconds)
        if len(self.seconds) == self._count:
            self.over.set_result(None)


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, traffic: _Traffic) -> None:
        self._traffic = traffic
        self._answer = b""
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._traffic.is_idle(self)

    def ask(self, asked: bytes, due: float) -> None:
        self._due = due
        self._transport.write(asked)

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
