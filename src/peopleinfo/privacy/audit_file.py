"""The audit as lines in a file or on stdout, each chained to the line before of the same process."""

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

WAITING_SIZE: Final = 8 * 1024 * 1024  # bytes of lines that wait while they cannot be written
_GATHER_DELAY: Final = 0.1  # seconds after which reads are written
_RETRY_DELAY: Final = 0.5  # seconds between two attempts while nothing can be written
_PEOPLE: Final = 90  # ids in a line; more are divided among several, so that no line is longer than LINE_SIZE
_LINES: Final = 100  # written together at most
_SEARCH_SIZE: Final = 1024 * 1024  # bytes of the audit that are searched at a time
_TOLD: Final = 10_000  # lines about one person that are returned, the latest ones
_log = structlog.get_logger("peopleinfo.privacy.audit")


class AuditLogWriter:
    """The port `Audit` as lines in a file (or on stdout, when `path` is None), readable by its owner alone.

    Lines of several processes may go to one file: each is appended as a whole, and each process has a chain of its own. A file that is
    moved away (rotated) is left, and a new one begun. A crash may lose reads of the last tenth of a second. The lines of a change are in the
    file before it is acknowledged, as far as the operating system stores them: they are not synced to the disk.
    Each event is encoded and chained once, however long it waits.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        max_pending_size: int = WAITING_SIZE,
        max_excerpt_lines: int = _TOLD,
        search_size: int = _SEARCH_SIZE,
    ) -> None:
        self._path = path
        self._most = max_pending_size
        self._told = max_excerpt_lines
        self._search_size = search_size
        self._writer = secrets.token_hex(8)
        self._last = Head(0, GENESIS_DIGEST)  # the last line that was encoded
        self._sink = Sink(path)
        self._heads = Heads(path, self._writer) if path else None
        self._is_registered = False
        self._waiting: deque[tuple[bytes, Head]] = deque()
        self._size = 0  # bytes that wait
        self._written = self._last
        self._trouble = ""  # why the last attempt failed
        self._timer: asyncio.TimerHandle | None = None
        for outcome in ("written", "failed"):  # so that an audit that is silent can be told from none
            AUDIT_EVENTS.init_labels(outcome)
        self.flush(reserve=True)

    def record(self, event: AuditEvent) -> None:
        """Keep an event and write it soon. Raises AuditUnavailable when too many bytes wait already."""
        self.check_writable(change=False)
        self._add(event)
        if self._timer is None:
            self._write_later(_GATHER_DELAY)

    def write(self, event: AuditEvent) -> None:
        """Write an event, after those that wait. Raises AuditUnavailable; the event waits then."""
        self.record(event)
        self.flush()
        self._refuse_in_trouble()

    def check_writable(self, *, change: bool) -> None:
        """Raise AuditUnavailable unless events can be kept, and for a `change` unless they can be written now."""
        if change:
            self.flush(reserve=True)
            self._refuse_in_trouble()
        elif self._size >= self._most:
            self.flush()
            self._refuse_in_trouble()

    def write_error(self) -> str:
        """Try to write what waits; return why events cannot be written now, empty when they can."""
        self.flush(reserve=True)
        return self._trouble

    async def events_for(self, person_id: str) -> AuditExcerpt | None:
        """Return the lines about a person from the file and those that were moved away to its name with more behind it (audit.jsonl.1).

        Raises AuditUnavailable.
        """
        if self._path is None:
            return None
        self.flush()
        self._refuse_in_trouble()
        return await asyncio.to_thread(
            _events_for, self._path, person_id.encode(), told=self._told, search_size=self._search_size
        )

    def flush(self, *, reserve: bool = False) -> None:
        """Write what waits; what cannot be written goes on waiting. `reserve`: check that there is room for a change, too."""
        if not (self._waiting or reserve or self._trouble):
            return
        try:
            self._open()
            while self._waiting:
                self._write_some()
            if reserve:
                self._sink.reserve()
        except OSError as error:
            self._failed(error)
        else:
            self._trouble = ""

    def close(self) -> None:
        """Write what waits and the line that says that this writer has ended."""
        self._add(AuditEvent(datetime.now(UTC).timestamp(), None, END, 0, (), (), "", ""))
        self.flush()
        if self._waiting:
            _log.error("audit_lost", lines=len(self._waiting), reason=self._trouble)
        if self._timer:
            self._timer.cancel()
        self._sink.close()
        if self._heads:
            self._heads.close()

    def _open(self) -> None:
        """Open the file; register this writer beside a file that was not open."""
        self._is_registered = not self._sink.open() and self._is_registered
        if self._heads and not self._is_registered:
            self._heads.open(self._written)
            self._is_registered = True

    def _write_some(self) -> None:
        # In trouble one line is tried, so that an attempt costs the same however many wait.
        count = 1 if self._trouble else _LINES
        some = list(islice(self._waiting, count))
        done = self._sink.write([line for line, _ in some], wait=not self._trouble)
        self._trouble = ""
        for line, self._written in some[:done]:
            self._waiting.popleft()
            self._size -= len(line)
        AUDIT_EVENTS.inc("written", by=done)
        if self._heads:
            self._heads.update(self._written)

    def _failed(self, error: OSError) -> None:
        AUDIT_EVENTS.inc("failed")
        if not self._trouble:
            _log.error("audit_write_failed", reason=error.strerror)
        self._trouble = error.strerror or type(error).__name__
        if self._waiting and self._timer is None:
            self._write_later(_RETRY_DELAY)

    def _write_later(self, delay: float) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # at the very start or end of a command
            return
        self._timer = loop.call_later(delay, self._write_now)

    def _write_now(self) -> None:
        self._timer = None
        self.flush()

    def _refuse_in_trouble(self) -> None:
        if self._trouble:
            raise AuditUnavailable(self._trouble)

    def _add(self, event: AuditEvent) -> None:
        for line in self._lines(event):
            text = strict_json.encode(line)
            self._last = Head(line.seq, hashlib.sha256(text).hexdigest())
            self._waiting.append((text + b"\n", self._last))
            self._size += len(text) + 1

    def _lines(self, event: AuditEvent) -> Iterator[AuditRecord]:
        """Yield the lines of an event: several where it names many people."""
        for start in range(0, len(event.people) or 1, _PEOPLE):
            yield AuditRecord(
                time=datetime.fromtimestamp(event.at, UTC),
                writer=self._writer,
                seq=self._last.seq + 1,
                action=INTENT if event.intent else event.action,
                intent=event.action if event.intent else "",
                principal=event.principal,
                outcome=event.outcome,
                people=event.people[start : start + _PEOPLE],
                fields=event.fields,
                request_id=event.request_id,
                client=event.client,
                previous=self._last.digest,
            )


def _events_for(path: Path, person_id: bytes, *, told: int, search_size: int) -> AuditExcerpt:
    lines: deque[bytes] = deque(maxlen=told)
    count = 0
    file = path
    try:
        files = [file for file in path.parent.glob(f"{path.name}*") if file.is_file()]
        for file in sorted(files, key=lambda file: (file.stat().st_mtime_ns, file == path)):
            for found in _lines_with(file, person_id, search_size):
                lines += found
                count += len(found)
    except OSError as error:
        _log.warning("audit_read_failed", file=str(file), reason=error.strerror)
        why = error.strerror or type(error).__name__
        raise AuditUnavailable(why, remedy="let the service read its audit files", retry_after=60) from error
    return AuditExcerpt(list(lines), count - len(lines))


def _lines_with(file: Path, person_id: bytes, search_size: int) -> Iterator[list[bytes]]:
    with file.open("rb") as text:
        # By large pieces, most of which are searched without Python: other requests are served meanwhile.
        while piece := text.read(search_size) + text.readline():
            if person_id in piece:
                yield [line for line in piece.splitlines() if line.startswith(LINE_PREFIX) and person_id in line]
