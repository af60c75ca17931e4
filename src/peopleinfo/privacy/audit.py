"""The audit: who read or changed whom, and when. Its lines of JSON hold no personal data.

A person is named by the id alone, which says nothing once the person is erased: so an erasure never needs to touch the audit.
Before a change is made, a line with the action `intent` is written; a change without such a line is not made. A second line has the outcome.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec reads it at run time
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import msgspec

from peopleinfo.people import strict_json
from peopleinfo.people.fields import CUSTOM_FIELDS, FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable

GENESIS_DIGEST: Final = "0" * 64
LINE_PREFIX: Final = b'{"event":"audit"'
INTENT: Final = "intent"  # the action of a line that announces a change
END: Final = "end"  # the action of a writer's last line, when it ended in good order
_OWN: Final = frozenset(FIELDS)
_ID_FIRST: Final = b'{"person_id":"'


class AuditEvent(NamedTuple):
    """What was done: when (seconds since 1970), by whom (None: an unknown client), to whom, and with which outcome.

    `action` is the operation's name in the contract, `people` the ids that were returned or changed, `fields` the members that a change
    names (see `touched`), `outcome` the status of the response. With `intent` the change is about to be made, and has no outcome.
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
    """What the audit tells of a person: lines as they were written, oldest first, and how many older ones were left out."""

    lines: list[bytes]
    omitted: int


class AuditLog(Protocol):
    """Where events go. Its methods are called in the event loop."""

    def record(self, event: AuditEvent) -> None:
        """Keep an event and write it within a tenth of a second, or as soon as it can be written.

        Raises AuditUnavailable when too many bytes wait already; the event is not kept then.
        """

    def write(self, event: AuditEvent) -> None:
        """Write an event: it has left this process when this returns. Raises AuditUnavailable; the event waits then."""

    def check_writable(self, *, change: bool) -> None:
        """Raise AuditUnavailable unless events can be kept, and for a `change` unless they can be written now."""

    def write_error(self) -> str:
        """Return why events cannot be written now; empty when they can."""

    async def events_for(self, person_id: str) -> AuditExcerpt | None:
        """Return the lines about a person, None when they are stored where this process cannot read them.

        Raises AuditUnavailable.
        """


class AuditRecord(msgspec.Struct, omit_defaults=True, kw_only=True):
    """An event as it is written. `writer` is one process, `seq` counts its lines from 1, `previous` is the SHA-256 of its line before."""

    event: str = msgspec.field(
        default_factory=lambda: "audit"
    )  # written always, and first: tells it from other lines of a log
    time: datetime
    writer: str
    seq: int
    action: str
    intent: str = ""
    """The operation that a line with the action `intent` announces."""
    principal: str | None = None
    outcome: int = 0
    people: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    request_id: str = ""
    client: str = ""
    previous: str = GENESIS_DIGEST


def field_names(data: Any) -> tuple[str, ...]:
    """Name the members of a document: ours by name, and `*` for any further one, whose name may itself tell something of a person."""
    if not isinstance(data, dict):
        return ()
    named = tuple(name for name in FIELDS if name in data)
    return (*named, CUSTOM_FIELDS) if data.keys() - _OWN else named


def person_ids(people: Iterable[bytes]) -> tuple[str, ...]:
    """Return the ids of people by their JSON."""
    return tuple(map(_id_of, people))


def _id_of(body: bytes) -> str:
    if body.startswith(_ID_FIRST):  # as every record begins that was made by `render`
        return body[len(_ID_FIRST) : len(_ID_FIRST) + 32].decode()
    return str(strict_json.parse(body).get("person_id"))
