"""How much does encryption add to a request?

Two stores hold the same people, one in plaintext and one encrypted, on SQLite and on DynamoDB Local, without a cache. Servers and client
share one CPU. Rounds are paired: plaintext, encrypted, plaintext …
"""

import asyncio
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from statistics import median

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.load_generator import microseconds, request
from bench.markdown_tables import spread
from bench.sample_people import people, surname
from bench.servers import Server, ours, pin
from peopleinfo.crypto.master_key import create_file
from peopleinfo.people.person import parse_person
from peopleinfo.settings import Settings
from peopleinfo.settings.urls import DynamoDBUrl
from peopleinfo.stores.registry import open_service_store
from tests import dynamodb_servers
from tests.store_kinds import make_table

ROUNDS = 7
REQUESTS = 4_000
STORED = 20_000
IN_TABLES, OF_TABLES = 5_000, 500  # people, requests per round: DynamoDB Local is slow
# One process caches the keys of people read in the last minute; the other unwraps a key for every read.
MODULES = (("peopleinfo", "keys cached"), ("bench.variants.no_key_cache", "keys not cached"))


def main() -> None:
    """Print a row per kind of request: CPU microseconds of both stores, and the overhead of encryption."""
    os.environ |= dynamodb_servers.CREDENTIALS
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stack.callback(dynamodb_servers.stop_all)
        create_file(key := Path(folder) / "master.key")
        kind = "ministack" if dynamodb_servers.missing_requirement("dynamodb-local") else "dynamodb-local"
        endpoint = dynamodb_servers.endpoint(kind)
        pin()
        _floor()
        _embedded(folder, f"file://{key}")
        _in_tables(endpoint, f"file://{key}")


def _floor() -> None:
    """Print the CPU time of the cryptography library alone for 100 people: the lower bound."""
    keys, nonce, text, bound = [os.urandom(32) for _ in range(100)], os.urandom(12), os.urandom(290), os.urandom(26)
    ready = [AESGCM(key) for key in keys]
    encrypted = [key.encrypt(nonce, text, bound) for key in ready]
    wrapped = [ready[0].encrypt(nonce, key, bound) for key in keys]

    def records() -> None:
        for key, one in zip(ready, encrypted, strict=True):
            key.decrypt(nonce, one, bound)

    def unwrapped() -> None:
        for one in wrapped:
            AESGCM(ready[0].decrypt(nonce, one, bound))

    print(
        "AES-256-GCM alone, 100 people:", f"records {_least(records):.0f} us CPU, keys {_least(unwrapped):.0f} us CPU"
    )


def _least(work: Callable[[], None]) -> float:
    """Return the least CPU microseconds of several runs."""
    took = []
    for _ in range(200):
        began = time.process_time_ns()
        work()
        took.append(time.process_time_ns() - began)
    return min(took) / 1000


def _in_tables(endpoint: str, encryption: str) -> None:
    print("\non DynamoDB Local")
    stores = [Settings(store_url=f"dynamodb://eu-west-1/{kind}?endpoint={endpoint}&timeout=30", encryption=given)
              for kind, given in (("Unencrypted", ""), ("Encrypted", encryption))]  # fmt: skip
    for store in stores:
        asyncio.run(make_table(DynamoDBUrl.parse(store.store_url), encrypted=bool(store.encryption)))
    filled = [asyncio.run(_fill(store, IN_TABLES)) for store in stores]
    name = filled[0][1]
    for module, variant in MODULES:
        with ExitStack() as stack:
            services = [stack.enter_context(ours(store.store_url, module=module, PEOPLEINFO_ENCRYPTION=store.encryption))
                        for store in stores]  # fmt: skip
            rows = [
                ("by id", [[request("GET", f"/v1/people/{one}") for one in ids] for ids, _ in filled]),
                ("by surname", [[request("GET", f"/v1/people?surname={name}")] * OF_TABLES] * 2),
                ("list of 100", [[request("GET", "/v1/people?surname=Common&limit=100")] * OF_TABLES] * 2),
            ]
            for title, requests in rows:
                _row(f"{title}, {variant}", services, requests, OF_TABLES, forget=_nothing)
    body = json.dumps(next(people(1, seed=9))).encode()
    with ExitStack() as stack:
        services = [
            stack.enter_context(ours(store.store_url, PEOPLEINFO_ENCRYPTION=store.encryption)) for store in stores
        ]
        _row("create", services, [[request("POST", "/v1/people", body)] * OF_TABLES] * 2, OF_TABLES, forget=_nothing)


def _embedded(folder: str, encryption: str) -> None:
    with ExitStack() as stack:
        stores = [Settings(store_url=f"sqlite:///{folder}/{kind}.db", encryption=given)
                  for kind, given in (("unencrypted", ""), ("encrypted", encryption))]  # fmt: skip
        filled = [asyncio.run(_fill(store, STORED)) for store in stores]
        name = filled[0][1]
        print(f"{'request':27} {'plaintext, us CPU':>24} {'encrypted, us CPU':>24}   overhead")
        unencrypted, encrypted = stores
        service = stack.enter_context(ours(unencrypted.store_url))
        for module, variant in MODULES:
            services = [
                service,
                stack.enter_context(
                    ours(encrypted.store_url, module=module, PEOPLEINFO_ENCRYPTION=encrypted.encryption)
                ),
            ]
            by_id = [[request("GET", f"/v1/people/{one}") for one in ids] for ids, _ in filled]
            _row(f"by id, {variant}", services, by_id)
            _row(f"by surname, {variant}", services, [[request("GET", f"/v1/people?surname={name}")]] * 2)
            _row(
                f"list of 100, {variant}",
                services,
                [[request("GET", f"/v1/people?surname={surname(0)}&limit=100")]] * 2,
            )
        body = json.dumps(next(people(1, seed=9))).encode()
        _row("create (durable)", services, [[request("POST", "/v1/people", body)]] * 2, REQUESTS // 4)


def _row(
    title: str,
    services: list[Server],
    requests: list[list[bytes]],
    count: int = REQUESTS,
    forget: Callable[[], None] | None = None,
) -> None:
    rounds = [
        [microseconds(service, own, count, forget=forget) for service, own in zip(services, requests, strict=True)]
        for _ in range(ROUNDS)
    ]
    more = median(encrypted / unencrypted for unencrypted, encrypted in rounds) - 1
    unencrypted, encrypted = (list(column) for column in zip(*rounds, strict=True))
    print(f"{title:27} {spread(unencrypted):>24} {spread(encrypted):>24}   {more:+.0%}", flush=True)


def _nothing() -> None:
    """Do nothing: there is no cache to clear."""


async def _fill(settings: Settings, stored: int) -> tuple[list[str], str]:
    """Store people; return some ids and a surname of two or three people."""
    async with open_service_store(settings, create=True) as service:
        made = [parse_person(person, today=date.max) for person in people(stored)]
        ids = await service.people.create_many(made)
        await service.people.create_many([msgspec.structs.replace(one, person_surname="Common") for one in made[:100]])
        bearers = Counter(details.person_surname for details in made)
        return ids[::10], next(name for name, count in bearers.items() if name and 2 <= count <= 3)
