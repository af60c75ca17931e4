"""Real servers under real faults, for as long as a test may take: `make consistency` is the long way."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_HANGS = 300


def prove(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "consistency", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=_HANGS, check=False)


def test_no_answer_is_a_lie(tmp_path: Path) -> None:
    done = prove("--mode", "default", "--operations", "800", "--seed", "4711", "--failures", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "violations: 0 " in done.stdout


def test_the_cache_of_the_seed_is_noticed_saved_and_judged_again(tmp_path: Path) -> None:
    done = prove("--mutant", "the-seed", "--operations", "800", "--seed", "4711", "--failures", str(tmp_path))
    assert done.returncode == 1, done.stdout + done.stderr
    (saved,) = tmp_path.iterdir()
    again = prove("--replay", str(saved))
    assert again.returncode == 1
    told = done.stdout.splitlines()
    assert next(line for line in told if "staleness" in line) in again.stdout.splitlines()
