"""The audit log as JSON lines in a file or on stdout, each with the hash of the previous line of the same process."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import deque
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Final

import structlog

from peopleinfo.errors import AuditUnavailable
from peopleinfo.people import strict_json
from peopleinfo.privacy.audit import END, GENESIS_DIGEST, INTENT, LINE_PREFIX, AuditEvent, AuditExcerpt, AuditRecord
from peopleinfo.privacy.audit_sink import Head, Heads, Sink
from peopleinfo.telemetry.metrics import AUDIT_EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_QUEUE_SIZE: Final = 8 * 1024 * 1024  # bytes of queued lines
_FLUSH_DELAY: Final = 0.1  # seconds until events of reads are written
_RETRY_DELAY: Final = 0.5  # seconds between two attempts while the log is not writable
_MAX_IDS: Final = 90  # ids in a line, so that no line exceeds LINE_SIZE; further ids go to further lines
_MAX_BATCH: Final = 100  # lines in one write
_SEARCH_SIZE: Final = 1024 * 1024  # bytes of the file in one step of a search
_MAX_EXCERPT_LINES: Final = 10_000  # most recent lines about one person
_log = structlog.get_logger("peopleinfo.privacy.audit")


class AuditLogWriter:
    """An `AuditLog` that writes to a file with access for its owner only, or to stdout if `path` is None.

    Several processes may append to one file; each line is written atomically, and each process has its own hash chain. After a log
    rotation, a new file is created. A crash may lose the events of reads of the last 0.1 seconds. The events of a change are written
    before the change is acknowledged, but not synced to disk. Each event is encoded and chained once, when it is queued.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        max_queue_size: int = MAX_QUEUE_SIZE,
        max_excerpt_lines: int = _MAX_EXCERPT_LINES,
        search_size: int = _SEARCH_SIZE,
    ) -> None:
        self._path = path
        self._max_queue_size = max_queue_size
        self._max_excerpt_lines = max_excerpt_lines
        self._search_size = search_size
        self._writer = secrets.token_hex(8)
        self._last_encoded = Head(0, GENESIS_DIGEST)
        self._sink = Sink(path)
        self._heads = Heads(path, self._writer) if path else None
        self._is_registered = False
        self._queue: deque[tuple[bytes, Head]] = deque()
        self._queue_size = 0  # bytes
        self._last_written = self._last_encoded
        self._error = ""  # of the last attempt to write
        self._timer: asyncio.TimerHandle | None = None
        for outcome in ("written", "failed"):  # zero for a log without events, absent without a log
            AUDIT_EVENTS.init_labels(outcome)
        self.flush(reserve=True)

    def record(self, event: AuditEvent) -> None:
        """Queue an event, to be written soon. Raises AuditUnavailable if the queue is full."""
        self.check_writable(change=False)
        self._enqueue(event)
        if self._timer is None:
            self._schedule_flush(_FLUSH_DELAY)

    def write(self, event: AuditEvent) -> None:
        """Write an event after those in the queue. Raises AuditUnavailable; the event then remains queued."""
        self.record(event)
        self.flush()
        self._raise_error()

    def check_writable(self, *, change: bool) -> None:
        """Raise AuditUnavailable if the queue is full or, for a `change`, if the log is not writable."""
        if change:
            self.flush(reserve=True)
            self._raise_error()
        elif self._queue_size >= self._max_queue_size:
            self.flush()
            self._raise_error()

    def write_error(self) -> str:
        """Write the queue and return the reason why the log is not writable, empty if it is."""
        self.flush(reserve=True)
        return self._error

    async def events_for(self, person_id: str) -> AuditExcerpt | None:
        """Return the lines about a person from the file and its rotated predecessors, for example audit.jsonl.1.

        Raises AuditUnavailable.
        """
        if self._path is None:
            return None
        self.flush()
        self._raise_error()
        return await asyncio.to_thread(
            _events_for,
            self._path,
            person_id.encode(),
            max_lines=self._max_excerpt_lines,
            search_size=self._search_size,
        )

    def flush(self, *, reserve: bool = False) -> None:
        """Write the queue; after an error, the rest remains queued. `reserve`: also check the free space for a change."""
        if not (self._queue or reserve or self._error):
            return
        try:
            self._open()
            while self._queue:
                self._write_batch()
            if reserve:
                self._sink.reserve()
        except OSError as error:
            self._on_error(error)
        else:
            self._error = ""

    def close(self) -> None:
        """Write the queue and the last line of this writer, and close the file."""
        self._enqueue(AuditEvent(datetime.now(UTC).timestamp(), None, END, 0, (), (), "", ""))
        self.flush()
        if self._queue:
            _log.error("audit_lost", lines=len(self._queue), reason=self._error)
        if self._timer:
            self._timer.cancel()
        self._sink.close()
        if self._heads:
            self._heads.close()

    def _open(self) -> None:
        """Open the file if necessary, and register this writer with a file that was opened now."""
        self._is_registered = not self._sink.open() and self._is_registered
        if self._heads and not self._is_registered:
            self._heads.open(self._last_written)
            self._is_registered = True

    def _write_batch(self) -> None:
        # After an error a single line, so that the cost of an attempt does not depend on the length of the queue.
        count = 1 if self._error else _MAX_BATCH
        batch = list(islice(self._queue, count))
        written = self._sink.write([line for line, _ in batch], wait=not self._error)
        self._error = ""
        for line, self._last_written in batch[:written]:
            self._queue.popleft()
            self._queue_size -= len(line)
        AUDIT_EVENTS.inc("written", by=written)
        if self._heads:
            self._heads.update(self._last_written)

    def _on_error(self, error: OSError) -> None:
        AUDIT_EVENTS.inc("failed")
        if not self._error:
            _log.error("audit_write_failed", reason=error.strerror)
        self._error = error.strerror or type(error).__name__
        if self._queue and self._timer is None:
            self._schedule_flush(_RETRY_DELAY)

    def _schedule_flush(self, delay: float) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # during the startup or shutdown of a command
            return
        self._timer = loop.call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.flush()

    def _raise_error(self) -> None:
        if self._error:
            raise AuditUnavailable(self._error)

    def _enqueue(self, event: AuditEvent) -> None:
        for record in self._records(event):
            text = strict_json.encode(record)
            self._last_encoded = Head(record.seq, hashlib.sha256(text).hexdigest())
            self._queue.append((text + b"\n", self._last_encoded))
            self._queue_size += len(text) + 1

    def _records(self, event: AuditEvent) -> Iterator[AuditRecord]:
        """Yield the lines of an event: more than one if it has more than `_MAX_IDS` ids."""
        for start in range(0, len(event.people) or 1, _MAX_IDS):
            yield AuditRecord(
                time=datetime.fromtimestamp(event.at, UTC),
                writer=self._writer,
                seq=self._last_encoded.seq + 1,
                action=INTENT if event.intent else event.action,
                intent=event.action if event.intent else "",
                principal=event.principal,
                outcome=event.outcome,
                people=event.people[start : start + _MAX_IDS],
                fields=event.fields,
                request_id=event.request_id,
                client=event.client,
                previous=self._last_encoded.digest,
            )


def _events_for(path: Path, person_id: bytes, *, max_lines: int, search_size: int) -> AuditExcerpt:
    lines: deque[bytes] = deque(maxlen=max_lines)
    count = 0
    file = path
    try:
        files = [file for file in path.parent.glob(f"{path.name}*") if file.is_file()]
        for file in sorted(files, key=lambda file: (file.stat().st_mtime_ns, file == path)):
            for matches in _matching_lines(file, person_id, search_size):
                lines += matches
                count += len(matches)
    except OSError as error:
        _log.warning("audit_read_failed", file=str(file), reason=error.strerror)
        reason = error.strerror or type(error).__name__
        raise AuditUnavailable(
            reason, remedy="make the audit files readable for the service", retry_after=60
        ) from error
    return AuditExcerpt(list(lines), count - len(lines))


def _matching_lines(file: Path, person_id: bytes, search_size: int) -> Iterator[list[bytes]]:
    with file.open("rb") as stream:
        # Large chunks: reading releases the GIL, and most chunks need no loop in Python.
        while chunk := stream.read(search_size) + stream.readline():
            if person_id in chunk:
                yield [line for line in chunk.splitlines() if line.startswith(LINE_PREFIX) and person_id in line]
