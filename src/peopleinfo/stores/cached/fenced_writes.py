"""Writes under fences: no cache holds a previous value when a write is acknowledged (docs/adr/0008)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from peopleinfo.errors import OutcomeUnknown, PeopleInfoError, StoreUnavailable
from peopleinfo.telemetry.metrics import CACHE_FENCES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from peopleinfo.stores.cached.local import LocalCache
    from peopleinfo.stores.cached.shared import SharedCache

T = TypeVar("T")


class FencedWriter:
    """Runs writes under fences. With `strict`, a write that cannot invalidate the cache waits until its entries have expired."""

    def __init__(
        self, shared: SharedCache, local: LocalCache, *, strict: bool, sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._shared = shared
        self._local = local
        self._strict = strict
        self._sleep = sleep

    async def run(
        self,
        names: Iterable[str],
        write: Callable[[], Awaitable[T]],
        *,
        bulk: bool = False,
        unsettled: Callable[[T], set[str]] = lambda _: set(),
    ) -> T:
        """Write under a fence on these names, and return when the cache cannot contain a previous value.

        `unsettled` returns the names of a result whose writes may still be applied.
        """
        names = set(names)
        writer = self._shared.token()
        keys = [self._shared.key(name) for name in names]
        fenced = await self._shared.fence(names, writer)
        self._local.invalidate(keys)
        try:
            result = await (self._renew_fence(names, writer, write) if bulk else write())
        except PeopleInfoError as error:
            # A failed bulk write may have stored some records, or a concurrent run of the same import may store them.
            if isinstance(error, OutcomeUnknown) or (bulk and not isinstance(error, StoreUnavailable)):
                self._abandon_fence(names, fenced=fenced)
            else:
                await self._shared.unfence(names, writer)
            raise
        except BaseException:
            self._abandon_fence(names, fenced=fenced)
            raise
        if pending := unsettled(result):
            self._abandon_fence(pending, fenced=fenced)
        unfenced = await self._shared.unfence(names - pending, writer)
        self._local.invalidate(keys)
        if self._strict and not unfenced:
            await self._sleep(self._shared.ttl)
        return result

    async def run_each(
        self, names: Sequence[set[str]], write: Callable[[], Awaitable[list[T | PeopleInfoError]]]
    ) -> list[T | PeopleInfoError]:
        """Run several writes under fences on their names, and return their outcomes. The fences of an unknown outcome remain."""

        def unsettled(outcomes: list[T | PeopleInfoError]) -> set[str]:
            unknown = (one for one, outcome in zip(names, outcomes, strict=True) if isinstance(outcome, OutcomeUnknown))
            return set().union(*unknown)

        return await self.run(set().union(*names), write, bulk=True, unsettled=unsettled)

    def _abandon_fence(self, names: Iterable[str], *, fenced: bool) -> None:
        """Leave the fences until they expire, because the write may still be applied."""
        CACHE_FENCES.inc("expired")
        if not fenced:
            self._shared.queue_invalidation(names, settled=False)

    async def _renew_fence(self, names: set[str], writer: bytes, write: Callable[[], Awaitable[T]]) -> T:
        """Run a long write and renew its fences before they expire."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(self._shared.fence_ttl / 3)
                await self._shared.fence(names, writer)

        renewing = asyncio.ensure_future(renew())
        try:
            return await write()
        finally:
            await cancel([renewing])


async def cancel(tasks: list[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until they have ended."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task
