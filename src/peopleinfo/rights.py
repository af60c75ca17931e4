"""What somebody may ask about themselves: all that is held about them, and not to be held for ever."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from peopleinfo import strictjson
from peopleinfo.audit import Event
from peopleinfo.errors import ImportOverlap, PeopleInfoError, PersonNotFound, StoreUnavailable, VersionConflict
from peopleinfo.store import Progress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from peopleinfo.audit import Audit
    from peopleinfo.people import People
    from peopleinfo.store import Store

COMMAND: Final = "(command)"  # who did it, in the audit: no key has such a name
RETENTION: Final = "(retention)"
_PAGE: Final = 500
_PAUSE: Final = 0.1  # seconds between pages: a sweep has a day, and those who ask come first
_LOOKS: Final = 3_600.0  # seconds between two looks whether today's sweep has been begun
_SWEEPS: Final = sha256(b"peopleinfo retention").digest()  # under which the store keeps the day of the last one
_log = structlog.get_logger("peopleinfo.rights")


async def export(people: People, audit: Audit | None, person_id: str) -> bytes:
    """Return as JSON all that is held about somebody: the record, and what the audit tells of it. Raises PersonNotFound."""
    record = await people.get(person_id)
    events = await audit.events_of(person_id) if audit else None
    told: dict[str, object] = {"kept": "nowhere" if audit is None else "elsewhere" if events is None else "here"}
    if events is not None:
        told |= {"events": [msgspec.Raw(line) for line in events.lines], "left_out": events.left_out}
    return strictjson.encode({"person": msgspec.Raw(record.body), "audit": told})


def noted(audit: Audit | None, action: str, person_id: str, *, by: str, request_id: str = "") -> None:
    """Write down what was done to somebody other than over HTTP."""
    if audit is not None:
        audit.note(Event(time.time(), by, action, 200, (person_id,), (), request_id, ""), at_once=True)


class _Seen(msgspec.Struct):
    """As much of a record as tells whether it is kept too long."""

    person_id: str
    version: int
    updated_at: datetime


_seen: Final = msgspec.json.Decoder(_Seen).decode


async def expired(store: Store, *, before: datetime, pause: float = 0) -> AsyncIterator[tuple[str, int]]:
    """Yield the id and the version of each person who was last changed before a moment; wait `pause` seconds between pages."""
    after: bytes | None = None
    while True:
        page = await store.scan(after=after, limit=_PAGE)
        for person in map(_seen, page.people):
            if person.updated_at < before:
                yield person.person_id, person.version
        if page.next is None:
            return
        after = page.next
        await asyncio.sleep(pause)


async def sweep(store: Store, audit: Audit | None, *, before: datetime, by: str, pause: float = 0) -> int:
    """Erase everybody who was last changed before a moment, and return how many. It may run in several places, and again."""
    erased = 0
    async for person_id, version in expired(store, before=before, pause=pause):
        if audit is not None:
            audit.require()
        with suppress(PersonNotFound, VersionConflict):  # erased elsewhere, or changed since and so to be kept
            await store.erase(person_id, expected=version)
            noted(audit, "erasePerson", person_id, by=by)
            erased += 1
    return erased


async def begin_sweep(store: Store, day: int) -> bool:
    """Say whether the sweep of a day is ours to make: of all processes that ask, one is told so."""
    last = await store.progress(_SWEEPS)
    if last.rows >= day:
        return False
    try:
        await store.load([], step=(last, Progress(_SWEEPS, rows=day)))
    except ImportOverlap:  # another process was faster
        return False
    return True


async def sweep_daily(
    store: Store, audit: Audit | None, *, retention: timedelta, now: Callable[[], datetime], looks: float = _LOOKS
) -> None:
    """Sweep once a day, whoever of all processes comes first, until cancelled. What cannot be done now is tried again at the next look."""
    ours = False
    while True:
        try:
            if ours := ours or await begin_sweep(store, now().astimezone(UTC).toordinal()):
                erased = await sweep(store, audit, before=now() - retention, by=RETENTION, pause=_PAUSE)
                ours = False
                _log.info("retention_swept", erased=erased)
        except StoreUnavailable as error:
            _log.warning("retention_not_swept", reason=str(error))
        except PeopleInfoError as error:
            _log.error("retention_not_swept", reason=type(error).__name__)
        await asyncio.sleep(looks)
