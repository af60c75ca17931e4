"""Health of the store; all health checks within a second share one result."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Final

from peopleinfo.errors import StoreUnavailable, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_RESULT_TTL: Final = 1.0  # seconds; several load balancers may check every few seconds
_TIMEOUT: Final = 2.0  # seconds; shorter than the timeout of a load balancer


class Health:
    """Caches the result of a health check for a second."""

    def __init__(self, check: Callable[[], Awaitable[None]]) -> None:
        """`check` raises StoreUnavailable while the store cannot serve."""
        self._check = check
        self._check_task: asyncio.Task[Unavailable | None] | None = None
        self._expires_at = 0.0

    async def last_error(self) -> Unavailable | None:
        """Return the error of an unavailable store, or None."""
        if self._check_task is None or (self._check_task.done() and monotonic() >= self._expires_at):
            self._check_task = asyncio.ensure_future(self._run_check())
        return await asyncio.shield(self._check_task)

    async def _run_check(self) -> Unavailable | None:
        try:
            async with asyncio.timeout(_TIMEOUT):
                await self._check()
        except Unavailable as error:
            return error
        except TimeoutError:
            return StoreUnavailable(f"the store did not respond within {_TIMEOUT:g} seconds")
        finally:
            self._expires_at = monotonic() + _RESULT_TTL
        return None
