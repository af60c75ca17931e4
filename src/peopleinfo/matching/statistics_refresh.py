"""Counting: keeps the statistics of the grades up to date, in one of all processes."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from peopleinfo.errors import PeopleInfoError
from peopleinfo.people.store import Lease

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from peopleinfo.matching.match_service import MatchService
    from peopleinfo.people.store import LeaseStore

_START_DELAY: Final = 60.0  # seconds
_INTERVAL: Final = 600.0  # seconds between two checks
_LEASE_TTL: Final = timedelta(hours=1)
_PAGE_LIMIT: Final = 50  # people whose preparation delays requests by a few milliseconds
_PAGE_DELAY: Final = 0.01  # seconds between two pages, which leaves resources to requests
_log = structlog.get_logger("peopleinfo.matching.statistics_refresh")


async def run_counts(
    matches: MatchService,
    leases: LeaseStore,
    *,
    now: Callable[[], datetime],
    start_delay: float = _START_DELAY,
    interval: float = _INTERVAL,
) -> None:
    """Count all people once a day, and when their number has doubled, until cancelled."""
    holder = secrets.token_bytes(16)
    await asyncio.sleep(start_delay)
    while True:
        try:
            lease = Lease("match statistics", holder, now() + _LEASE_TTL)
            if await matches.is_outdated() and await leases.acquire_lease(lease, now=now()):
                statistics = await matches.count(page_limit=_PAGE_LIMIT, delay=_PAGE_DELAY)
                _log.info("people_counted", people=statistics.people)
        except PeopleInfoError as error:
            _log.warning("people_count_failed", reason=type(error).__name__)
        await asyncio.sleep(interval)
