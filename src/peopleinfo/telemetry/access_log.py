"""What is noted of every answered request: one append while it is answered; counted and written with others, a moment later."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from datetime import UTC, datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from peopleinfo.telemetry.logs import Stdout
from peopleinfo.telemetry.metrics import CACHE_READS, REQUEST_SECONDS, REQUESTS, SENT_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

FLUSH_INTERVAL: Final = 0.1
_stdout: Final = Stdout()

# What each level of the cache came to, by where an answer came from.
_LEVELS: Final[dict[str | None, tuple[tuple[str, str], ...]]] = {
    None: (),  # there is no cache, or it is not asked for such a request
    "local": (("local", "hit"),),
    "shared": (("local", "miss"), ("shared", "hit")),
    "miss": (("local", "miss"), ("shared", "miss")),
    "bypass": (("local", "miss"), ("shared", "bypass")),
    "request": (("local", "skipped"), ("shared", "skipped")),
}


class AccessRecord(NamedTuple):
    """An answered request: the route's template, never the path; seconds from its headers to its answer; when (since 1970).

    `size` is of the body in bytes, `principal` who asked (None: nobody was asked who they are), `source` where the answer came from when
    there is a cache, `trace_id` empty when it was not traced.
    """

    route: str
    method: str
    status: int
    seconds: float
    request_id: str
    at: float
    size: int = 0
    principal: str | None = None
    source: str | None = None
    trace_id: str = ""


class AccessLog:
    """Counts answered requests and writes a line for each to stdout, unless `silent`; `counted` is called after some were counted.

    Those of `GATHER_SECONDS` are done together: counted one by one, each would cost more than the request's own work.
    """

    def __init__(self, *, silent: bool, counted: Callable[[], None] = lambda: None) -> None:
        self._silent = silent
        self._counted = counted
        self._format = _readable if sys.stdout.isatty() else _json
        self._noted: list[AccessRecord] = []

    def append(self, answered: AccessRecord) -> None:
        """Note an answered request; to be called in the event loop."""
        if not self._noted:
            asyncio.get_running_loop().call_later(FLUSH_INTERVAL, self.flush)
        self._noted.append(answered)

    def flush(self) -> None:
        """Count and write what was noted; asked for before the figures are read."""
        noted, self._noted = self._noted, []
        if not noted:
            return
        _count(noted)
        self._counted()
        if not self._silent:
            _stdout.write(b"".join(map(self._format, noted)))
            _stdout.flush()


def _count(noted: list[AccessRecord]) -> None:
    for (route, method, status), count in Counter(map(itemgetter(0, 1, 2), noted)).items():
        REQUESTS.inc(route, method, str(status), by=count)
    for source, count in Counter(answered.source for answered in noted).items():
        for labels in _LEVELS[source]:
            CACHE_READS.inc(*labels, by=count)
    for answered in noted:
        REQUEST_SECONDS.observe(answered.seconds, answered.route, answered.method)
        SENT_BYTES.inc(answered.route, by=answered.size)


class _Line(msgspec.Struct, omit_defaults=True):
    timestamp: datetime
    event: str
    level: str
    route: str
    method: str
    status: int
    ms: float
    bytes: int
    request_id: str
    principal: str | None = None
    cache: str | None = None
    trace_id: str = ""


def _json(answered: AccessRecord) -> bytes:
    line = _Line(
        datetime.fromtimestamp(answered.at, UTC),
        "request",
        "info",
        answered.route,
        answered.method,
        answered.status,
        round(answered.seconds * 1000, 2),
        answered.size,
        answered.request_id,
        answered.principal,
        answered.source,
        answered.trace_id,
    )
    return msgspec.json.encode(line) + b"\n"


def _readable(answered: AccessRecord) -> bytes:
    moment = datetime.fromtimestamp(answered.at)  # noqa: DTZ006 - whoever looks at a terminal looks at a local clock
    milliseconds = answered.seconds * 1000
    where = f" ({answered.source})" if answered.source else ""
    return f"{moment:%H:%M:%S} {answered.status} {answered.method} {answered.route} {milliseconds:.1f} ms{where}\n".encode()
