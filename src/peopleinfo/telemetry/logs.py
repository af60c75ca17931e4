"""Logs: JSON lines on stdout, readable ones on a terminal. Nothing that a person or a client sent is ever logged."""

from __future__ import annotations

import asyncio
import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from peopleinfo import strictjson

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

_GATHER_SECONDS: Final = 0.1


def configure(level: str) -> None:
    """Send the logs of the service and of its libraries to stdout, from `level` on."""
    least = logging.getLevelNamesMapping()[level.upper()]
    chain: list[Any] = [structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True)]
    if sys.stdout.isatty():
        structlog.configure(
            [*chain, structlog.dev.ConsoleRenderer()],
            wrapper_class=structlog.make_filtering_bound_logger(least),
            cache_logger_on_first_use=True,
        )
    else:
        structlog.configure(
            [*chain, _json],
            wrapper_class=structlog.make_filtering_bound_logger(least),
            logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer),
            cache_logger_on_first_use=True,
        )
    # Libraries speak through the standard library; what they say below a warning is theirs.
    logging.basicConfig(handlers=[_Forward()], level=max(least, logging.WARNING), force=True)


class AccessLine(msgspec.Struct):
    """One answered request."""

    timestamp: datetime
    route: str
    method: str
    status: int
    ms: float
    request_id: str
    event: str = "request"
    level: str = "info"


class AccessLog:
    """Writes a line a request to stdout, those of `_GATHER_SECONDS` together: a write for each would cost more than the line."""

    def __init__(self, level: str) -> None:
        self._enabled = logging.getLevelNamesMapping()[level.upper()] <= logging.INFO
        self._format: Callable[[AccessLine], bytes] = _readable if sys.stdout.isatty() else strictjson.encode
        self._lines: list[bytes] = []

    def write(self, route: str, method: str, status: int, seconds: float, request_id: str) -> None:
        """Log an answered request; to be called in the event loop."""
        if not self._enabled:
            return
        if not self._lines:
            asyncio.get_running_loop().call_later(_GATHER_SECONDS, self.flush)
        self._lines.append(
            self._format(AccessLine(datetime.now(UTC), route, method, status, round(seconds * 1000, 2), request_id))
        )

    def flush(self) -> None:
        """Write what has been gathered."""
        if self._lines:
            sys.stdout.buffer.write(b"\n".join(self._lines) + b"\n")
            sys.stdout.buffer.flush()
            self._lines.clear()


def _readable(line: AccessLine) -> bytes:
    return f"{line.timestamp:%H:%M:%S} {line.status} {line.method} {line.route} {line.ms} ms".encode()


def _json(_: Any, __: str, event: MutableMapping[str, Any]) -> bytes:
    return strictjson.encode(event)


class _Forward(logging.Handler):
    """Hands a library's record on, without the values that its message or its traceback may hold."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        place = f"{record.pathname}:{record.lineno}"
        structlog.get_logger(record.name).log(
            record.levelno, "library", template=str(record.msg)[:200], error=error, place=place
        )
