"""The commits since the last release, and the version that follows from them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final, Self

ROOT: Final = Path(__file__).parents[1]
_RELEASE: Final = re.compile(r"v(\d+)\.(\d+)\.(\d+)")
_REVERTED: Final = re.compile(r"This reverts commit ([0-9a-f]{7,40})")
_GITS_OWN: Final = re.compile(r'(Merge|Revert "|Reapply ")')


MAX_TITLE: Final = 72  # characters of a message's first line


class Step(IntEnum):
    """The part of the version that a commit increments."""

    NONE = 0
    PATCH = 1
    MINOR = 2
    MAJOR = 3


STEPS: Final = {
    "feat": Step.MINOR,
    "fix": Step.PATCH,
    "perf": Step.PATCH,
    "revert": Step.PATCH,
    **dict.fromkeys(("build", "chore", "ci", "docs", "refactor", "style", "test"), Step.NONE),
}


@dataclass(frozen=True, order=True)
class Version:
    """A release by Semantic Versioning 2.0.0. The rules apply to 0.x too, because clients depend on the API."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, tag: str) -> Self | None:
        """Return the version of a tag such as v1.2.3; None for any other tag, including pre-releases."""
        found = _RELEASE.fullmatch(tag)
        return cls(*map(int, found.groups())) if found else None

    def after(self, step: Step) -> Version:
        """Return the next version."""
        match step:
            case Step.MAJOR:
                return Version(self.major + 1, 0, 0)
            case Step.MINOR:
                return Version(self.major, self.minor + 1, 0)
            case Step.PATCH:
                return Version(self.major, self.minor, self.patch + 1)
        return self

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


@dataclass(frozen=True)
class Commit:
    """A parsed Conventional Commit; `kind` is None when the message is not one."""

    sha: str
    message: str
    kind: str | None
    breaking: bool
    parents: int

    @property
    def is_merge(self) -> bool:
        """Whether it is a merge commit: the merged commits are in the history."""
        return self.parents > 1

    @property
    def reverts(self) -> str | None:
        """The commit that it reverts; None when it is not a revert."""
        found = _REVERTED.search(self.message)
        return found.group(1) if found else None

    @property
    def problem(self) -> str | None:
        """The problem of its message; None when it is valid."""
        if self.is_merge or _GITS_OWN.match(self.message) or self.kind in STEPS:
            return None
        title = self.message.splitlines()[0] if self.message else "(no message)"
        wanted = ", ".join(STEPS)
        return f"{self.sha[:10]} {title!r}: start with a type and a colon, for example 'fix: …' ({wanted}; '!' before the colon for a breaking change)"

    @property
    def style_problem(self) -> str | None:
        """The problem of a valid message's first line; None when it is short and has one subject."""
        title = self.message.splitlines()[0] if self.message else ""
        if self.is_merge or _GITS_OWN.match(self.message):
            return None
        if len(title) > MAX_TITLE:
            return f"{self.sha[:10]} {title!r}: shorten the first line to {MAX_TITLE} characters (got {len(title)})"
        if ";" in title or title.count(": ") > 1:
            return f"{self.sha[:10]} {title!r}: a second subject belongs in a second commit, an explanation in the body"
        return None

    @property
    def step(self) -> Step:
        """The part of the version to increment; an invalid message counts as a fix, so that its change is always released."""
        if self.is_merge:
            return Step.NONE
        if self.breaking:
            return Step.MAJOR
        return STEPS.get(self.kind or "fix", Step.PATCH)


def git(*arguments: str, root: Path = ROOT) -> str:
    """Run git and return its output. Raises SystemExit with git's error."""
    ran = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(f"git {' '.join(arguments)}: {ran.stderr.strip()}")
    return ran.stdout.strip()


def last_release(root: Path = ROOT) -> Version | None:
    """Return the highest release of this history; None before the first one."""
    if git("rev-parse", "--is-shallow-repository", root=root) == "true":
        sys.exit("the clone is shallow, so the last release is unknown; run git fetch --unshallow --tags")
    tags = git("tag", "--merged", "HEAD", root=root).splitlines()
    return max(filter(None, map(Version.parse, tags)), default=None)


def commits(since: str | None, root: Path = ROOT) -> list[Commit]:
    """Return the commits after a tag or commit (None: all), oldest first, parsed by git-cliff."""
    if (since and git("rev-list", "--count", f"{since}..HEAD", root=root) == "0") or not git(
        "branch", "--list", root=root
    ):
        return []
    cliff = Path(sys.executable).with_name("git-cliff")
    config = Path(__file__).with_name("cliff.toml")
    command = [str(cliff), "--config", str(config), "--context", *([f"{since}..HEAD"] if since else [])]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(f"git-cliff: {ran.stderr.strip()}")
    read = {fields["id"]: fields for release in json.loads(ran.stdout) for fields in release["commits"]}
    graph = git("rev-list", "--topo-order", "--reverse", "--parents", f"{since}..HEAD" if since else "HEAD", root=root)
    return [_commit(sha, len(parents), read[sha]) for sha, *parents in map(str.split, graph.splitlines())]


def what_counts(history: list[Commit]) -> list[Commit]:
    """Remove reverted commits and their reverts. A revert of a released commit counts as a fix."""
    gone: set[str] = set()
    for commit in reversed(history):  # newest first, so that a revert of a revert restores the original
        if commit.sha in gone or not commit.reverts:
            continue
        taken_back = [other.sha for other in history if other.sha.startswith(commit.reverts)]
        if taken_back:
            gone |= {commit.sha, *taken_back}
    return [commit for commit in history if commit.sha not in gone]


def _commit(sha: str, parents: int, fields: dict[str, object]) -> Commit:
    message = str(fields["raw_message"])
    kind = message.partition(":")[0].partition("(")[0].rstrip("!").lower() if fields["conventional"] else None
    return Commit(sha, message, kind, bool(fields["conventional"] and fields["breaking"]), parents)
