"""How the service ends: first it says that it is not ready any more, then it goes on serving for a while, then it finishes what is under way."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

from peopleinfo import signals

if TYPE_CHECKING:
    from types import FrameType


class GracefulShutdown:
    """Holds back the end of the server, after SIGINT or SIGTERM, for `seconds`; a second signal ends the process at once."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.is_on = bool(signals.received)  # during the start
        """Whether the service is about to end: whoever distributes requests had better send them elsewhere."""
        self._end: dict[int, Any] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def install_handlers(self) -> None:
        """Stand before the server's own handlers of the signals; to be called in the main thread, in the loop."""
        self._loop = asyncio.get_running_loop()
        for number in signals.TERMINATION:
            self._end[number] = signal.getsignal(number)  # before ours can be called
            signal.signal(number, self._hear)

    def ignore_sigint(self) -> None:
        """Ignore SIGINT: Ctrl-C reaches every process of a terminal, and the one that started this one passes its own on."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals.TERMINATION)  # blocked since the process was started

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.is_on or self._loop is None:
            signals.exit_by_signal(number)
        self.is_on = True
        if self.seconds:
            self._loop.call_soon_threadsafe(self._loop.call_later, self.seconds, self._end[number], number, frame)
        else:
            self._end[number](number, frame)
