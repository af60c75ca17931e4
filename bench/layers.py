"""Where does each microsecond of a request go?

The service is looked at a few hundred times a second (py-spy) while it answers one kind of request. A look counts for the layer of the innermost
frame that belongs to one, so that what a library does for a layer is that layer's. The shares are of the CPU time that a request takes when nobody
looks. Needs the right to look into another process: root's, or kernel.yama.ptrace_scope=0.
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
LOOKS = 400  # a second

# The first that matches the file of a frame, the innermost frame first. Reading, writing and waiting have no frame of their own: they are
# done by the event loop, for whoever called it, or for nobody.
LAYERS = {
    "metrics, log, audit": r"peopleinfo/telemetry/|structlog/|peopleinfo/(audit|http/audited)\.py",
    "who asks, and how much": r"peopleinfo/(gate|access|apikeys|rates|oidc)\.py|peopleinfo/http/(auth|limits|loopback|browsers|sessions)\.py",
    "cache": r"peopleinfo/cache/(?!pipe)",
    "store": r"peopleinfo/(sqlite|crypto)/|peopleinfo/dynamodb/(?!http\.py)|aiodynamo/",
    "record and rules": r"peopleinfo/(people|person|names|birthdate|strictjson|search|ids|masks|store)\.py",
    "contract": r"peopleinfo/http/(?!protocol|drain|requests)|peopleinfo/wiring\.py",
    "framework (Falcon)": r"falcon/|peopleinfo/http/requests\.py|<string>",
    "sending the answer (system)": r"_Cycle\._end .*http/protocol\.py",
    "HTTP server (uvicorn, httptools)": r"uvicorn/(?!server|_compat)|peopleinfo/http/(protocol|drain)\.py",
    "asking Redis (system)": r"cache/pipe\.py|redis/",
    "asking DynamoDB (pyreqwest, system)": r"dynamodb/http\.py|pyreqwest/",
}
LOOP = "event loop: waiting, reading, waking (system)"


class _Work(NamedTuple):
    """What is asked, how many times a round, and what is to be forgotten before."""

    requests: list[bytes]
    count: int
    forget: Callable[[], None] | None = None


def main() -> list[Table]:
    """Print microseconds of CPU a request: a row a layer, a column a kind of request."""
    os.environ |= dynamodb_servers.CREDENTIALS
    with ExitStack() as stack:
        stack.callback(dynamodb_servers.end_all)
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
    table = Table("Where the µs of CPU of a request go (DynamoDB and Valkey)", "layer", *profiles)
    for layer in (LOOP, *reversed(LAYERS)):
        table.row(layer, *(f"{costs[layer]:.1f}" for costs in profiles.values()))
    table.row("in all", *(f"{sum(costs.values()):.1f}" for costs in profiles.values()))
    return [table]


def _profile(server: Server, work: _Work) -> dict[str, float]:
    """Return microseconds of CPU a request, by layer."""
    cost = median(microseconds(server, work.requests, work.count, forget=work.forget) for _ in range(ROUNDS))
    looks = _looks(server, work)
    return {layer: cost * looks[layer] / looks.total() for layer in (LOOP, *LAYERS)}


def _looks(server: Server, work: _Work) -> Counter[str]:
    """Return how often each layer was at work."""
    enough = Event()

    def load() -> None:
        while not enough.is_set():
            microseconds(server, work.requests, work.count, forget=work.forget)

    with tempfile.TemporaryDirectory() as folder:
        seen = Path(folder) / "stacks"
        options = ["--rate", str(LOOKS), "--duration", str(SECONDS), "--format", "raw", "--output", str(seen)]
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
