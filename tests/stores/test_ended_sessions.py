"""Ended sessions are rejected by every process that opens the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from falcon import testing
from falcon.asgi import Request, Response

from peopleinfo.auth.authenticator import STALE_KEY_TTL
from peopleinfo.errors import StoreUnavailable
from peopleinfo.http.sessions import Sessions
from tests.store_kinds import Clock, MonotonicClock, NoEndedSessions, open_store, scan_all

if TYPE_CHECKING:
    from pathlib import Path

    from peopleinfo.stores.service_store import OpenedStore

FIRST, SECOND = b"1" * 12, b"2" * 12


async def test_ended_session_is_stored(store: OpenedStore, clock: Clock) -> None:
    expires_at = clock.now() + timedelta(hours=8)
    assert not await store.ended_sessions.contains(FIRST)
    for _ in range(2):
        await store.ended_sessions.add(FIRST, expires_at=expires_at)
    assert await store.ended_sessions.contains(FIRST)
    assert not await store.ended_sessions.contains(SECOND)
    assert await scan_all(store) == []


async def test_ended_session_is_visible_to_other_processes_and_after_restart(
    store_kind: str, tmp_path: Path, clock: Clock
) -> None:
    expires_at = clock.now() + timedelta(hours=8)
    async with open_store(store_kind, tmp_path, clock) as store, open_store(store_kind, tmp_path, clock) as other:
        await store.ended_sessions.add(FIRST, expires_at=expires_at)
        assert await other.ended_sessions.contains(FIRST)
    async with open_store(store_kind, tmp_path, clock) as store:
        assert await store.ended_sessions.contains(FIRST)
        clock.advance(hours=7)
        await store.ended_sessions.add(SECOND, expires_at=clock.now() + timedelta(hours=8))
        assert await store.ended_sessions.contains(FIRST)  # kept until its cookie expires


async def receive() -> dict[str, str]:
    """Return the events of a request without a body."""
    return {"type": "http.disconnect"}


def request(**headers: str) -> Request:
    all_headers = {"Sec-Fetch-Site": "same-origin"} | headers
    return Request(testing.create_scope(headers=all_headers), receive)


def cookie(sessions: Sessions) -> str:
    response = Response()
    sessions.start(request(), response, "a key")
    assert response._cookies is not None
    return f"peopleinfo_session={response._cookies['peopleinfo_session'].value}"


async def test_other_sessions_continue_when_one_ends(store: OpenedStore) -> None:
    sessions, elsewhere = (Sessions(bytes(32), store.ended_sessions, now=lambda: datetime.now(UTC)) for _ in range(2))
    one, other = cookie(sessions), cookie(sessions)
    assert await elsewhere.credential(request(Cookie=one)) == "a key"
    await sessions.end(request(Cookie=one), Response())
    for process in (sessions, elsewhere):
        assert await process.credential(request(Cookie=one)) is None
        assert await process.peek(request(Cookie=one)) is None
        assert await process.credential(request(Cookie=other)) == "a key"


class UnavailableStore(NoEndedSessions):
    """A store of ended sessions that can be unavailable."""

    is_down = False

    async def add(self, session_id: bytes, *, expires_at: datetime) -> None:
        raise StoreUnavailable("down")

    async def contains(self, session_id: bytes) -> bool:
        if self.is_down:
            raise StoreUnavailable("down")
        return False


async def test_session_stays_valid_as_long_as_a_cached_key_while_store_is_down(moment: MonotonicClock) -> None:
    ended = UnavailableStore()
    sessions = Sessions(bytes(32), ended, now=lambda: datetime.now(UTC), monotonic=moment)
    cached, uncached = cookie(sessions), cookie(sessions)
    assert await sessions.credential(request(Cookie=cached)) == "a key"
    ended.is_down = True
    moment.now += STALE_KEY_TTL - 1
    assert await sessions.credential(request(Cookie=cached)) == "a key"
    with pytest.raises(StoreUnavailable):
        await sessions.credential(request(Cookie=uncached))
    moment.now += 1
    with pytest.raises(StoreUnavailable):
        await sessions.credential(request(Cookie=cached))


async def test_failed_logout_is_not_acknowledged() -> None:
    sessions = Sessions(bytes(32), UnavailableStore(), now=lambda: datetime.now(UTC))
    response = Response()
    with pytest.raises(StoreUnavailable):
        await sessions.end(request(Cookie=cookie(sessions)), response)
    assert not response._cookies
