"""Retention: deletion of the records that were not modified for the retention period."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from peopleinfo.errors import ImportAlreadyRunning, PeopleInfoError, PersonNotFound, StoreUnavailable, VersionConflict
from peopleinfo.people.person import decode_stored
from peopleinfo.people.store import Checkpoint
from peopleinfo.privacy.audit import audit_action, audit_intent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from peopleinfo.people.store import Store
    from peopleinfo.privacy.audit import AuditLog

RETENTION: Final = "(retention)"  # principal in the audit log; no API key can have this name
_PAGE_LIMIT: Final = 500
_PAGE_DELAY: Final = 0.1  # seconds between pages, which leaves resources to requests
_POLL_INTERVAL: Final = 300.0  # seconds between two attempts to acquire the lease
_EXPIRY_MINUTES: Final = 10  # without renewal, after which another process takes over the lease
_MINUTE_SIZE: Final = 8  # bytes
_LEASE_ID: Final = sha256(b"peopleinfo retention").digest()  # key of the lease in the store
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
    store: Store, *, before: datetime, on_page: Callable[[], Awaitable[None]] = _no_delay
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
    store: Store,
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


class RetentionLease:
    """A lease that makes one of all processes run the daily deletion. Another process resumes it if the holder stops renewing.

    The store keeps the lease as the checkpoint of an import: `rows` is the day as an ordinal; `digest` contains the minute of the last
    renewal and random bytes, and is empty when the deletion is complete.
    """

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._held: Checkpoint | None = None

    async def acquire(self) -> bool:
        """Acquire the lease for today's deletion. Returns False if it is complete or another process holds the lease."""
        current = await self._store.progress(_LEASE_ID)
        if current.digest and current != self._held and self._minute() - _renewed_at(current) < _EXPIRY_MINUTES:
            return False
        today = self._now().astimezone(UTC).toordinal()
        if not current.digest and current.rows >= today:
            return False
        with suppress(ImportAlreadyRunning):  # another process was faster
            await self._write(current, day=today)
            return True
        return False

    async def renew(self) -> None:
        """Renew the lease, and pause between two pages. Raises ImportAlreadyRunning if another process has taken over."""
        await asyncio.sleep(_PAGE_DELAY)
        if self._held and self._minute() != _renewed_at(self._held):
            await self._write(self._held, day=self._held.rows)

    async def finish(self) -> None:
        """Mark the deletion as complete. Raises ImportAlreadyRunning if another process has taken over."""
        if self._held:
            await self._write(self._held, day=self._held.rows, complete=True)

    async def _write(self, current: Checkpoint, *, day: int, complete: bool = False) -> None:
        renewal = b"" if complete else self._minute().to_bytes(_MINUTE_SIZE) + secrets.token_bytes(8)
        lease = Checkpoint(_LEASE_ID, rows=day, digest=renewal)
        await self._store.create_many([], checkpoint=(current, lease))
        self._held = lease

    def _minute(self) -> int:
        return int(self._now().timestamp()) // 60


def _renewed_at(lease: Checkpoint) -> int:
    """Return the minute of the last renewal."""
    return int.from_bytes(lease.digest[:_MINUTE_SIZE])


async def run_retention(
    store: Store,
    audit: AuditLog | None,
    *,
    retention: timedelta,
    now: Callable[[], datetime],
    poll_interval: float = _POLL_INTERVAL,
) -> None:
    """Delete expired records once a day, in one of all processes, until cancelled. Errors are retried after `poll_interval`."""
    lease = RetentionLease(store, now)
    while True:
        try:
            if await lease.acquire():
                deleted = await delete_expired(
                    store, audit, before=now() - retention, by=RETENTION, on_page=lease.renew
                )
                await lease.finish()
                _log.info("retention_completed", erased=deleted)
        except (StoreUnavailable, ImportAlreadyRunning) as error:
            _log.warning("retention_failed", reason=str(error))
        except PeopleInfoError as error:
            _log.error("retention_failed", reason=type(error).__name__)
        await asyncio.sleep(poll_interval)
