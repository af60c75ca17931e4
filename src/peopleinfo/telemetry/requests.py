"""What is noted of every answered request: one append while it is answered; counted and written with others, a moment later."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from peopleinfo import strictjson

if TYPE_CHECKING:
    from peopleinfo.telemetry.metrics import Metrics

_GATHER_SECONDS: Final = 0.1


class Answered(NamedTuple):
    """An answered request: the route's template, never the path; seconds from its headers to its answer; when (since 1970)."""

    route: str
    method: str
    status: int
    seconds: float
    request_id: str
    at: float


class RequestLog:
    """Counts answered requests and writes a line for each to stdout, unless `silent`.

    Those of `_GATHER_SECONDS` are done together: counted one by one, each would cost more than the request's own work.
    """

    def __init__(self, metrics: Metrics, *, silent: bool) -> None:
        self._metrics = metrics
        self._silent = silent
        self._format = _readable if sys.stdout.isatty() else _json
        self._noted: list[Answered] = []

    def note(self, answered: Answered) -> None:
        """Note an answered request; to be called in the event loop."""
        if not self._noted:
            asyncio.get_running_loop().call_later(_GATHER_SECONDS, self.flush)
        self._noted.append(answered)

    def flush(self) -> None:
        """Count and write what was noted; asked for before the figures are read."""
        noted, self._noted = self._noted, []
        for answered in noted:
            self._metrics.answered(answered.route, answered.method, answered.status, answered.seconds)
        if noted and not self._silent:
            sys.stdout.buffer.write(b"".join(map(self._format, noted)))
            sys.stdout.buffer.flush()


class _Line(msgspec.Struct):
    timestamp: datetime
    route: str
    method: str
    status: int
    ms: float
    request_id: str
    event: str = "request"
    level: str = "info"


def _json(answered: Answered) -> bytes:
    route, method, status, seconds, request_id, at = answered
    moment = datetime.fromtimestamp(at, UTC)
    return strictjson.encode(_Line(moment, route, method, status, round(seconds * 1000, 2), request_id)) + b"\n"


def _readable(answered: Answered) -> bytes:
    moment = datetime.fromtimestamp(answered.at)  # noqa: DTZ006 - whoever looks at a terminal looks at a local clock
    milliseconds = answered.seconds * 1000
    return f"{moment:%H:%M:%S} {answered.status} {answered.method} {answered.route} {milliseconds:.1f} ms\n".encode()
