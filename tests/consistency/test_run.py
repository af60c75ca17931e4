"""A short run with real servers and real faults; `make consistency` runs longer."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_TIMEOUT = 300


def run_check(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "consistency", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)


def test_run_has_no_violation(tmp_path: Path) -> None:
    done = run_check("--mode", "default", "--operations", "800", "--seed", "4711", "--failures", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "violations: 0 " in done.stdout


def test_run_on_dynamodb_has_no_violation_and_leaves_exact_indexes(tmp_path: Path) -> None:
    arguments = ("--mode", "store", "--store", "dynamodb", "--operations", "600", "--seed", "4711")
    done = run_check(*arguments, "--failures", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "violations: 0 " in done.stdout


def test_naive_cache_is_detected_and_its_history_can_be_replayed(tmp_path: Path) -> None:
    # Many operations: a violation depends on the interleaving of requests.
    done = run_check("--mutant", "naive-cache", "--operations", "3000", "--seed", "4711", "--failures", str(tmp_path))
    assert done.returncode == 1, done.stdout + done.stderr
    (saved,) = tmp_path.iterdir()
    replayed = run_check("--replay", str(saved))
    assert replayed.returncode == 1
    lines = done.stdout.splitlines()
    assert next(line for line in lines if "staleness" in line) in replayed.stdout.splitlines()
