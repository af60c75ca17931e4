"""Functions and modules do not exceed their size limits."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = (ROOT / "src" / "peopleinfo", ROOT / "clients" / "python" / "src" / "peopleinfo_client")
MODULES = sorted(module for package in PACKAGES for module in package.rglob("*.py"))
MAX_FUNCTION_LINES = 60
MAX_MODULE_LINES = 400
ALLOWED: dict[str, str] = {}  # module → reason for a larger size


def too_long(module: Path) -> list[str]:
    text = module.read_text(encoding="utf-8")
    functions = (n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    lengths = {function.name: (function.end_lineno or 0) - function.lineno + 1 for function in functions}
    found = [f"{name} is {length} lines" for name, length in lengths.items() if length > MAX_FUNCTION_LINES]
    return found + ([f"module is {lines} lines"] if (lines := text.count("\n")) > MAX_MODULE_LINES else [])


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(ROOT)))
def test_module_and_its_functions_are_below_the_size_limits(module: Path) -> None:
    allowed = module.relative_to(ROOT).as_posix() in ALLOWED
    assert bool(too_long(module)) == allowed, too_long(module) or "the exception is no longer needed"


def test_every_size_exception_names_an_existing_module() -> None:
    assert [name for name in ALLOWED if not (ROOT / name).is_file()] == []
