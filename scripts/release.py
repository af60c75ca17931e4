"""Create the next release: `python -m scripts.release`, or `--version 1.3.0-dev.…` for a pre-release build.

A release is a commit with a tag. The commit sets the version of both packages and the heading of the changelog, and stores the OpenAPI
document for the next comparison. The script pushes nothing. It prints the version, or nothing when there is nothing to release.
"""

from __future__ import annotations

import argparse
import re
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from peopleinfo.http.openapi.document import document
from scripts.check_api import DOCUMENT, text
from scripts.commits import ROOT, commits, git, last_release, what_counts
from scripts.next_version import next_release

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES: Final = ("src/peopleinfo/__init__.py", "clients/python/src/peopleinfo_client/__init__.py")
CHANGELOG: Final = "CHANGELOG.md"
_VERSION: Final = re.compile(r'^__version__ = "([^"]*)"$', re.MULTILINE)
_UNRELEASED: Final = re.compile(r"^## .*\(not yet released\)$", re.MULTILINE)
_SECTION: Final = re.compile(r"^## ", re.MULTILINE)
# A semantic version that PEP 440 accepts too: after the three numbers only `dev` is allowed.
_ALLOWED: Final = re.compile(r"\d+\.\d+\.\d+(-dev\.\d+)?")


def stamp(version: str, root: Path = ROOT) -> None:
    """Write the version into both packages, server and client. Raises SystemExit for an invalid version."""
    if not _ALLOWED.fullmatch(version):
        sys.exit(f"{version!r} is not a version; expected 1.2.3 or 1.2.3-dev.20261124153000")
    for package in PACKAGES:
        text, count = _VERSION.subn(f'__version__ = "{version}"', (root / package).read_text(encoding="utf-8"))
        if count != 1:
            sys.exit(f"{package} must contain __version__ exactly once (found {count})")
        (root / package).write_text(text, encoding="utf-8")


def notes(root: Path = ROOT) -> str:
    """Return the changelog section of the latest version, without its heading."""
    _, first, *_ = [*_SECTION.split((root / CHANGELOG).read_text(encoding="utf-8"), maxsplit=2), ""]
    return first.partition("\n")[2].strip()


def release(version: str, root: Path = ROOT) -> None:
    """Commit and tag a version."""
    changes = what_counts(commits(f"v{last}" if (last := last_release(root)) else None, root))
    stamp(version, root)
    _close_changelog(version, [commit.message.splitlines()[0] for commit in changes if commit.step], root)
    api = document()
    api["info"]["version"] = version  # this process has imported the previous version
    (root / DOCUMENT).write_text(text(api), encoding="utf-8")
    git("add", *PACKAGES, CHANGELOG, DOCUMENT, root=root)
    git("commit", "--quiet", "--no-verify", f"--message=chore(release): {version}", root=root)
    git("tag", "--annotate", f"--message=PeopleInfo {version}", f"v{version}", root=root)


def _close_changelog(version: str, titles: list[str], root: Path) -> None:
    """Set the version and the date of the unreleased section; an empty section lists the commits."""
    changelog = root / CHANGELOG
    text = changelog.read_text(encoding="utf-8")
    heading = f"## {version} ({datetime.now(UTC):%Y-%m-%d})"
    text, count = _UNRELEASED.subn(heading, text, count=1)
    if not count:
        before, section, after = text.partition("\n## ")
        text = f"{before.rstrip()}\n\n{heading}\n" + "".join(f"- {title}\n" for title in titles) + section + after
    changelog.write_text(text, encoding="utf-8")


def main() -> None:
    """Create the release that follows from the commits, or only write a version; print the version."""
    parser = argparse.ArgumentParser(description="Commit and tag the next release, without a push.")
    parser.add_argument("--version", help="write this pre-release version, without a commit")
    parser.add_argument("--notes", action="store_true", help="only print the changelog section of the latest version")
    arguments = parser.parse_args()
    if arguments.notes:
        print(notes())
    elif arguments.version:
        stamp(arguments.version)
        print(arguments.version)
    elif version := next_release():
        release(str(version))
        print(version)
    else:
        print("nothing to release", file=sys.stderr)


if __name__ == "__main__":
    main()
