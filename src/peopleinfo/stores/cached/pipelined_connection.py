"""A pipelined connection to Redis: many commands in flight at a time."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING, Any, Final, cast

import hiredis

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.asyncio.connection import AbstractConnection

_COALESCE_SECONDS: Final = 0.002  # the resolution of the event loop is a millisecond
_INCOMPLETE: Final = object()  # the parser returns it until a reply is complete


class PipelinedConnection(asyncio.Protocol):
    """Sends the commands of one turn of the event loop together and assigns the replies in order.

    redis-py opens the connection (TLS, password, RESP3). A call on a separate connection costs many times as much (ADR 14).
    Cancelling one call does not disturb the others.
    """

    def __init__(self, connection: AbstractConnection, *, on_push: Callable[[list[Any]], None] | None = None) -> None:
        """Take over a connection of redis-py that has no other user; pass push messages to `on_push`."""
        self.is_closed = asyncio.Event()
        self._connection = connection
        self._replies = hiredis.Reader(notEnoughData=_INCOMPLETE)
        self._pending: deque[tuple[asyncio.Future[Any], float]] = deque()  # replies with their deadlines in loop time
        self._timer_due = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._outgoing: list[bytes] = []
        self._is_sending = False  # whether `_send` is scheduled
        self._loop = asyncio.get_running_loop()
        self._on_push = on_push
        writer = cast("asyncio.StreamWriter", connection._writer)  # noqa: SLF001 - redis-py has no public access
        self._transport = cast("asyncio.Transport", writer.transport)
        self._transport.set_protocol(self)

    async def execute(self, *command: str | int | bytes, time_limit: float = math.inf, urgent: bool = True) -> Any:
        """Send a command and return its reply; if not `urgent`, it is sent with others within `_COALESCE_SECONDS`.

        Raises ConnectionError, TimeoutError after `time_limit` seconds, and hiredis.ReplyError for an error reply.
        """
        if self.is_closed.is_set():
            raise ConnectionError("the connection is closed")
        packed = hiredis.pack_command(cast("Any", command))
        future = self._loop.create_future()
        due = self._loop.time() + time_limit
        self._pending.append((future, due))
        if due < self._timer_due:
            self._arm_timer(due)
        self._outgoing.append(packed)
        if urgent:
            if not self._is_sending:
                self._is_sending = True
                self._loop.call_soon(self._send)
        elif len(self._outgoing) == 1:
            self._loop.call_later(_COALESCE_SECONDS, self._send)
        return await future

    async def close(self) -> None:
        """Close the connection; pending calls raise ConnectionError."""
        self.connection_lost(None)
        await self._connection.disconnect(nowait=True)

    def _arm_timer(self, due: float) -> None:
        """Start the timer of the earliest deadline. One timer for each call would add a tenth to its cost."""
        if self._timer:
            self._timer.cancel()
        self._timer_due = due
        self._timer = self._loop.call_at(due, self._expire) if due < math.inf else None

    def _expire(self) -> None:
        """Fail the calls after their deadline; their late replies will be ignored."""
        now = self._loop.time()
        for future, due in self._pending:
            if due <= now:
                _resolve(future, TimeoutError())
        self._arm_timer(min((due for future, due in self._pending if not future.done()), default=math.inf))

    def _send(self) -> None:
        commands, self._outgoing, self._is_sending = self._outgoing, [], False
        if commands and not self.is_closed.is_set():
            self._transport.write(b"".join(commands))

    def data_received(self, data: bytes) -> None:
        """Assign the complete replies to their calls."""
        try:
            self._replies.feed(data)
            while (reply := self._replies.gets()) is not _INCOMPLETE:
                if not isinstance(reply, hiredis.PushNotification):
                    _resolve(self._pending.popleft()[0], reply)
                elif self._on_push is not None:
                    self._on_push(reply)
        except (hiredis.ProtocolError, IndexError, TypeError, AttributeError):  # violates the protocol of Redis
            self._transport.abort()

    def connection_lost(self, _: Exception | None) -> None:
        """Fail all pending calls."""
        self.is_closed.set()
        self._arm_timer(math.inf)
        pending, self._pending = self._pending, deque()
        for future, _due in pending:
            _resolve(future, ConnectionError("the connection was lost"))


def _resolve(future: asyncio.Future[Any], reply: Any) -> None:
    if future.done():  # the caller was cancelled
        return
    if isinstance(reply, Exception):
        future.set_exception(reply)
    else:
        future.set_result(reply)
