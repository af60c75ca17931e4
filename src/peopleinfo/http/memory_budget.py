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

    def hold(self, size: int) -> Held:
        """Count bytes until nothing refers to the returned object. Raises Overloaded."""
        self.take(size)
        return Held(self, size)

    def require_room(self) -> None:
        """Raise Overloaded if the budget is used up."""
        if self.used >= self.size:
            raise Overloaded


class Held:
    """Bytes that count in a budget as long as something refers to this object."""

    __slots__ = ("_budget", "_size")

    def __init__(self, budget: Budget, size: int) -> None:
        self._budget = budget
        self._size = size

    def __del__(self) -> None:
        self._budget.release(self._size)


RECEIVED: Final = Budget(64 * MIB)
"""Received bytes that are not parsed yet: pipelined requests, and bodies that the app has not read."""
BODIES: Final = Budget(64 * MIB)
"""Bodies of requests in progress, including their parsed values."""
RESPONSES: Final = Budget(64 * MIB)
"""Responses in send buffers."""
EXPORTS: Final = Budget(64 * MIB)
"""Exports in progress."""
EXPORT_SIZE: Final = 3 * MIB
"""Bytes of one export in progress: a page of records and its output."""
PREVIEWS: Final = Budget(256 * MIB)
"""Files of previews in progress, in memory or in the temporary folder."""
