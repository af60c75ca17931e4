"""`python -m tests.mutants [NAME …]`: plant each fault of the table in a copy of the tree, and check that its tests fail."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.mutants.table import ROOT, Mutant, mutants

_TIMEOUT: Final = 600  # limit of the tests of a mutant, in seconds
_SOURCES: Final = ("src", "clients/python/src")
_SHARED: Final = (".cache", ".venv")
_PASSED, _FAILED = 0, 1  # exit codes of pytest


def main() -> int:
    """Run the mutants; return 1 if no test detected one of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="mutants to plant (default: all)")
    names = set(parser.parse_args().names)
    chosen = [mutant for mutant in mutants() if not names or mutant.name in names]
    if unknown := names - {mutant.name for mutant in chosen}:
        parser.error(f"unknown mutant: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder)
        copy_tree(copy)
        return int(not _all_detected(copy, chosen))


def copy_tree(copy: Path) -> None:
    """Copy the files of the working tree, including uncommitted ones."""
    listing = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    for name in _SHARED:
        if (ROOT / name).exists():
            (copy / name).symlink_to(ROOT / name)


def _all_detected(copy: Path, chosen: list[Mutant]) -> bool:
    named = {test for mutant in chosen for test in mutant.tests}
    for folder in sorted({test.rpartition("/")[0] for test in named}):  # browser tests run in a separate process
        tests = sorted(test for test in named if test.rpartition("/")[0] == folder)
        if run_tests(copy, tests, show_failures=True) != "survived":
            print(f"tests in {folder} fail without a fault", file=sys.stderr)
            return False
    outcomes = [plant(copy, mutant) for mutant in chosen]
    detected = outcomes.count("detected")
    print(f"{detected} of {len(outcomes)} detected")
    return detected == len(outcomes)


def plant(copy: Path, mutant: Mutant) -> str:
    """Plant a fault, run its tests, and remove it again; return the outcome."""
    path = copy / mutant.file
    source = path.read_text(encoding="utf-8")
    path.write_text(mutant.planted(source), encoding="utf-8")
    try:
        outcome = run_tests(copy, mutant.tests)
    finally:
        path.write_text(source, encoding="utf-8")
    print(f"{outcome}: {mutant.name}", flush=True)
    return outcome


def run_tests(copy: Path, tests: list[str], *, show_failures: bool = False) -> str:
    """Return "detected" if a test fails or hangs, "survived" if all pass, else "not run"; optionally print failures."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    sources = os.pathsep.join(str(copy / folder) for folder in _SOURCES)
    environment = os.environ | {"PYTHONPATH": sources, "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, timeout=_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return "detected"
    if done.returncode not in (_PASSED, _FAILED) or (show_failures and done.returncode == _FAILED):
        print(done.stdout.decode()[-2_000:], file=sys.stderr)
        return "not run"
    return "detected" if done.returncode == _FAILED else "survived"


if __name__ == "__main__":
    sys.exit(main())
