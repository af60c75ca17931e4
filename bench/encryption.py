"""What does it cost on the embedded store that people are sealed?

The same people in two stores, one plain and one sealed; no cache. Servers and client share one CPU. Rounds are paired: plain, sealed, plain …
"""

import asyncio
import json
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench.people import people, surname
from bench.servers import Server, microseconds, ours, pin, request, spread
from peopleinfo import wiring
from peopleinfo.crypto.master import create_file
from peopleinfo.person import details_from_json
from peopleinfo.settings import Settings

ROUNDS = 7
REQUESTS = 4_000
STORED = 20_000


def main() -> None:
    """Print a row a kind of request: CPU microseconds of both, and by how much the sealed one costs more."""
    pin()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        key = Path(folder) / "master.key"
        create_file(key)
        encryption = f"file://{key}"
        stores = [Settings(store=f"sqlite:///{folder}/{kind}.db", encryption=given)
                  for kind, given in (("plain", ""), ("sealed", encryption))]  # fmt: skip
        filled = [asyncio.run(_fill(store)) for store in stores]
        name = filled[0][1]
        services = [stack.enter_context(ours(store.store, PEOPLEINFO_ENCRYPTION=store.encryption))
                    for store in stores]  # fmt: skip
        print(f"{'request':24} {'plain, us CPU':>24} {'sealed, us CPU':>24}   more")
        _row("read by id", services, [[request("GET", f"/v1/people/{one}") for one in ids] for ids, _ in filled])
        _row("read by surname (2-3)", services, [[request("GET", f"/v1/people?surname={name}")]] * 2)
        _row("list of 100", services, [[request("GET", f"/v1/people?surname={surname(0)}&limit=100")]] * 2)
        body = json.dumps(next(people(1, seed=9))).encode()
        _row("create (durable)", services, [[request("POST", "/v1/people", body)]] * 2, REQUESTS // 4)


def _row(title: str, services: list[Server], requests: list[list[bytes]], count: int = REQUESTS) -> None:
    rounds = [
        [microseconds(service, asked, count) for service, asked in zip(services, requests, strict=True)]
        for _ in range(ROUNDS)
    ]
    more = median(sealed / plain for plain, sealed in rounds) - 1
    plain, sealed = (list(column) for column in zip(*rounds, strict=True))
    print(f"{title:24} {spread(plain):>24} {spread(sealed):>24}   {more:+.0%}", flush=True)


async def _fill(settings: Settings) -> tuple[list[str], str]:
    """Store people; return some of their ids, and a surname that two or three of them bear."""
    async with wiring.open_people(settings) as service:
        made = [details_from_json(person, today=service.today) for person in people(STORED)]
        ids = await service.store.load(made)
        bearers = Counter(details.person_surname for details in made)
        return ids[::10], next(name for name, count in bearers.items() if name and 2 <= count <= 3)
