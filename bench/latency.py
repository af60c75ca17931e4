"""What is the latency at half of the server's maximum throughput?

Server and client each have their own CPU. The benchmark measures the maximum throughput and then sends requests at half that rate in
an open loop; latency counts from the scheduled time. Rounds are paired. A bare Falcon handler shows the noise of the machine.
"""

import asyncio
import os
import tempfile
from contextlib import ExitStack
from statistics import median

from bench.cloud import FEW, PYTHON, kind, open_contenders
from bench.load_generator import get, latencies, request, throughput
from bench.markdown_tables import Table
from bench.sample_people import people
from bench.servers import UNLIMITED, Server, apart, bare, ours
from bench.store_fixtures import fill
from peopleinfo.settings import Settings
from tests import dynamodb_servers

ROUNDS = 5
STORED = 20_000
MOST = 20_000  # requests to measure the maximum throughput
SECONDS = 5.0  # requests per round
SHARES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}


def main() -> list[Table]:
    """Print a row per contender: maximum throughput, percentiles of latency at half of it in milliseconds, and memory."""
    os.environ |= dynamodb_servers.CREDENTIALS
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stack.callback(dynamodb_servers.stop_all)
        url = f"sqlite:///{folder}/people.db"
        stored = asyncio.run(fill(Settings(store_url=url), people(STORED), stored=STORED))
        dynamodb_servers.endpoint(kind())  # on any free CPU
        with apart():
            embedded = stack.enter_context(ours(url, **UNLIMITED))
            typical, cloud = open_contenders(stack, (PYTHON, "ours"))
            reads = [request("GET", f"/v1/people/{person_id}", key=stored.key) for person_id in stored.ids]
            falcon = stack.enter_context(bare(get(embedded, f"/v1/people/{stored.ids[0]}", key=stored.key)))
        paths = {one.name: [f"/v1/people/{person_id}" for person_id in one.ids[:FEW]] for one in (typical, cloud)}
        return [
            _table(
                {
                    "bare Falcon": (falcon, reads),
                    "ours, embedded, read by id": (embedded, reads),
                    "ours, DynamoDB and Valkey, cached read by id": (cloud.server, cloud.reads(paths["ours"])),
                    "typical, DynamoDB and Valkey, cached read by id": (
                        typical.server,
                        typical.reads(paths[PYTHON]),
                    ),
                }
            )
        ]


def _table(contenders: dict[str, tuple[Server, list[bytes]]]) -> Table:
    table = Table(
        f"Latency at half of the maximum throughput, ms (median of {ROUNDS} rounds; worst round)",
        "server", "maximum requests per second", "at the rate of", *SHARES, "p99.9 : p50", "MB",
    )  # fmt: skip
    rates = {name: median(throughput(*one, MOST) for _ in range(3)) for name, one in contenders.items()}
    rounds: dict[str, list[list[float]]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, (server, requests) in contenders.items():
            rate = rates[name] / 2
            taken = latencies(server, requests, rate, int(rate * SECONDS))
            rounds[name].append([taken[int(len(taken) * share)] * 1e3 for share in SHARES.values()])
    for name, (server, _) in contenders.items():
        columns = list(zip(*rounds[name], strict=True))
        cells = [f"{median(column):.2f} ({max(column):.2f})" for column in columns]
        times = median(one[-1] / one[0] for one in rounds[name])
        table.row(
            name, f"{rates[name]:,.0f}", f"{rates[name] / 2:,.0f}", *cells, f"{times:.1f}", f"{server.megabytes:.0f}"
        )
    return table
