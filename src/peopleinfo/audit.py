"""The audit: who read or changed whom, and when. Lines of JSON that hold nobody's data, chained so that none can be left out or changed unseen.

A person stands in it by the id alone, which says nothing once the person is erased: so erasing somebody never needs to touch the audit.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import sys
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import msgspec
import structlog

from peopleinfo import strictjson
from peopleinfo.access import FURTHER, MEMBERS
from peopleinfo.errors import AuditUnreadable, PeopleInfoError, StoreUnavailable
from peopleinfo.telemetry.metrics import AUDIT_EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_GATHER_SECONDS: Final = 0.1
_WAITING: Final = 20_000  # events that wait while they cannot be written; beyond that nobody is served
_NOTHING_BEFORE: Final = "0" * 64
_BEGINNING: Final = b'{"event":"audit"'
_PIECE: Final = 1024 * 1024  # bytes of the audit that are looked through at a time
_TOLD: Final = 10_000  # lines of one person's that are told, the latest ones
_log = structlog.get_logger("peopleinfo.audit")
_OWN: Final = frozenset(MEMBERS)


class Event(NamedTuple):
    """What was done: when (seconds since 1970), by whom (None: somebody unknown), to whom, and what became of it.

    `action` is the operation's name in the contract, `people` the ids that were answered or changed, `fields` the members that a change
    names (see `touched`), `outcome` the status of the answer.
    """

    at: float
    principal: str | None
    action: str
    outcome: int
    people: tuple[str, ...]
    fields: tuple[str, ...]
    request_id: str
    client: str


class Told(NamedTuple):
    """What the audit tells of somebody: lines as they were written, oldest first, and how many older ones were left out."""

    lines: list[bytes]
    left_out: int


class Audit(Protocol):
    """Where events go."""

    def note(self, event: Event, *, at_once: bool) -> None:
        """Keep an event; with `at_once` it has left this process when this returns, else within a tenth of a second."""

    def require(self) -> None:
        """Raise StoreUnavailable when events cannot be kept now: what cannot be written down is not to be done."""

    async def events_of(self, person_id: str) -> Told | None:
        """Return what was written down of somebody, None when that is kept where it cannot be read from here. Raises AuditUnreadable."""


class Line(msgspec.Struct, omit_defaults=True, kw_only=True):
    """An event as it is written. `writer` is one process, `seq` counts its lines from 1, `previous` is the SHA-256 of its line before."""

    event: str = msgspec.field(
        default_factory=lambda: "audit"
    )  # written always, and first: tells it from other lines of a log
    time: datetime
    writer: str
    seq: int
    action: str
    principal: str | None = None
    outcome: int = 0
    people: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    request_id: str = ""
    client: str = ""
    previous: str = _NOTHING_BEFORE


END: Final = "end"  # the action of a writer's last line, when it ended in good order


def touched(data: Any) -> tuple[str, ...]:
    """Name the members of a document: ours by name, and `*` for any further one, whose name may itself tell something of a person."""
    if not isinstance(data, dict):
        return ()
    named = tuple(name for name in MEMBERS if name in data)
    return (*named, FURTHER) if data.keys() - _OWN else named


def ids_of(people: Iterable[bytes]) -> tuple[str, ...]:
    """Return the ids of people by their JSON."""
    return tuple(map(_id_of, people))


def _id_of(body: bytes) -> str:
    if body.startswith(_ID_FIRST):  # as every record begins that was made by `render`
        return body[len(_ID_FIRST) : len(_ID_FIRST) + 32].decode()
    return str(strictjson.parse(body).get("person_id"))


_ID_FIRST: Final = b'{"person_id":"'


class AuditStream:
    """The port `Audit` as lines in a file (or on stdout, when `path` is None), made readable by its owner alone.

    Lines of several processes may go to one file: each is appended by one call, and each process has a chain of its own. A file that is
    moved away (rotated) is left alone, and another one begun. What a crash may lose: reads of the last tenth of a second. An answered change
    is in the file before its answer is sent, as far as the operating system keeps it: it is not synced to the disk.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._writer = secrets.token_hex(8)
        self._seq = 0
        self._previous = _NOTHING_BEFORE
        self._waiting: list[Event] = []
        self._file: int | None = None
        self._trouble = ""  # why the last lines could not be written
        for outcome in ("written", "failed"):  # so that an audit that is silent can be told from none
            AUDIT_EVENTS.begin(outcome)

    def note(self, event: Event, *, at_once: bool) -> None:
        """Keep an event; to be called in the event loop."""
        if not self._waiting:
            asyncio.get_running_loop().call_later(_GATHER_SECONDS, self.flush)
        self._waiting.append(event)
        if at_once:
            self.flush()

    def require(self) -> None:
        """Raise StoreUnavailable when so many events wait that more cannot be kept."""
        if self._trouble:
            self.flush()
            if len(self._waiting) >= _WAITING:
                raise StoreUnavailable(f"the audit cannot be written: {self._trouble}", retry_after=5)

    async def events_of(self, person_id: str) -> Told | None:
        """Return what stands of somebody in the file and in those that were moved away to its name with more behind it (audit.jsonl.1).

        Raises AuditUnreadable.
        """
        if self._path is None:
            return None
        self.flush()
        return await asyncio.to_thread(_events_of, self._path, person_id.encode())

    def flush(self) -> None:
        """Write what waits; what cannot be written goes on waiting."""
        if not self._waiting:
            return
        lines, seq, previous = [], self._seq, self._previous
        for event in self._waiting:
            seq += 1
            line = self._line(event, seq, previous)
            previous = hashlib.sha256(line).hexdigest()
            lines.append(line)
        if self._write(b"\n".join(lines) + b"\n"):
            AUDIT_EVENTS.add("written", by=len(lines))
            self._waiting, self._seq, self._previous = [], seq, previous
        else:
            AUDIT_EVENTS.add("failed")

    def close(self) -> None:
        """Write what waits and the line that says that this writer has ended."""
        self._waiting.append(Event(datetime.now(UTC).timestamp(), None, END, 0, (), (), "", ""))
        self.flush()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _line(self, event: Event, seq: int, previous: str) -> bytes:
        at, principal, action, outcome, people, fields, request_id, client = event
        return strictjson.encode(
            Line(
                time=datetime.fromtimestamp(at, UTC),
                writer=self._writer,
                seq=seq,
                action=action,
                principal=principal,
                outcome=outcome,
                people=people,
                fields=fields,
                request_id=request_id,
                client=client,
                previous=previous,
            )
        )

    def _write(self, text: bytes) -> bool:
        try:
            if self._path is None:
                sys.stdout.buffer.write(text)
                sys.stdout.buffer.flush()
            else:
                self._append(self._path, text)
        except OSError as error:
            if not self._trouble:
                _log.error("audit_not_written", reason=error.strerror)
            self._trouble = error.strerror or type(error).__name__
            return False
        self._trouble = ""
        return True

    def _append(self, path: Path, text: bytes) -> None:
        if self._file is None or not _is_still(path, self._file):
            if self._file is not None:
                os.close(self._file)
                self._file = None
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        written = os.write(self._file, text)
        if written < len(text):  # the disk is full: what stands there is taken back, so that no line is half
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise OSError(28, "no space left on the device")


def _events_of(path: Path, person_id: bytes) -> Told:
    lines: deque[bytes] = deque(maxlen=_TOLD)
    count = 0
    file = path
    try:
        files = [file for file in path.parent.glob(f"{path.name}*") if file.is_file()]
        for file in sorted(files, key=lambda file: (file.stat().st_mtime_ns, file == path)):
            for told in _told_in(file, person_id):
                lines += told
                count += len(told)
    except OSError as error:
        _log.warning("audit_not_read", file=str(file), reason=error.strerror)
        raise AuditUnreadable(error.strerror or type(error).__name__) from error
    return Told(list(lines), count - len(lines))


def _told_in(file: Path, person_id: bytes) -> Iterator[list[bytes]]:
    with file.open("rb") as text:
        # By large pieces, most of which are looked through without Python: others go on being served meanwhile.
        while piece := text.read(_PIECE) + text.readline():
            if person_id in piece:
                yield [line for line in piece.splitlines() if line.startswith(_BEGINNING) and person_id in line]


def _is_still(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


class Broken(PeopleInfoError):
    """The audit is not as it was written."""


class Chain(msgspec.Struct):
    """What is known of one writer's lines so far."""

    seq: int
    digest: str
    first: int
    ended: bool = False


def verify(lines: Iterable[bytes]) -> tuple[int, dict[str, Chain], list[str]]:
    """Check the chains in lines of an audit, oldest first; lines that are none of an audit's are passed over.

    Returns how many lines were checked, the chain of each writer, and what is wrong, a sentence each.
    """
    chains: dict[str, Chain] = {}
    wrong: list[str] = []
    count = 0
    for number, text in enumerate(lines, 1):
        line = read(text)
        if line is None:
            if text.startswith(_BEGINNING):
                wrong.append(f"line {number} cannot be read")
            continue
        count += 1
        digest = hashlib.sha256(text.rstrip(b"\n")).hexdigest()
        chain = chains.get(line.writer)
        if chain is None:
            chains[line.writer] = Chain(line.seq, digest, line.seq)
            if line.seq == 1 and line.previous != _NOTHING_BEFORE:
                wrong.append(f"line {number}: the first of writer {line.writer} was changed")
        else:
            wrong += _mismatches(number, line, chain)
            chain.seq, chain.digest = line.seq, digest
        chains[line.writer].ended = line.action == END
    return count, chains, wrong


def _mismatches(number: int, line: Line, chain: Chain) -> Iterator[str]:
    if line.seq != chain.seq + 1:
        yield f"line {number}: after line {chain.seq} of writer {line.writer} comes {line.seq}: lines are missing, or stand twice"
    elif line.previous != chain.digest:
        yield f"line {number}: line {chain.seq} of writer {line.writer} was changed, or this one"


def read(text: bytes) -> Line | None:
    """Return a line of an audit, or None when the text is none."""
    try:
        line = _decode(text)
    except msgspec.DecodeError:
        return None
    return line if line.event == "audit" else None


_decode = msgspec.json.Decoder(Line).decode
