"""Starts contenders and loads them; the cost of a request is the CPU time (user and system) of the server's processes."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil
import uvloop

CONNECTIONS = 16
WARM_UP = 1_000


@dataclass(frozen=True)
class Server:
    """A running contender."""

    port: int
    process: psutil.Process

    def cpu(self) -> float:
        """Return the CPU seconds that the server's processes have used."""
        times = [process.cpu_times() for process in (self.process, *self.process.children(recursive=True))]
        return sum(time.user + time.system for time in times)


@contextmanager
def ours(store: str, *, module: str = "peopleinfo", **settings: str) -> Iterator[Server]:
    """Run the service on the store of a URL, logging as it does by default."""
    environment = os.environ | {"PEOPLEINFO_PORT": "0", "PEOPLEINFO_STORE": store} | settings
    with _running([sys.executable, "-m", module, "serve"], environment) as server:
        yield server


@contextmanager
def bare(body: bytes) -> Iterator[Server]:
    """Run a Falcon handler that returns these bytes and does nothing else."""
    with _running([sys.executable, "-m", "bench.bare", body.hex()], dict(os.environ)) as server:
        yield server


@contextmanager
def usual(endpoint: str, table: str, cache: str) -> Iterator[Server]:
    """Run the usual Python answer (bench/peers/usual) on a table and a Redis; `make bench-peers` sets up what it needs."""
    python = Path(".cache/peers/bin/python").absolute()
    environment = os.environ | {"AWS_ENDPOINT_URL": endpoint, "AWS_DEFAULT_REGION": "eu-west-1"}
    environment |= {"PEOPLE_TABLE": table, "REDIS_URL": cache, "PYTHONPATH": "."}
    command = [str(python), "-m", "uvicorn", "bench.peers.usual.service:app", "--port", "0", "--no-access-log"]
    with _running(command, environment) as server:
        yield server


@contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Iterator[Server]:
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr
        for line in process.stderr:
            if found := re.findall(r"http://[\d.]+:(\d+)", line):
                yield Server(int(found[-1]), psutil.Process(process.pid))
                return
        raise RuntimeError(f"{command} did not start")
    finally:
        process.terminate()
        process.wait(30)


def pin() -> None:
    """Keep this process and its children to one CPU, where the system can: else whether a client waits would change a server's cost."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


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
    server: Server, requests: list[bytes], count: int, *, forget: Callable[[], None] | None = None
) -> float:
    """Send `count` requests, taken from the list in turn, over a few connections; return CPU microseconds a request.

    With `forget` that is done first and whenever the list begins anew, so that each is answered as if for the first time.
    """
    together = count if forget is None else min(count, len(requests))
    with _patient():
        uvloop.run(_send(server.port, requests, WARM_UP if forget is None else together))
        before = server.cpu()
        for _ in range(0, count, together):
            if forget:
                forget()
            uvloop.run(_send(server.port, requests, together))
    return (server.cpu() - before) / count * 1e6


def post(server: Server, path: str, bodies: list[bytes]) -> list[bytes]:
    """Send every body once; return what was answered, in no order."""
    return uvloop.run(_send(server.port, [request("POST", path, body) for body in bodies], len(bodies)))


def get(server: Server, path: str) -> bytes:
    """Return the body of one answer."""
    return uvloop.run(_send(server.port, [request("GET", path)], 1))[0]


async def _send(port: int, requests: list[bytes], count: int) -> list[bytes]:
    """Send the first `count` of the requests, from the beginning again when there are fewer; return the bodies, in no order."""
    waiting = iter(range(count))
    bodies: list[bytes] = []
    await asyncio.gather(*(_client(port, requests, waiting, bodies) for _ in range(min(CONNECTIONS, count))))
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


def spread(values: list[float]) -> str:
    """Return the median with the least and the greatest."""
    return f"{median(values):8.1f} ({min(values):.1f}-{max(values):.1f})"
