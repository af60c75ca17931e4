"""Waiting for changes in the feed. One task reads the feed for all waiting readers of a process."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from peopleinfo.errors import PeopleInfoError

if TYPE_CHECKING:
    from collections.abc import Callable

    from peopleinfo.people.history_service import HistoryService

MAX_WAIT: Final = 60  # seconds that a request waits for a change
_INTERVAL: Final = 0.5  # seconds between two reads of the feed


class ChangeWatch:
    """Notifies readers of changes in the feed. It reads the feed only while readers wait."""

    def __init__(self, history: HistoryService, is_ending: Callable[[], bool], *, interval: float = _INTERVAL) -> None:
        """`is_ending`: whether the server shuts down, which ends all waits."""
        self._history = history
        self._is_ending = is_ending
        self._interval = interval
        self._signal: asyncio.Future[None] | None = None
        self._waiting = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def signal(self) -> asyncio.Future[None]:
        """A future that is done after the next change, or earlier.

        A reader gets it before it reads the feed, waits for it, and then reads again: so it misses no change in between.
        """
        if self._signal is None:
            self._signal = asyncio.get_running_loop().create_future()
        return self._signal

    async def wait(
        self, signal: asyncio.Future[None], position: bytes, *, cancel: asyncio.Future[None], seconds: float
    ) -> None:
        """Wait for a signal, for `cancel` or for the time limit. `position` is where the reader's last page ended."""
        self._waiting += 1
        try:
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._poll(position))
            await asyncio.wait((signal, cancel), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting -= 1

    async def _poll(self, position: bytes) -> None:
        try:
            with suppress(PeopleInfoError):  # each reader gets the error from its own read
                while self._waiting and not self._is_ending():
                    page = await self._history.changes(position, limit=1)
                    if page.changes:
                        position = (await self._history.changes(None, limit=1)).next
                        self._notify()
                    else:
                        position = page.next
                    await asyncio.sleep(self._interval)
        finally:  # the next task may start at a later position
            self._notify()

    def _notify(self) -> None:
        if self._signal is not None and not self._signal.done():
            self._signal.set_result(None)
        self._signal = None
