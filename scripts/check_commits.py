"""Check the messages of the commits since another one: `python -m scripts.check_commits origin/main`."""

from __future__ import annotations

import sys

from scripts.commits import commits


def main() -> None:
    """Print every commit whose message is not a Conventional Commit or has a bad first line; exit 1 if there is one."""
    since = sys.argv[1] if len(sys.argv) > 1 else None
    checked = commits(since)
    if problems := [problem for commit in checked if (problem := commit.problem or commit.style_problem)]:
        sys.exit("\n".join(problems))
    print(f"{len(checked)} commit messages are valid")


if __name__ == "__main__":
    main()
