"""Flow control and the request/response cycle of the uvicorn protocol."""

from __future__ import annotations

import asyncio
import sys
from http import HTTPStatus
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from peopleinfo.http.problem_response import problem_response

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_JOINED_BODY: Final = 64 * 1024  # bytes; a longer body is sent without copying it behind its headers
_DETAILS: Final = {
    HTTPStatus.INTERNAL_SERVER_ERROR: "the server did not complete the request",
    HTTPStatus.SERVICE_UNAVAILABLE: "the server shut down before it completed the request; "
    "a change may or may not have been stored: read the record before you retry",
}


class Flow(FlowControl):
    """Flow control that resumes reading only after all received bytes are parsed and no request is queued."""

    def __init__(self, transport: asyncio.Transport, parse_buffered: Callable[[], bool]) -> None:
        super().__init__(transport)
        self.parse_buffered = parse_buffered

    def resume_reading(self) -> None:
        """Parse the buffered bytes first, then resume reading."""
        if self.read_paused and self.parse_buffered():
            super().resume_reading()


class Cycle(RequestResponseCycle):
    """A cycle that sends a response of known length and a single body event with one system call.

    uvicorn uses one call for the headers and one for the body, and checks each header separately, which costs more than sending them.
    """

    _head = b""  # response headers that wait for the body

    async def send(self, message: Any) -> None:
        """Send an event of the app."""
        if message["type"] == "http.response.start":
            if not self.response_started and self._start_response(message["status"], message["headers"]):
                return
        elif self._head:
            head, self._head = self._head, b""
            body = message.get("body", b"")
            if len(body) == self.expected_content_length and not message.get("more_body", False):
                self._finish_response(head, body)
                return
            self.transport.write(head)
        await super().send(message)

    async def send_500_response(self) -> None:
        """Respond with a problem document to a request that the app did not complete, and close the connection."""
        is_cancelled = isinstance(sys.exception(), asyncio.CancelledError)
        status = HTTPStatus.SERVICE_UNAVAILABLE if is_cancelled else HTTPStatus.INTERNAL_SERVER_ERROR
        self.transport.write(problem_response(status, _DETAILS[status]))
        self.response_started = self.response_complete = True
        self.transport.close()

    def _start_response(self, status: int, headers: list[tuple[bytes, bytes]]) -> bool:
        by_name = dict(headers)
        is_simple = (
            b"content-length" in by_name and b"connection" not in by_name and b"transfer-encoding" not in by_name
        )
        if not is_simple or self.scope["method"] == "HEAD" or self.disconnected or self.flow.write_paused:
            return False
        header_lines = [b"%b: %b" % header for header in chain(self.default_headers, headers)]
        text = b"".join(header_lines)
        # A line end in a header would start another header or response (RFC 9110, section 5.5). uvicorn then names the invalid header.
        if b"\n" in text or b"\r" in text or b"\0" in text:
            return False
        if not self.keep_alive:
            header_lines.append(b"connection: close")
        self._head = b"%b%b\r\n\r\n" % (STATUS_LINE[status], b"\r\n".join(header_lines))
        self.expected_content_length = int(by_name[b"content-length"])
        self.response_started = True
        self.chunked_encoding = False
        self.waiting_for_100_continue = False
        return True

    def _finish_response(self, head: bytes, body: bytes) -> None:
        if self.disconnected:
            return
        if len(body) < _MAX_JOINED_BODY:
            self.transport.write(head + body)
        else:
            self.transport.writelines((head, body))
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
