"""Expiry: deletion of the versions and changes that exceed the limits of the history."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from peopleinfo.errors import PeopleInfoError

if TYPE_CHECKING:
    from peopleinfo.people.history import HistoryExpiry

_INTERVAL: Final = 3_600.0  # seconds
_START_DELAY: Final = 60.0  # seconds
_BATCH_DELAY: Final = 0.1  # seconds between two batches, which leaves resources to requests
_log = structlog.get_logger("peopleinfo.privacy.history_expiry")


async def run_expiry(store: HistoryExpiry, *, start_delay: float = _START_DELAY, interval: float = _INTERVAL) -> None:
    """Delete expired versions and changes after `start_delay` and then every `interval` seconds, until cancelled."""
    await asyncio.sleep(start_delay)
    while True:
        try:
            more = await store.expire_history()
        except PeopleInfoError as error:
            _log.warning("history_expiry_failed", reason=str(error))
            more = False
        await asyncio.sleep(_BATCH_DELAY if more else interval)
