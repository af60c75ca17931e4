"""The protocol of the server with the hot path in front of it (docs/adr/0022)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from peopleinfo.http.paced_protocol import PacedProtocol

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from peopleinfo.http.fast_reads import FastReads, Response

STATE: str = "fast_reads"
"""The name of `FastReads` in the state of the application."""
_METHOD = b"GET "
_HEAD_END = b"\r\n\r\n"
_NEVER = float("inf")


class FastProtocol(PacedProtocol):
    """Answers known reads directly, and passes all other bytes to the parser."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._fast: FastReads | None = self.app_state.get(STATE)
        self._unknown = b""  # a complete request that the parser handles now
        self._is_waiting = False  # for a known read; the parser gets later bytes after the response
        self._is_shut_down = False  # while a read waits

    def data_received(self, data: bytes) -> None:
        """Answer a known read, or parse the bytes."""
        if self._is_waiting:
            self._rest = memoryview(bytes(self._rest) + data)
            self._count_rest()
            self.flow.pause_reading()
            return
        if self._fast is not None and data.startswith(_METHOD) and data.endswith(_HEAD_END) and self._is_idle():
            response = self._fast.respond(data, self.server_state.default_headers, self.client)
            if isinstance(response, bytes):
                self.transport.write(response)
                self.server_state.total_requests += 1
                self._waits_for_head = False
                self._arm_timeout(self.timeout_keep_alive)
                return
            if response is not None:
                self._wait(response, data)
                return
            self._unknown = data
        super().data_received(data)
        self._unknown = b""

    def on_headers_complete(self) -> None:
        """Handle the request, and remember its header lines."""
        super().on_headers_complete()
        if self._unknown.count(_HEAD_END) == 1 and self._fast is not None:
            self._fast.learn(self._unknown, self.headers)

    def shutdown(self) -> None:
        """Close the connection after the response to the current request."""
        if self._is_waiting:
            self._is_shut_down = True
        else:
            super().shutdown()

    def _wait(self, reading: Coroutine[None, None, Response], request: bytes) -> None:
        self._is_waiting = True
        self._waits_for_head = False
        self._deadline = _NEVER
        task = self.loop.create_task(self._respond_later(reading, request))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    async def _respond_later(self, reading: Coroutine[None, None, Response], request: bytes) -> None:
        """Send the result of a read; without one, pass the request to the parser."""
        try:
            response = await reading
        except Exception as error:  # noqa: BLE001 - the framework repeats the read and reports its error
            structlog.get_logger("peopleinfo.http").error("known_read_failed", error=type(error).__name__)
            response = None
        self._is_waiting = False
        if self.transport.is_closing():
            return
        if response is None:
            super().data_received(request)
        else:
            self.transport.write(response)
            self.server_state.total_requests += 1
            self._arm_timeout(self.timeout_keep_alive)
            self.flow.resume_reading()
        if self._is_shut_down:
            super().shutdown()

    def _is_behind(self) -> bool:
        return self._is_waiting or super()._is_behind()

    def _is_idle(self) -> bool:
        """Return whether the next byte starts a request, and the client has received all responses."""
        running = self._running
        return (
            (running is None or (running.response_complete and not running.more_body))
            and not (self._in_head or self._rest or self.pipeline or self._is_refused or self.flow.write_paused)
            and not self.transport.is_closing()
        )
