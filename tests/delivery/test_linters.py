"""Nothing that runs outside of Python is committed with a mistake that a linter knows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
SCRIPTS: Final = [
    path
    for path in [*sorted((ROOT / "scripts").iterdir()), ROOT / ".ci" / "run"]
    if path.is_file() and b"bash" in path.read_bytes().partition(b"\n")[0]
]


def lint(tool: str, *arguments: str | Path) -> str:
    """Return what a linter finds fault with; nothing when it finds nothing."""
    command = [str(Path(sys.executable).with_name(tool)), *map(str, arguments)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return ran.stdout + ran.stderr if ran.returncode else ""


def test_hadolint_has_nothing_to_say_of_the_dockerfile() -> None:
    assert lint("hadolint", "Dockerfile") == ""


def test_hadolint_would_notice(tmp_path: Path) -> None:
    planted = tmp_path / "Dockerfile"
    planted.write_text("FROM python:latest\nRUN cd / && sudo apt-get install curl\n")
    assert "DL3007" in lint("hadolint", planted)


def test_the_compose_file_is_one() -> None:
    assert lint("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml") == ""


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_stops_where_something_fails_and_shellcheck_agrees(script: Path) -> None:
    assert "\nset -euo pipefail\n" in script.read_text()
    assert lint("shellcheck", script) == ""
