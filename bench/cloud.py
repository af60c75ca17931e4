"""What does a request cost on DynamoDB and Valkey, beside the usual Python answer on the same two servers?

One process each; the cost is the CPU time of that process alone. Rounds are paired: usual, ours, usual, ours …
"""

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import redis

from bench.people import people
from bench.servers import Server, microseconds, ours, pin, post, request, spread, usual
from peopleinfo.dynamodb import schema
from peopleinfo.dynamodb.opening import open_table
from peopleinfo.dynamodb.table import Refused
from peopleinfo.settings import TableLocation
from tests import dynamodb_servers, valkey_servers

ROUNDS = 5
WARM, OTHERS = 8_000, 1_600  # requests a round
STORED = 1_600  # people of all sorts
FEW = 200  # of them, or of their surnames, whose answers are warm
LISTS = 20  # surnames that 100 people bear each
COMMON = "Commonname"
NAMES = ("usual", "ours", "ours, no L1", "ours, no cache")


@dataclass(frozen=True)
class Contender:
    """A running service with the same people as the others, under ids of its own."""

    name: str
    server: Server
    forget: Callable[[], None]
    ids: list[str]


def main() -> None:
    """Print a row a kind of request: CPU microseconds of each contender, and requests per CPU-second beside the usual answer."""
    os.environ |= dynamodb_servers.CREDENTIALS
    with ExitStack() as stack:
        stack.callback(dynamodb_servers.end_all)
        contenders = list(_contenders(stack))
        print(f"{'request':24}" + "".join(f"{one.name + ', us CPU':>26}" for one in contenders) + "   to the usual")
        ids = {one.name: [f"/v1/people/{person_id}" for person_id in one.ids] for one in contenders}
        surnames = dict.fromkeys(person["person_surname"] for person in people(STORED))
        names = [f"/v1/people?surname={surname}" for surname in surnames]
        lists = [f"/v1/people?surname={COMMON}{number}" for number in range(LISTS)]
        created = request("POST", "/v1/people", _json(next(people(1, seed=9))))
        with_cache = contenders[:-1]
        _row("by id, cached", with_cache, lambda one: _reads(ids[one.name][:FEW]), WARM)
        _row("by surname, cached", with_cache, lambda _: _reads(names[:FEW]), WARM)
        _row("list of 100, cached", with_cache, lambda _: _reads(lists), OTHERS)
        _row("by id, not cached", contenders, lambda one: _reads(ids[one.name]), OTHERS, cold=True)
        _row("by surname, not cached", contenders, lambda _: _reads(names), OTHERS, cold=True)
        _row("list of 100, not cached", contenders, lambda _: _reads(lists), OTHERS // 4, cold=True)
        _row("create", contenders, lambda _: [created], OTHERS)


def _contenders(stack: ExitStack) -> Iterator[Contender]:
    """Start everything: each contender has a table and a Valkey of its own."""
    kind = "ministack" if dynamodb_servers.missing("dynamodb-local") else "dynamodb-local"
    endpoint = os.environ.get("DYNAMODB") or dynamodb_servers.endpoint(kind)
    print(f"people are in {os.environ.get('DYNAMODB') or kind}, answers in Valkey\n")
    caches = [stack.enter_context(valkey_servers.serving()) for _ in NAMES]
    for name in NAMES:
        asyncio.run(_make_table(endpoint, name))
    pin()
    for name, cache in zip(NAMES, caches, strict=True):
        if name == "usual":
            server = stack.enter_context(usual(endpoint, _table(name), cache.url))
        else:
            settings = {"PEOPLEINFO_CACHE": "" if "no cache" in name else cache.url, "PEOPLEINFO_CACHE_FENCE": "0.1"}
            settings |= {"PEOPLEINFO_CACHE_LOCAL": "0"} if "no L1" in name else {}
            server = stack.enter_context(ours(f"dynamodb://eu-west-1/{_table(name)}?endpoint={endpoint}", **settings))
        made = post(server, "/v1/people", [_json(person) for person in people(STORED)])
        ids = [str(json.loads(answer)["person_id"]) for answer in made]
        post(
            server, "/v1/people", [_json(person | _common(number)) for number, person in enumerate(people(100 * LISTS))]
        )
        yield Contender(name, server, partial(_forget, cache.client), ids)


def _row(
    title: str,
    contenders: list[Contender],
    requests: Callable[[Contender], list[bytes]],
    count: int,
    *,
    cold: bool = False,
) -> None:
    """Measure one kind of request; `cold`: nothing that is asked for is in the cache."""
    rounds = [
        [microseconds(one.server, requests(one), count, forget=one.forget if cold else None) for one in contenders]
        for _ in range(ROUNDS)
    ]
    columns = list(zip(*rounds, strict=True))
    ratios = [median(usual / ours for usual, ours in zip(columns[0], column, strict=True)) for column in columns[1:]]
    cells = "".join(f"{spread(list(column)):>26}" for column in columns) + " " * 26 * (len(NAMES) - len(contenders))
    print(f"{title:24}{cells}   " + "  ".join(f"{ratio:.1f}" for ratio in ratios), flush=True)


def _reads(paths: list[str]) -> list[bytes]:
    return [request("GET", path) for path in paths]


def _json(person: dict[str, Any]) -> bytes:
    return json.dumps(person).encode()


def _common(number: int) -> dict[str, str]:
    return {"person_surname": f"{COMMON}{number % LISTS}"}


def _table(name: str) -> str:
    return "People-" + name.replace(", ", "-").replace(" ", "-")


async def _make_table(endpoint: str, name: str) -> None:
    async with open_table(TableLocation("eu-west-1", _table(name), endpoint, None)) as table:
        if name != "usual":
            await schema.create(table)
            return
        keys = {"surname_key": "HASH"}, {"person_id": "HASH"}
        index, whole = ([{"AttributeName": key, "KeyType": kind} for key, kind in one.items()] for one in keys)
        asked = {
            "TableName": table.name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for one in keys for key in one],
            "KeySchema": whole,
            "GlobalSecondaryIndexes": [
                {"IndexName": "by_surname", "KeySchema": index, "Projection": {"ProjectionType": "ALL"}}
            ],
        }
        with suppress(Refused):  # a slow server has made it, and was asked again
            await table.call("CreateTable", asked, 30, names_table=False)


def _forget(cache: redis.Redis) -> None:
    """Have every answer forgotten, but not what our cache knows of itself: without that it would keep silent for a while."""
    if kept := [key for key in cache.scan_iter(count=1_000) if key.startswith((b"pi:v", b"person:", b"surname:"))]:
        cache.unlink(*kept)
