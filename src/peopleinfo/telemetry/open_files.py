"""File descriptors of this process: how many it has, and what happens when there are no more."""

from __future__ import annotations

import errno
import os
import resource
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from peopleinfo.telemetry.metrics import FILES, FILES_EXHAUSTED, FILES_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPEN: Final = Path("/proc/self/fd")
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE)
_log = structlog.get_logger("peopleinfo.open_files")


def is_exhausted(error: BaseException) -> bool:
    """Say whether an error means that the process, or the system, can open no more files and connections."""
    return isinstance(error, OSError) and error.errno in _EXHAUSTED


def limit() -> int:
    """Return how many files and connections the process may have open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


@contextmanager
def reported() -> Iterator[None]:
    """Count and log that there are no descriptors left, instead of raising."""
    try:
        yield
    except OSError as error:
        if not is_exhausted(error):
            raise
        report()


def report() -> None:
    """Count and log that there are no descriptors left."""
    FILES_EXHAUSTED.inc()
    _log.error(
        "open_files_exhausted",
        limit=limit(),
        remedy="connections are refused: raise the limit (ulimit -n, LimitNOFILE), or lower PEOPLEINFO_MAX_CONNECTIONS",
    )


def probe() -> None:
    """Report when there are no descriptors left: the event loop does not, and closes new connections."""
    with reported():
        os.close(os.open("/", os.O_RDONLY))


def count() -> None:
    """Set the metrics of open files."""
    FILES_LIMIT.set(limit())
    if _OPEN.exists():  # on Linux
        FILES.set(len(os.listdir(_OPEN)))  # noqa: PTH208 - numbers are enough
