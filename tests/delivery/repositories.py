"""Real git repositories with histories made for a test."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

# Nobody's own configuration, and times that move by a minute a commit: two commits of one second would be hard to tell apart.
_NOBODY: Final = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.org",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.org",
}


class Repository:
    """A repository in a folder; each change of it is a commit."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._minutes = 0
        root.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def commit(self, *messages: str) -> None:
        """Commit a change of a file of its own for each message."""
        for message in messages:
            self._minutes += 1
            (self.root / f"file-{self._minutes}").write_text(message)
            self.git("add", "--all")
            self.git("commit", "--quiet", f"--message={message}")

    def tag(self, name: str) -> None:
        """Give the last commit a name."""
        self.git("tag", name)

    def branch(self, name: str) -> None:
        """Begin a branch here."""
        self.git("switch", "--quiet", "--create", name)

    def switch(self, name: str) -> None:
        """Go on with another branch."""
        self.git("switch", "--quiet", name)

    def merge(self, name: str) -> None:
        """Merge a branch, with a commit that says so."""
        self._minutes += 1
        self.git("merge", "--quiet", "--no-ff", "--no-edit", name)

    def revert(self, commit: str) -> None:
        """Take a commit back, as git does it."""
        self._minutes += 1
        self.git("revert", "--no-edit", commit)

    def git(self, *arguments: str) -> str:
        """Run git and return what it prints."""
        at = f"{1_700_000_000 + 60 * self._minutes} +0000"
        environment = os.environ | _NOBODY | {"GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at}
        ran = subprocess.run(
            ["git", *arguments], cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, f"git {' '.join(arguments)}: {ran.stderr}"
        return ran.stdout.strip()
