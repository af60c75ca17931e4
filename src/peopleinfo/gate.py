"""The gate: from what somebody shows to who they are."""

from __future__ import annotations

import hashlib
from typing import Final

from peopleinfo.access import ANYBODY, Principal, Scope
from peopleinfo.errors import NotAuthenticated

_ADMIN: Final = Principal(name="admin key", scopes=frozenset({Scope.ADMIN}))


class Gate:
    """Tells who is asking by the credential that they show."""

    def __init__(self, *, admin_key: str = "", open_to_all: bool = False) -> None:
        """Let in who shows `admin_key` (none when empty), and with `open_to_all` everybody who shows nothing."""
        self.open_to_all = open_to_all
        self._fixed = {digest(admin_key): _ADMIN} if admin_key else {}

    def principal(self, credential: str | None) -> Principal:
        """Return who shows this credential (None: nothing was shown). Raises NotAuthenticated."""
        if credential is None and self.open_to_all:
            return ANYBODY
        found = self._fixed.get(digest(credential)) if credential else None
        if found is None:
            raise NotAuthenticated
        return found


def digest(credential: str) -> bytes:
    """Return as what a credential is kept: with 256 bits of chance in it, a hash that costs an attacker nothing is safe all the same."""
    return hashlib.sha256(credential.encode()).digest()
