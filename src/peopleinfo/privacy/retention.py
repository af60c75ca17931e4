"""What somebody may ask about themselves: all that is held about them, and not to be held for ever."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from peopleinfo.errors import ImportAlreadyRunning, PeopleInfoError, PersonNotFound, StoreUnavailable, VersionConflict
from peopleinfo.people import strict_json
from peopleinfo.people.person import decode_stored
from peopleinfo.people.store import Checkpoint
from peopleinfo.privacy.audit import AuditEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from peopleinfo.people.service import PeopleService
    from peopleinfo.people.store import Store
    from peopleinfo.privacy.audit import AuditLog

COMMAND: Final = "(command)"  # who did it, in the audit: no key has such a name
RETENTION: Final = "(retention)"
_PAGE: Final = 500
_PAUSE: Final = 0.1  # seconds between pages: a sweep has a day, and those who ask come first
_POLL_INTERVAL: Final = 300.0  # seconds between two looks whether a sweep is to be begun, or to be gone on with
_SILENT_MINUTES: Final = 10  # after which whoever was sweeping is taken for gone
_MINUTE: Final = 8  # bytes
_SWEEPS: Final = sha256(b"peopleinfo retention").digest()  # under which the store keeps how it stands with the last one
_log = structlog.get_logger("peopleinfo.privacy.retention")


async def export_personal_data(people: PeopleService, audit: AuditLog | None, person_id: str) -> bytes:
    """Return as JSON all that is held about somebody: the record, and what the audit tells of it. Raises PersonNotFound."""
    record = await people.get(person_id)
    events = await audit.events_for(person_id) if audit else None
    told: dict[str, object] = {
        "availability": "disabled" if audit is None else "external" if events is None else "included"
    }
    if events is not None:
        told |= {"events": [msgspec.Raw(line) for line in events.lines], "omitted": events.omitted}
    return strict_json.encode({"person": msgspec.Raw(record.body), "audit": told})


def audit_intent(audit: AuditLog | None, action: str, person_id: str, *, by: str) -> None:
    """Write down that a change is about to be made other than over HTTP. Raises AuditUnavailable: do not make it then."""
    if audit is not None:
        audit.check_writable(change=True)
        audit.write(AuditEvent(time.time(), by, action, 0, (person_id,), (), "", "", intent=True))


def audit_action(audit: AuditLog | None, action: str, person_id: str, *, by: str) -> None:
    """Write down what was done other than over HTTP. Raises AuditUnavailable."""
    if audit is not None:
        audit.write(AuditEvent(time.time(), by, action, 200, (person_id,), (), "", ""))


class _Seen(msgspec.Struct):
    """As much of a record as tells whether it is kept too long."""

    person_id: str
    version: int
    updated_at: datetime


_seen: Final = msgspec.json.Decoder(_Seen).decode


async def _on() -> None:
    """Go on at once."""


async def iter_expired(
    store: Store, *, before: datetime, on_page: Callable[[], Awaitable[None]] = _on
) -> AsyncIterator[tuple[str, int]]:
    """Yield the id and the version of each person who was last changed before a moment; `between` pages something else may be done."""
    after: bytes | None = None
    while True:
        page = await store.scan(after=after, limit=_PAGE)
        for person in (decode_stored(_seen, body) for body in page.people):
            if person.updated_at < before:
                yield person.person_id, person.version
        if page.next is None:
            return
        after = page.next
        await on_page()


async def delete_expired(
    store: Store, audit: AuditLog | None, *, before: datetime, by: str, on_page: Callable[[], Awaitable[None]] = _on
) -> int:
    """Erase everybody who was last changed before a moment, and return how many. It may run in several places, and again."""
    erased = 0
    async for person_id, version in iter_expired(store, before=before, on_page=on_page):
        audit_intent(audit, "erasePerson", person_id, by=by)
        with suppress(PersonNotFound, VersionConflict):  # erased elsewhere, or changed since and so to be kept
            await store.delete(person_id, expected=version)
            audit_action(audit, "erasePerson", person_id, by=by)
            erased += 1
    return erased


class RetentionLease:
    """The sweep of a day, which one of all processes makes: who began it says each minute that it is still at it, else another goes on.

    Kept in the store as the progress of an import: its `rows` are the day, its `digest` when it was last heard of, nothing when it is done.
    """

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._ours: Checkpoint | None = None

    async def acquire(self) -> bool:
        """Say whether today's sweep is ours to make, or to go on with."""
        last = await self._store.progress(_SWEEPS)
        if last.digest and last != self._ours and self._minute() - _heard(last) < _SILENT_MINUTES:
            return False  # another one is at it
        today = self._now().astimezone(UTC).toordinal()
        if not last.digest and last.rows >= today:
            return False
        with suppress(ImportAlreadyRunning):  # another process was faster
            await self._step(last, day=today)
            return True
        return False

    async def renew(self) -> None:
        """Say that we are still at it, and leave room for others. Raises ImportOverlap when another one has taken over."""
        await asyncio.sleep(_PAUSE)
        if self._ours and self._minute() != _heard(self._ours):
            await self._step(self._ours, day=self._ours.rows)

    async def finish(self) -> None:
        """Note that it is done. Raises ImportOverlap when another one has taken over."""
        if self._ours:
            await self._step(self._ours, day=self._ours.rows, done=True)

    async def _step(self, last: Checkpoint, *, day: int, done: bool = False) -> None:
        heard = b"" if done else self._minute().to_bytes(_MINUTE) + secrets.token_bytes(8)
        ours = Checkpoint(_SWEEPS, rows=day, digest=heard)
        await self._store.create_many([], checkpoint=(last, ours))
        self._ours = ours

    def _minute(self) -> int:
        return int(self._now().timestamp()) // 60


def _heard(progress: Checkpoint) -> int:
    return int.from_bytes(progress.digest[:_MINUTE])


async def run_retention(
    store: Store,
    audit: AuditLog | None,
    *,
    retention: timedelta,
    now: Callable[[], datetime],
    poll_interval: float = _POLL_INTERVAL,
) -> None:
    """Sweep once a day, whoever of all processes comes first, until cancelled. What cannot be done now is tried again at the next look."""
    today = RetentionLease(store, now)
    while True:
        try:
            if await today.acquire():
                erased = await delete_expired(store, audit, before=now() - retention, by=RETENTION, on_page=today.renew)
                await today.finish()
                _log.info("retention_completed", erased=erased)
        except (StoreUnavailable, ImportAlreadyRunning) as error:
            _log.warning("retention_failed", reason=str(error))
        except PeopleInfoError as error:
            _log.error("retention_failed", reason=type(error).__name__)
        await asyncio.sleep(poll_interval)
