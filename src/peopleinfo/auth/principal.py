"""Who is asking, and what they may do. How they prove it is the business of others."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

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
MEMBERS: Final = ("person_name", "person_surname", "person_birthdate", "person_address")
FURTHER: Final = "*"  # in a mask: every member that people brought themselves


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever asks: under which name it is written down, what it may do, and which members of people it must not see."""

    name: str
    scopes: frozenset[Scope]
    hidden: frozenset[str] = frozenset()

    def may(self, scope: Scope) -> bool:
        """Say whether the principal may do what needs `scope`."""
        return scope in self.scopes or _ADMIN in self.scopes

    def require(self, scope: Scope) -> None:
        """Raise AccessDenied unless the principal may do what needs `scope`."""
        if not self.may(scope):
            raise AccessDenied(scope)


class ClientKey(NamedTuple):
    """A name that a client chose for an operation, for example its Idempotency-Key. It is valid for that principal alone."""

    principal: str
    """The name of the principal, which stays the same when its key is rotated."""
    key: str

    @property
    def encoded(self) -> bytes:
        """Bytes that differ whenever the principal or the key differs."""
        return msgspec.json.encode(self)


ANYBODY: Final = Principal(name="anybody", scopes=frozenset({Scope.ADMIN}))
"""Whoever reaches a service that asks nobody who they are."""
FIRST_ADMIN: Final = Principal(name="admin-key", scopes=frozenset({Scope.ADMIN}))
"""Whoever shows the key that a secret of the deployment holds."""
RESERVED: Final = frozenset({ANYBODY.name, FIRST_ADMIN.name})  # names that no key that is made may bear
