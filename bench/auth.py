"""How much do authentication and the audit log add to a cached read?

The request is a read by id that the local cache answers (with Valkey and SQLite). Three servers run it: without authentication
(`bench.variants.no_auth`), with an API key and default rate limits, and with the audit log as well. Servers and client share one CPU.
Rounds are paired: no key, key, audit, no key …
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
TURNS = 3  # per server and round
REQUESTS = 4_000
STORED = 200
BAR = 0.08


def main() -> None:
    """Print CPU microseconds per server, the overhead of authentication, and that of the audit log."""
    pin()
    with tempfile.TemporaryDirectory() as folder, valkey_servers.running_server() as cache:
        url = f"sqlite:///{folder}/people.db"
        ids, key = asyncio.run(fill(Settings(store_url=url), people(STORED), stored=STORED))
        settings = UNLIMITED | {
            "PEOPLEINFO_CACHE_URL": cache.url,
            "PEOPLEINFO_CACHE_FENCE_TTL": "0.1",
            "PEOPLEINFO_ADMIN_KEY": secrets.token_hex(),  # without any key the service would check the Host header
        }
        paths = [f"/v1/people/{person_id}" for person_id in ids]
        anonymous = [request("GET", path) for path in paths]
        authenticated = [request("GET", path, key=key) for path in paths]
        rounds = [
            _round(url, f"file://{folder}/audit.jsonl", settings, anonymous, authenticated) for _ in range(ROUNDS)
        ]
    no_key, with_key, with_audit = (list(column) for column in zip(*rounds, strict=True))
    key_overhead = median(key / base for base, key, _ in rounds) - 1
    audit_overhead = median(audit / key for _, key, audit in rounds) - 1
    print(f"{'cached read by id':24} {'us CPU':>24}   overhead")
    print(f"{'no authentication':24} {spread(no_key):>24}")
    print(f"{'API key, rate limits':24} {spread(with_key):>24}   {key_overhead:+.0%} (at most {BAR:.0%})")
    print(f"{'audit log':24} {spread(with_audit):>24}   {audit_overhead:+.0%} over the key", flush=True)


def _round(
    url: str, audit: str, settings: dict[str, str], anonymous: list[bytes], authenticated: list[bytes]
) -> tuple[float, float, float]:
    """Measure each server in a new process: two processes of one program differ by more than the overhead."""
    with ExitStack() as stack:
        servers = (
            (stack.enter_context(ours(url, module="bench.variants.no_auth", **settings)), anonymous),
            (stack.enter_context(ours(url, **settings)), authenticated),
            (stack.enter_context(ours(url, PEOPLEINFO_AUDIT_LOG=audit, **settings)), authenticated),
        )
        for server, _ in servers:
            while json.loads(get(server, "/status"))["cache"] != "ok":
                pass
        turns = [[microseconds(server, requests, REQUESTS) for server, requests in servers] for _ in range(TURNS)]
        no_key, with_key, with_audit = map(median, zip(*turns, strict=True))
        return no_key, with_key, with_audit
