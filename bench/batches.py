"""What does a batch of 100 cost, compared with 100 single requests one after the other?

The cost is the CPU time of the server. One connection sends the requests: parallel creations on SQLite share a commit, and cost less than
those compared here. A creation is durable. Servers and client share one CPU. Rounds are paired.
"""

import asyncio
import json
import os
import tempfile
from contextlib import ExitStack

from bench.cloud import kind
from bench.load_generator import microseconds, request
from bench.markdown_tables import Table, ratio, spread
from bench.sample_people import people
from bench.servers import UNLIMITED, Server, ours, pin
from bench.store_fixtures import fill
from peopleinfo.settings import Settings
from peopleinfo.settings.urls import DynamoDBUrl
from tests import dynamodb_servers
from tests.store_kinds import make_table

ROUNDS = 5
SIZE = 100
BATCHES = 20  # of creations per round
READS = 100  # batches of reads per round
STORED = 2_000


def main() -> list[Table]:
    """Print a row per operation: CPU microseconds per person, one by one and in a batch."""
    os.environ |= dynamodb_servers.CREDENTIALS
    table = Table(
        f"µs of CPU per person, one by one and in a batch of {SIZE}",
        "operation", "one by one", "in a batch", "batch : one by one",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stack.callback(dynamodb_servers.stop_all)
        location = f"dynamodb://eu-west-1/Batches?endpoint={dynamodb_servers.endpoint(kind())}&timeout=30"
        asyncio.run(make_table(DynamoDBUrl.parse(location)))
        pin()
        for title, url in (("SQLite", f"sqlite:///{folder}/people.db"), (kind(), location)):
            stored = asyncio.run(fill(Settings(store_url=url), people(STORED), stored=STORED))
            with ours(url, **UNLIMITED) as server:
                ids = stored.ids[:SIZE]
                reads = [request("GET", f"/v1/people/{person_id}", key=stored.key) for person_id in ids]
                together = request("POST", "/v1/people/batch-get", _json({"ids": ids}), key=stored.key)
                _row(table, f"read by id, {title}", server, reads, together, READS)
                crowd = list(people(SIZE, seed=9))
                creations = [request("POST", "/v1/people", _json(person), key=stored.key) for person in crowd]
                items = {"items": [{"operation": "create", "person": person} for person in crowd]}
                together = request("POST", "/v1/people/batch", _json(items), key=stored.key)
                _row(table, f"create, {title}", server, creations, together, BATCHES)
    return [table]


def _row(table: Table, title: str, server: Server, singles: list[bytes], together: bytes, batches: int) -> None:
    rounds = [
        (
            microseconds(server, singles, SIZE * batches // 4, connections=1, warm_up=SIZE),
            microseconds(server, [together], batches, connections=1, warm_up=batches // 4) / SIZE,
        )
        for _ in range(ROUNDS)
    ]
    alone, batched = (list(column) for column in zip(*rounds, strict=True))
    table.row(title, spread(alone), spread(batched), f"{ratio(batched, alone):.3f}")


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
