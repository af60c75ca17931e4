"""What does it cost a cached read that whoever asks shows an API key?

A read by id that the process's own memory answers (a Valkey is there, the store is SQLite): asked of a service in which nobody is asked
who they are (`bench.variants.no_auth`), and with a key, counted by the rate limits as they come; then with the audit too, which is told apart.
Servers and client share one CPU. Rounds are paired: without, with a key, with the audit, without …
"""

import asyncio
import json
import secrets
import tempfile
from contextlib import ExitStack
from statistics import median

from bench.load_generator import get, microseconds, request
from bench.markdown_tables import spread
from bench.sample_people import people
from bench.servers import UNLIMITED, ours, pin
from bench.store_fixtures import fill
from peopleinfo.settings import Settings
from tests import valkey_servers

ROUNDS = 11
TURNS = 3  # of each in a round
REQUESTS = 4_000
STORED = 200
BAR = 0.08


def main() -> None:
    """Print CPU microseconds of each, and by how much authentication costs more than none, and the audit more than that."""
    pin()
    with tempfile.TemporaryDirectory() as folder, valkey_servers.serving() as cache:
        url = f"sqlite:///{folder}/people.db"
        ids, key = asyncio.run(fill(Settings(store_url=url), people(STORED), stored=STORED))
        settings = UNLIMITED | {
            "PEOPLEINFO_CACHE_URL": cache.url,
            "PEOPLEINFO_CACHE_FENCE_TTL": "0.1",
            "PEOPLEINFO_ADMIN_KEY": secrets.token_hex(),  # or the service without keys would look at names of hosts
        }
        paths = [f"/v1/people/{person_id}" for person_id in ids]
        unasked = [request("GET", path) for path in paths]
        asked = [request("GET", path, key=key) for path in paths]
        rounds = [_round(url, f"file://{folder}/audit.jsonl", settings, unasked, asked) for _ in range(ROUNDS)]
    nobody, with_key, with_audit = (list(column) for column in zip(*rounds, strict=True))
    more = median(whole / least for least, whole, _ in rounds) - 1
    audit = median(whole / least for _, least, whole in rounds) - 1
    print(f"{'cached read by id':24} {'us CPU':>24}   more")
    print(f"{'nobody is asked':24} {spread(nobody):>24}")
    print(f"{'API key, rate limits':24} {spread(with_key):>24}   {more:+.0%} (at most {BAR:.0%})")
    print(f"{'audit as well':24} {spread(with_audit):>24}   {audit:+.0%} more than that", flush=True)


def _round(
    url: str, audit: str, settings: dict[str, str], unasked: list[bytes], asked: list[bytes]
) -> tuple[float, float, float]:
    """Measure each in a process of its own and a new one: two processes of one program differ by more than what is looked for."""
    with ExitStack() as stack:
        servers = (
            (stack.enter_context(ours(url, module="bench.variants.no_auth", **settings)), unasked),
            (stack.enter_context(ours(url, **settings)), asked),
            (stack.enter_context(ours(url, PEOPLEINFO_AUDIT_LOG=audit, **settings)), asked),
        )
        for server, _ in servers:
            while json.loads(get(server, "/status"))["cache"] != "ok":
                pass
        turns = [[microseconds(server, requests, REQUESTS) for server, requests in servers] for _ in range(TURNS)]
        nobody, with_key, with_audit = map(median, zip(*turns, strict=True))
        return nobody, with_key, with_audit
