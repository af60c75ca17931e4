"""HTTP/1.1 as uvicorn speaks it, within bounds: on the number of connections, the size of a head, and the time to send one or take an answer."""

from __future__ import annotations

import math
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, cast

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from peopleinfo.errors import Overloaded
from peopleinfo.http.headers import MAX_HEADERS, is_host
from peopleinfo.http.memory_budget import RECEIVED, RESPONSES
from peopleinfo.http.problems import MEDIA_TYPE
from peopleinfo.http.uvicorn_cycle import Cycle, Flow
from peopleinfo.people import strict_json
from peopleinfo.telemetry.metrics import CONNECTIONS, CONNECTIONS_ABORTED, IN_FLIGHT

if TYPE_CHECKING:
    import asyncio

    from uvicorn.server import ServerState

_states: Final[set[ServerState]] = set()  # of the server: there is one in a process


def update_gauges() -> None:
    """Note how many connections there are and how many requests are being answered, for the figures of this process."""
    CONNECTIONS.set(sum(len(state.connections) for state in _states))
    IN_FLIGHT.set(sum(len(state.tasks) for state in _states))
    for reason in ("limit", "header_timeout", "write_timeout"):
        CONNECTIONS_ABORTED.init_labels(reason)


HEADER_SIZE: Final = 32 * 1024  # bytes of the request line and the headers; the longest query and many cookies go in
HEADER_TIMEOUT: Final = 20.0  # for a head to come whole, counted from the connection or from its first piece
WRITE_TIMEOUT: Final = 20.0  # in which a client that is behind has to take some 48 KiB of its answer

_PIECE: Final = 4 * 1024  # bytes parsed between two looks at the clock
_TURN: Final = 0.0005  # seconds of parsing after which other connections have their turn
_DISCARD_DELAY: Final = 0.02  # seconds between two reads of a body that nothing reads: 12 MB a second
_SMALL_HEAD: Final = 4 * MAX_HEADERS  # bytes that hold no more headers than that
_HEAD_END: Final = b"\r\n\r\n"
_CHECKED: Final = frozenset({b"host", b"expect", b"transfer-encoding"})

_DETAILS: Final = {
    400: "this is not HTTP/1.1",
    408: f"the head of the request did not arrive within {HEADER_TIMEOUT:g} seconds: send it again",
    503: "there are as many connections as this process may have: come again in a moment, or ask another one",
    431: f"the request line and the headers may have at most {HEADER_SIZE // 1024} KiB and {MAX_HEADERS} lines",
    501: "the only Transfer-Encoding of requests is chunked",
    505: "this server speaks HTTP/1.1",
}


def _nothing_left() -> bool:
    return False


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
            self._loop.call_later(WRITE_TIMEOUT, self._transport.abort)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Protocol(HttpToolsProtocol):
    """What uvicorn leaves open: without bounds one connection could fill the memory, and idle ones would stay for ever.

    And a request that offers an upgrade (as clients of HTTP/2 do at first) is answered as it is, with its body, instead of without.
    """

    def __init__(self, *rest: Any, **named: Any) -> None:
        super().__init__(*rest, **named)
        _states.add(self.server_state)
        self._refusal, self._detail = 400, ""
        self._is_refused = False
        self._is_held = False  # whether the next request waits until the client has taken the last response
        self._running: RequestResponseCycle | None = None  # that the app has; later requests wait in the pipeline
        self._rest = memoryview(b"")  # received and not parsed
        self._counted = 0  # bytes of it that count as waiting requests
        self._unsent = 0  # bytes of responses that count as unread
        self._host: bytes | None = None  # of the request that is being read
        self._valid_host: bytes | None = None  # of an earlier request
        self._is_chunked = False
        self._piece = 0  # bytes of the piece that is being read
        self._in_head = False
        self._pending = 0  # bytes of the earlier pieces that hold a part of the head
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
        self.flow = Flow(self.transport, self._parse_rest)
        if self._most is not None and len(self.connections) > self._most:
            CONNECTIONS_ABORTED.inc("limit")
            self._refusal = 503
            self._reject()
            return
        self._arm_timeout(HEADER_TIMEOUT)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._alarm is not None:
            self._alarm.cancel()
        self.resume_writing()
        self._drop_rest()
        super().connection_lost(exc)
        cast("Flow", self.flow).parse_rest = _nothing_left  # or only a collection of garbage would free the connection
        if self._running is not None and self._running is not self.cycle:  # of which uvicorn tells only the last one
            self._running.disconnected = True
            self._running.message_event.set()

    def pause_writing(self) -> None:
        """Hold back the answer of a client that is behind with taking it, but not for ever."""
        super().pause_writing()
        self._count_unsent(self.transport.get_write_buffer_size())
        self.flow.pause_reading()  # the response to another request would wait in memory, too
        if self._taking is None:
            self._taking = self.loop.call_later(WRITE_TIMEOUT, self._not_taken)

    def resume_writing(self) -> None:
        """Go on with the answer."""
        super().resume_writing()
        self._count_unsent(0)
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None
        if self._is_held:
            self._is_held = False
            self.on_response_complete()
        else:
            self.flow.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Parse what was received; of several requests, one at a time."""
        if len(data) > _PIECE or data.count(_HEAD_END) > 1:
            self._rest = memoryview(data)
            if not self._parse_rest():
                self.flow.pause_reading()
            return
        self._piece = len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._reject()
            return
        if self._in_head:
            self._pending += len(data)
            if self._pending > HEADER_SIZE + _PIECE or len(self.headers) > MAX_HEADERS:
                self._refusal = 431
                self._reject()
                return
        running = self._running
        if not self._waits_for_head and (running is None or running.response_complete):
            self._waits_for_head = True
            self._arm_timeout(HEADER_TIMEOUT)

    def _parse_rest(self) -> bool:
        """Parse what was received earlier. Return False if some is left, or a request waits for the response to an earlier one."""
        ends = monotonic() + _TURN
        discards = bool(self._rest) and self._discards()
        while self._rest and not self._is_behind() and not self._is_refused:
            if monotonic() > ends:
                self.loop.call_later(_DISCARD_DELAY if self._discards() else 0, self.flow.resume_reading)
                break
            self.data_received(self._next_piece())
        self._count_rest()
        if discards and not self._rest and self._discards():
            self.loop.call_later(_DISCARD_DELAY, self.flow.resume_reading)
            return False
        return not (self._rest or self._is_behind() or self._is_refused or self.transport.is_closing())

    def _next_piece(self) -> bytes:
        """Take the next bytes of the rest: at most the end of one head."""
        piece = bytes(self._rest[:_PIECE])
        end = piece.find(_HEAD_END)
        if end >= 0:
            piece = piece[: end + len(_HEAD_END)]
        self._rest = self._rest[len(piece) :]
        return piece

    def _is_behind(self) -> bool:
        """Return whether a request waits, the app has yet to take the body received before, or the client the last response."""
        if self._is_busy():
            return bool(self.pipeline) or len(self.cycle.body) > HIGH_WATER_LIMIT
        return self.flow.write_paused or bool(self.pipeline)

    def _discards(self) -> bool:
        """Return whether what is received belongs to a body after the response, which nothing reads."""
        return self._running is not None and self._running.response_complete and self.cycle.more_body

    def _is_busy(self) -> bool:
        return self._running is not None and not self._running.response_complete

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        self._in_head = True
        self._pending = 0
        self._host = None
        self._is_chunked = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header to the head. A trailer is ignored (RFC 9110, section 6.5.1)."""
        if self._in_head:
            name = name.lower()
            if name in _CHECKED:
                self._check_header(name, value)
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Answer the request, unless its body has yet to be rescued from an offered upgrade."""
        self._in_head = self._waits_for_head = False
        self._late_at = math.inf
        if self._pending + self._piece > _SMALL_HEAD and (
            len(self.headers) > MAX_HEADERS or self._head_size() > HEADER_SIZE
        ):
            raise self._bad_head(431)
        if (version := self.parser.get_http_version()) != "1.1":
            if version != "1.0":
                raise self._bad_head(505)
            if self._is_chunked:
                raise self._bad_head(400, "HTTP/1.0 has no Transfer-Encoding")
        elif self._host is None:
            raise self._bad_head(400, "a request of HTTP/1.1 needs a Host header")
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise ValueError("this is no proxy")
            self._offers_upgrade = True
        else:
            super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        cycle.__class__ = Cycle  # there is no other way to say which one uvicorn is to make
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Answer the next request that is here already, or wait for one."""
        if self.transport.is_closing():
            super().on_response_complete()
        elif self.pipeline and self.flow.write_paused:
            self._is_held = True
        elif self.pipeline:
            super().on_response_complete()
            self.flow.resume_reading()
        else:
            self.server_state.total_requests += 1
            self._arm_timeout(self.timeout_keep_alive)
            if self._is_refused:
                self._send_refusal()
            self.flow.resume_reading()

    def on_message_complete(self) -> None:
        """End the body."""
        if not self._offers_upgrade:
            super().on_message_complete()

    def _check_header(self, name: bytes, value: bytes) -> None:
        if name == b"host":
            if self._host is not None:
                raise self._bad_head(400, "the request has more than one Host header: send one")
            if value != self._valid_host:
                if not is_host(value):
                    raise self._bad_head(400, "the Host header is not a name or address with an optional port")
                self._valid_host = value
            self._host = value
        elif name == b"expect":
            self.expect_100_continue = value.lower() == b"100-continue"
        elif value.strip().lower() != b"chunked":
            raise self._bad_head(501)
        elif self._is_chunked:
            raise self._bad_head(400, "the request has more than one Transfer-Encoding header: send one")
        else:
            self._is_chunked = True

    def _bad_head(self, status: int, detail: str = "") -> ValueError:
        self._refusal, self._detail = status, detail
        return ValueError(detail)

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

    def _count_rest(self) -> None:
        """Count what is received and not parsed, and refuse it if all connections hold too much."""
        if not self._rest:
            self._drop_rest()
            return
        held = memoryview(self._rest.obj).nbytes  # a view keeps all of what was received
        try:
            RECEIVED.take(held - self._counted)
            self._counted = held
        except Overloaded as error:
            self._refusal, self._detail = 503, str(error)
            self._reject()

    def _count_unsent(self, size: int) -> None:
        RESPONSES.used += size - self._unsent
        self._unsent = size

    def _drop_rest(self) -> None:
        self._rest = memoryview(b"")
        RECEIVED.release(self._counted)
        self._counted = 0

    def _not_taken(self) -> None:
        self._taking = None
        CONNECTIONS_ABORTED.inc("write_timeout")
        self.transport.abort()

    def _arm_timeout(self, seconds: float) -> None:
        """Hang up unless something comes within so many seconds. An alarm that rings before is left as it is: one for each request costs more."""
        self._late_at = self.loop.time() + seconds
        if self._alarm is not None and self._alarm.when() > self._late_at:
            self._alarm.cancel()
            self._alarm = None
        if self._alarm is None:
            self._alarm = self.loop.call_at(self._late_at, self._on_timeout)

    def _on_timeout(self) -> None:
        self._alarm = None
        if self._late_at == math.inf or self.transport.is_closing():
            return
        if self.loop.time() < self._late_at:
            self._alarm = self.loop.call_at(self._late_at, self._on_timeout)
        elif self._in_head:
            CONNECTIONS_ABORTED.inc("header_timeout")
            self._refusal = 408
            self._reject()
        else:
            if self._waits_for_head:
                CONNECTIONS_ABORTED.inc("header_timeout")
            self.transport.close()

    def _reject(self) -> None:
        """Respond with a problem document after the responses to earlier requests, and close: what follows cannot be understood."""
        self._is_refused = True
        self._drop_rest()
        cycle = self.cycle
        if self._running is not cycle and cycle.more_body:
            self.pipeline.popleft()  # the request whose body cannot be read, and which waits
        if self._is_busy() and not (self._running is cycle and cycle.more_body):
            self.flow.pause_reading()
        elif self._running is not None and cycle.more_body and cycle.response_started:
            self.transport.close()  # the client would take a second response for that to its next request
        else:
            self._send_refusal()

    def _send_refusal(self) -> None:
        status = HTTPStatus(self._refusal)
        problem = {
            "type": f"urn:peopleinfo:problem:{status.phrase.lower().replace(' ', '-')}",
            "title": status.phrase,
            "status": status.value,
            "detail": self._detail or _DETAILS[status],
        }
        body = strict_json.encode(problem)
        again = "Retry-After: 1\r\n" if status == HTTPStatus.SERVICE_UNAVAILABLE else ""
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Length: {len(body)}\r\n"
            f"X-Content-Type-Options: nosniff\r\n{again}Connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
