"""Shell completion of commands and options."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.cli.commands import COMMAND, environment

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        ("peopleinfo re", {"restore", "restore-version", "reindex", "retention"}),
        ("peopleinfo keys r", {"revoke", "rotate"}),
        ("peopleinfo import --for", {"--format", "--force"}),
    ],
)
def test_bash_completes_commands_and_options(tmp_path: Path, words: str, completions: set[str]) -> None:
    position = str(len(words.split()) - 1)
    request = {"_PEOPLEINFO_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": position}
    ran = subprocess.run(COMMAND, cwd=tmp_path, env=environment() | request, capture_output=True, text=True, check=True)
    assert set(ran.stdout.split()) == completions


def test_script_for_bash_completes_the_command(tmp_path: Path) -> None:
    shown = subprocess.run(
        ["bash", "-c", '"$@" --show-completion; exit', "bash", *COMMAND],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.rstrip().endswith("complete -o default -F _peopleinfo_completion peopleinfo")
