"""The real command, as a process of its own in a folder of its own."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, Final

from tests import fork_server
from tests.fork_server import Forked

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping
    from pathlib import Path

COMMAND: Final = (sys.executable, "-m", "peopleinfo")


def environment(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this environment with no settings of PeopleInfo but those given, and without what would colour or cut the output."""
    given = {f"PEOPLEINFO_{name}": value for name, value in (settings or {}).items()}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PEOPLEINFO_")}
    return inherited | {"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"} | given


def run(
    folder: Path, *arguments: str | Path, stdin: bytes = b"", settings: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end."""
    return fork_server.run(folder, environment(settings), list(map(str, arguments)), stdin)


def started(folder: Path, *arguments: str | Path, **streams: Any) -> Forked:
    """Start a command; whoever starts it ends it."""
    return Forked(folder, environment(), list(map(str, arguments)), **streams)


def surnames(folder: Path) -> list[str]:
    """Return the surnames of everybody in the folder's store, sorted."""
    exported = run(folder, "export")
    assert exported.returncode == 0, exported.stderr
    return sorted(json.loads(line)["person_surname"] for line in exported.stdout.splitlines())


def said(finished: subprocess.CompletedProcess[bytes]) -> str:
    """Return what a command said on stderr, which is never a traceback."""
    text = finished.stderr.decode()
    assert "Traceback" not in text
    return text
