"""The table of mutants fits the source: each fault can be planted, and the tests that detect it exist."""

from __future__ import annotations

import ast
import os
import subprocess
import sys

import pytest
import yaml  # type: ignore[import-untyped]

from tests.limits import FAST_LANE
from tests.mutants.table import ROOT, Mutant, mutants

ALL = {mutant.name: mutant for mutant in mutants()}


@pytest.fixture(params=ALL)
def mutant(request: pytest.FixtureRequest) -> Mutant:
    return ALL[request.param]


def test_mutant_names_are_unique() -> None:
    assert len(ALL) == len(mutants())


def test_fault_applies_exactly_once_and_is_valid(mutant: Mutant) -> None:
    source = (ROOT / mutant.file).read_text(encoding="utf-8")
    assert parsed(mutant.file, mutant.planted(source)) != parsed(mutant.file, source)


def parsed(file: str, source: str) -> object:
    """Return the parsed content of a file, without its layout. Raises an error if it is invalid."""
    if file.endswith(".py"):
        return ast.dump(ast.parse(source))
    if file.startswith(".github/"):
        return yaml.safe_load(source)
    if file.startswith("scripts/"):
        subprocess.run(["bash", "-n", "/dev/stdin"], input=source, text=True, check=True)
    return source


@pytest.fixture(scope="module")
def collected_ids() -> set[str]:
    """The ids of all tests in the modules that the table names, with and without their parameters."""
    files = sorted({test.partition("::")[0] for mutant in ALL.values() for test in mutant.tests})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    environment = {name: value for name, value in os.environ.items() if name != FAST_LANE}
    collected = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert collected.returncode == 0, collected.stdout[-2_000:]
    ids = {line for line in collected.stdout.splitlines() if "::" in line}
    return ids | {test.partition("[")[0] for test in ids}


def test_tests_of_a_fault_exist(mutant: Mutant, collected_ids: set[str]) -> None:
    assert mutant.tests
    assert set(mutant.tests) - collected_ids == set()
