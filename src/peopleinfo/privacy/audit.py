"""The audit log: which principal read or changed which record, and when. Its JSON lines contain no personal data.

A line identifies a person by the id alone, which has no meaning after the person is deleted; so a deletion does not change the log.
A line with the action `intent` precedes every change; if it cannot be written, the change is rejected. A second line has the outcome.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import datetime  # noqa: TC003 - msgspec reads it at run time
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import msgspec

from peopleinfo.people import strict_json
from peopleinfo.people.fields import CUSTOM_FIELDS, FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

GENESIS_DIGEST: Final = "0" * 64
LINE_PREFIX: Final = b'{"event":"audit"'
INTENT: Final = "intent"  # action of the line before a change
COMMAND: Final = "(command)"  # principal of command-line operations; no API key can have this name
END: Final = "end"  # action of the last line of a writer that was closed
_STANDARD_FIELDS: Final = frozenset(FIELDS)
_RECORD_PREFIX: Final = b'{"person_id":"'


class AuditEvent(NamedTuple):
    """An operation on personal data.

    `at` is in seconds since 1970. `principal` is None for an unauthenticated client. `action` is the operation id of the API.
    `people` are the ids that were returned or changed, `fields` those of a change (see `field_names`). `outcome` is the status of
    the response. An event with `intent` precedes the change and has no outcome.
    """

    at: float
    principal: str | None
    action: str
    outcome: int
    people: tuple[str, ...]
    fields: tuple[str, ...]
    request_id: str
    client: str
    intent: bool = False


class AuditExcerpt(NamedTuple):
    """The lines of the audit log about one person, oldest first, and the number of older lines that were omitted."""

    lines: list[bytes]
    omitted: int


class AuditLog(Protocol):
    """The interface of an audit log. Its methods are called in the event loop."""

    def record(self, event: AuditEvent) -> None:
        """Queue an event, to be written within 0.1 seconds or as soon as the log is writable.

        Raises AuditUnavailable if the queue is full; the event is then discarded.
        """

    def write(self, event: AuditEvent) -> None:
        """Write an event before this method returns. Raises AuditUnavailable; the event then remains queued."""

    def check_writable(self, *, change: bool) -> None:
        """Raise AuditUnavailable if the queue is full or, for a `change`, if the log is not writable."""

    def write_error(self) -> str:
        """Return the reason why the log is not writable, empty if it is."""

    async def events_for(self, person_id: str) -> AuditExcerpt | None:
        """Return the lines about a person, None if this process cannot read the log. Raises AuditUnavailable."""


class AuditRecord(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A line of the log. `writer` is one process, `seq` counts its lines from 1, `previous` is the SHA-256 of its previous line."""

    # The first field distinguishes the lines of the audit from others. A default factory, because msgspec omits plain defaults.
    event: str = msgspec.field(default_factory=lambda: "audit")
    time: datetime
    writer: str
    seq: int
    action: str
    intent: str = ""
    """The operation that follows a line with the action `intent`."""
    principal: str | None = None
    outcome: int = 0
    people: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    request_id: str = ""
    client: str = ""
    previous: str = GENESIS_DIGEST


def field_names(data: Any) -> tuple[str, ...]:
    """Return the names of the fields of a document. `*` replaces custom fields, since their names may be personal data."""
    if not isinstance(data, dict):
        return ()
    names = tuple(name for name in FIELDS if name in data)
    return (*names, CUSTOM_FIELDS) if data.keys() - _STANDARD_FIELDS else names


def person_ids(people: Iterable[bytes]) -> tuple[str, ...]:
    """Return the ids of records from their JSON."""
    return tuple(map(_id_of, people))


def _id_of(body: bytes) -> str:
    if body.startswith(_RECORD_PREFIX):  # the usual case, much faster than parsing
        return body[len(_RECORD_PREFIX) : len(_RECORD_PREFIX) + 32].decode()
    return str(strict_json.parse(body).get("person_id"))


def audit_intent(audit: AuditLog | None, action: str, person_id: str, *, by: str) -> None:
    """Write the intent of a change that does not come from an HTTP request.

    Raises AuditUnavailable; the caller must then not make the change.
    """
    if audit is not None:
        audit.check_writable(change=True)
        audit.write(AuditEvent(time.time(), by, action, 0, (person_id,), (), "", "", intent=True))


def audit_action(audit: AuditLog | None, action: str, person_id: str, *, by: str) -> None:
    """Write a completed operation that did not come from an HTTP request. Raises AuditUnavailable."""
    if audit is not None:
        audit.write(AuditEvent(time.time(), by, action, 200, (person_id,), (), "", ""))


@contextmanager
def audited_command(audit: AuditLog | None, action: str, *people: str) -> Iterator[None]:
    """Write the intent of a change by a command, and the completed operation after the block. Raises AuditUnavailable."""
    for person_id in people:
        audit_intent(audit, action, person_id, by=COMMAND)
    yield
    for person_id in people:
        audit_action(audit, action, person_id, by=COMMAND)
