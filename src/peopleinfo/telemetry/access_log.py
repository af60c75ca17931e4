"""The access log: a request appends one record; records are counted and written in batches."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from peopleinfo.telemetry.logs import Stdout
from peopleinfo.telemetry.metrics import CACHE_READS, REQUEST_SECONDS, REQUESTS, RESPONSE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FLUSH_INTERVAL: Final = 0.1
MAX_BATCH: Final = 256  # records; requests wait while a batch is written: a quarter of a millisecond
_stdout: Final = Stdout()
_encode_lines: Final = msgspec.json.Encoder().encode_lines

# The outcome at each level of the cache, by cache status.
_LEVELS: Final[dict[str | None, tuple[tuple[str, str], ...]]] = {
    None: (),  # no cache, or a request that does not use it
    "local": (("local", "hit"),),
    "shared": (("local", "miss"), ("shared", "hit")),
    "miss": (("local", "miss"), ("shared", "miss")),
    "bypass": (("local", "miss"), ("shared", "bypass")),
    "request": (("local", "skipped"), ("shared", "skipped")),
}


class AccessRecord(NamedTuple):
    """A completed request.

    `route` is the template, never the path. `seconds` is the time from the request's headers to the end of the response. `at` is in
    seconds since 1970. `size` is the length of the body in bytes. `principal` is None if the route needs no authentication. `source` is
    the cache status. `trace_id` is empty if the request was not traced.
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
    """Counts completed requests and writes a line for each to stdout, unless `silent`; calls `on_flush` once per `FLUSH_INTERVAL`.

    Up to `MAX_BATCH` requests of an interval form a batch. Counting them one by one would cost more than the requests themselves.
    """

    def __init__(self, *, silent: bool, on_flush: Callable[[], None] = lambda: None) -> None:
        self._silent = silent
        self._on_flush = on_flush
        self._format = _readable if sys.stdout.isatty() else _json
        self._records: list[AccessRecord] = []
        self._timer: asyncio.TimerHandle | None = None
        self.before_flush: Callable[[], None] = lambda: None
        """Called before each batch is counted."""

    def append(self, record: AccessRecord) -> None:
        """Append a completed request. Call this in the event loop."""
        records = self._records
        records.append(record)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_INTERVAL, self.flush)
        elif len(records) >= MAX_BATCH:
            self._write()

    def flush(self) -> None:
        """Count and write the pending records; called before metrics are read."""
        timer, self._timer = self._timer, None
        if timer is None:
            return
        timer.cancel()
        self._write()
        self._on_flush()

    def _write(self) -> None:
        records, self._records = self._records, []
        if not records:
            return
        self.before_flush()
        _count(records)
        if not self._silent:
            _stdout.write(self._format(records))
            _stdout.flush()


def count_reads(sources: Iterable[str | None]) -> None:
    """Count reads of the cache by their cache status; the access log counts those of requests for one resource."""
    for source, count in Counter(sources).items():
        for labels in _LEVELS[source]:
            CACHE_READS.inc(*labels, by=count)


def _count(records: list[AccessRecord]) -> None:
    count_reads(map(attrgetter("source"), records))
    groups = defaultdict(list)
    for record in records:
        groups[_group(record)].append(record)
    for (route, method, status), group in groups.items():
        REQUESTS.inc(route, method, str(status), by=len(group))
        REQUEST_SECONDS.observe_all(list(map(attrgetter("seconds"), group)), route, method)
        RESPONSE_BYTES.inc(route, by=sum(map(attrgetter("size"), group)))


_group: Final = attrgetter("route", "method", "status")


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


def _json(records: Iterable[AccessRecord]) -> bytes:
    return _encode_lines(map(_line, records))


def _line(record: AccessRecord) -> _Line:
    return _Line(
        datetime.fromtimestamp(record.at, UTC),
        "request",
        "info",
        record.route,
        record.method,
        record.status,
        int(record.seconds * 100_000 + 0.5) / 100,  # half the instructions of `round`
        record.size,
        record.request_id,
        record.principal,
        record.source,
        record.trace_id,
    )


def _readable(records: Iterable[AccessRecord]) -> bytes:
    return "".join(map(_readable_line, records)).encode()


def _readable_line(record: AccessRecord) -> str:
    local_time = datetime.fromtimestamp(record.at)  # noqa: DTZ006 - a terminal shows local time
    milliseconds = record.seconds * 1000
    source = f" ({record.source})" if record.source else ""
    return f"{local_time:%H:%M:%S} {record.status} {record.method} {record.route} {milliseconds:.1f} ms{source}\n"
