"""Whatever others may call says what it promises."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from peopleinfo.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

SRC = Path(__file__).parent.parent.parent / "src" / "peopleinfo"
PORT = {name for name in vars(Store) if not name.startswith("_")}  # their promises stand at the port
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def undocumented(module: Path) -> list[str]:
    """Name the public functions, classes and methods of a module that have no docstring, and the module itself."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    missing = [] if ast.get_docstring(tree) else ["the module"]
    return missing + [name for name, definition in _public(tree) if not ast.get_docstring(definition)]


def _public(scope: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[str, Definition]]:
    implements_the_port = prefix.endswith("Store.")
    for definition in scope.body:
        if not isinstance(definition, Definition) or definition.name.startswith("_"):
            continue
        if implements_the_port and definition.name in PORT:
            continue
        yield prefix + definition.name, definition
        if isinstance(definition, ast.ClassDef):
            yield from _public(definition, f"{prefix}{definition.name}.")


@pytest.mark.parametrize("module", sorted(SRC.rglob("*.py")), ids=lambda module: str(module.relative_to(SRC)))
def test_whatever_is_public_says_what_it_promises(module: Path) -> None:
    assert undocumented(module) == []


def test_the_port_itself_is_documented() -> None:
    assert [name for name in sorted(PORT) if not getattr(Store, name).__doc__] == []
