"""Logs: JSON lines on stdout, readable ones on a terminal. Nothing that a person or a client sent is ever logged."""

from __future__ import annotations

import logging
import re
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

import msgspec
import structlog

from peopleinfo.errors import PeopleInfoError
from peopleinfo.telemetry.metrics import EVENTS, LEFT_OUT

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

_SECOND: Final = 1.0
_CAUSE: Final = ("event", "error", "reason", "place", "template")  # what tells one cause from another
_CAUSES: Final = 1_000  # remembered at most


def configure(level: str) -> None:
    """Send the logs of the service and of its libraries to stdout, from `level` on."""
    least = logging.getLevelNamesMapping()[level.upper()]
    chain: list[Any] = [
        structlog.processors.add_log_level,
        Deduplicate(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
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
            logger_factory=structlog.BytesLoggerFactory(cast("BinaryIO", Stdout())),
            cache_logger_on_first_use=True,
        )
    # Libraries speak through the standard library; what they say below a warning is theirs.
    logging.basicConfig(handlers=[_Forward()], level=max(least, logging.WARNING), force=True)


def silence() -> None:
    """Log nothing, neither of the service nor of its libraries, until `configure` is called."""
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


class Stdout:
    """Stdout, as far as something takes what is written there: a request does not fail because its log line cannot be written."""

    def write(self, text: bytes) -> int:
        """Write bytes; those that cannot be written are lost."""
        with suppress(OSError):
            sys.stdout.buffer.write(text)
        return len(text)

    def flush(self) -> None:
        """Send on what was written."""
        with suppress(OSError):
            sys.stdout.buffer.flush()


class Deduplicate:
    """Lets one line a second through of each cause; the next one says how many were `left_out` before it. Counts them all."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[tuple[str, ...], tuple[float, int]] = {}  # cause → when it was told last, how often not since

    def __call__(self, _: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Pass an event on, or drop it."""
        EVENTS.inc(str(event["level"]))
        cause = tuple(str(event.get(name)) for name in _CAUSE)
        now = self._clock()
        when, left_out = self._told.pop(cause, (now - _SECOND, 0))
        if now - when < _SECOND:
            self._told[cause] = when, left_out + 1
            LEFT_OUT.inc()
            raise structlog.DropEvent
        if left_out:
            event["left_out"] = left_out
        self._told[cause] = now, 0
        if len(self._told) > _CAUSES:
            del self._told[next(iter(self._told))]
        return event


def _json(_: Any, __: str, event: MutableMapping[str, Any]) -> bytes:
    return msgspec.json.encode(event)


class _Forward(logging.Handler):
    """Hands a library's record on, without the values that its message or its traceback may hold."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[0] if record.exc_info else None
        # An answer that broke off since the store went away is no mistake of ours.
        level = logging.WARNING if error and issubclass(error, PeopleInfoError) else record.levelno
        place = f"{record.pathname}:{record.lineno}"
        structlog.get_logger(record.name).log(
            level, "third_party", template=_template(record), error=error and error.__name__, place=place
        )


def _template(record: logging.LogRecord) -> str:
    """Return the words of a message before anything is put into them; of one that comes ready-made, those before anything that may be a value."""
    text = str(record.msg)[:200]
    return text if record.args else _READY_MADE.split(text, maxsplit=1)[0].strip()


_READY_MADE: Final = re.compile(r"[\n\r:=<>(\[{'\"`/]|\d")  # as asyncio's, which has the arguments of what failed
