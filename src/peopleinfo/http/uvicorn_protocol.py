"""uvicorn's HTTP/1.1 protocol with limits on connections, header size, header time and write time."""

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
from peopleinfo.http.problem_response import problem_response
from peopleinfo.http.uvicorn_cycle import Cycle, Flow
from peopleinfo.telemetry.metrics import CONNECTIONS, CONNECTIONS_ABORTED, IN_FLIGHT

if TYPE_CHECKING:
    import asyncio

    from uvicorn.server import ServerState

_states: Final[set[ServerState]] = set()  # one per server; a process has one server


def update_gauges() -> None:
    """Update the gauges of open connections and requests in progress."""
    CONNECTIONS.set(sum(len(state.connections) for state in _states))
    IN_FLIGHT.set(sum(len(state.tasks) for state in _states))
    for reason in ("limit", "header_timeout", "write_timeout"):
        CONNECTIONS_ABORTED.init_labels(reason)


HEADER_SIZE: Final = 32 * 1024  # bytes of the request line and the headers; fits the longest query and many cookies
PATH_SIZE: Final = 1024  # characters; a path of the API has fewer than 200, and decoding its escapes costs CPU
HEADER_TIMEOUT: Final = 20.0  # seconds for complete headers, from the connection or their first byte
WRITE_TIMEOUT: Final = 20.0  # seconds in which a slow client must read about 48 KiB of the response

_CHUNK_SIZE: Final = 4 * 1024  # bytes parsed between two checks of the clock
_TIME_SLICE: Final = 0.0005  # seconds of parsing before other connections are served
_DISCARD_DELAY: Final = 0.02  # seconds between two reads of a discarded body: 12 MB per second
_SMALL_HEAD: Final = 4 * MAX_HEADERS  # bytes; headers of this size cannot exceed MAX_HEADERS
_HEAD_END: Final = b"\r\n\r\n"
_CHECKED: Final = frozenset({b"host", b"expect", b"transfer-encoding"})

_DETAILS: Final = {
    400: "the request is not valid HTTP/1.1",
    408: f"the request headers did not arrive within {HEADER_TIMEOUT:g} seconds; send the request again",
    414: f"the path must have at most {PATH_SIZE} characters",
    431: f"the request line and the headers must have at most {HEADER_SIZE // 1024} KiB and {MAX_HEADERS} lines",
    501: "Transfer-Encoding must be chunked",
    503: "the server has reached its connection limit; retry in a second or use another instance",
    505: "the HTTP version must be 1.1 or 1.0",
}


def _always_false() -> bool:
    return False


class _ClosingTransport:
    """A transport that aborts `WRITE_TIMEOUT` seconds after it is closed if the client has not read the last response."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self.write = transport.write  # bound directly, because every request calls these two
        self.is_closing = transport.is_closing

    def close(self) -> None:
        self._transport.close()
        if self._transport.get_write_buffer_size():  # sent before the connection closes
            self._loop.call_later(WRITE_TIMEOUT, self._transport.abort)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol with limits on memory and time, which uvicorn does not set for a connection.

    It ignores offers to upgrade, for example to HTTP/2, and handles the request with its body; uvicorn drops the body.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        _states.add(self.server_state)
        self._error_status, self._error_detail = 400, ""
        self._is_refused = False
        self._is_held = False  # whether the next request waits until the client has read the last response
        self._running: RequestResponseCycle | None = None  # in progress; later requests wait in the pipeline
        self._rest = memoryview(b"")  # received bytes that are not parsed yet
        self._counted = 0  # bytes of `_rest` in the budget RECEIVED
        self._unsent = 0  # bytes in the budget RESPONSES
        self._host: bytes | None = None  # of the current request
        self._valid_host: bytes | None = None  # from an earlier request, already validated
        self._is_chunked = False
        self._chunk = 0  # bytes of the current chunk
        self._in_head = False
        self._pending = 0  # bytes of earlier chunks that contain a part of the headers
        self._offers_upgrade = False
        self._waits_for_head = True  # from the start of a connection, and from the first byte on an idle connection
        self._deadline = math.inf  # deadline in loop time
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None  # runs while the client reads a response too slowly
        # uvicorn's own limit rejects requests but accepts any number of connections.
        self._max_connections, self.limit_concurrency = self.limit_concurrency, None

    def connection_made(self, transport: Any) -> None:
        """Wait for the first request with a timeout; reject the connection if there are too many."""
        super().connection_made(_ClosingTransport(transport, self.loop))  # type: ignore[arg-type] # has the methods that uvicorn uses
        self.flow = Flow(self.transport, self._parse_buffered)
        if self._max_connections is not None and len(self.connections) > self._max_connections:
            CONNECTIONS_ABORTED.inc("limit")
            self._error_status = 503
            self._reject()
            return
        self._arm_timeout(HEADER_TIMEOUT)

    def connection_lost(self, exc: Exception | None) -> None:
        """Release all resources of the connection."""
        if self._timer is not None:
            self._timer.cancel()
        self.resume_writing()
        self._drop_rest()
        super().connection_lost(exc)
        cast("Flow", self.flow).parse_buffered = _always_false  # breaks a reference cycle
        if self._running is not None and self._running is not self.cycle:  # uvicorn notifies only the last cycle
            self._running.disconnected = True
            self._running.message_event.set()

    def pause_writing(self) -> None:
        """Pause the response to a slow client and start the write timeout."""
        super().pause_writing()
        self._count_unsent(self.transport.get_write_buffer_size())
        self.flow.pause_reading()  # otherwise further responses would also fill the memory
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(WRITE_TIMEOUT, self._on_write_timeout)

    def resume_writing(self) -> None:
        """Resume the response."""
        super().resume_writing()
        self._count_unsent(0)
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        if self._is_held:
            self._is_held = False
            self.on_response_complete()
        else:
            self.flow.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Parse received bytes; pipelined requests are parsed one at a time."""
        if len(data) > _CHUNK_SIZE or data.count(_HEAD_END) > 1:
            self._rest = memoryview(data)
            if not self._parse_buffered():
                self.flow.pause_reading()
            return
        self._chunk = len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._reject()
            return
        if self._in_head:
            self._pending += len(data)
            if self._pending > HEADER_SIZE + _CHUNK_SIZE or len(self.headers) > MAX_HEADERS:
                self._error_status = 431
                self._reject()
                return
        running = self._running
        if not self._waits_for_head and (running is None or running.response_complete):
            self._waits_for_head = True
            self._arm_timeout(HEADER_TIMEOUT)

    def _parse_buffered(self) -> bool:
        """Parse buffered bytes. Return False if some are left or a request waits for an earlier response."""
        deadline = monotonic() + _TIME_SLICE
        discards = bool(self._rest) and self._discards()
        while self._rest and not self._is_behind() and not self._is_refused:
            if monotonic() > deadline:
                self.loop.call_later(_DISCARD_DELAY if self._discards() else 0, self.flow.resume_reading)
                break
            self.data_received(self._next_chunk())
        self._count_rest()
        if discards and not self._rest and self._discards():
            self.loop.call_later(_DISCARD_DELAY, self.flow.resume_reading)
            return False
        return not (self._rest or self._is_behind() or self._is_refused or self.transport.is_closing())

    def _next_chunk(self) -> bytes:
        """Take the next buffered bytes, at most to the end of one request's headers."""
        chunk = bytes(self._rest[:_CHUNK_SIZE])
        end = chunk.find(_HEAD_END)
        if end >= 0:
            chunk = chunk[: end + len(_HEAD_END)]
        self._rest = self._rest[len(chunk) :]
        return chunk

    def _is_behind(self) -> bool:
        """Return whether a request waits, the app has not read the received body, or the client has not read the response."""
        if self._is_busy():
            return bool(self.pipeline) or len(self.cycle.body) > HIGH_WATER_LIMIT
        return self.flow.write_paused or bool(self.pipeline)

    def _discards(self) -> bool:
        """Return whether received bytes belong to a body that is discarded because the response is complete."""
        return self._running is not None and self._running.response_complete and self.cycle.more_body

    def _is_busy(self) -> bool:
        return self._running is not None and not self._running.response_complete

    def on_message_begin(self) -> None:
        """Start a request."""
        super().on_message_begin()
        self._in_head = True
        self._pending = 0
        self._host = None
        self._is_chunked = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header. Trailers are ignored (RFC 9110, section 6.5.1)."""
        if self._in_head:
            name = name.lower()
            if name in _CHECKED:
                self._check_header(name, value)
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Handle the request; after an offer to upgrade, wait until `_feed` has parsed it again."""
        self._in_head = self._waits_for_head = False
        self._deadline = math.inf
        if self._pending + self._chunk > _SMALL_HEAD and (
            len(self.headers) > MAX_HEADERS or self._head_size() > HEADER_SIZE
        ):
            raise self._bad_head(431)
        if len(self.url) > PATH_SIZE and len(self.url.partition(b"?")[0]) > PATH_SIZE:
            raise self._bad_head(414)
        if (version := self.parser.get_http_version()) != "1.1":
            if version != "1.0":
                raise self._bad_head(505)
            if self._is_chunked:
                raise self._bad_head(400, "a request of HTTP/1.0 must not have a Transfer-Encoding")
        elif self._host is None:
            raise self._bad_head(400, "the Host header is missing")
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise ValueError("CONNECT is not supported")
            self._offers_upgrade = True
        else:
            super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        cycle.__class__ = Cycle  # uvicorn has no setting for the cycle class
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Handle the next request in the pipeline, or wait for one."""
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
                self._send_error()
            self.flow.resume_reading()

    def on_message_complete(self) -> None:
        """Finish the body."""
        if not self._offers_upgrade:
            super().on_message_complete()

    def _check_header(self, name: bytes, value: bytes) -> None:
        if name == b"host":
            if self._host is not None:
                raise self._bad_head(400, "the request must have one Host header")
            if value != self._valid_host:
                if not is_host(value):
                    raise self._bad_head(400, "the Host header must be a name or an address with an optional port")
                self._valid_host = value
            self._host = value
        elif name == b"expect":
            self.expect_100_continue = value.lower() == b"100-continue"
        elif value.strip().lower() != b"chunked":
            raise self._bad_head(501)
        elif self._is_chunked:
            raise self._bad_head(400, "the request must have at most one Transfer-Encoding header")
        else:
            self._is_chunked = True

    def _bad_head(self, status: int, detail: str = "") -> ValueError:
        self._error_status, self._error_detail = status, detail
        return ValueError(detail)

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # The parser treats the rest as another protocol. A server may ignore an upgrade (RFC 9110, section 7.8): parse the headers again without it.
            self._offers_upgrade = False
            lines = [b"%b %b HTTP/1.1" % (self.parser.get_method(), self.url)]
            lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # like uvicorn
            self._feed(b"\r\n".join([*lines, b"", b""]) + data[upgrade.args[0] :])

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _count_rest(self) -> None:
        """Count unparsed bytes in the budget; reject the request if all connections together exceed it."""
        if not self._rest:
            self._drop_rest()
            return
        held = memoryview(self._rest.obj).nbytes  # a view keeps the whole buffer alive
        try:
            RECEIVED.take(held - self._counted)
            self._counted = held
        except Overloaded as error:
            self._error_status, self._error_detail = 503, str(error)
            self._reject()

    def _count_unsent(self, size: int) -> None:
        RESPONSES.used += size - self._unsent
        self._unsent = size

    def _drop_rest(self) -> None:
        self._rest = memoryview(b"")
        RECEIVED.release(self._counted)
        self._counted = 0

    def _on_write_timeout(self) -> None:
        self._write_timer = None
        CONNECTIONS_ABORTED.inc("write_timeout")
        self.transport.abort()

    def _arm_timeout(self, seconds: float) -> None:
        """Close the connection after this many seconds without data. An earlier timer is kept, because a timer per request costs more."""
        self._deadline = self.loop.time() + seconds
        if self._timer is not None and self._timer.when() > self._deadline:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self.loop.call_at(self._deadline, self._on_timeout)

    def _on_timeout(self) -> None:
        self._timer = None
        if self._deadline == math.inf or self.transport.is_closing():
            return
        if self.loop.time() < self._deadline:
            self._timer = self.loop.call_at(self._deadline, self._on_timeout)
        elif self._in_head:
            CONNECTIONS_ABORTED.inc("header_timeout")
            self._error_status = 408
            self._reject()
        else:
            if self._waits_for_head:
                CONNECTIONS_ABORTED.inc("header_timeout")
            self.transport.close()

    def _reject(self) -> None:
        """Respond with a problem document after the earlier responses, and close: the following bytes cannot be parsed."""
        self._is_refused = True
        self._drop_rest()
        cycle = self.cycle
        if self._running is not cycle and cycle.more_body:
            self.pipeline.popleft()  # the waiting request with the invalid body
        if self._is_busy() and not (self._running is cycle and cycle.more_body):
            self.flow.pause_reading()
        elif self._running is not None and cycle.more_body and cycle.response_started:
            self.transport.close()  # the client would match a second response to its next request
        else:
            self._send_error()

    def _send_error(self) -> None:
        status = self._error_status
        self.transport.write(problem_response(HTTPStatus(status), self._error_detail or _DETAILS[status]))
        self.transport.close()
