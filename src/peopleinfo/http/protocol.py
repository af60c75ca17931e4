"""HTTP/1.1 as uvicorn speaks it, within bounds: on the number of connections, the size of a head, and the time to send one or take an answer."""

from __future__ import annotations

import math
from http import HTTPStatus
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from peopleinfo import strictjson
from peopleinfo.http.problems import MEDIA_TYPE
from peopleinfo.telemetry.metrics import CONNECTIONS, CUT, IN_FLIGHT

if TYPE_CHECKING:
    import asyncio

    from uvicorn.server import ServerState

_states: Final[set[ServerState]] = set()  # of the server: there is one in a process


def note_state() -> None:
    """Note how many connections there are and how many requests are being answered, for the figures of this process."""
    CONNECTIONS.set(sum(len(state.connections) for state in _states))
    IN_FLIGHT.set(sum(len(state.tasks) for state in _states))
    for kind in ("full", "head", "answer"):
        CUT.begin(kind)


HEAD_SIZE: Final = 32 * 1024  # bytes of the request line and the headers; the longest query and many cookies go in
HEAD_SECONDS: Final = 20.0  # for a head to come whole, counted from the connection or from its first piece
TAKE_SECONDS: Final = 20.0  # in which a client that is behind has to take some 48 KiB of its answer

_DETAILS: Final = {
    400: "this is not HTTP/1.1",
    408: f"the head of the request did not arrive within {HEAD_SECONDS:g} seconds: send it again",
    503: "there are as many connections as this process may have: come again in a moment, or ask another one",
    431: f"the request line and the headers may have at most {HEAD_SIZE // 1024} KiB",
    505: "this server speaks HTTP/1.1",
}


class _Closing:
    """A connection that, once it is closed, does not wait for ever until the client has taken what was sent last."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self.write = transport.write  # without a detour, as these two are called at every request
        self.is_closing = transport.is_closing

    def close(self) -> None:
        self._transport.close()
        if self._transport.get_write_buffer_size():  # which is sent first, if the client takes it
            self._loop.call_later(TAKE_SECONDS, self._transport.abort)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class _Cycle(RequestResponseCycle):
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
                self._end(head + body)
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

    def _end(self, answer: bytes) -> None:
        if self.disconnected:
            return
        self.transport.write(answer)
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


class Protocol(HttpToolsProtocol):
    """What uvicorn leaves open: without bounds one connection could fill the memory, and idle ones would stay for ever.

    And a request that offers an upgrade (as clients of HTTP/2 do at first) is answered as it is, with its body, instead of without.
    """

    def __init__(self, *rest: Any, **named: Any) -> None:
        super().__init__(*rest, **named)
        _states.add(self.server_state)
        self._refusal = 400
        self._piece = 0  # bytes of the piece that is being read
        self._in_head = False
        self._begun_now = False  # the head began in the piece that is being read
        self._pending = 0  # bytes of the pieces that hold nothing but an unfinished head
        self._offers_upgrade = False
        self._waits_for_head = True  # as soon as there is a connection, and whenever anything comes on an idle one
        self._late_at = math.inf  # when what is waited for is too late, as the loop counts time
        self._alarm: asyncio.TimerHandle | None = None
        self._taking: asyncio.TimerHandle | None = None  # runs while the client is behind with taking its answer
        # Of uvicorn's own, which answers as many as there may be, but lets any number of them come.
        self._most, self.limit_concurrency = self.limit_concurrency, None

    def connection_made(self, transport: Any) -> None:
        """Wait for the first request, but not for ever; hang up when there are too many connections."""
        super().connection_made(_Closing(transport, self.loop))  # type: ignore[arg-type] # as much of one as is asked for
        if self._most is not None and len(self.connections) > self._most:
            CUT.add("full")
            self._refusal = 503
            self._refuse()
            return
        self._wait(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._alarm is not None:
            self._alarm.cancel()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Hold back the answer of a client that is behind with taking it, but not for ever."""
        super().pause_writing()
        if self._taking is None:
            self._taking = self.loop.call_later(TAKE_SECONDS, self._not_taken)

    def resume_writing(self) -> None:
        """Go on with the answer."""
        super().resume_writing()
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def data_received(self, data: bytes) -> None:
        """Read a piece of the connection."""
        self._begun_now = False
        self._piece = len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse()
            return
        if self._in_head and not self._begun_now:
            self._pending += len(data)
            if self._pending > HEAD_SIZE:
                self._refusal = 431
                self._refuse()
                return
        # No request is being answered: there is none before the first.
        if not self._waits_for_head and (self.cycle is None or self.cycle.response_complete):  # type: ignore[redundant-expr]
            self._waits_for_head = True
            self._wait(HEAD_SECONDS)

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        self._in_head = self._begun_now = True
        self._pending = 0

    def on_headers_complete(self) -> None:
        """Answer the request, unless its body has yet to be rescued from an offered upgrade."""
        self._in_head = self._waits_for_head = False
        self._late_at = math.inf
        if self._pending + self._piece > HEAD_SIZE and self._head_size() > HEAD_SIZE:
            self._refusal = 431
            raise ValueError("the head is too long")
        if self.parser.get_http_version() not in ("1.0", "1.1"):
            self._refusal = 505
            raise ValueError("another version of HTTP")
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise ValueError("this is no proxy")
            self._offers_upgrade = True
        else:
            super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        cycle.__class__ = _Cycle  # there is no other way to say which one uvicorn is to make
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Answer the next request that is here already, or wait for one."""
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
        else:
            self.server_state.total_requests += 1
            self.flow.resume_reading()
            self._wait(self.timeout_keep_alive)

    def on_message_complete(self) -> None:
        """End the body."""
        if not self._offers_upgrade:
            super().on_message_complete()

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # The parser takes the rest for another protocol. RFC 9110, section 7.8: an offer may be ignored; so the same head again without it.
            self._offers_upgrade = False
            lines = [b"%b %b HTTP/1.1" % (self.parser.get_method(), self.url)]
            lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
            self._feed(b"\r\n".join([*lines, b"", b""]) + data[upgrade.args[0] :])

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _not_taken(self) -> None:
        self._taking = None
        CUT.add("answer")
        self.transport.abort()

    def _wait(self, seconds: float) -> None:
        """Hang up unless something comes within so many seconds. An alarm that rings before is left as it is: one for each request costs more."""
        self._late_at = self.loop.time() + seconds
        if self._alarm is not None and self._alarm.when() > self._late_at:
            self._alarm.cancel()
            self._alarm = None
        if self._alarm is None:
            self._alarm = self.loop.call_at(self._late_at, self._look)

    def _look(self) -> None:
        self._alarm = None
        if self._late_at == math.inf or self.transport.is_closing():
            return
        if self.loop.time() < self._late_at:
            self._alarm = self.loop.call_at(self._late_at, self._look)
        elif self._in_head:
            CUT.add("head")
            self._refusal = 408
            self._refuse()
        else:
            if self._waits_for_head:
                CUT.add("head")
            self.transport.close()

    def _refuse(self) -> None:
        """Answer with a problem document and hang up: what follows on this connection cannot be understood."""
        status = HTTPStatus(self._refusal)
        problem = {
            "type": f"urn:peopleinfo:problem:{status.phrase.lower().replace(' ', '-')}",
            "title": status.phrase,
            "status": status.value,
            "detail": _DETAILS[status],
        }
        body = strictjson.encode(problem)
        again = "Retry-After: 1\r\n" if status == HTTPStatus.SERVICE_UNAVAILABLE else ""
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Length: {len(body)}\r\n"
            f"X-Content-Type-Options: nosniff\r\n{again}Connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
