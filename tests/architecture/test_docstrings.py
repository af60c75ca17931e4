"""Public names have docstrings."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol

import pytest

from peopleinfo.auth.api_keys import ApiKeyStore
from peopleinfo.auth.ended_sessions import EndedSessionStore
from peopleinfo.matching.duplicate_links import LinkStore
from peopleinfo.matching.match_index import MatchIndex
from peopleinfo.matching.merge_store import MergeStore
from peopleinfo.people.import_log import ImportLog
from peopleinfo.people.people_list import ListIndex
from peopleinfo.people.search_index import SearchIndex
from peopleinfo.people.trash import TrashStore
from peopleinfo.people.version_archive import VersionArchive
from peopleinfo.stores.dynamodb.record_format import RecordFormat
from peopleinfo.stores.service_store import OpenedStore, ServiceCache

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PACKAGES = (ROOT / "src" / "peopleinfo", ROOT / "clients" / "python" / "src" / "peopleinfo_client")
MODULES = sorted(module for package in PACKAGES for module in package.rglob("*.py"))
# The interface documents the methods of its implementations.
INTERFACES = {
    ending: {name for port in ports for kind in port.__mro__ for name in vars(kind) if not name.startswith("_")}
    for ending, ports in (
        ("ApiKeyStore.", [ApiKeyStore]),
        ("EndedSessionStore.", [EndedSessionStore]),
        ("Store.", [OpenedStore, ServiceCache]),
        ("Format.", [RecordFormat]),
        ("SearchIndex.", [SearchIndex, ListIndex]),
        ("Merges.", [MergeStore]),
        ("MatchIndex.", [MatchIndex]),
        ("Links.", [LinkStore]),
        ("ImportLog.", [ImportLog]),
        ("VersionArchive.", [VersionArchive]),
        ("Trash.", [TrashStore]),
    )
}
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def undocumented(module: Path) -> list[str]:
    """Return the public functions, classes and methods of a module without a docstring, and the module itself."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    missing = [] if ast.get_docstring(tree) else ["the module"]
    return missing + [name for name, definition in _public(tree) if not ast.get_docstring(definition)]


def _public(scope: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[str, Definition]]:
    documented: set[str] = next((names for ending, names in INTERFACES.items() if prefix.endswith(ending)), set())
    for definition in scope.body:
        if not isinstance(definition, Definition) or definition.name.startswith("_"):
            continue
        if definition.name in documented and prefix not in INTERFACES:
            continue
        yield prefix + definition.name, definition
        if isinstance(definition, ast.ClassDef):
            yield from _public(definition, f"{prefix}{definition.name}.")


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(ROOT)))
def test_public_names_have_docstrings(module: Path) -> None:
    assert undocumented(module) == []


@pytest.mark.parametrize(
    "interface",
    [
        *(kind for kind in OpenedStore.__mro__ if kind not in (Protocol, Generic, object)),
        ServiceCache,
        ApiKeyStore,
        EndedSessionStore,
    ],
)
def test_interfaces_have_docstrings(interface: type) -> None:
    assert [name for name, member in vars(interface).items() if not name.startswith("_") and not member.__doc__] == []
