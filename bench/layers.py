"""Which layer uses the CPU time of a request?

py-spy samples the service while it serves one kind of request. A sample counts for the layer of the innermost frame that belongs to one,
so the work of a library counts for the layer that calls it. The shares apply to the CPU time of an unsampled run. Requires permission to
trace other processes: root, or kernel.yama.ptrace_scope=0.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from threading import Event, Thread
from typing import NamedTuple

from bench.cloud import COMMON, FEW, LISTS, open_contenders
from bench.load_generator import microseconds, request
from bench.markdown_tables import Table
from bench.sample_people import people
from bench.servers import Server
from tests import dynamodb_servers

ROUNDS = 5
SECONDS = 12
SAMPLES = 400  # per second

# The first pattern that matches the file of a frame, innermost frame first. Reads, writes and waits of sockets have no Python frame; they
# count for the event loop.
LAYERS = {
    "metrics, logs, audit": r"peopleinfo/(telemetry|privacy)/|structlog/|peopleinfo/http/middleware/audit\.py|stores/instrumented\.py",
    "authentication, rate limits": r"peopleinfo/auth/|peopleinfo/http/(middleware/(auth|request_limits|host_check|cors)|sessions)\.py",
    "cache": r"peopleinfo/stores/cached/(?!pipelined_connection)",
    "store": r"peopleinfo/(crypto|stores/sqlite)/|peopleinfo/stores/dynamodb/(?!http\.py)|aiodynamo/",
    "record and rules": r"peopleinfo/people/",
    "HTTP API": r"peopleinfo/http/(?!uvicorn_|paced_|fast_protocol|problem_response|shutdown|bodies|falcon_app)|peopleinfo/app\.py",
    "framework (Falcon)": r"falcon/|peopleinfo/http/(bodies|falcon_app)\.py|<string>",
    "sending the response (system)": r"_finish_response .*http/uvicorn_cycle\.py",
    "HTTP server (uvicorn, httptools)": r"uvicorn/(?!server|_compat)|peopleinfo/http/(uvicorn_\w+|paced_protocol|fast_protocol|problem_response|shutdown)\.py",
    "Redis client (system)": r"cached/pipelined_connection\.py|redis/",
    "DynamoDB client (pyreqwest, system)": r"dynamodb/http\.py|pyreqwest/",
}
LOOP = "event loop: wait, read, wake up (system)"


class _Work(NamedTuple):
    """The requests of a kind, their number per round, and a function that clears the cache before it."""

    requests: list[bytes]
    count: int
    forget: Callable[[], None] | None = None


def main() -> list[Table]:
    """Print microseconds of CPU per request: a row per layer, a column per kind of request."""
    os.environ |= dynamodb_servers.CREDENTIALS
    with ExitStack() as stack:
        stack.callback(dynamodb_servers.stop_all)
        (one,) = open_contenders(stack, ("ours",))
        by_id = one.reads([f"/v1/people/{person_id}" for person_id in one.ids])
        lists = one.reads([f"/v1/people?surname={COMMON}{number}" for number in range(LISTS)])
        creation = request("POST", "/v1/people", json.dumps(next(people(1, seed=9))).encode(), key=one.key)
        works = {
            "read by id, cached": _Work(by_id[:FEW], 8_000),
            "list of 100, cached": _Work(lists, 4_000),
            "read by id, not cached": _Work(by_id, 1_600, one.forget),
            "create": _Work([creation], 1_600),
        }
        profiles = {title: _profile(one.server, work) for title, work in works.items()}
    table = Table("µs of CPU per request, by layer (DynamoDB and Valkey)", "layer", *profiles)
    for layer in (LOOP, *reversed(LAYERS)):
        table.row(layer, *(f"{costs[layer]:.1f}" for costs in profiles.values()))
    table.row("in all", *(f"{sum(costs.values()):.1f}" for costs in profiles.values()))
    return [table]


def _profile(server: Server, work: _Work) -> dict[str, float]:
    """Return microseconds of CPU per request, by layer."""
    cost = median(microseconds(server, work.requests, work.count, forget=work.forget) for _ in range(ROUNDS))
    looks = _looks(server, work)
    return {layer: cost * looks[layer] / looks.total() for layer in (LOOP, *LAYERS)}


def _looks(server: Server, work: _Work) -> Counter[str]:
    """Return the number of samples per layer."""
    enough = Event()

    def load() -> None:
        while not enough.is_set():
            microseconds(server, work.requests, work.count, forget=work.forget)

    with tempfile.TemporaryDirectory() as folder:
        seen = Path(folder) / "stacks"
        options = ["--rate", str(SAMPLES), "--duration", str(SECONDS), "--format", "raw", "--output", str(seen)]
        command = [str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(server.process.pid), *options]
        loading = Thread(target=load)
        loading.start()
        try:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        finally:
            enough.set()
            loading.join()
        looks: Counter[str] = Counter()
        for line in seen.read_text().splitlines():
            stack, _, count = line.rpartition(" ")
            looks[_layer(stack.split(";"))] += int(count)
    return looks


def _layer(stack: list[str]) -> str:
    for frame in reversed(stack):
        for layer, files in LAYERS.items():
            if re.search(files, frame):
                return layer
    return LOOP
