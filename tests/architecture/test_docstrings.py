"""Whatever others may call says what it promises."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from peopleinfo.auth.api_keys import ApiKeyStore
from peopleinfo.auth.ended_sessions import EndedSessionStore
from peopleinfo.people.store import Store
from peopleinfo.stores.dynamodb.record_format import RecordFormat
from peopleinfo.stores.registry import ServiceStore

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PACKAGES = (ROOT / "src" / "peopleinfo", ROOT / "clients" / "python" / "src" / "peopleinfo_client")
MODULES = sorted(module for package in PACKAGES for module in package.rglob("*.py"))
# Their promises stand at the port.
PORTS = {
    ending: {name for kind in port.__mro__ for name in vars(kind) if not name.startswith("_")}
    for ending, port in (
        ("ApiKeyStore.", ApiKeyStore),
        ("EndedSessionStore.", EndedSessionStore),
        ("Store.", ServiceStore),
        ("Format.", RecordFormat),
    )
}
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def undocumented(module: Path) -> list[str]:
    """Name the public functions, classes and methods of a module that have no docstring, and the module itself."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    missing = [] if ast.get_docstring(tree) else ["the module"]
    return missing + [name for name, definition in _public(tree) if not ast.get_docstring(definition)]


def _public(scope: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[str, Definition]]:
    promised: set[str] = next((names for ending, names in PORTS.items() if prefix.endswith(ending)), set())
    for definition in scope.body:
        if not isinstance(definition, Definition) or definition.name.startswith("_"):
            continue
        if definition.name in promised and prefix not in PORTS:
            continue
        yield prefix + definition.name, definition
        if isinstance(definition, ast.ClassDef):
            yield from _public(definition, f"{prefix}{definition.name}.")


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(ROOT)))
def test_whatever_is_public_says_what_it_promises(module: Path) -> None:
    assert undocumented(module) == []


@pytest.mark.parametrize("port", [Store, ApiKeyStore, EndedSessionStore])
def test_the_ports_themselves_are_documented(port: type) -> None:
    assert [name for name, promise in vars(port).items() if not name.startswith("_") and not promise.__doc__] == []
