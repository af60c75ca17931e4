"""What does a request cost on DynamoDB and Valkey, compared with typical services of Python and Node on the same two servers?

Each service runs in one process; the cost is the CPU time of that process. PeopleInfo has the timeouts for a slow
emulator, because it refuses creations (503) while the table does not respond. It authenticates, counts and logs every request; the
typical services do not. Rounds are paired: Python, Node, ours, Python, Node, ours …
"""

import asyncio
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from time import process_time
from typing import Any

import redis

from bench.embedded import mix
from bench.load_generator import WARM_UP, get, microseconds, post, request
from bench.markdown_tables import Table, ratio, spread
from bench.sample_people import people
from bench.servers import UNLIMITED, Server, bare, node, ours, pin, typical
from bench.store_fixtures import key
from peopleinfo.settings import Settings
from peopleinfo.settings.urls import DynamoDBUrl
from peopleinfo.stores.dynamodb import schema
from peopleinfo.stores.dynamodb.client import RequestRejected
from peopleinfo.stores.dynamodb.factory import open_table
from tests import dynamodb_servers, valkey_servers

ROUNDS = 5
WARM, OTHERS = 8_000, 1_600  # requests per round
STORED = 1_600  # people with random surnames
FEW = 200  # ids or surnames; their responses are in the cache
LISTS = 20  # surnames of 100 people each
COMMON = "Commonname"
PYTHON, NODE = "typical Python", "typical Node"
NAMES = (PYTHON, NODE, "ours", "ours, no L1", "ours, no cache")
REDUCED = "ours, no indexes"
_PEERS = {PYTHON: typical, NODE: node}


@dataclass(frozen=True)
class Contender:
    """A running service with the same people as the others, their ids in it, and an API key for it."""

    name: str
    server: Server
    forget: Callable[[], None]
    ids: list[str]
    key: str

    def reads(self, paths: list[str]) -> list[bytes]:
        """Return GET requests for these paths."""
        return [request("GET", path, key=self.key) for path in paths]

    def creations(self, bodies: list[bytes]) -> list[bytes]:
        """Return POST requests with these bodies."""
        return [request("POST", "/v1/people", body, key=self.key) for body in bodies]


def main() -> list[Table]:
    """Print a row per kind of request: CPU microseconds of each contender, and the ratio to the typical service."""
    os.environ |= dynamodb_servers.CREDENTIALS
    with ExitStack() as stack:
        stack.callback(dynamodb_servers.stop_all)
        contenders = list(open_contenders(stack))
        table = Table(
            f"µs of CPU per request on {kind()} and Valkey",
            "request", *NAMES, "Python : ours", "Node : ours", "Node : ours, no cache",
        )  # fmt: skip
        paths = {one.name: [f"/v1/people/{person_id}" for person_id in one.ids] for one in contenders}
        surnames = dict.fromkeys(person["person_surname"] for person in people(STORED))
        names = [f"/v1/people?surname={surname}" for surname in surnames]
        lists = [f"/v1/people?surname={COMMON}{number}" for number in range(LISTS)]
        created = [_json(person) for person in people(OTHERS, seed=9)]
        with_cache = contenders[:-1]
        _row(table, "by id, cached", with_cache, lambda one: one.reads(paths[one.name][:FEW]), WARM)
        _row(table, "by surname, cached", with_cache, lambda one: one.reads(names[:FEW]), WARM)
        _row(table, "list of 100, cached", with_cache, lambda one: one.reads(lists), OTHERS)
        _row(table, "by id, not cached", contenders, lambda one: one.reads(paths[one.name]), OTHERS, cold=True)
        _row(table, "by surname, not cached", contenders, lambda one: one.reads(names), OTHERS, cold=True)
        _row(table, "list of 100, not cached", contenders, lambda one: one.reads(lists), OTHERS // 4, cold=True)
        _row(table, "create", contenders, lambda one: one.creations(created), OTHERS, warm_up=FEW)
        _row(table, "mixed: 95 % reads", contenders, lambda one: list(mix(one.ids, one.key)), OTHERS)
        return [table, _creation(contenders, created, stack), _floor(contenders[2], stack)]


def _creation(contenders: list[Contender], created: list[bytes], stack: ExitStack) -> Table:
    """Compare a creation with and without what the typical service does not store: index entries, versions and changes."""
    (reduced,) = open_contenders(stack, (REDUCED,))
    compared = [contenders[NAMES.index(NODE)], contenders[NAMES.index("ours")], reduced]
    rounds = [
        [microseconds(one.server, one.creations(created), OTHERS, warm_up=FEW) for one in compared]
        for _ in range(ROUNDS)
    ]
    node_costs, costs, reduced_costs = (list(column) for column in zip(*rounds, strict=True))
    table = Table("µs of CPU of a creation", NODE, "ours", REDUCED, "Node : ours", f"Node : {REDUCED}")
    ratios = f"{ratio(node_costs, costs):.1f}", f"{ratio(node_costs, reduced_costs):.1f}"
    table.row(spread(node_costs), spread(costs), spread(reduced_costs), *ratios)
    return table


def _floor(one: Contender, stack: ExitStack) -> Table:
    """Measure the lower bound of a cached read: a handler that returns the same bytes, and a GET of Redis."""
    reads = one.reads([f"/v1/people/{person_id}" for person_id in one.ids[:FEW]])
    falcon = stack.enter_context(bare(get(one.server, f"/v1/people/{one.ids[0]}", key=one.key)))
    cache = stack.enter_context(valkey_servers.running_server())
    cache.client.set("person", b"x" * 300)
    rounds = [
        (microseconds(falcon, reads, WARM), microseconds(one.server, reads, WARM), _get(cache.port))
        for _ in range(ROUNDS)
    ]
    bare_costs, costs, gets = (list(column) for column in zip(*rounds, strict=True))
    table = Table(
        "µs of CPU of a cached read, and the floor",
        "`GET` of Redis over a socket, no server", "bare Falcon", "ours", "ours : Falcon",
    )  # fmt: skip
    table.row(spread(gets), spread(bare_costs), spread(costs), f"{ratio(costs, bare_costs):.2f}")
    return table


def _get(port: int) -> float:
    """Return the CPU microseconds of a GET of Redis in this process."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        before = process_time()
        for _ in range(WARM):
            connection.sendall(b"*2\r\n$3\r\nGET\r\n$6\r\nperson\r\n")
            connection.recv(4096)
        return (process_time() - before) / WARM * 1e6


def kind() -> str:
    """Return the name of the DynamoDB server."""
    return os.environ.get("DYNAMODB") or (
        "ministack" if dynamodb_servers.missing_requirement("dynamodb-local") else "dynamodb-local"
    )


def open_contenders(stack: ExitStack, names: tuple[str, ...] = NAMES) -> Iterator[Contender]:
    """Start all contenders, each with its own table and Valkey, on the CPU of this process."""
    endpoint = os.environ.get("DYNAMODB") or dynamodb_servers.endpoint(kind())
    caches = [stack.enter_context(valkey_servers.running_server()) for _ in names]
    for name in names:
        asyncio.run(_make_table(endpoint, name))
    pin()
    for name, cache in zip(names, caches, strict=True):
        if name in _PEERS:
            shown, server = "", stack.enter_context(_PEERS[name](endpoint, _table(name), cache.url))
        else:
            store = f"dynamodb://eu-west-1/{_table(name)}?endpoint={endpoint}&timeout=30"
            shown = asyncio.run(key(Settings(store_url=store)))
            settings = {
                "PEOPLEINFO_CACHE_URL": "" if "no cache" in name else cache.url,
                "PEOPLEINFO_CACHE_FENCE_TTL": "0.1",
            }
            settings |= {"PEOPLEINFO_CACHE_LOCAL_SIZE": "0"} if "no L1" in name else {}
            settings |= {"PEOPLEINFO_SEARCH_INDEXES": "", "PEOPLEINFO_HISTORY": "0"} if name == REDUCED else {}
            server = stack.enter_context(ours(store, **UNLIMITED, **settings))
        made = post(server, "/v1/people", [_json(person) for person in people(STORED)], key=shown)
        ids = [str(json.loads(answer)["person_id"]) for answer in made]
        common = [_json(person | _common(number)) for number, person in enumerate(people(100 * LISTS))]
        post(server, "/v1/people", common, key=shown)
        yield Contender(name, server, partial(_forget, cache.client), ids, shown)


def _row(
    table: Table,
    title: str,
    contenders: list[Contender],
    requests: Callable[[Contender], list[bytes]],
    count: int,
    *,
    cold: bool = False,
    warm_up: int = WARM_UP,
) -> None:
    """Measure one kind of request; with `cold` the cache is empty."""
    rounds = [
        [
            microseconds(one.server, requests(one), count, forget=one.forget if cold else None, warm_up=warm_up)
            for one in contenders
        ]
        for _ in range(ROUNDS)
    ]
    columns = [list(column) for column in zip(*rounds, strict=True)]
    python, node_costs, cached, *_ = columns
    times = [f"{ratio(python, cached):.1f}", f"{ratio(node_costs, cached):.1f}"]
    if len(columns) == len(NAMES):
        table.row(title, *map(spread, columns), *times, f"{ratio(node_costs, columns[-1]):.1f}")
    else:
        table.row(title, *map(spread, columns), "", *times, "")


def _json(person: dict[str, Any]) -> bytes:
    return json.dumps(person).encode()


def _common(number: int) -> dict[str, str]:
    return {"person_surname": f"{COMMON}{number % LISTS}"}


def _table(name: str) -> str:
    return "People-" + name.replace(", ", "-").replace(" ", "-")


async def _make_table(endpoint: str, name: str) -> None:
    async with open_table(DynamoDBUrl("eu-west-1", _table(name), endpoint, None)) as table:
        if name not in _PEERS:
            await schema.create(table)
            return
        keys = {"surname_key": "HASH"}, {"person_id": "HASH"}
        index, whole = ([{"AttributeName": key, "KeyType": kind} for key, kind in one.items()] for one in keys)
        parameters = {
            "TableName": table.name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for one in keys for key in one],
            "KeySchema": whole,
            "GlobalSecondaryIndexes": [
                {"IndexName": "by_surname", "KeySchema": index, "Projection": {"ProjectionType": "ALL"}}
            ],
        }
        with suppress(RequestRejected):  # a slow server created it, and the request was retried
            await table.call("CreateTable", parameters, 30, names_table=False)


def _forget(cache: redis.Redis) -> None:
    """Delete all cached responses, but not the epoch of our cache: without it the cache stays off for a while."""
    if kept := [key for key in cache.scan_iter(count=1_000) if key.startswith((b"pi:v", b"person:", b"surname:"))]:
        cache.unlink(*kept)
