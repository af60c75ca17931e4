"""How many instructions does a request cost, compared with a bare handler?

callgrind counts the instructions of the server in user mode. Unlike CPU time, they hardly depend on the load of the machine. For
each kind of request, a handler that only returns the same bytes (Falcon, no authentication) runs on the same server and interpreter.
The ratio of both hardly depends on the version of the interpreter either. Requires valgrind.
"""

import json
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import uvloop

from bench.load_generator import get, post, request, send
from bench.markdown_tables import Table
from bench.sample_people import people
from bench.servers import UNLIMITED, Server, bare, ours
from tests import valkey_servers

REQUESTS = 400
WARM_UP = 200
STORED = 50
LIST = 100
_TOTAL = re.compile(r"^totals: (\d+)", re.MULTILINE)


def main() -> list[Table]:
    """Print a row per kind of request: instructions of the service and of the bare handler, and their ratio."""
    table = Table("instructions per request", "request", "bare Falcon", "ours", "ours : Falcon")
    for kind, cost in costs(count=REQUESTS):
        table.row(kind, f"{cost.bare:,}", f"{cost.ours:,}", f"{cost.ratio:.2f}")
    return [table]


class Cost(NamedTuple):
    """Instructions of one request, in the service and in a bare handler that returns the same bytes."""

    ours: int
    bare: int

    @property
    def ratio(self) -> float:
        """The cost relative to the bare handler."""
        return self.ours / self.bare


@dataclass(frozen=True)
class CountedServer:
    """A server under callgrind, which writes its counts to `folder`."""

    server: Server
    folder: Path

    def instructions(self, requests: list[bytes], count: int) -> int:
        """Return the instructions per request of `count` requests from the list, in turn."""
        uvloop.run(send(self.server.port, requests, WARM_UP, connections=1))
        self._control("--instr=on")
        uvloop.run(
            send(self.server.port, requests, count // 4, connections=1)
        )  # until callgrind has translated the code
        self._control("--zero")
        uvloop.run(send(self.server.port, requests, count, connections=1))
        self._control("--dump")
        self._control("--instr=off")
        return round(self._take_total() / count)

    def _control(self, option: str) -> None:
        command = ["callgrind_control", option, str(self.server.process.pid)]
        subprocess.run(command, check=True, capture_output=True)

    def _take_total(self) -> int:
        dumps = list(self.folder.glob("callgrind.*.*"))
        total = sum(int(found) for dump in dumps for found in _TOTAL.findall(dump.read_text()))
        for dump in dumps:
            dump.unlink()
        return total


@contextmanager
def counted() -> Iterator[tuple[Path, list[str]]]:
    """Yield a folder, and the command that runs a server under callgrind there."""
    if shutil.which("valgrind") is None:
        raise SystemExit("valgrind is missing; install it, for example with apt-get install valgrind")
    with tempfile.TemporaryDirectory() as folder:
        options = ["--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={folder}/callgrind.%p"]
        yield Path(folder), ["valgrind", "--quiet", *options]


def costs(
    *, python: str = sys.executable, module: str = "peopleinfo", count: int = REQUESTS
) -> Iterator[tuple[str, Cost]]:
    """Yield each kind of request with its cost. `python` may belong to the environment of another version."""
    key = secrets.token_hex()
    for kinds, cache in ((_embedded, None), (_cached, {}), (_shared, {"PEOPLEINFO_CACHE_LOCAL_SIZE": "0"})):
        settings = UNLIMITED | {"PEOPLEINFO_ADMIN_KEY": key, "PYTHONHASHSEED": "0"}
        with ExitStack() as stack:
            folder, wrapper = stack.enter_context(counted())
            if cache is not None:
                valkey = stack.enter_context(valkey_servers.running_server())
                settings |= {"PEOPLEINFO_CACHE_URL": valkey.url, "PEOPLEINFO_CACHE_FENCE_TTL": "0.1"} | cache
            store = f"sqlite:///{folder}/people.db"
            server = stack.enter_context(ours(store, module=module, python=python, wrapper=wrapper, **settings))
            for kind, requests in kinds(server, key):
                yield kind, _cost(CountedServer(server, folder), requests, count)


def _cost(server: CountedServer, requests: list[bytes], count: int) -> Cost:
    body = uvloop.run(send(server.server.port, requests[:1], 1))[0]
    with counted() as (folder, wrapper), bare(body, wrapper=wrapper) as handler:
        base = CountedServer(handler, folder).instructions(requests, count)
    return Cost(server.instructions(requests, count), base)


def _embedded(server: Server, key: str) -> Iterator[tuple[str, list[bytes]]]:
    """Store people and yield the requests of each kind."""
    new, ids = _stored(server, key)
    common = [json.dumps(person | {"person_surname": "Common"}).encode() for person in islice(people(LIST), LIST)]
    post(server, "/v1/people", common, key=key)
    yield "read by id", [request("GET", f"/v1/people/{person_id}", key=key) for person_id in ids]
    yield "read by surname", [request("GET", path, key=key) for path in _surnames(new)]
    yield "list of 100", [request("GET", f"/v1/people?surname=Common&limit={LIST}", key=key)]
    yield "create", [request("POST", "/v1/people", new[0], key=key)]


def _cached(server: Server, key: str) -> Iterator[tuple[str, list[bytes]]]:
    paths, surnames = _stored_paths(server, key)
    yield "read by id, cached", [request("GET", path, key=key) for path in paths]
    yield "read by surname, cached", [request("GET", path, key=key) for path in surnames]
    balanced = [request("GET", path, key=key, lines=_balancer(number)) for number, path in enumerate(paths)]
    yield "read by id, cached, behind a load balancer", balanced


def _shared(server: Server, key: str) -> Iterator[tuple[str, list[bytes]]]:
    paths, surnames = _stored_paths(server, key)
    yield "read by id, shared cache", [request("GET", path, key=key) for path in paths]
    yield "read by surname, shared cache", [request("GET", path, key=key) for path in surnames]


def _stored_paths(server: Server, key: str) -> tuple[list[str], list[str]]:
    """Store people, and return the paths of reads by id and by surname once the cache is up."""
    new, ids = _stored(server, key)
    while json.loads(get(server, "/status"))["cache"] != "ok":
        pass
    return [f"/v1/people/{person_id}" for person_id in ids], _surnames(new)


def _balancer(number: int) -> str:
    """Return the header lines that a load balancer of AWS adds to a request."""
    return (
        f"X-Forwarded-For: 203.0.113.{number}\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\n"
        f"X-Amzn-Trace-Id: Root=1-67891233-{number:024x}\r\n"
    )


def _stored(server: Server, key: str) -> tuple[list[bytes], list[str]]:
    new = [json.dumps(person).encode() for person in islice(people(STORED), STORED)]
    return new, [json.loads(response)["person_id"] for response in post(server, "/v1/people", new, key=key)]


def _surnames(new: list[bytes]) -> list[str]:
    return [f"/v1/people?surname={json.loads(person)['person_surname']}" for person in new]
