"""Cost of the search index in SQLite: time per creation, size, and time per query by the number of people (`BENCH_SIZES`)."""

import asyncio
import itertools
import os
import random
import tempfile
import time
from pathlib import Path

from bench.census_people import people
from bench.search_quality import typed_queries
from peopleinfo.people.index_entries import DEFAULT_PLAN, NO_INDEX
from peopleinfo.people.person import utc_now
from peopleinfo.people.text_query import parse
from peopleinfo.people.text_search import PeopleSearch
from peopleinfo.stores.sqlite.factory import open_sqlite

COUNTS = [int(count) for count in os.environ.get("BENCH_SIZES", "10000,120000").split(",")]
SINGLE = 2_000  # people created one by one
BATCH = 1_000
FOLDER = os.environ.get("BENCH_FOLDER")


def main() -> None:
    """Print the costs."""
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        asyncio.run(measure(Path(folder)))


async def measure(folder: Path) -> None:
    """Print the costs of writes, then those of queries for each number of people."""
    for name, plan in (("without index", NO_INDEX), ("with all indexes", DEFAULT_PLAN)):
        path = folder / f"{plan is NO_INDEX}.db"
        async with open_sqlite(path, now=utc_now, plan=plan) as store:
            crowd = list(people(SINGLE + 20 * BATCH, seed=1))
            started = time.process_time()
            for data in crowd[:SINGLE]:
                await store.create(data)
            single = (time.process_time() - started) / SINGLE * 1e6
            started = time.process_time()
            for batch in _batched(crowd[SINGLE:]):
                await store.create_many(batch)
            many = (time.process_time() - started) / (20 * BATCH) * 1e6
            size = path.stat().st_size / len(crowd)
        print(
            f"{name}: create {single:.0f} us CPU, create_many {many:.0f} us CPU, {size:.0f} bytes per person",
            flush=True,
        )
    for count in COUNTS:
        await _measure_queries(folder / f"{count}.db", count)


async def _measure_queries(path: Path, count: int) -> None:
    async with open_sqlite(path, now=utc_now) as store:
        crowd = []
        for batch in _batched(people(count)):
            await store.create_many(batch)
            crowd += batch if len(crowd) < 200_000 else []
        search = PeopleSearch(store.search)
        print(f"\n{count} people\n\n| query | mean ms | p99 ms | CPU ms |\n|---|---|---|---|")
        kinds = typed_queries(crowd)
        everything = []
        for kind, queries in kinds.items():
            everything += await _time(kind, [text for _, text in queries], search)
        everything.sort()
        print(
            f"| all | {sum(everything) / len(everything):.1f} | {everything[int(len(everything) * 0.99)]:.1f} | |",
            flush=True,
        )


async def _time(kind: str, texts: list[str], search: PeopleSearch) -> list[float]:
    random.Random(1).shuffle(texts)
    times, started_cpu = [], time.process_time()
    for text in texts:
        started = time.perf_counter()
        await search.find(parse(text), limit=10)
        times.append((time.perf_counter() - started) * 1e3)
    cpu = (time.process_time() - started_cpu) / max(len(texts), 1) * 1e3
    ordered = sorted(times)
    print(
        f"| {kind} | {sum(times) / len(times):.1f} | {ordered[int(len(ordered) * 0.99)]:.1f} | {cpu:.1f} |", flush=True
    )
    return times


def _batched(source):
    iterator = iter(source)
    while batch := list(itertools.islice(iterator, BATCH)):
        yield batch


if __name__ == "__main__":
    main()
