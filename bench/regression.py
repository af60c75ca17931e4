"""Does a request cost more than in the last release?

Both versions run on the embedded store on one CPU and get the same requests in turn; the cost is the CPU time of their processes. The last
release is built from its tag with its locked libraries, so a regression of a library counts too. `python -m bench.regression` compares
with the last release, `python -m bench.regression COMMIT` with any commit. It exits 1 on a regression.
"""

import json
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from bench.load_generator import microseconds, post, request
from bench.markdown_tables import Table, ratio, spread
from bench.sample_people import people
from bench.servers import UNLIMITED, Server, ours, pin
from scripts.commits import last_release

ROUNDS = 9
REQUESTS = 3_000
STORED = 400
LIST = 100
MOST = 1.10  # maximum ratio of new to old cost


def main() -> None:
    """Print a row per kind of request, and the regressions."""
    release = last_release()
    since = sys.argv[1] if len(sys.argv) > 1 else f"v{release}" if release else None
    if since is None:
        print("no release to compare with yet")
        return
    pin()
    key = secrets.token_hex()
    settings = UNLIMITED | {"PEOPLEINFO_ADMIN_KEY": key}
    with (
        tempfile.TemporaryDirectory() as folder,
        _made(since) as python,
        ours(f"sqlite:///{folder}/before.db", python=python, **settings) as before,
        ours(f"sqlite:///{folder}/now.db", **settings) as now,
    ):
        lost = losses(before, now, key)
    if lost:
        sys.exit(f"more than {MOST - 1:.0%} slower than {since}: {', '.join(lost)}")
    print(f"no request costs more than {MOST - 1:.0%} above {since}")


def losses(before: Server, now: Server, key: str, *, rounds: int = ROUNDS, requests: int = REQUESTS) -> list[str]:
    """Return the kinds of request whose cost has grown by more than the factor `MOST` (median of paired rounds)."""
    table = Table("µs of CPU per request", "request", "before", "now", "now : before")
    works = [dict(_works(server, key)) for server in (before, now)]
    lost = []
    for title in works[0]:
        pairs = [
            [microseconds(server, work[title], requests) for server, work in zip((before, now), works, strict=True)]
            for _ in range(rounds)
        ]
        then, today = (list(column) for column in zip(*pairs, strict=True))
        times = ratio(today, then)
        table.row(title, spread(then), spread(today), f"{times:.2f}")
        if times > MOST:
            lost.append(title)
    return lost


def _works(server: Server, key: str) -> Iterator[tuple[str, list[bytes]]]:
    """Store people and yield the requests of each kind."""
    new = [json.dumps(person).encode() for person in people(STORED)]
    ids = [json.loads(answer)["person_id"] for answer in post(server, "/v1/people", new, key=key)]
    common = [json.dumps(person | {"person_surname": "Common"}).encode() for person in islice(people(STORED), LIST)]
    post(server, "/v1/people", common, key=key)
    yield "read by id", [request("GET", f"/v1/people/{person_id}", key=key) for person_id in ids]
    rare = [f"/v1/people?surname={json.loads(person)['person_surname']}" for person in new]
    yield "read by surname", [request("GET", path, key=key) for path in rare]
    yield "list of 100", [request("GET", f"/v1/people?surname=Common&limit={LIST}", key=key)]
    yield "create", [request("POST", "/v1/people", new[0], key=key)]


@contextmanager
def _made(commit: str) -> Iterator[str]:
    """Install an older version into a temporary environment and yield its Python."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "release"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", tree, commit], check=True)
        try:
            subprocess.run(
                ["make", "--silent", "-C", tree, ".venv/ready-to-run"], check=True, stdout=subprocess.DEVNULL
            )
            yield str(tree / ".venv/bin/python")
        finally:
            shutil.rmtree(tree, ignore_errors=True)
            subprocess.run(["git", "worktree", "prune"], check=True)


if __name__ == "__main__":
    main()
