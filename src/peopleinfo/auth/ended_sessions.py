"""The port to the record of console sessions that ended before their time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime


class EndedSessionStore(Protocol):
    """Stores which sessions were ended, the same for every process: each read sees every ending that was acknowledged before.

    Every method may raise StoreUnavailable.
    """

    async def add(self, session_id: bytes, *, expires_at: datetime) -> None:
        """Store durably that a session has ended; it may be dropped from the record at `expires_at`, when its cookie expires."""

    async def contains(self, session_id: bytes) -> bool:
        """Return whether a session was ended."""
