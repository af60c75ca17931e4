"""One connection to Redis on which many commands are under way at a time."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING, Any, Final, cast

import hiredis

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.asyncio.connection import AbstractConnection

_COALESCE_SECONDS: Final = 0.002  # seconds; the loop counts in thousandths
_NOTHING: Final = object()  # what the parser says when a reply is not yet whole


class PipelinedConnection(asyncio.Protocol):
    """Sends what is asked within one turn of the event loop together, and hands out the replies in the order in which they were asked for.

    redis-py makes the connection (TLS, password, RESP3). A call on a connection of its own costs many times as much (ADR 14).
    Who no longer waits for a reply does not disturb the others.
    """

    def __init__(self, connection: AbstractConnection, *, hear: Callable[[list[Any]], None] | None = None) -> None:
        """Take over a connection that redis-py has connected and nobody else uses; `hear` what the server tells unasked."""
        self.is_closed = asyncio.Event()
        self._connection = connection
        self._replies = hiredis.Reader(notEnoughData=_NOTHING)
        self._waiting: deque[tuple[asyncio.Future[Any], float]] = (
            deque()
        )  # each with the time of the loop when it has waited enough
        self._watched = math.inf  # when the timer rings
        self._timer: asyncio.TimerHandle | None = None
        self._written: list[bytes] = []
        self._is_sending = False  # in this turn of the loop
        self._loop = asyncio.get_running_loop()
        self._hear = hear
        writer = cast("asyncio.StreamWriter", connection._writer)  # noqa: SLF001 - redis-py has no other way
        self._transport = cast("asyncio.Transport", writer.transport)
        self._transport.set_protocol(self)

    async def execute(self, *command: str | int | bytes, seconds: float = math.inf, hurry: bool = True) -> Any:
        """Return the reply to a command; without `hurry` it may be sent up to `_SPARE` seconds later, with others.

        Raises ConnectionError, TimeoutError after `seconds`, and hiredis.ReplyError for what the server refuses.
        """
        if self.is_closed.is_set():
            raise ConnectionError("the connection is closed")
        packed = hiredis.pack_command(cast("Any", command))
        future = self._loop.create_future()
        due = self._loop.time() + seconds
        self._waiting.append((future, due))
        if due < self._watched:
            self._arm_timer(due)
        self._written.append(packed)
        if hurry:
            if not self._is_sending:
                self._is_sending = True
                self._loop.call_soon(self._send)
        elif len(self._written) == 1:
            self._loop.call_later(_COALESCE_SECONDS, self._send)
        return await future

    async def close(self) -> None:
        """Close the connection; whoever still waits is told."""
        self.connection_lost(None)
        await self._connection.disconnect(nowait=True)

    def _arm_timer(self, due: float) -> None:
        """Look after whoever waits at that time. One timer for all: one for each would cost a tenth of a question."""
        if self._timer:
            self._timer.cancel()
        self._watched = due
        self._timer = self._loop.call_at(due, self._give_up) if due < math.inf else None

    def _give_up(self) -> None:
        """Let those go who have waited long enough; their replies will be passed over."""
        now = self._loop.time()
        for future, due in self._waiting:
            if due <= now:
                _tell(future, TimeoutError())
        self._arm_timer(min((due for future, due in self._waiting if not future.done()), default=math.inf))

    def _send(self) -> None:
        written, self._written, self._is_sending = self._written, [], False
        if written and not self.is_closed.is_set():
            self._transport.write(b"".join(written))

    def data_received(self, data: bytes) -> None:
        """Hand out the replies that are whole."""
        try:
            self._replies.feed(data)
            while (reply := self._replies.gets()) is not _NOTHING:
                if not isinstance(reply, hiredis.PushNotification):
                    _tell(self._waiting.popleft()[0], reply)
                elif self._hear is not None:
                    self._hear(reply)
        except (hiredis.ProtocolError, IndexError, TypeError, AttributeError):  # not what a Redis says
            self._transport.abort()

    def connection_lost(self, _: Exception | None) -> None:
        """Tell everybody that no reply will come."""
        self.is_closed.set()
        self._arm_timer(math.inf)
        waiting, self._waiting = self._waiting, deque()
        for future, _due in waiting:
            _tell(future, ConnectionError("the connection was lost"))


def _tell(future: asyncio.Future[Any], reply: Any) -> None:
    if future.done():  # whoever asked has gone away
        return
    if isinstance(reply, Exception):
        future.set_exception(reply)
    else:
        future.set_result(reply)
