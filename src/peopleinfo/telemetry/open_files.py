"""File descriptors of this process: metrics, and detection of exhaustion."""

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
    """Return whether the process or the system has run out of file descriptors."""
    return isinstance(error, OSError) and error.errno in _EXHAUSTED


def limit() -> int:
    """Return the maximum number of open files and connections."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


@contextmanager
def reported() -> Iterator[None]:
    """Count and log the exhaustion of file descriptors instead of raising the error."""
    try:
        yield
    except OSError as error:
        if not is_exhausted(error):
            raise
        report()


def report() -> None:
    """Count and log the exhaustion of file descriptors."""
    FILES_EXHAUSTED.inc()
    _log.error(
        "open_files_exhausted",
        limit=limit(),
        remedy="new connections are refused: raise the limit (ulimit -n, LimitNOFILE), or lower PEOPLEINFO_MAX_CONNECTIONS",
    )


def probe() -> None:
    """Report exhausted file descriptors; the event loop closes new connections without a report."""
    with reported():
        os.close(os.open("/", os.O_RDONLY))


def count() -> None:
    """Set the metrics of open files."""
    FILES_LIMIT.set(limit())
    if _OPEN.exists():  # on Linux
        FILES.set(len(os.listdir(_OPEN)))  # noqa: PTH208 - only the number of entries matters
