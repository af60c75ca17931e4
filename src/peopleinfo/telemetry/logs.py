"""Logging: JSON lines on stdout, readable text on a terminal. Log events never contain data of persons or clients."""

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
from peopleinfo.telemetry.metrics import EVENTS, EVENTS_SUPPRESSED

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

_DEDUPLICATION_INTERVAL: Final = 1.0
_CAUSE_FIELDS: Final = ("event", "error", "reason", "place", "template")  # the fields that identify a cause
_MAX_CAUSES: Final = 1_000


def configure(level: str) -> None:
    """Log events of the service and its libraries at `level` or above to stdout."""
    minimum = logging.getLevelNamesMapping()[level.upper()]
    processors: list[Any] = [
        structlog.processors.add_log_level,
        Deduplicate(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if sys.stdout.isatty():
        structlog.configure(
            [*processors, structlog.dev.ConsoleRenderer()],
            wrapper_class=structlog.make_filtering_bound_logger(minimum),
            cache_logger_on_first_use=True,
        )
    else:
        structlog.configure(
            [*processors, _json],
            wrapper_class=structlog.make_filtering_bound_logger(minimum),
            logger_factory=structlog.BytesLoggerFactory(cast("BinaryIO", Stdout())),
            cache_logger_on_first_use=True,
        )
    # Libraries use the standard logging module; only their warnings and errors are logged.
    logging.basicConfig(handlers=[_Forward()], level=max(minimum, logging.WARNING), force=True)


def silence() -> None:
    """Disable all logging until `configure` is called."""
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


class Stdout:
    """Stdout without errors: a failed write of a log line does not fail the request."""

    def write(self, text: bytes) -> int:
        """Write bytes; ignore errors."""
        with suppress(OSError):
            sys.stdout.buffer.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the buffer; ignore errors."""
        with suppress(OSError):
            sys.stdout.buffer.flush()


class Deduplicate:
    """Suppresses repeated events: logs one per cause and second, with the number of suppressed ones as `left_out`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._logged: dict[
            tuple[str, ...], tuple[float, int]
        ] = {}  # cause → (time of the last line, events suppressed since)

    def __call__(self, _: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Return the event, or raise DropEvent to suppress it."""
        EVENTS.inc(str(event["level"]))
        cause = tuple(str(event.get(name)) for name in _CAUSE_FIELDS)
        now = self._clock()
        last, left_out = self._logged.pop(cause, (now - _DEDUPLICATION_INTERVAL, 0))
        if now - last < _DEDUPLICATION_INTERVAL:
            self._logged[cause] = last, left_out + 1
            EVENTS_SUPPRESSED.inc()
            raise structlog.DropEvent
        if left_out:
            event["left_out"] = left_out
        self._logged[cause] = now, 0
        if len(self._logged) > _MAX_CAUSES:
            del self._logged[next(iter(self._logged))]
        return event


def _json(_: Any, __: str, event: MutableMapping[str, Any]) -> bytes:
    return msgspec.json.encode(event)


class _Forward(logging.Handler):
    """Logs the record of a library without the values in its message or traceback."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[0] if record.exc_info else None
        # A response that the loss of the store interrupted is not a fault of the service.
        level = logging.WARNING if error and issubclass(error, PeopleInfoError) else record.levelno
        place = f"{record.pathname}:{record.lineno}"
        structlog.get_logger(record.name).log(
            level, "third_party", template=_template(record), error=error and error.__name__, place=place
        )


def _template(record: logging.LogRecord) -> str:
    """Return the template of a message; for a formatted message the words before the first possible value."""
    text = str(record.msg)[:200]
    return text if record.args else _FIRST_VALUE.split(text, maxsplit=1)[0].strip()


_FIRST_VALUE: Final = re.compile(
    r"[\n\r:=<>(\[{'\"`/]|\d"
)  # for example asyncio puts the arguments of a failed call into its message
