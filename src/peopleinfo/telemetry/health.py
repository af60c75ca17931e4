"""Whether the store can be used: asked of it once, for whoever wants to know within a second."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Final

from peopleinfo.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_GOOD_FOR: Final = 1.0  # seconds; balancers ask every few, and many of them may ask
_PATIENCE: Final = 2.0  # less than a balancer has


class Health:
    """What is known of a store's health, at most a second old."""

    def __init__(self, check: Callable[[], Awaitable[None]]) -> None:
        """`check` raises StoreUnavailable while the store cannot serve."""
        self._check = check
        self._asked: asyncio.Task[StoreUnavailable | None] | None = None
        self._until = 0.0

    async def last_error(self) -> StoreUnavailable | None:
        """Return why the store cannot serve; None when it can."""
        if self._asked is None or (self._asked.done() and monotonic() >= self._until):
            self._asked = asyncio.ensure_future(self._ask())
        return await asyncio.shield(self._asked)

    async def _ask(self) -> StoreUnavailable | None:
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._check()
        except StoreUnavailable as trouble:
            return trouble
        except TimeoutError:
            return StoreUnavailable(f"the store does not answer within {_PATIENCE:g} seconds")
        finally:
            self._until = monotonic() + _GOOD_FOR
        return None
