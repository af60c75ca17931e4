"""A session is good for a working day, and only as the server made it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from falcon import testing
from falcon.asgi import Request

from peopleinfo.http.sessions import LASTS, Sessions
from tests.console.test_signing_in import nothing, sealed
from tests.stores_under_test import NoEndedSessions


def request(cookie: str) -> Request:
    return Request(testing.create_scope(headers={"Cookie": f"peopleinfo_session={cookie}"}), nothing)


async def test_a_session_lasts_for_a_working_day() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    times = iter([moment, moment + LASTS - timedelta(seconds=1), moment + LASTS])
    sessions = Sessions(bytes(32), NoEndedSessions(), now=lambda: next(times))
    cookie = sealed(sessions)
    assert await sessions.credential(request(cookie)) == "a key"
    assert await sessions.credential(request(cookie)) is None


@pytest.mark.parametrize(
    "change",
    [lambda c: c[:-4], lambda c: "A" + c[1:], lambda _: "", lambda _: "*", lambda c: c[::-1]],
    ids=["cut", "other", "empty", "no base64", "backwards"],
)
async def test_a_session_that_was_tampered_with_is_none(change: object) -> None:
    sessions = Sessions(bytes(32), NoEndedSessions(), now=lambda: datetime.now(UTC))
    assert callable(change)
    assert await sessions.credential(request(change(sealed(sessions)))) is None
    other = Sessions(bytes([1]) * 32, NoEndedSessions(), now=lambda: datetime.now(UTC))
    assert await other.credential(request(sealed(sessions))) is None
