"""The interface of the store of console sessions that ended before they expired."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime


class EndedSessionStore(Protocol):
    """A store of ended sessions, shared by all processes. A read sees every end that was acknowledged before.

    Every method may raise StoreUnavailable.
    """

    async def add(self, session_id: bytes, *, expires_at: datetime) -> None:
        """Store durably that a session has ended. The entry may be deleted at `expires_at`, when the cookie expires."""

    async def contains(self, session_id: bytes) -> bool:
        """Return whether a session has ended."""
