"""What share of a cached read do metrics and access log cost?

The request is a read by id that the local cache answers (with Valkey and SQLite), with and without metrics and access log. Servers and
client share one CPU. Rounds are paired: without, with, without, with …
"""

import asyncio
import json
import tempfile
from statistics import median

from bench.load_generator import get, microseconds, request
from bench.markdown_tables import spread
from bench.sample_people import people
from bench.servers import UNLIMITED, ours, pin
from bench.store_fixtures import fill
from peopleinfo.settings import Settings
from tests import valkey_servers

ROUNDS = 5
REQUESTS = 16_000
STORED = 200
BAR = 0.30


def main() -> None:
    """Print CPU microseconds of both, and the share of metrics and log."""
    pin()
    with tempfile.TemporaryDirectory() as folder, valkey_servers.running_server() as cache:
        url = f"sqlite:///{folder}/people.db"
        ids, key = asyncio.run(fill(Settings(store_url=url), people(STORED), stored=STORED))
        reads = [request("GET", f"/v1/people/{person_id}", key=key) for person_id in ids]
        settings = UNLIMITED | {"PEOPLEINFO_CACHE_URL": cache.url, "PEOPLEINFO_CACHE_FENCE_TTL": "0.1"}
        with ours(url, **settings) as service, ours(url, module="bench.variants.no_metrics", **settings) as bare:
            for server in (service, bare):
                while json.loads(get(server, "/status"))["cache"] != "ok":
                    pass
            rounds = [
                (microseconds(bare, reads, REQUESTS), microseconds(service, reads, REQUESTS)) for _ in range(ROUNDS)
            ]
    without, with_all = zip(*rounds, strict=True)
    share = median(1 - least / whole for least, whole in rounds)
    print(
        f"{'cached read':24} {'without, us CPU':>24} {'with, us CPU':>24}   share of metrics and log (at most {BAR:.0%})"
    )
    print(f"{'by id':24} {spread(list(without)):>24} {spread(list(with_all)):>24}   {share:.0%}")
