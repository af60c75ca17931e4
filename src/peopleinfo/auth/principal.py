"""Who is asking, and what they may do. How they prove it is the business of others."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from peopleinfo.errors import AccessDenied


class Scope(StrEnum):
    """What somebody may do."""

    READ = "people:read"
    WRITE = "people:write"
    ADMIN = "people:admin"  # everything
    METRICS = "metrics:read"  # figures about the service, and nobody's data

    __hash__ = str.__hash__  # an Enum's own is a function in Python, and is called at every request


_ADMIN: Final = Scope.ADMIN  # a member of an Enum is looked for in Python, too


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever asks: under which name it is written down, what it may do, and which members of people it must not see."""

    name: str
    scopes: frozenset[Scope]
    hidden_fields: frozenset[str] = frozenset()

    def has_scope(self, scope: Scope) -> bool:
        """Say whether the principal may do what needs `scope`."""
        return scope in self.scopes or _ADMIN in self.scopes

    def require_scope(self, scope: Scope) -> None:
        """Raise AccessDenied unless the principal may do what needs `scope`."""
        if not self.has_scope(scope):
            raise AccessDenied(scope)


ANONYMOUS: Final = Principal(name="anybody", scopes=frozenset({Scope.ADMIN}))
"""Whoever reaches a service that asks nobody who they are."""
BOOTSTRAP_ADMIN: Final = Principal(name="admin-key", scopes=frozenset({Scope.ADMIN}))
"""Whoever shows the key that a secret of the deployment holds."""
RESERVED: Final = frozenset({ANONYMOUS.name, BOOTSTRAP_ADMIN.name})  # names that no key that is made may bear
