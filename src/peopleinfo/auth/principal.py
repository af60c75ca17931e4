"""Principals and their permissions."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from peopleinfo.errors import AccessDenied


class Scope(StrEnum):
    """A permission of a principal."""

    READ = "people:read"
    WRITE = "people:write"
    MERGE = "people:merge"  # merges, their undo and decisions about duplicates
    ADMIN = "people:admin"  # all permissions
    METRICS = "metrics:read"  # metrics only, no personal data

    __hash__ = str.__hash__  # Enum.__hash__ is a Python function, which would be called on every request


_ADMIN: Final = Scope.ADMIN  # saves the attribute lookup on the Enum, which runs Python code


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticated client: its name in the audit log, its scopes and the fields hidden from it."""

    name: str
    scopes: frozenset[Scope]
    hidden_fields: frozenset[str] = frozenset()

    def has_scope(self, scope: Scope) -> bool:
        """Return whether the principal has a scope; `people:admin` includes all others."""
        return scope in self.scopes or _ADMIN in self.scopes

    def require_scope(self, scope: Scope) -> None:
        """Raise AccessDenied unless the principal has a scope."""
        if not self.has_scope(scope):
            raise AccessDenied(scope)


ANONYMOUS: Final = Principal(name="anonymous", scopes=frozenset({Scope.ADMIN}))
"""Any client of a service that requires no credentials."""
BOOTSTRAP_ADMIN: Final = Principal(name="admin-key", scopes=frozenset({Scope.ADMIN}))
"""A client with the key in PEOPLEINFO_ADMIN_KEY."""
RESERVED: Final = frozenset({ANONYMOUS.name, BOOTSTRAP_ADMIN.name})  # names that an API key must not have
