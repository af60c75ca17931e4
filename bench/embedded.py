"""What does a request cost on the embedded store, beside a bare Falcon handler that returns the same bytes?

One process each, authentication not yet there, metrics and access log on; servers and client share one CPU. Rounds are paired: bare, ours, bare, ours …
"""

import asyncio
import json
import tempfile
from collections import Counter
from pathlib import Path
from statistics import median

from bench.people import people, surname
from bench.servers import Server, bare, get, microseconds, ours, pin, request, spread
from peopleinfo import wiring
from peopleinfo.person import details_from_json
from peopleinfo.settings import Settings

ROUNDS = 5
REQUESTS = 16_000
STORED = 20_000


def main() -> None:
    """Print a row a kind of request: CPU microseconds of both, and how their requests per CPU-second compare."""
    pin()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "people.db"
        ids, name = asyncio.run(_fill(store))
        by_id = [request("GET", f"/v1/people/{person_id}") for person_id in ids]
        print(f"{'request':24} {'bare, us CPU':>24} {'ours, us CPU':>24}   requests per CPU-second, ours : bare")
        with ours(f"sqlite:///{store}") as service:
            _row("read by id", service, f"/v1/people/{ids[0]}", by_id)
            _row("read by surname (2-3)", service, f"/v1/people?surname={name}")
            _row("list of 100", service, f"/v1/people?surname={surname(0)}&limit=100")
            body = json.dumps(next(people(1, seed=9))).encode()
            costs = [microseconds(service, [request("POST", "/v1/people", body)], REQUESTS // 4) for _ in range(ROUNDS)]
            print(f"{'create (durable)':24} {'':24} {spread(costs):>24}")


def _row(title: str, service: Server, path: str, requests: list[bytes] | None = None) -> None:
    requests = requests or [request("GET", path)]
    with bare(get(service, path)) as least:
        rounds = [
            (microseconds(least, requests, REQUESTS), microseconds(service, requests, REQUESTS)) for _ in range(ROUNDS)
        ]
    ratio = median(bare_cost / our_cost for bare_cost, our_cost in rounds)
    first, second = zip(*rounds, strict=True)
    print(f"{title:24} {spread(list(first)):>24} {spread(list(second)):>24}   {ratio:.2f}", flush=True)


async def _fill(path: Path) -> tuple[list[str], str]:
    """Store people; return some of their ids, and a surname that two or three of them bear."""
    async with wiring.open_people(Settings(store=f"sqlite:///{path}")) as service:
        made = [details_from_json(person, today=service.today) for person in people(STORED)]
        ids = await service.store.load(made)
        bearers = Counter(details.person_surname for details in made)
        return ids[::40], next(name for name, count in bearers.items() if name and 2 <= count <= 3)
