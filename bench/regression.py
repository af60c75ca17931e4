"""Does a request cost more than it did in the last release?

Both run on the embedded store on one CPU and are asked the same in turn; what counts is the CPU time of their processes. The last release is made
from its tag, with the libraries that it was locked with: a loss is a loss whoever brought it.
`python -m bench.regression` compares with the last release, `python -m bench.regression COMMIT` with any commit; it ends with 1 when something is lost.
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
MOST = 1.10  # times what it was


def main() -> None:
    """Print a row a kind of request, and what has become too slow."""
    release = last_release()
    since = sys.argv[1] if len(sys.argv) > 1 else f"v{release}" if release else None
    if since is None:
        print("there is no release yet to compare with")
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
    print(f"nothing costs more than {MOST - 1:.0%} above {since}")


def losses(before: Server, now: Server, key: str, *, rounds: int = ROUNDS, requests: int = REQUESTS) -> list[str]:
    """Return the kinds of request that cost more than `MOST` times as much now, by the median of paired rounds."""
    table = Table("µs of CPU a request", "request", "before", "now", "now : before")
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
    """Store people and yield what is asked of them, by kind."""
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
    """Make an environment with the service as it was, and yield its Python; it is gone afterwards."""
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
