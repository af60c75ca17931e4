"""Run the real command as a separate process in a separate directory."""

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
    """Return the environment with these settings only, without colours and with wide output."""
    own = {f"PEOPLEINFO_{name}": value for name, value in (settings or {}).items()}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PEOPLEINFO_")}
    return inherited | {"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"} | own


def run(
    folder: Path, *arguments: str | Path, stdin: bytes = b"", settings: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end."""
    return fork_server.run(folder, environment(settings), list(map(str, arguments)), stdin)


def started(folder: Path, *arguments: str | Path, **streams: Any) -> Forked:
    """Start a command; the caller stops it."""
    return Forked(folder, environment(), list(map(str, arguments)), **streams)


def surnames(folder: Path) -> list[str]:
    """Return the sorted surnames of all records in the store of a directory."""
    exported = run(folder, "export")
    assert exported.returncode == 0, exported.stderr
    return sorted(json.loads(line)["person_surname"] for line in exported.stdout.splitlines())


def stderr_of(finished: subprocess.CompletedProcess[bytes]) -> str:
    """Return the stderr of a command and check that it contains no traceback."""
    text = finished.stderr.decode()
    assert "Traceback" not in text
    return text
