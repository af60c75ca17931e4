"""How soon does the service respond after its start, and how much memory does it use while idle?

The time runs from the start of the process to the first authenticated read. The cache of the service is cold; the files of the
interpreter are in the page cache.
"""

import asyncio
import os
import tempfile
import time
from contextlib import ExitStack

from bench.cloud import kind
from bench.load_generator import get
from bench.markdown_tables import Table, spread
from bench.sample_people import people
from bench.servers import UNLIMITED, ours
from bench.store_fixtures import Filled, fill
from peopleinfo.settings import Settings
from peopleinfo.settings.urls import DynamoDBUrl
from tests import dynamodb_servers, valkey_servers
from tests.store_kinds import make_table

ROUNDS = 7
STORED = 2_000
SETTLED = 2.0  # seconds after which the start is complete


def main() -> list[Table]:
    """Print a row per way to run the service: seconds to the first response, and proportional megabytes of all its processes."""
    os.environ |= dynamodb_servers.CREDENTIALS
    table = Table("Start and idle memory (PSS)", "service", "first response, s", "idle, MB")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stack.callback(dynamodb_servers.stop_all)
        location = f"dynamodb://eu-west-1/Start?endpoint={dynamodb_servers.endpoint(kind())}&timeout=30"
        asyncio.run(make_table(DynamoDBUrl.parse(location)))
        cache = {"PEOPLEINFO_CACHE_URL": stack.enter_context(valkey_servers.running_server()).url}
        for title, url, settings in (
            ("embedded", f"sqlite:///{folder}/one.db", {}),
            ("embedded, two workers", f"sqlite:///{folder}/two.db", {"PEOPLEINFO_WORKERS": "2"}),
            ("DynamoDB and Valkey", location, cache),
        ):
            stored = asyncio.run(fill(Settings(store_url=url), people(STORED), stored=STORED))
            seconds, megabytes = zip(*(_start(url, stored, settings) for _ in range(ROUNDS)), strict=True)
            table.row(title, spread(list(seconds)), spread(list(megabytes)))
    return [table]


def _start(url: str, stored: Filled, settings: dict[str, str]) -> tuple[float, float]:
    began = time.perf_counter()
    with ours(url, **UNLIMITED, **settings) as server:
        get(server, f"/v1/people/{stored.ids[0]}", key=stored.key)
        seconds = time.perf_counter() - began
        time.sleep(SETTLED)
        return seconds, server.proportional_megabytes
