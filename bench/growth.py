"""Does a read cost more when more people are stored, or on a later page?

The same service and requests against a thousand and a million people stored; in both a thousand people bear one surname and are read in
pages of 10, and in the larger one the others bear surnames as unevenly spread as real ones.
"""

import asyncio
import itertools
import json
import tempfile
from pathlib import Path
from statistics import median

from bench.people import people
from bench.servers import Server, get, microseconds, ours, pin, request, spread
from peopleinfo import wiring
from peopleinfo.person import details_from_json
from peopleinfo.settings import Settings

ROUNDS = 5
REQUESTS = 8_000
SIZES = (1_000, 1_000_000)
COMMON = "Commonname"
LIMIT = 10
BATCH = 20_000


def main() -> None:
    """Print CPU microseconds a request for both stores and their ratio."""
    pin()
    with tempfile.TemporaryDirectory() as folder:
        stores = [Path(folder) / f"{size}.db" for size in SIZES]
        for store, size in zip(stores, SIZES, strict=True):
            asyncio.run(_fill(store, size))
        print(f"{'request':32} " + " ".join(f"{f'{size:,} stored':>24}" for size in SIZES) + "   ratio")
        with ours(f"sqlite:///{stores[0]}") as small, ours(f"sqlite:///{stores[1]}") as large:
            first = f"/v1/people?surname={COMMON}&limit={LIMIT}"
            hundredth = [_page(service, first, 100) for service in (small, large)]
            for title, paths in (("first page of a surname", [first, first]), ("hundredth page", hundredth)):
                asked = [(service, [request("GET", path)]) for service, path in zip((small, large), paths, strict=True)]
                rounds = [[microseconds(service, one, REQUESTS) for service, one in asked] for _ in range(ROUNDS)]
                few, many = zip(*rounds, strict=True)
                ratio = median(after / before for before, after in rounds)
                print(f"{title:32} {spread(list(few)):>24} {spread(list(many)):>24}   {ratio:.2f}", flush=True)


def _page(service: Server, path: str, number: int) -> str:
    cursor = ""
    for _ in range(number - 1):
        cursor = json.loads(get(service, path + cursor))["next_cursor"]
        cursor = f"&cursor={cursor}"
    return path + cursor


async def _fill(store: Path, size: int) -> None:
    """Of every store, 1,000 people bear one surname, evenly spread among the others in time."""
    async with wiring.open_people(Settings(store=f"sqlite:///{store}")) as service:
        every = size // 1_000
        made = (
            details_from_json(person | ({"person_surname": COMMON} if number % every == 0 else {}), today=service.today)
            for number, person in enumerate(people(size))
        )
        while batch := list(itertools.islice(made, BATCH)):
            await service.store.load(batch)
