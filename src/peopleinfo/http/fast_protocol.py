"""The protocol of the server with the hot path in front of it (docs/adr/0022)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peopleinfo.http.uvicorn_protocol import Protocol

if TYPE_CHECKING:
    from peopleinfo.http.fast_reads import FastReads

STATE: str = "fast_reads"
"""The name of `FastReads` in the state of the application."""
_METHOD = b"GET "
_HEAD_END = b"\r\n\r\n"


class FastProtocol(Protocol):
    """Answers known reads directly, and passes all other bytes to the parser."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._fast: FastReads | None = self.app_state.get(STATE)
        self._unknown = b""  # a complete request that the parser handles now

    def data_received(self, data: bytes) -> None:
        """Answer a known read, or parse the bytes."""
        if self._fast is not None and data.startswith(_METHOD) and data.endswith(_HEAD_END) and self._is_idle():
            response = self._fast.respond(data, self.server_state.default_headers)
            if response is not None:
                self.transport.write(response)
                self.server_state.total_requests += 1
                self._waits_for_head = False
                self._arm_timeout(self.timeout_keep_alive)
                return
            self._unknown = data
        super().data_received(data)
        self._unknown = b""

    def on_headers_complete(self) -> None:
        """Handle the request, and remember its header lines."""
        super().on_headers_complete()
        if self._unknown.count(_HEAD_END) == 1 and self._fast is not None:
            self._fast.learn(self._unknown, self.headers)

    def _is_idle(self) -> bool:
        """Return whether the next byte starts a request, and the client has received all responses."""
        running = self._running
        return (
            (running is None or (running.response_complete and not running.more_body))
            and not (self._in_head or self._rest or self.pipeline or self._is_refused or self.flow.write_paused)
            and not self.transport.is_closing()
        )
