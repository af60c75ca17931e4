"""Graceful shutdown: report not ready, keep serving for a drain period, then finish the requests in progress."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any, Final

from peopleinfo import signals

if TYPE_CHECKING:
    from types import FrameType

REQUESTS_TIMEOUT: Final = 30  # seconds for the requests in progress, after the drain period


class GracefulShutdown:
    """Delays the server's shutdown after SIGINT or SIGTERM by `seconds`; a second signal ends the process immediately."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.is_on = bool(signals.received)  # a signal can arrive during start-up
        """Whether shutdown has started; load balancers should stop sending requests."""
        self._server_handlers: dict[int, Any] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def install_handlers(self) -> None:
        """Wrap the server's signal handlers. Call this in the main thread while the event loop runs."""
        self._loop = asyncio.get_running_loop()
        for number in signals.TERMINATION:
            self._server_handlers[number] = signal.getsignal(number)  # before the new handler can run
            signal.signal(number, self._handle)

    def ignore_sigint(self) -> None:
        """Ignore SIGINT in a worker: Ctrl-C reaches every process of a terminal, and the supervisor forwards its own signal."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(
            signal.SIG_UNBLOCK, signals.TERMINATION
        )  # the supervisor starts workers with these signals blocked

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.is_on or self._loop is None:
            signals.exit_by_signal(number)
        self.is_on = True
        if self.seconds:
            self._loop.call_soon_threadsafe(
                self._loop.call_later, self.seconds, self._server_handlers[number], number, frame
            )
        else:
            self._server_handlers[number](number, frame)
