"""What does a request cost on the embedded store, compared with handlers that only return the same bytes?

PeopleInfo authenticates, counts and logs every request. Servers and client share one CPU. Rounds are paired: each contender in turn.
"""

import asyncio
import json
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from bench.load_generator import get, microseconds, request
from bench.markdown_tables import Table, ratio, spread
from bench.sample_people import people, surname
from bench.servers import UNLIMITED, Server, bare, ours, pin
from bench.store_fixtures import fill
from peopleinfo.settings import Settings

ROUNDS = 5
REQUESTS = 8_000
STORED = 20_000
SELECT = "SELECT body FROM people INDEXED BY people_by_seq WHERE seq = ?"


def main() -> list[Table]:
    """Print a row per kind of request: CPU microseconds of each contender, and the ratio to a bare Falcon handler."""
    pin()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        url = f"sqlite:///{folder}/people.db"
        stored = asyncio.run(fill(Settings(store_url=url), people(STORED), stored=STORED))
        table = Table(
            "µs of CPU per request on the embedded store",
            "request", "bare ASGI", "bare Falcon", "ours", "ours : Falcon", "ours, two workers",
        )  # fmt: skip
        one = stack.enter_context(ours(url, **UNLIMITED))
        two = stack.enter_context(ours(url, PEOPLEINFO_WORKERS="2", **UNLIMITED))
        for title, paths in (
            ("read by id", [f"/v1/people/{person_id}" for person_id in stored.ids]),
            ("read by surname (2 or 3 people)", [f"/v1/people?surname={_rare()}"]),
            ("list of 100", [f"/v1/people?surname={surname(0)}&limit=100"]),
        ):
            queries = [request("GET", path, key=stored.key) for path in paths]
            _row(table, title, queries, get(one, paths[0], key=stored.key), one, two)
        mixed = list(mix(stored.ids, stored.key))
        creation = request("POST", "/v1/people", json.dumps(next(people(1, seed=9))).encode(), key=stored.key)
        for title, requests, count in (("mixed: 95 % reads, surnames as common as real ones", mixed, REQUESTS // 4),
                                       ("create (durable)", [creation], REQUESTS // 4)):  # fmt: skip
            rounds = [[microseconds(service, requests, count) for service in (one, two)] for _ in range(ROUNDS)]
            alone, both = zip(*rounds, strict=True)
            table.row(title, "", "", spread(list(alone)), "", spread(list(both)))
        table.row(
            "lower bound: `SELECT` by id, no server", "", "", spread(_selects(Path(folder) / "people.db")), "", ""
        )
    return [table]


def mix(ids: list[str], key: str) -> Iterator[bytes]:
    """Yield a mixed load: half by id, half by surname, and one creation in twenty."""
    for number, person in enumerate(people(2_000, seed=5)):
        if number % 20 == 0:
            yield request("POST", "/v1/people", json.dumps(person).encode(), key=key)
        elif number % 2:
            yield request("GET", f"/v1/people/{ids[number % len(ids)]}", key=key)
        else:
            yield request("GET", f"/v1/people?surname={person['person_surname']}&limit=10", key=key)


def _row(table: Table, title: str, queries: list[bytes], answer: bytes, one: Server, two: Server) -> None:
    with bare(answer, "asgi") as asgi, bare(answer) as falcon:
        contenders = (asgi, falcon, one, two)
        rounds = [[microseconds(server, queries, REQUESTS) for server in contenders] for _ in range(ROUNDS)]
    columns = [list(column) for column in zip(*rounds, strict=True)]
    first, second, third, fourth = map(spread, columns)
    table.row(title, first, second, third, f"{ratio(columns[2], columns[1]):.2f}", fourth)


def _rare() -> str:
    """Return a surname of two or three people."""
    bearers = Counter(person["person_surname"] for person in people(STORED))
    return next(name for name, count in bearers.items() if 2 <= count <= 3)


def _selects(path: Path) -> list[float]:
    db = sqlite3.connect(path)
    costs = []
    for _ in range(ROUNDS):
        before = time.process_time()
        for number in range(REQUESTS):
            db.execute(SELECT, (number % STORED + 1,)).fetchone()
        costs.append((time.process_time() - before) / REQUESTS * 1e6)
    db.close()
    return costs
