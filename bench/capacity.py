"""How many tasks, capacity units and dollars does a load need, and how many shards does a common surname need?

DynamoDB Local reports the capacity units of each operation. CPU times come from `bench cloud`, prices from the AWS price list; replace
the constants below with your own. Writes docs/capacity.md.
"""

import asyncio
import math
import os
import random
from collections.abc import Awaitable, Callable
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from bench.sample_people import SURNAMES, people
from peopleinfo.people.idempotency import IdempotencyKey
from peopleinfo.people.person import parse_person
from peopleinfo.people.person_filter import PersonFilter, Search
from peopleinfo.people.store import Store
from peopleinfo.settings import Settings
from peopleinfo.settings.urls import DynamoDBUrl
from peopleinfo.stores.dynamodb import metrics, schema
from peopleinfo.stores.dynamodb.factory import open_table
from peopleinfo.stores.registry import open_service_store
from tests import dynamodb_servers

OUTPUT = Path("docs/capacity.md")

# CPU microseconds per request (docs/performance.md), plus 50 %: a rented processor may be slower.
HIT, MISS, WRITE = 75, 550, 420
# A task has half a virtual CPU and a target utilization of 50 %; at least two tasks run.
TASK_CPU, BUSY, TASKS = 0.5, 0.5, 2
# Dollars, us-east-1, November 2026, not verified: a task-hour (ARM: half a virtual CPU, 1 GB), a million units, a GB-month, a cache-hour
# (two small nodes), a load balancer-hour.
TASK_HOUR, READ_UNITS, WRITE_UNITS, GB_MONTH, CACHE_HOUR, BALANCER_HOUR = (
    0.0198,
    0.125,
    0.625,
    0.25 + 0.20,
    0.034,
    0.0225,
)
HOURS = 730

RATES = (1, 100, 10_000)  # requests a second
STORED = (10**6, 10**8, 10**9)  # people
READS = 0.95  # share of all requests; half by id, half by surname. The rest are creations and updates, half each
CACHE_SECONDS = 60.0

PARTITION_WRITES = 1_000  # write units per second of one partition key
BURST_SECONDS = 300  # seconds of unused capacity that DynamoDB keeps for bursts
SIMULATED_SECONDS = 1_800
SHARDS = (1, 2, 4, 8, 16, 32, 64)
SURNAME_SHARES = {
    "1 in 120 (Smith, United States)": 1 / 120,
    "1 in 5 (Kim, Korea)": 1 / 5,
    "1 in 3 (Nguyen, Vietnam)": 1 / 3,
}
COMMON = 100  # people of one surname in the measurement

# Duplicate detection: match entries of a person, their bytes with overhead in the table and in SQLite, records that a scan compares for each
# person, the CPU microseconds of a scan for each person, and the read units of a match by number of people.
ENTRIES, ENTRY_BYTES, SQLITE_ENTRY_BYTES, COMPARED, SCAN = 4, 100, 32, 2.3, 300
MATCH_READS = {10**6: 10, 10**8: 40, 10**9: 80}


class Units(NamedTuple):
    """Read and write capacity units of an operation."""

    read: float
    write: float


def main() -> None:
    """Measure the units and write the page."""
    os.environ |= dynamodb_servers.CREDENTIALS
    try:
        units = asyncio.run(_measured())
    finally:
        dynamodb_servers.stop_all()
    OUTPUT.write_text(_page(units), encoding="utf-8")
    print(f"wrote {OUTPUT}")


async def _measured() -> dict[str, Units]:
    """Return the units of each operation on a new table."""
    endpoint = dynamodb_servers.endpoint("dynamodb-local")
    location = DynamoDBUrl("eu-west-1", "Capacity", endpoint)
    async with open_table(location) as table:
        await schema.create(table)
    store_url = f"dynamodb://{location.region}/{location.table}?endpoint={endpoint}"
    async with open_service_store(
        Settings(store_url=store_url, search_indexes="", identifiers=""), create=True
    ) as service:
        one, another, *others = (
            parse_person(person, today=date.max) for person in islice(people(COMMON + 2), COMMON + 2)
        )
        store = service.people
        record = await store.create(one)
        common = [
            parse_person({"person_surname": "Common", "person_name": f"N{n}"}, today=date.max) for n in range(COMMON)
        ]
        await store.create_many(common)
        once = IdempotencyKey(b"k" * 32, b"c" * 32)
        same = parse_person({"person_surname": one.person_surname, "x": 1}, today=date.max)
        operations: dict[str, Callable[[Store], Awaitable[Any]]] = {
            "read by id": lambda store: store.get(record.person_id),
            "read by surname, one person": lambda store: _find(store, one.surname_key),
            f"read by surname, {COMMON} people": lambda store: _find(store, "common"),
            "create": lambda store: store.create(another),
            "create, with Idempotency-Key": lambda store: store.create(another, idempotency_key=once),
            "change": lambda store: store.replace(record.person_id, same, expected=1, current=record),
            "change of the surname": lambda store: store.replace(record.person_id, another, expected=2),
            "import, each person": lambda store: store.create_many(others),
            "erase": lambda store: store.delete(record.person_id),
        }
        return {
            name: await _units(store, operation, len(others) if "import" in name else 1)
            for name, operation in operations.items()
        }


def _find(store: Store, surname_key: str) -> Awaitable[Any]:
    return store.find(PersonFilter(Search(surname=surname_key)), after=None, limit=COMMON)


async def _units(store: Store, operation: Callable[[Store], Awaitable[Any]], times: int) -> Units:
    """Return the units that DynamoDB reports for an operation on several records."""
    totals = {"read": 0.0, "write": 0.0}
    record_capacity = metrics.record_capacity

    def note(action: str, answer: dict[str, Any]) -> None:
        capacity = answer.get("ConsumedCapacity") or ()
        kind = (
            "write"
            if action in ("PutItem", "UpdateItem", "TransactWriteItems", "BatchWriteItem", "DeleteItem")
            else "read"
        )
        units = sum(one.get("CapacityUnits", 0) for one in ([capacity] if isinstance(capacity, dict) else capacity))
        totals[kind] += units / 2 if action == "TransactWriteItems" else units  # docs/dynamodb-emulators.md

    metrics.record_capacity = note
    try:
        await operation(store)
    finally:
        metrics.record_capacity = record_capacity
    return Units(totals["read"] / times, totals["write"] / times)


def hits(rate: float) -> float:
    """Return the cache hit ratio of reads by surname at a rate per second, with the distribution of real surnames."""
    weights = [1 / (rank + 10) for rank in range(SURNAMES)]
    whole = sum(weights)
    expected = (rate * CACHE_SECONDS * weight / whole for weight in weights)
    return sum(weight / whole * one / (1 + one) for weight, one in zip(weights, expected, strict=True))


def throttled(writes: float, shards: int, chance: random.Random) -> float:
    """Return the share of writes to one surname that DynamoDB throttles, at a rate of write units per second."""
    refused = 0.0
    saved = [float(PARTITION_WRITES * BURST_SECONDS)] * shards
    mean = writes / shards
    for _ in range(SIMULATED_SECONDS):
        for shard in range(shards):
            came = max(0.0, chance.gauss(mean, math.sqrt(mean)))
            allowed = PARTITION_WRITES + saved[shard]
            refused += max(0.0, came - allowed)
            saved[shard] = min(float(PARTITION_WRITES * BURST_SECONDS), max(0.0, allowed - came))
    return refused / (writes * SIMULATED_SECONDS)


def _page(units: dict[str, Units]) -> str:
    rows = [f"| {name} | {one.read:g} | {one.write:g} |" for name, one in units.items()]
    return _TEXT.format(
        units="\n".join(rows),
        costs="\n".join(_cost(rate, stored, units) for rate in RATES for stored in STORED),
        shards="\n".join(_shards(name, share, units["create"].write) for name, share in SURNAME_SHARES.items()),
        duplicates="\n".join(_duplicates(stored, read) for stored, read in MATCH_READS.items()),
        entry_bytes=ENTRY_BYTES,
        item_bytes=_ITEM_BYTES,
        read_units=READ_UNITS,
        write_units=WRITE_UNITS,
        gb_month=GB_MONTH,
        header=" | ".join(str(shards) for shards in SHARDS),
        line="|".join("---" for _ in SHARDS),
        hit=HIT,
        miss=MISS,
        write=WRITE,
        most=RATES[-1],
    )


def _cost(rate: int, stored: int, units: dict[str, Units]) -> str:
    by_surname = rate * READS / 2
    hit = by_surname * hits(by_surname)
    missed, writes = rate * READS - hit, rate * (1 - READS)
    cpu = (hit * HIT + missed * MISS + writes * WRITE) / 1e6
    tasks = max(TASKS, math.ceil(cpu / (TASK_CPU * BUSY)))
    reading = (
        rate * READS / 2 * units["read by id"].read + (by_surname - hit) * units["read by surname, one person"].read
    )
    writing = writes / 2 * (units["create"].write + units["change"].write)
    gigabytes = stored * _ITEM_BYTES / 1e9
    running = (tasks * TASK_HOUR + CACHE_HOUR + BALANCER_HOUR) * HOURS
    asking = (reading * READ_UNITS + writing * WRITE_UNITS) * HOURS * 3_600 / 1e6
    keeping = gigabytes * GB_MONTH
    total = running + asking + keeping
    return (
        f"| {rate:,} | {stored:,} | {hits(by_surname):.0%} | {tasks} | {reading:,.1f} | {writing:,.1f} | {gigabytes:,.1f} "
        f"| {running:,.0f} | {asking:,.0f} | {keeping:,.0f} | {total:,.0f} |"
    )


def _duplicates(stored: int, read: int) -> str:
    """Return the cost of duplicate detection; `read` is the number of read units of a match."""
    entries = stored * ENTRIES
    gigabytes = entries * ENTRY_BYTES / 1e9
    scanned = stored * (2 * _ITEM_BYTES / 4_096 + COMPARED)
    hours = stored * SCAN / 3.6e9
    return (
        f"| {stored:,} | {entries:,} | {stored * ENTRIES * SQLITE_ENTRY_BYTES / 1e9:,.2f} | {gigabytes:,.1f} | {entries * WRITE_UNITS / 1e6:,.2f} "
        f"| {gigabytes * GB_MONTH:,.2f} | {read} | {scanned:,.0f} | {scanned * READ_UNITS / 1e6:,.2f} | {hours:,.1f} |"
    )


_ITEM_BYTES = (
    800  # bytes of a person of `bench.sample_people` in the table and its index, with DynamoDB's overhead per item
)


def _shards(name: str, share: float, units: float) -> str:
    writes = RATES[-1] * (1 - READS) * share * units
    chance = random.Random(1)
    cells = " | ".join(f"{throttled(10 * writes, shards, chance):.0%}" for shards in SHARDS)
    return f"| {name} | {10 * writes:,.0f} | {cells} |"


_TEXT = """# Capacity planning: tasks, capacity units, dollars

`python -m bench capacity` writes this page; its source states which figures are measured and which are assumed. None of them comes from real AWS.

## Capacity units of an operation

DynamoDB Local reports these units for a record of about 400 bytes and one shard. A search queries every shard, so its units grow with the number of shards.

| operation | read units | write units |
|---|---|---|
{units}

## Search index

The table above has the units without the search index. A person has an entry for each word of the names, for the birthdate, for each identifier and for each word of the address except house numbers and words such as street. Each entry costs a creation one write unit: for example 3 for a surname, a first name and a birthdate, 3 for `12 Baker Street, Springfield 62701`, and 2 for a mail address and a phone number. A new name adds three units (one in an encrypted table without `?index=prefix`), and a change adds one for each entry that it stores or deletes, and about four for a marker of these entries. A creation also reads one unit for each name, to find out whether it is new. In a table of 120,000 people with the names of a census, new names add 0.7 units to a creation on average (0.24 with hashes). `PEOPLEINFO_SEARCH_INDEXES` and `PEOPLEINFO_IDENTIFIERS` switch indexes off: with `PEOPLEINFO_SEARCH_INDEXES=names,birthdate` and no identifiers, a creation costs 3.7 further units. An entry takes about 100 bytes.

Measured write units of a creation with known names, with the record, its prefix index and the feed (3 units):

| `PEOPLEINFO_SEARCH_INDEXES` | `PEOPLEINFO_IDENTIFIERS` | names and birthdate | with an address | with an address, mail and phone |
|---|---|---|---|---|
| none | none | 3 | 3 | 3 |
| `names` | none | 5 | 5 | 5 |
| `names,birthdate` | none | 6 | 6 | 6 |
| `names,birthdate,address` | none | 6 | 9 | 9 |
| `names,birthdate,address` | `email,phone` | 6 | 9 | 11 |
| `duplicates` | none | 5 | 7 | 7 |
| `duplicates` | `email,phone` | 5 | 7 | 11 |
| `names,birthdate,duplicates` | none | 8 | 10 | 10 |
| `names,birthdate,address,duplicates` | none | 8 | 13 | 13 |
| `names,birthdate,address,duplicates` (default) | `email,phone` (default) | 8 | 13 | 17 |

A creation with `duplicates=report` writes the same units, and six more for each pair that it adds to the review queue (one transaction of three items). It reads about 10 units for a person with all values, and one for each candidate. [ADR 16](adr/0016-search-index.md) explains why each value costs a unit.

A search queries at most 40 keys. It takes about half a read unit for each key with few entries, and one for every 4 KB of entries otherwise.

A list by name (`sort=name`) reads the entries of names: about 15 read units for a page of 100 people, and one for each record. It stores one item for each distinct start of two letters of a surname, and no other writes. `/v1/people/letters` costs at most about 50 read units. `/v1/people/count` without filters reads at most 4 MB of the table (1,024 read units); above, it estimates the number from this part and the number of items that DynamoDB reports about every six hours. With filters, it reads the records of the surname or of the table, at most ten pages.

On SQLite, the index `updated_at` costs a creation 1 to 2 µs of CPU and 48 bytes. It has no effect on DynamoDB.

## History and changes

The table above has the units without history and feed. The feed adds one write unit to a create, a change or an import, and the history one to a change; a deletion adds one for each version and three others. A number of versions (`PEOPLEINFO_HISTORY=10`) adds one more to a change at the limit, an age adds none. Reads are unchanged.

A version of a record of 270 bytes takes about 370 bytes in SQLite. 10 versions of 1,000,000 people therefore add 3.7 GB to the file. In DynamoDB they add 10,000,000 items of about 430 bytes: 4.3 GB.

## Duplicate detection

Computed from the figures above and the prices of this page, not run on AWS:

- *Entries once*: people · 4 entries · {write_units} $ per million write units. *Entries per month*: people · 4 · {entry_bytes} bytes · {gb_month} $ per GB.
- *A match*: 4.3 keys and the candidates. A block of more than 400 entries costs 10 read units and one or two narrower queries: from 10⁸ people for birthdates, and for frequent names.
- *A scan* reads the table twice (count and entries), and 2.3 records for each person: people · (2 · {item_bytes} / 4,096 + 2.3) · {read_units} $ per million read units. A processor takes 0.15 to 0.3 ms for each person, of which the upper figure is used.
- A creation that reports no duplicate has no cost but the match. Each reported pair costs six write units.

| people | entries | GB in SQLite | GB in the table | entries once, $ | entries per month, $ | read units of a match | read units of a scan | a scan, $ | a scan, CPU hours |
|---|---|---|---|---|---|---|---|---|---|
{duplicates}

A pair of the queue takes about 1.3 KB in SQLite and three items of about 900 bytes in the table.

## Cost per month

The load has 95 % reads, half by id and half by surname, with the distribution of real surnames. Half of the writes create a record, half change one.
The cache keeps a response for 60 s. The worst case is assumed for reads by id: none hits the cache. A request costs {hit} µs of CPU when the cache
answers it, {miss} when the table answers it, and {write} when it writes. A task has half a virtual CPU and a target utilization of 50 %. Prices are
those of us-east-1, on demand, without taxes, support, logs, traffic and the NAT gateway.

| requests per second | people | cache hits by surname | tasks | read units per second | write units per second | GB | tasks, cache and balancer, $ | units, $ | storage with recovery, $ | total, $ |
|---|---|---|---|---|---|---|---|---|---|---|
{costs}

## How many shards a common surname needs

One partition key takes 1,000 write units per second, plus the unused capacity of the last five minutes. The table shows the share of a
surname's writes that DynamoDB throttles during half an hour with ten times {most:,} requests per second, as in a large import through the API.
The service retries a throttled write and finally responds with 503.

| share of the surname | write units per second | {header} shards |
|---|---|{line}|
{shards}

Use `peopleinfo import` for a million people: it slows down when DynamoDB throttles the table, and loses no row. One shard is enough unless the
write load of an import continues all day; then choose the first column that shows 0 %. Each shard adds one query to every search by surname
that misses the cache.
"""
