"""HTTP/1.1 as uvicorn speaks it, within bounds: on the number of connections, the size of a head, and the time to send one or take an answer."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

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
_GATHERED: Final = 64 * 1024  # bytes that are sent at once; also where asyncio begins to hold a writer back

_DETAILS: Final = {
    400: "this is not HTTP/1.1",
    408: f"the head of the request did not arrive within {HEAD_SECONDS:g} seconds: send it again",
    503: "there are as many connections as this process may have: come again in a moment, or ask another one",
    431: f"the request line and the headers may have at most {HEAD_SIZE // 1024} KiB",
    505: "this server speaks HTTP/1.1",
}


class _Gathering:
    """A connection that sends what is written to it within one turn of the loop together: head and body cost one system call, not two."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pieces: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        if not self._pieces:
            self._loop.call_soon(self._send)
        self._pieces.append(data)
        self._size += len(data)
        if self._size > _GATHERED:
            self._send()

    def close(self) -> None:
        self._send()
        self._transport.close()
        if self._transport.get_write_buffer_size():  # which is sent first, if the client takes it
            self._loop.call_later(TAKE_SECONDS, self._transport.abort)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _send(self) -> None:
        if self._pieces:
            pieces, self._pieces, self._size = self._pieces, [], 0
            self._transport.write(b"".join(pieces))


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
        self._timer: asyncio.TimerHandle | None = None
        self._taking: asyncio.TimerHandle | None = None  # runs while the client is behind with taking its answer
        # Of uvicorn's own, which answers as many as there may be, but lets any number of them come.
        self._most, self.limit_concurrency = self.limit_concurrency, None

    def connection_made(self, transport: Any) -> None:
        """Wait for the first request, but not for ever; hang up when there are too many connections."""
        super().connection_made(_Gathering(transport, self.loop))  # type: ignore[arg-type] # as much of one as is asked for
        if self._most is not None and len(self.connections) > self._most:
            CUT.add("full")
            self._refusal = 503
            self._refuse()
            return
        self._timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_timer()
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
        self._unset_keepalive_if_required()
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
        waits = self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr] # None before the first request
        if self._timer is None and waits:
            self._timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        self._in_head = self._begun_now = True
        self._pending = 0

    def on_headers_complete(self) -> None:
        """Answer the request, unless its body has yet to be rescued from an offered upgrade."""
        self._in_head = False
        self._stop_timer()
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

    def _too_slow(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        CUT.add("head")
        if self._in_head:
            self._refusal = 408
            self._refuse()
        else:
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

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
        self._stop_timer()
        self.transport.write(head.encode() + body)
        self.transport.close()
