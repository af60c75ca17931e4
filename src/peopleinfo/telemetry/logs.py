"""Logs: JSON lines on stdout, readable ones on a terminal. Nothing that a person or a client sent is ever logged."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import structlog

from peopleinfo import strictjson
from peopleinfo.errors import PeopleInfoError

if TYPE_CHECKING:
    from collections.abc import MutableMapping


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


def _json(_: Any, __: str, event: MutableMapping[str, Any]) -> bytes:
    return strictjson.encode(event)


class _Forward(logging.Handler):
    """Hands a library's record on, without the values that its message or its traceback may hold."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[0] if record.exc_info else None
        # An answer that broke off since the store went away is no mistake of ours.
        level = logging.WARNING if error and issubclass(error, PeopleInfoError) else record.levelno
        place = f"{record.pathname}:{record.lineno}"
        structlog.get_logger(record.name).log(
            level, "library", template=str(record.msg)[:200], error=error and error.__name__, place=place
        )
