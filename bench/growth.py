"""Does the cost of a read grow with the number of records, or with the number of the page?

The same requests run on ten thousand and on ten million records. In both stores, 1,000 people share one surname and are read in pages of
10; the other surnames have the distribution of real ones. The stores are filled once, which takes minutes, and kept in .cache/growth.
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.load_generator import get, microseconds, request
from bench.markdown_tables import Table, ratio, spread
from bench.sample_people import people, surname
from bench.servers import UNLIMITED, Server, ours, pin
from bench.store_fixtures import Filled, fill, key
from peopleinfo.settings import Settings

ROUNDS = 5
REQUESTS = 8_000
SIZES = (10_000, 10_000_000)
COMMON = "Commonname"
BEARERS = 1_000
CONNECTIONS = (1, 16, 256, 1_000)
LIMIT = 10
KEPT = Path(".cache/growth")


def main() -> list[Table]:
    """Print CPU microseconds per request for both stores, their ratio, and the memory of the server at the end."""
    with ExitStack() as stack:
        stores = [Settings(store_url=f"sqlite:///{(KEPT / f'{size}.db').absolute()}") for size in SIZES]
        filled = [_filled(store, size) for store, size in zip(stores, SIZES, strict=True)]
        pin()
        services = [stack.enter_context(ours(store.store_url, **UNLIMITED)) for store in stores]
        both = list(zip(services, filled, strict=True))
        most = f"/v1/people?surname={surname(0)}&limit={LIMIT}"
        first = f"/v1/people?surname={COMMON}&limit={LIMIT}"
        rare = [f"/v1/people?surname={person['person_surname']}&limit={LIMIT}" for person in people(500, seed=3)]
        queries: dict[str, list[list[str]]] = {
            "read by id": [[f"/v1/people/{person_id}" for person_id in one.ids] for one in filled],
            f"search by surname, at most {LIMIT}": [rare, rare],
            f"first page of a surname of {BEARERS:,}": [[first], [first]],
            "first page of a surname of 1 in 100 people": [[most], [most]],
            "hundredth page of a surname of 1,000": [[_page(service, first, 100, one.key)] for service, one in both],
        }
        table = Table(
            "µs of CPU per request, by number of records", "request", *(f"{size:,} stored" for size in SIZES), "ratio"
        )
        for title, paths in queries.items():
            requests = [
                [request("GET", path, key=one.key) for path in each] for each, one in zip(paths, filled, strict=True)
            ]
            rounds = [
                [microseconds(service, each, REQUESTS) for service, each in zip(services, requests, strict=True)]
                for _ in range(ROUNDS)
            ]
            few, many = (list(column) for column in zip(*rounds, strict=True))
            table.row(title, spread(few), spread(many), f"{ratio(many, few):.2f}")
        table.row("resident memory of the server, MB", *(f"{service.megabytes:.0f}" for service in services), "")
        table.row(
            "file, MB",
            *(f"{Path(store.store_url.removeprefix('sqlite:///')).stat().st_size / 1e6:,.0f}" for store in stores),
            "",
        )
        reads = [request("GET", f"/v1/people/{person_id}", key=filled[0].key) for person_id in filled[0].ids]
        return [table, _connections(services[0], reads)]


def _connections(service: Server, reads: list[bytes]) -> Table:
    table = Table("µs of CPU per read by id, by number of connections", "connections", "µs", "resident memory, MB")
    rounds = [[microseconds(service, reads, REQUESTS, connections=most) for most in CONNECTIONS] for _ in range(ROUNDS)]
    for most, costs in zip(CONNECTIONS, zip(*rounds, strict=True), strict=True):
        table.row(f"{most:,}", spread(list(costs)), "")
    table.row("after all of them", "", f"{service.megabytes:.0f}")
    return table


def _filled(settings: Settings, size: int) -> Filled:
    """Fill the store, or reuse the one of an earlier run."""
    ids = KEPT / f"{size}.json"
    if ids.exists():
        return Filled(json.loads(ids.read_text()), asyncio.run(key(settings)))
    KEPT.mkdir(parents=True, exist_ok=True)
    for broken_off in KEPT.glob(f"{size}.db*"):
        broken_off.unlink()
    filled = asyncio.run(fill(settings, _people(size), stored=size))
    ids.write_text(json.dumps(filled.ids))
    return filled


def _page(service: Server, path: str, number: int, key: str) -> str:
    cursor = ""
    for _ in range(number - 1):
        cursor = json.loads(get(service, path + cursor, key=key))["next_cursor"]
        cursor = f"&cursor={cursor}"
    return path + cursor


def _people(size: int) -> Iterator[dict[str, Any]]:
    """Yield people; 1,000 of them, evenly spread in time, share one surname."""
    for number, person in enumerate(people(size)):
        yield person | ({"person_surname": COMMON} if number % (size // BEARERS) == 0 else {})
