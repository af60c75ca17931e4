"""How much do slow clients and idle connections delay other clients?

200 clients send one byte per second and 1,000 connections are idle, while one client reads by id. The benchmark measures its latency with
and without them. Server and clients run on 127.0.0.1. Rounds are paired: idle, loaded, idle …
"""

import asyncio
import contextlib
import json
import tempfile
import time
from datetime import date
from statistics import median, quantiles

import uvloop

from bench.load_generator import request
from bench.sample_people import people
from bench.servers import Server, ours
from peopleinfo.people.person import parse_person
from peopleinfo.settings import Settings
from peopleinfo.stores.registry import open_service_store

ROUNDS = 7
REQUESTS = 2_000
SLOW = 200
IDLE = 1_000
BAR = 2.0


def main() -> None:
    """Print the p50 and p99 of the measured client in milliseconds, and the ratios with slow clients."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/people.db"
        (person_id,) = asyncio.run(_fill(url))
        with ours(url) as server:
            rounds = [uvloop.run(_round(server, f"/v1/people/{person_id}")) for _ in range(ROUNDS)]
    print(f"{'read by id':10} {'idle, ms':>12} {'loaded, ms':>12}   ratio (p99: at most {BAR:g})")
    for title, which in (("p50", 0), ("p99", 1)):
        quiet, beset = ([pair[state][which] for pair in rounds] for state in (0, 1))
        times = median(late / soon for soon, late in zip(quiet, beset, strict=True))
        print(f"{title:10} {median(quiet) * 1e3:12.2f} {median(beset) * 1e3:12.2f}   {times:.2f}", flush=True)


async def _round(server: Server, path: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the p50 and p99 without and with the other clients, in seconds."""
    quiet = await _latencies(server, path)
    idle = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", server.port) for _ in range(IDLE)))
    slow = [asyncio.ensure_future(_trickle(server, path)) for _ in range(SLOW)]
    beset = await _latencies(server, path)
    for one in slow:
        one.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    for _, writer in idle:
        writer.close()
    return quiet, beset


async def _latencies(server: Server, path: str) -> tuple[float, float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    taken = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        writer.write(request("GET", path))
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split()[0])
        json.loads(await reader.readexactly(length))
        taken.append(time.perf_counter() - began)
    writer.close()
    return median(taken), quantiles(taken, n=100)[98]


async def _trickle(server: Server, path: str) -> None:
    """Send requests at one byte per second until cancelled, and reconnect when the server closes the connection."""
    while True:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        with contextlib.suppress(ConnectionError):
            for byte in request("GET", path):
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(1)
        writer.close()


async def _fill(url: str) -> list[str]:
    async with open_service_store(Settings(store_url=url), create=True) as service:
        return await service.people.create_many([parse_person(next(people(1)), today=date.max)])
