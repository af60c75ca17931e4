"""Do clients notice when Redis is killed and restarts, empty or with old data?

An open-loop client sends requests at a fixed rate and measures latency from the scheduled time. Nine of ten requests read by id or by
surname, one updates a record. Valkey is killed and restarted several times.
"""

import asyncio
import json
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

import uvloop

from bench.load_generator import get, post, request
from bench.sample_people import people
from bench.servers import Server, ours
from tests import valkey_servers

RATE = 200  # requests per second
QUIET, AWAY, BACK = 3.0, 2.0, 3.0  # seconds before Redis is killed, while it is down, and after its restart
TIMES = 4
STORED = 200
BAR = 0.250  # seconds: the bar for p99 while Redis is down or has just restarted


@dataclass
class Phase:
    """The results of a phase: the seconds of each request, and the number of failures."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0


def main() -> None:
    """Print a row per phase: requests, failures and percentiles of latency."""
    with tempfile.TemporaryDirectory() as folder, valkey_servers.running_server() as cache:
        settings = {"PEOPLEINFO_CACHE_URL": cache.url, "PEOPLEINFO_CACHE_FENCE_TTL": "0.5"}
        with ours(f"sqlite:///{folder}/people.db", **settings) as server:
            answers = post(server, "/v1/people", [json.dumps(person).encode() for person in people(STORED)])
            while json.loads(get(server, "/status"))["cache"] != "ok":
                pass
            phases = uvloop.run(_load(server, cache, [json.loads(answer) for answer in answers]))
    print(f"{'Redis':24}{'requests':>10}{'failed':>8}{'p50, ms':>10}{'p99, ms':>10}{'longest, ms':>13}")
    for name, phase in phases.items():
        ordered = sorted(phase.seconds)
        figures = (ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100], ordered[-1])
        p50, p99, worst = (1_000 * one for one in figures)
        print(f"{name:24}{len(ordered):>10}{phase.failed:>8}{p50:>10.1f}{p99:>10.1f}{worst:>13.1f}")
    print(f"bars: 0 failures, p99 at most {1_000 * BAR:.0f} ms while Redis is down and after its restart")


async def _load(server: Server, cache: valkey_servers.Server, stored: list[dict[str, str]]) -> dict[str, Phase]:
    phases = {name: Phase() for name in ("running", "down", "restarted, empty", "restarted, old data")}
    clients = Clients(server.port, stored)
    for number in range(TIMES):
        old = number % 2 == 1
        await clients.run(QUIET, phases["running"])
        if old:
            await asyncio.to_thread(cache.client.save)
            await clients.run(QUIET, phases["running"])
        else:
            (cache.folder / "dump.rdb").unlink(missing_ok=True)
        await clients.run(AWAY, phases["down"], cache.stop)
        await clients.run(BACK, phases["restarted, old data" if old else "restarted, empty"], cache.start)
    return phases


class Clients:
    """Connections that send requests at scheduled times."""

    def __init__(self, port: int, stored: list[dict[str, str]]) -> None:
        self._port = port
        self._stored = stored
        self._chance = random.Random(4711)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def run(self, seconds: float, phase: Phase, fault: Callable[[], None] | None = None) -> None:
        """Send requests for `seconds`; the fault is injected after the first request."""
        started = monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(int(seconds * RATE)):
                due = started + number / RATE
                await asyncio.sleep(max(0.0, due - monotonic()))
                group.create_task(self._send(due, phase))
                if number == 0 and fault:
                    group.create_task(asyncio.to_thread(fault))

    async def _send(self, due: float, phase: Phase) -> None:
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(self._next())
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
        phase.seconds.append(monotonic() - due)
        phase.failed += head.split()[1] != b"200"
        self._idle.append((reader, writer))

    def _next(self) -> bytes:
        person = self._chance.choice(self._stored)
        path = f"/v1/people/{person['person_id']}"
        kind = self._chance.random()
        if kind < 0.1:
            change = request("PATCH", path, json.dumps({"seen": self._chance.random()}).encode())
            return change.replace(b"application/json\r\n", b"application/merge-patch+json\r\nIf-Match: *\r\n")
        return request("GET", path if kind < 0.6 else f"/v1/people?surname={person['person_surname']}")
