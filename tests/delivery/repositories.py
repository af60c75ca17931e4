"""Real git repositories with a history for a test."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

# No user configuration. Commit times are a minute apart: two commits of one second would have no order.
_ENVIRONMENT: Final = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.org",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.org",
}


class Repository:
    """A repository in a folder; each change is a commit."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._minutes = 0
        root.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def commit(self, *messages: str) -> None:
        """Commit a new file for each message."""
        for message in messages:
            self._minutes += 1
            (self.root / f"file-{self._minutes}").write_text(message)
            self.git("add", "--all")
            self.git("commit", "--quiet", f"--message={message}")

    def tag(self, name: str) -> None:
        """Tag the last commit."""
        self.git("tag", name)

    def branch(self, name: str) -> None:
        """Create a branch, and switch to it."""
        self.git("switch", "--quiet", "--create", name)

    def switch(self, name: str) -> None:
        """Switch to another branch."""
        self.git("switch", "--quiet", name)

    def merge(self, name: str) -> None:
        """Merge a branch with a merge commit."""
        self._minutes += 1
        self.git("merge", "--quiet", "--no-ff", "--no-edit", name)

    def revert(self, commit: str) -> None:
        """Revert a commit with `git revert`."""
        self._minutes += 1
        self.git("revert", "--no-edit", commit)

    def git(self, *arguments: str) -> str:
        """Run git and return its output."""
        time = f"{1_700_000_000 + 60 * self._minutes} +0000"
        environment = os.environ | _ENVIRONMENT | {"GIT_AUTHOR_DATE": time, "GIT_COMMITTER_DATE": time}
        completed = subprocess.run(
            ["git", *arguments], cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )
        assert completed.returncode == 0, f"git {' '.join(arguments)}: {completed.stderr}"
        return completed.stdout.strip()
