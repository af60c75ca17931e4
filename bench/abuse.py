"""How much does an unauthenticated client slow down other clients?

The attacker sends each kind of data as fast as the server reads it, over 1 and then 40 connections. A second client requests `/status`.
The table shows its p99 before and during the attack, in wall time and in CPU time of the server, the share of a core that the server
used during the attack, and its memory growth. On a busy machine, only the share is reliable.
The server has its own CPU; the clients share the other one. `ABUSE_SECONDS=30 python -m bench abuse` sets the duration per kind.
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
PAUSE = 0.005  # seconds between two requests for /status
SLOW_PAUSE = 0.05  # seconds between two bytes of a slow body
MANY = 40
LEAST = 200  # requests for /status at least, regardless of their duration
_HOST = b"Host: localhost\r\n"
_FORM = b"POST /console/sign-in HTTP/1.1\r\n" + _HOST + b"Sec-Fetch-Site: same-origin\r\n"
_FORM += b"Content-Type: application/x-www-form-urlencoded\r\n"


def main() -> None:
    """Print a row per kind of data and number of connections."""
    columns = ("attack", "p99 idle", "p99 attacked", "CPU idle", "CPU attacked", "ratio", "CPU share", "MB growth")
    table = Table(f"/status during an attack, ms, {SECONDS:g} s each", *columns)
    for connections in (1, MANY):
        for kind in _kinds():
            with tempfile.TemporaryDirectory() as folder, _serving(folder) as server:
                idle, attacked, share, growth = uvloop.run(_measured(server, kind, connections))
            title = f"{kind}, {connections} connection{'s' * (connections > 1)}"
            ratio = f"{attacked.cpu / idle.cpu:.1f}"
            figures = (f"{seconds * 1e3:.2f}" for seconds in (idle.wall, attacked.wall, idle.cpu, attacked.cpu))
            table.row(title, *figures, ratio, f"{share:.0%}", f"{growth:.0f}")


class Latency(NamedTuple):
    """The p99 of a response in seconds: wall time, and CPU time of the server."""

    wall: float
    cpu: float


@contextlib.contextmanager
def _serving(folder: str) -> Iterator[Server]:
    with contextlib.ExitStack() as stack:
        with apart():
            settings = {"PEOPLEINFO_ADMIN_KEY": secrets.token_hex()}
            server = stack.enter_context(ours(f"sqlite:///{folder}/people.db", **settings))
        yield server


class Attack(NamedTuple):
    """The data that an attacker repeats, whether it reads responses, and the seconds between two pieces."""

    pieces: list[bytes]
    reads: bool = True
    pause: float = 0.0


def _kinds() -> dict[str, Attack]:
    get = b"GET /docs HTTP/1.1\r\n" + _HOST + b"\r\n"
    fields = b"&".join([b"a=1"] * 262_000)
    headers = b"GET /console HTTP/1.1\r\n" + _HOST + b"X: " + b"y" * 30_000 + b"\r\n\r\n"
    cookie = b"GET /console HTTP/1.1\r\n" + _HOST + b'Cookie: a="' + b'\\"' * 15_000 + b'"\r\n\r\n'
    chunks = b"POST /v1/people HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    garbage = random.Random(1).randbytes(1_000_000)
    return {
        "pipelined requests": Attack([get * 3_000]),
        "pipelined, unread": Attack([b"GET /docs/swagger.js HTTP/1.1\r\n" + _HOST + b"\r\n"] * 100, reads=False),
        "large forms": Attack([_FORM + b"Content-Length: %d\r\n\r\n" % len(fields) + fields]),
        "slow bodies": Attack([_FORM + b"Content-Length: 8000\r\n\r\n", *[b"a"] * 8_000], pause=SLOW_PAUSE),
        "long headers": Attack([headers] * 20),
        "quoted cookies": Attack([cookie] * 20),
        "many headers": Attack([b"GET / HTTP/1.1\r\n" + _HOST + b"a:b\r\n" * 100_000]),
        "tiny chunks": Attack([chunks, *[b"1\r\nx\r\n" * 40_000] * 100]),
        "garbage": Attack([garbage]),
    }


async def _measured(server: Server, kind: str, connections: int) -> tuple[Latency, Latency, float, float]:
    """Return the latency of /status before and during the attack, the used share of a core, and the peak memory growth in megabytes."""
    quiet = await _p99(server)
    before = most = server.megabytes
    abuser = multiprocessing.get_context("spawn").Process(target=_abuse, args=(server.port, kind, connections))
    abuser.start()
    await asyncio.sleep(1)  # until the attack has started
    began, worked = time.perf_counter(), server.cpu()
    watch = asyncio.ensure_future(_p99(server))
    while not watch.done():
        most = max(most, server.megabytes)
        await asyncio.sleep(0.05)
    share = (server.cpu() - worked) / (time.perf_counter() - began)
    abuser.kill()
    abuser.join()
    return quiet, watch.result(), share, most - before


async def _p99(server: Server) -> Latency:
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
    return Latency(*(quantiles(taken, n=100)[98] for taken in (walls, works)))


def _abuse(port: int, kind: str, connections: int) -> None:
    """Send one kind of data over several connections until killed. Runs in a separate process."""
    chosen = _kinds()[kind]

    async def attack() -> None:
        await asyncio.gather(*(_send(port, chosen) for _ in range(connections)))

    uvloop.run(attack())


async def _send(port: int, attack: Attack) -> None:
    """Send over one connection, and reconnect when it is closed, until cancelled."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**16)
        except ConnectionError:
            await asyncio.sleep(PAUSE)
            continue
        reading = asyncio.ensure_future(_read_all(reader)) if attack.reads else None
        try:
            with contextlib.suppress(ConnectionError):
                await _write(writer, attack)
        finally:
            writer.transport.abort()
            if reading is not None:
                reading.cancel()


async def _write(writer: asyncio.StreamWriter, attack: Attack) -> None:
    for piece in cycle(attack.pieces):
        writer.write(piece)
        await writer.drain()
        if attack.pause:
            await asyncio.sleep(attack.pause)


async def _read_all(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        while await reader.read(2**18):
            pass
