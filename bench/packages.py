"""What does a read of the embedded store cost, compared with services for records that a team installs instead of writing one?

Datasette serves the same people from a SQLite file, with an index by surname. Kinto holds them in memory, because its other backend needs
PostgreSQL. Each returns the fields of a person in its own envelope. Neither authenticates, limits or logs here. Rounds are paired.
"""

import asyncio
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from bench.load_generator import microseconds, request, upload
from bench.markdown_tables import Table, ratio, spread
from bench.sample_people import people
from bench.servers import UNLIMITED, Server, ours, package, pin
from bench.store_fixtures import fill
from peopleinfo.settings import Settings

ROUNDS = 3
REQUESTS = 300
WARM = 100
STORED = 2_000
BIN = Path(".cache/package-peers/bin")
RECORDS = "/v1/buckets/bench/collections/people/records"
FIELDS = ("person_id", "person_name", "person_surname", "person_birthdate", "person_address")
# The title, the field of a person, and the path of each service.
READS = (
    ("by id", "person_id", ("/people/people/{}.json?_shape=object", f"{RECORDS}/{{}}", "/v1/people/{}")),
    (
        "by surname",
        "person_surname",
        (
            "/people/people.json?_shape=array&person_surname={}",
            f"{RECORDS}?person_surname={{}}",
            "/v1/people?surname={}",
        ),
    ),
)


def main() -> list[Table]:
    """Print a row per kind of read: CPU microseconds of each service, and the ratios to ours."""
    pin()
    table = Table(
        "µs of CPU per read, packages",
        "request", "Datasette", "Kinto", "ours, embedded", "Datasette : ours", "Kinto : ours",
    )  # fmt: skip
    if not BIN.exists():
        print("Datasette and Kinto are not installed: run make bench")
        return [table]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        url = f"sqlite:///{folder}/people.db"
        stored = asyncio.run(fill(Settings(store_url=url), people(STORED), stored=STORED, sample=STORED))
        sample = [person | {"person_id": one} for person, one in zip(people(STORED), stored.ids, strict=True)]
        servers = (
            (stack.enter_context(_datasette(Path(folder), sample)), ""),
            (stack.enter_context(_kinto(Path(folder), sample)), ""),
            (stack.enter_context(ours(url, **UNLIMITED)), stored.key),
        )
        for title, field, paths in READS:
            values = [person[field] for person in sample[:: STORED // 200]]
            targets = [
                (server, [request("GET", path.format(value), key=key) for value in values])
                for (server, key), path in zip(servers, paths, strict=True)
            ]
            rounds = [[microseconds(*one, REQUESTS, warm_up=WARM) for one in targets] for _ in range(ROUNDS)]
            costs = [list(column) for column in zip(*rounds, strict=True)]
            table.row(title, *map(spread, costs), *(f"{ratio(cost, costs[-1]):.1f}" for cost in costs[:-1]))
    return [table]


@contextmanager
def _datasette(folder: Path, sample: list[dict[str, Any]]) -> Iterator[Server]:
    file = folder / "datasette" / "people.db"
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as db:
        db.execute(f"CREATE TABLE people ({', '.join(FIELDS)}, PRIMARY KEY (person_id))")
        db.execute("CREATE INDEX by_surname ON people (person_surname)")
        rows = [[person.get(name) for name in FIELDS] for person in sample]
        db.executemany(f"INSERT INTO people VALUES ({', '.join('?' * len(FIELDS))})", rows)
        db.commit()
    with package([str(BIN / "datasette"), "serve", str(file), "--port", "0", "--immutable", str(file)]) as server:
        yield server


@contextmanager
def _kinto(folder: Path, sample: list[dict[str, Any]]) -> Iterator[Server]:
    (folder / "kinto.ini").write_text(_KINTO)
    with package([str(BIN / "pserve"), str(folder / "kinto.ini")]) as server:
        upload(
            server, "/v1/buckets/bench", {"permissions": {"read": ["system.Everyone"], "write": ["system.Everyone"]}}
        )
        upload(server, RECORDS.removesuffix("/records"), {})
        for person in sample:
            fields = {name: person[name] for name in FIELDS[1:] if name in person}
            upload(server, f"{RECORDS}/{person['person_id']}", {"data": fields})
        yield server


_KINTO = """
[app:main]
use = egg:kinto
kinto.storage_backend = kinto.core.storage.memory
kinto.permission_backend = kinto.core.permission.memory
kinto.cache_backend = kinto.core.cache.memory
kinto.bucket_create_principals = system.Everyone
kinto.userid_hmac_secret = bench
[server:main]
use = egg:waitress
host = 127.0.0.1
port = 0
[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = plain
[logger_root]
level = INFO
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = plain
[formatter_plain]
format = %(message)s
"""
