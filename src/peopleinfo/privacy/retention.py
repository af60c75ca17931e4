"""Retention: deletion of the records that were not modified for the retention period."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
import structlog

from peopleinfo.errors import LeaseLost, PeopleInfoError, PersonNotFound, Unavailable, VersionConflict
from peopleinfo.people.person import decode_stored
from peopleinfo.people.store import Lease, LeaseStore, PersonStore
from peopleinfo.privacy.audit import audit_action, audit_intent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from peopleinfo.people.trash import TrashStore
    from peopleinfo.privacy.audit import AuditLog

RETENTION: Final = "(retention)"  # principal in the audit log; no API key can have this name
_PAGE_LIMIT: Final = 500
_PAGE_DELAY: Final = 0.1  # seconds between pages, which leaves resources to requests
_POLL_INTERVAL: Final = 300.0  # seconds between two attempts to acquire the lease
_TRASH_START_DELAY: Final = 60.0  # seconds from the start of a process to its first attempt to erase expired trash
_LEASE_TTL: Final = timedelta(minutes=10)  # without renewal, after which another process takes over the lease
_RENEWAL_INTERVAL: Final = timedelta(minutes=1)
_HOLDER_SIZE: Final = 16  # bytes
_log = structlog.get_logger("peopleinfo.privacy.retention")


class _Version(msgspec.Struct):
    """The fields of a record that decide about its expiry."""

    person_id: str
    version: int
    updated_at: datetime


_decode_version: Final = msgspec.json.Decoder(_Version).decode


async def _no_delay() -> None:
    """Continue immediately."""


async def iter_expired(
    store: PersonStore, *, before: datetime, on_page: Callable[[], Awaitable[None]] = _no_delay
) -> AsyncIterator[tuple[str, int]]:
    """Yield the id and version of each record that was last modified before a time. Awaits `on_page` between two pages."""
    after: bytes | None = None
    while True:
        page = await store.scan(after=after, limit=_PAGE_LIMIT)
        for record in (decode_stored(_decode_version, body) for body in page.people):
            if record.updated_at < before:
                yield record.person_id, record.version
        if page.next is None:
            return
        after = page.next
        await on_page()


async def delete_expired(
    store: PersonStore,
    audit: AuditLog | None,
    *,
    before: datetime,
    by: str,
    on_page: Callable[[], Awaitable[None]] = _no_delay,
) -> int:
    """Delete each record that was last modified before a time, and return their number. Safe to repeat and to run concurrently."""
    deleted = 0
    async for person_id, version in iter_expired(store, before=before, on_page=on_page):
        audit_intent(audit, "erasePerson", person_id, by=by)
        with suppress(PersonNotFound, VersionConflict):  # deleted or modified since
            await store.delete(person_id, expected=version)
            audit_action(audit, "erasePerson", person_id, by=by)
            deleted += 1
    return deleted


async def erase_expired_trash(
    trash: TrashStore, audit: AuditLog | None, *, by: str, on_page: Callable[[], Awaitable[None]] = _no_delay
) -> int:
    """Erase the expired people in the trash, and return their number. Safe to repeat and to run concurrently."""
    erased = 0
    while people := await trash.expired(limit=_PAGE_LIMIT):
        for person_id, version in people:
            audit_intent(audit, "eraseDeletedPerson", person_id, by=by)
            with suppress(PersonNotFound, VersionConflict):  # erased since
                await trash.erase(person_id, expected=version)
                audit_action(audit, "eraseDeletedPerson", person_id, by=by)
                erased += 1
        await on_page()
    return erased


class RetentionLease:
    """A lease that makes one of all processes run a daily deletion. Another process takes over if the holder stops renewing it."""

    def __init__(self, store: LeaseStore, now: Callable[[], datetime], name: str = "retention") -> None:
        """`name` is the name of the deletion."""
        self._store = store
        self._now = now
        self._name = name
        self._holder = secrets.token_bytes(_HOLDER_SIZE)
        self._renew_at = now()

    async def acquire(self) -> bool:
        """Acquire the lease for today's deletion. Returns False if it is complete or another process holds the lease."""
        return await self._acquire(self._now() + _LEASE_TTL)

    async def renew(self) -> None:
        """Renew the lease, and pause between two pages. Raises LeaseLost if another process has taken over."""
        await asyncio.sleep(_PAGE_DELAY)
        if self._now() >= self._renew_at:
            await self._extend(self._now() + _LEASE_TTL)

    async def finish(self) -> None:
        """Keep the lease until tomorrow, since the deletion is complete. Raises LeaseLost if another process has taken over."""
        today = self._now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        await self._extend(today + timedelta(days=1))
        self._holder = secrets.token_bytes(_HOLDER_SIZE)  # this process must not acquire it earlier than others

    async def _extend(self, expires_at: datetime) -> None:
        if not await self._acquire(expires_at):
            raise LeaseLost(RETENTION)

    async def _acquire(self, expires_at: datetime) -> bool:
        now = self._now()
        self._renew_at = now + _RENEWAL_INTERVAL
        return await self._store.acquire_lease(Lease(self._name, self._holder, expires_at), now=now)


class RetentionStore(PersonStore, LeaseStore, Protocol):
    """A store with records that expire."""


async def run_retention(
    store: RetentionStore,
    audit: AuditLog | None,
    *,
    retention: timedelta,
    now: Callable[[], datetime],
    poll_interval: float = _POLL_INTERVAL,
) -> None:
    """Delete expired records once a day, in one of all processes, until cancelled. Errors are retried after `poll_interval`."""
    lease = RetentionLease(store, now)

    async def delete() -> int:
        return await delete_expired(store, audit, before=now() - retention, by=RETENTION, on_page=lease.renew)

    await _run_daily("retention", lease, delete, poll_interval)


async def run_trash_expiry(
    store: LeaseStore,
    trash: TrashStore,
    audit: AuditLog | None,
    *,
    now: Callable[[], datetime],
    start_delay: float = _TRASH_START_DELAY,
    poll_interval: float = _POLL_INTERVAL,
) -> None:
    """Erase the expired people in the trash once a day like `run_retention`, whether or not the trash is on."""
    lease = RetentionLease(store, now, "trash")
    await asyncio.sleep(start_delay)
    erase = partial(erase_expired_trash, trash, audit, by=RETENTION, on_page=lease.renew)
    await _run_daily("trash_expiry", lease, erase, poll_interval)


async def _run_daily(job: str, lease: RetentionLease, work: Callable[[], Awaitable[int]], poll_interval: float) -> None:
    """Run a job once a day under its lease, until cancelled. Errors are retried after `poll_interval`."""
    while True:
        try:
            if await lease.acquire():
                erased = await work()
                await lease.finish()
                _log.info(f"{job}_completed", erased=erased)
        except (Unavailable, LeaseLost) as error:
            _log.warning(f"{job}_failed", reason=str(error))
        except PeopleInfoError as error:
            _log.error(f"{job}_failed", reason=type(error).__name__)
        await asyncio.sleep(poll_interval)
