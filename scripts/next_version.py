"""Print the next version by the commits since the last release: `python -m scripts.next_version [--pre]`.

Prints nothing when no commit changes behaviour. With --pre it prints a pre-release version with the time of the last commit, for example
1.3.0-dev.20261124153000.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from scripts.commits import ROOT, Step, Version, commits, git, last_release, what_counts

if TYPE_CHECKING:
    from pathlib import Path

FIRST = Version(0, 1, 0)


def next_release(root: Path = ROOT) -> Version | None:
    """Return the next release; None when there is nothing to release."""
    last = last_release(root)
    history = commits(f"v{last}" if last else None, root)
    for commit in history:
        if commit.problem:
            print(f"counted as a fix: {commit.problem}", file=sys.stderr)
    step = max((commit.step for commit in what_counts(history)), default=Step.NONE)
    if step is Step.NONE:
        return None
    return last.after(step) if last else FIRST


def pre_release(root: Path = ROOT) -> str:
    """Return the pre-release version of the last commit: higher than the last release, lower than the next one."""
    following = next_release(root) or (last_release(root) or Version(0, 0, 0)).after(Step.PATCH)
    committed = datetime.fromtimestamp(int(git("log", "-1", "--format=%ct", root=root)), UTC)
    return f"{following}-dev.{committed:%Y%m%d%H%M%S}"


def main() -> None:
    """Print the next version."""
    parser = argparse.ArgumentParser(description="Print the next version by the commits since the last release.")
    parser.add_argument("--pre", action="store_true", help="print a pre-release version")
    if parser.parse_args().pre:
        print(pre_release())
    elif version := next_release():
        print(version)
    else:
        print("nothing to release", file=sys.stderr)


if __name__ == "__main__":
    main()
