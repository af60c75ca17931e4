"""What does a client without a key cost the others, whatever it sends?

Each kind of data is sent as fast as the server takes it, over one connection and then over 40, to a service that needs a key. Meanwhile
another client asks `/status`: its p99 before and during that, by the clock and by the CPU that the server uses until it responds, which other work
of the machine hardly changes; and the memory that the server's process gains. The server has a CPU of its own; the clients share the other one. `ABUSE_SECONDS=30 python -m bench abuse` takes as long as is asked for each kind.
"""

import asyncio
import contextlib
import json
import multiprocessing
import os
import random
import secrets
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle
from statistics import quantiles
from typing import NamedTuple

import uvloop

from bench.load_generator import request
from bench.markdown_tables import Table
from bench.servers import Server, apart, ours

SECONDS = float(os.environ.get("ABUSE_SECONDS", "5"))
PAUSE = 0.005  # between two requests for /status
MANY = 40
LEAST = 200  # requests for /status, however long they take
_HOST = b"Host: localhost\r\n"
_FORM = b"POST /console/sign-in HTTP/1.1\r\n" + _HOST + b"Sec-Fetch-Site: same-origin\r\n"
_FORM += b"Content-Type: application/x-www-form-urlencoded\r\n"


def main() -> None:
    """Print a row for each kind of data and number of connections."""
    columns = ("sends", "p99 quiet", "p99 now", "CPU quiet", "CPU now", "times", "MB more")
    table = Table(f"/status beside a client without a key, ms, {SECONDS:g} s each", *columns)
    for connections in (1, MANY):
        for kind in _kinds():
            with tempfile.TemporaryDirectory() as folder, _serving(folder) as server:
                quiet, beset, more = uvloop.run(_measured(server, kind, connections))
            title = f"{kind}, {connections} connection{'s' * (connections > 1)}"
            times = f"{beset.cpu / quiet.cpu:.1f}"
            figures = (f"{seconds * 1e3:.2f}" for seconds in (quiet.wall, beset.wall, quiet.cpu, beset.cpu))
            table.row(title, *figures, times, f"{more:.0f}")


class Taken(NamedTuple):
    """The p99 of a response in seconds: that pass, and that the server's process works before it responds."""

    wall: float
    cpu: float


@contextlib.contextmanager
def _serving(folder: str) -> Iterator[Server]:
    with contextlib.ExitStack() as stack:
        with apart():
            settings = {"PEOPLEINFO_ADMIN_KEY": secrets.token_hex()}
            server = stack.enter_context(ours(f"sqlite:///{folder}/people.db", **settings))
        yield server


def _kinds() -> dict[str, tuple[list[bytes], bool]]:
    """Return what is sent again and again, and whether responses are read."""
    get = b"GET /docs HTTP/1.1\r\n" + _HOST + b"\r\n"
    fields = b"&".join([b"a=1"] * 262_000)
    headers = b"GET /console HTTP/1.1\r\n" + _HOST + b"X: " + b"y" * 30_000 + b"\r\n\r\n"
    cookie = b"GET /console HTTP/1.1\r\n" + _HOST + b'Cookie: a="' + b'\\"' * 15_000 + b'"\r\n\r\n'
    chunks = b"POST /v1/people HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    garbage = random.Random(1).randbytes(1_000_000)
    return {
        "pipelined requests": ([get * 3_000], True),
        "pipelined, unread": ([b"GET /docs/swagger.js HTTP/1.1\r\n" + _HOST + b"\r\n"] * 100, False),
        "large forms": ([_FORM + b"Content-Length: %d\r\n\r\n" % len(fields) + fields], True),
        "long headers": ([headers] * 20, True),
        "quoted cookies": ([cookie] * 20, True),
        "many headers": ([b"GET / HTTP/1.1\r\n" + _HOST + b"a:b\r\n" * 100_000], True),
        "tiny chunks": ([chunks, *[b"1\r\nx\r\n" * 40_000] * 100], True),
        "garbage": ([garbage], True),
    }


async def _measured(server: Server, kind: str, connections: int) -> tuple[Taken, Taken, float]:
    """Return how long /status takes before and meanwhile, and the megabytes that the server has gained at most."""
    quiet = await _p99(server)
    before = most = server.megabytes
    abuser = multiprocessing.get_context("spawn").Process(target=_abuse, args=(server.port, kind, connections))
    abuser.start()
    await asyncio.sleep(1)  # until it sends
    watch = asyncio.ensure_future(_p99(server))
    while not watch.done():
        most = max(most, server.megabytes)
        await asyncio.sleep(0.05)
    abuser.kill()
    abuser.join()
    return quiet, watch.result(), most - before


async def _p99(server: Server) -> Taken:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    walls, works = [], []
    ends = time.perf_counter() + SECONDS
    while time.perf_counter() < ends or len(walls) < LEAST:
        began, worked = time.perf_counter(), server.cpu()
        writer.write(request("GET", "/status"))
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split()[0])
        json.loads(await reader.readexactly(length))
        works.append(server.cpu() - worked)
        walls.append(time.perf_counter() - began)
        await asyncio.sleep(PAUSE)
    writer.close()
    return Taken(*(quantiles(taken, n=100)[98] for taken in (walls, works)))


def _abuse(port: int, kind: str, connections: int) -> None:
    """Send one kind of data over so many connections until killed; the start of a process of its own."""
    pieces, reads = _kinds()[kind]

    async def all_of_them() -> None:
        await asyncio.gather(*(_send(port, pieces, reads=reads) for _ in range(connections)))

    uvloop.run(all_of_them())


async def _send(port: int, pieces: list[bytes], *, reads: bool) -> None:
    """Send over one connection, and over another one when it is closed, until cancelled."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**16)
        except ConnectionError:
            await asyncio.sleep(PAUSE)
            continue
        taking = asyncio.ensure_future(_take(reader)) if reads else None
        try:
            with contextlib.suppress(ConnectionError):
                await _write(writer, cycle(pieces))
        finally:
            writer.transport.abort()
            if taking is not None:
                taking.cancel()


async def _write(writer: asyncio.StreamWriter, pieces: Iterator[bytes]) -> None:
    for piece in pieces:
        writer.write(piece)
        await writer.drain()


async def _take(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        while await reader.read(2**18):
            pass
