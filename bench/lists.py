"""What do lists and searches cost on the embedded store, in plaintext and encrypted, compared with a bare Falcon handler?

Each person has an email address, which is an identifier. A process remembers the pages of an encrypted store that it decrypted in the last
minute; the last column is the cost of the first read. Servers and client share one CPU. Rounds are paired.
"""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.load_generator import get, microseconds, request
from bench.markdown_tables import Table, ratio, spread
from bench.sample_people import people, surname
from bench.servers import UNLIMITED, bare, ours, pin
from bench.store_fixtures import fill
from peopleinfo.crypto.master_key import create_file
from peopleinfo.settings import Settings

ROUNDS = 5
REQUESTS = 1_000
STORED = 20_000


def main() -> list[Table]:
    """Print a row per kind of request: CPU microseconds of the bare handler and of both stores."""
    pin()
    table = Table(
        "µs of CPU per list and search on the embedded store",
        "request", "bare Falcon", "ours", "ours : Falcon", "ours, encrypted", "encrypted : plain", "encrypted, page not in memory",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        create_file(Path(folder) / "master.key")
        plain, encrypted = f"sqlite:///{folder}/plain.db", f"sqlite:///{folder}/encrypted.db"
        option = f"file://{folder}/master.key"
        keys = [
            asyncio.run(fill(Settings(store_url=plain), _people(), stored=STORED)).key,
            asyncio.run(fill(Settings(store_url=encrypted, encryption=option), _people(), stored=STORED)).key,
        ]
        servers = [
            stack.enter_context(ours(plain, **UNLIMITED)),
            stack.enter_context(ours(encrypted, PEOPLEINFO_ENCRYPTION=option, **UNLIMITED)),
            stack.enter_context(
                ours(encrypted, module="bench.variants.no_page_memory", PEOPLEINFO_ENCRYPTION=option, **UNLIMITED)
            ),
        ]
        for title, path in _requests():
            falcon = stack.enter_context(bare(get(servers[0], path, key=keys[0])))
            contenders = zip((falcon, *servers), (keys[0], *keys, keys[1]), strict=True)
            targets = [(server, [request("GET", path, key=key)]) for server, key in contenders]
            rounds = [[microseconds(server, requests, REQUESTS) for server, requests in targets] for _ in range(ROUNDS)]
            falcon_costs, plain, decrypted, first = (list(column) for column in zip(*rounds, strict=True))
            times = f"{ratio(plain, falcon_costs):.2f}", f"{ratio(decrypted, plain):.2f}"
            table.row(title, spread(falcon_costs), spread(plain), times[0], spread(decrypted), times[1], spread(first))
    return [table]


def _people() -> Iterator[dict[str, Any]]:
    for number, person in enumerate(people(STORED)):
        yield person | {"email": f"person{number}@example.org"}


def _requests() -> Iterator[tuple[str, str]]:
    *_, person = people(STORED // 2)
    first, last = person["person_name"], person["person_surname"]
    yield "list of 100", f"/v1/people?surname={surname(0)}&limit=100"
    yield "by surname", f"/v1/people?surname={last}&limit=10"
    yield "`q`: first name and surname", f"/v1/people?q={first}%20{last}"
    yield "`q`: a misspelled surname", f"/v1/people?q={first}%20{last[:3]}{last[4:]}"
    yield "`q`: an identifier", f"/v1/people?q=person{STORED // 2}@example.org"
