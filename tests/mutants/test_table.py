"""The table of mutants fits the source: each fault can be planted, and the tests that detect it exist."""

from __future__ import annotations

import ast
import subprocess

import pytest
import yaml  # type: ignore[import-untyped]

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


def test_tests_of_a_fault_exist(mutant: Mutant) -> None:
    assert mutant.tests
    for test in mutant.tests:
        file, _, name = test.partition("::")
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert name.partition("[")[0] in functions, test
