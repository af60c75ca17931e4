"""Sessions expire after a working day, and the server rejects modified cookies."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from falcon import testing
from falcon.asgi import Request
from hypothesis import given
from hypothesis import strategies as st

from peopleinfo.auth.authenticator import STALE_KEY_TTL
from peopleinfo.errors import StoreUnavailable
from peopleinfo.http.sessions import LIFETIME, Sessions
from tests.console.test_login import receive, session_cookie
from tests.store_kinds import MonotonicClock, NoEndedSessions


def request(cookie: str) -> Request:
    return Request(testing.create_scope(headers={"Cookie": f"peopleinfo_session={cookie}"}), receive)


async def test_session_expires_after_a_working_day() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    times = iter([moment, moment + LIFETIME - timedelta(seconds=1), moment + LIFETIME])
    sessions = Sessions(bytes(32), NoEndedSessions(), now=lambda: next(times))
    cookie = session_cookie(sessions)
    assert await sessions.credential(request(cookie)) == "a key"
    assert await sessions.credential(request(cookie)) is None


@pytest.mark.parametrize(
    "change",
    [lambda c: c[:-4], lambda c: "A" + c[1:], lambda _: "", lambda _: "*", lambda c: c[::-1]],
    ids=["cut", "other", "empty", "no base64", "backwards"],
)
async def test_modified_session_is_rejected(change: object) -> None:
    sessions = Sessions(bytes(32), NoEndedSessions(), now=lambda: datetime.now(UTC))
    assert callable(change)
    assert await sessions.credential(request(change(session_cookie(sessions)))) is None
    other = Sessions(bytes([1]) * 32, NoEndedSessions(), now=lambda: datetime.now(UTC))
    assert await other.credential(request(session_cookie(sessions))) is None


@given(st.binary(max_size=60))
def test_cookie_of_another_release_is_rejected(content: bytes) -> None:
    sessions = Sessions(bytes(32), NoEndedSessions(), now=lambda: datetime.now(UTC))
    ciphertext = sessions._cookie._cipher.encrypt(content)
    found = sessions._cookie.content(request(base64.urlsafe_b64encode(ciphertext).decode()))
    assert found is None or content[8:] == found.text.encode()


@pytest.mark.parametrize("ends", [b"", b"\x00" * 7, b"\xff" * 8, b"\x00\x00\x0f" + b"\xff" * 5])
@pytest.mark.parametrize("text", [b"", b"\xff\xfe", b"a key"])
def test_cookie_with_an_impossible_time_is_rejected(ends: bytes, text: bytes) -> None:
    sessions = Sessions(bytes(32), NoEndedSessions(), now=lambda: datetime.now(UTC))
    ciphertext = sessions._cookie._cipher.encrypt(ends + text)
    assert sessions._cookie.content(request(base64.urlsafe_b64encode(ciphertext).decode())) is None


class UnavailableStore:
    """A store of ended sessions that can be unavailable."""

    def __init__(self) -> None:
        self.is_down = False

    async def add(self, session_id: bytes, *, expires_at: datetime) -> None:
        raise StoreUnavailable("down")

    async def contains(self, session_id: bytes) -> bool:
        if self.is_down:
            raise StoreUnavailable("down")
        return False


async def test_session_remains_valid_for_a_time_while_store_is_down(moment: MonotonicClock) -> None:
    store = UnavailableStore()
    sessions = Sessions(bytes(32), store, now=lambda: datetime.now(UTC), monotonic=moment)
    known, new = session_cookie(sessions), session_cookie(sessions)
    assert await sessions.credential(request(known)) == "a key"
    store.is_down = True
    moment.now += STALE_KEY_TTL - 1
    assert await sessions.credential(request(known)) == "a key"
    with pytest.raises(StoreUnavailable):
        await sessions.credential(request(new))
    moment.now += 1
    with pytest.raises(StoreUnavailable):
        await sessions.credential(request(known))
