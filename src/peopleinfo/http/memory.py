"""Limits, in bytes, on what all connections of this process hold together."""

from __future__ import annotations

from typing import Final

from peopleinfo.errors import Overloaded

MIB: Final = 1024 * 1024


class Budget:
    """Bytes that all connections together may hold for one purpose."""

    __slots__ = ("size", "used")

    def __init__(self, size: int) -> None:
        self.size = size
        self.used = 0

    def take(self, size: int) -> None:
        """Count bytes that the caller is about to hold. Raises Overloaded, and counts nothing, if they exceed the budget."""
        if self.used + size > self.size:
            raise Overloaded
        self.used += size

    def release(self, size: int) -> None:
        """Stop counting bytes of an earlier `take`."""
        self.used -= size

    def require_room(self) -> None:
        """Raise Overloaded if the budget is used up."""
        if self.used >= self.size:
            raise Overloaded


RECEIVED: Final = Budget(16 * MIB)
"""Pipelined requests that are received and not parsed."""
BODIES: Final = Budget(64 * MIB)
"""Request bodies of requests in progress, with what parsing makes of them."""
RESPONSES: Final = Budget(64 * MIB)
"""Responses that clients have not read."""
