"""Say which version comes next, by what has been committed: `python -m scripts.next_version [--pre]`.

Prints nothing when nothing has been committed that anybody would notice. With --pre it is the version of a build that is not released,
such as 1.3.0-dev.20261124153000 by the time of its last commit; there is always one.
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
    """Return the version of a build of the last commit that is not released: before the release it leads to, after the last one."""
    following = next_release(root) or (last_release(root) or Version(0, 0, 0)).after(Step.PATCH)
    committed = datetime.fromtimestamp(int(git("log", "-1", "--format=%ct", root=root)), UTC)
    return f"{following}-dev.{committed:%Y%m%d%H%M%S}"


def main() -> None:
    """Print the next version."""
    parser = argparse.ArgumentParser(description="Say which version comes next, by what has been committed.")
    parser.add_argument("--pre", action="store_true", help="the version of a build that is not released")
    if parser.parse_args().pre:
        print(pre_release())
    elif version := next_release():
        print(version)
    else:
        print("nothing to release", file=sys.stderr)


if __name__ == "__main__":
    main()
