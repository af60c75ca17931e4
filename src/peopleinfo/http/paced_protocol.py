"""The protocol with a limit on the pace of clients without a credential.

Such a client would otherwise use all CPU time that the server has left, and the operating system would then serve the server later
than processes that often wait.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from peopleinfo.http.uvicorn_protocol import Protocol
from peopleinfo.telemetry.metrics import REQUESTS_DELAYED

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

AUTHENTICATED: Final = "is_authenticated"
"""The name in the scope of a request by which the app reports a valid credential."""
INTERVAL: Final = 0.005  # seconds between two responses without a credential
BURST: Final = 0.5  # seconds; a connection may send BURST / INTERVAL requests at once
REFUSAL_DELAY: Final = 0.02  # seconds before an invalid request is refused and its connection closes


class PacedProtocol(Protocol):
    """Delays the next request on a connection after many requests without a credential, and the refusal of invalid requests."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._due = 0.0  # loop time of the next response at the permitted pace
        self._is_delayed = False
        self._paced: RequestResponseCycle | None = None  # the last request that was counted

    def on_response_complete(self) -> None:
        """Handle the next request, or wait if the client sent too many requests without a credential."""
        request = self._running
        if request is not None and request is not self._paced and AUTHENTICATED not in request.scope:
            self._paced = request
            if (delay := self._count()) > 0 and not self.transport.is_closing():
                REQUESTS_DELAYED.inc()
                self._is_delayed = True
                self.flow.pause_reading()
                self.loop.call_later(delay, self.on_response_complete)
                return
        self._is_delayed = False
        super().on_response_complete()

    def _count(self) -> float:
        """Count a response and return the seconds until the next request; at most 0 within the burst."""
        now = self.loop.time()
        self._due = max(self._due, now) + INTERVAL
        return self._due - now - BURST

    def _is_behind(self) -> bool:
        return self._is_delayed or super()._is_behind()

    def _send_error(self) -> None:
        # A connection above the limit must end at once, because it takes memory.
        if self._error_status == HTTPStatus.SERVICE_UNAVAILABLE:
            super()._send_error()
            return
        self.flow.pause_reading()
        self.loop.call_later(REFUSAL_DELAY, self._send_late_error)

    def _send_late_error(self) -> None:
        if not self.transport.is_closing():
            super()._send_error()
