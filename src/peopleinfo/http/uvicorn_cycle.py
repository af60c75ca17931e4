"""The parts of uvicorn's protocol that serve one request: flow control, and the cycle of request and response."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

_SHARED: Final = 64 * 1024  # bytes; a longer body is not copied to join it to its head


class Flow(FlowControl):
    """uvicorn's flow control, except that reading resumes only when all that was received is parsed and no request waits."""

    def __init__(self, transport: asyncio.Transport, parse_rest: Callable[[], bool]) -> None:
        super().__init__(transport)
        self.parse_rest = parse_rest

    def resume_reading(self) -> None:
        """Read on, after the rest of what was received."""
        if self.read_paused and self.parse_rest():
            super().resume_reading()


class Cycle(RequestResponseCycle):
    """uvicorn's, but that a plain answer, whose length is known and which comes in one piece, is sent in one.

    Head and body apart cost a system call each, and headers that are checked one by one more than all the rest of sending them.
    """

    _head = b""  # that waits for its body

    async def send(self, message: Any) -> None:
        """Send what the app sends."""
        if message["type"] == "http.response.start":
            if not self.response_started and self._begin(message["status"], message["headers"]):
                return
        elif self._head:
            head, self._head = self._head, b""
            body = message.get("body", b"")
            if len(body) == self.expected_content_length and not message.get("more_body", False):
                self._end(head, body)
                return
            self.transport.write(head)
        await super().send(message)

    def _begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> bool:
        named = dict(headers)
        plain = b"content-length" in named and b"connection" not in named and b"transfer-encoding" not in named
        if not plain or self.scope["method"] == "HEAD" or self.disconnected or self.flow.write_paused:
            return False
        lines = [b"%b: %b" % header for header in chain(self.default_headers, headers)]
        text = b"".join(lines)
        # What is behind the end of a line would be a header, or an answer, of its own (RFC 9110, section 5.5). uvicorn says which has one.
        if b"\n" in text or b"\r" in text or b"\0" in text:
            return False
        if not self.keep_alive:
            lines.append(b"connection: close")
        self._head = b"%b%b\r\n\r\n" % (STATUS_LINE[status], b"\r\n".join(lines))
        self.expected_content_length = int(named[b"content-length"])
        self.response_started = True
        self.chunked_encoding = False
        self.waiting_for_100_continue = False
        return True

    def _end(self, head: bytes, body: bytes) -> None:
        if self.disconnected:
            return
        if len(body) < _SHARED:
            self.transport.write(head + body)
        else:
            self.transport.writelines((head, body))
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
