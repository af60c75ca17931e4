"""Does a request cost more than before?

`python -m bench.regression` counts the instructions per request and compares their ratio to a bare handler with the baseline in
bench/baseline.json. `--update` writes that file; commit it with the change that explains it. `python -m bench.regression COMMIT` compares
with any commit and its locked libraries, so a regression of a library counts too. It exits 1 on a regression.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.instructions import Cost, costs
from bench.markdown_tables import Table

BASELINE = Path(__file__).with_name("baseline.json")
MOST = 1.03  # maximum ratio of new to old cost


def main() -> None:
    """Print a row per kind of request, and the regressions."""
    parser = argparse.ArgumentParser(prog="python -m bench.regression", description=__doc__)
    parser.add_argument("commit", nargs="?", help="compare with this commit instead of the baseline")
    parser.add_argument("--update", action="store_true", help="write the baseline")
    options = parser.parse_args()
    now = dict(costs())
    if options.update:
        BASELINE.write_text(json.dumps({kind: cost._asdict() for kind, cost in now.items()}, indent=2) + "\n")
        return
    before = _costs_of(options.commit) if options.commit else baseline()
    if regressions := compare(before, now):
        sys.exit(f"more than {MOST - 1:.0%} more instructions than before: {', '.join(regressions)}")
    print(f"no request costs more than {MOST - 1:.0%} above {options.commit or 'the baseline'}")


def baseline() -> dict[str, Cost]:
    """Return the costs in the repository."""
    return {kind: Cost(**cost) for kind, cost in json.loads(BASELINE.read_text()).items()}


def compare(before: Mapping[str, Cost], now: Mapping[str, Cost]) -> list[str]:
    """Print the costs, and return the kinds of request whose ratio to the bare handler has grown by more than the factor `MOST`."""
    table = Table(
        "instructions per request", "request", "before", "now", "before : Falcon", "now : Falcon", "now : before"
    )
    regressions = []
    for kind, old in before.items():
        new = now[kind]
        growth = new.ratio / old.ratio
        ratios = f"{old.ratio:.2f}", f"{new.ratio:.2f}", f"{growth:.3f}"
        table.row(kind, f"{old.ours:,}", f"{new.ours:,}", *ratios)
        if growth > MOST:
            regressions.append(kind)
    return regressions


def _costs_of(commit: str) -> dict[str, Cost]:
    with _installed(commit) as python:
        return dict(costs(python=python))


@contextmanager
def _installed(commit: str) -> Iterator[str]:
    """Install a commit into a temporary environment and yield its Python."""
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
