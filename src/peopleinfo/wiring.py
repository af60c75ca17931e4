"""From settings to objects: the one module that knows every leaf."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from peopleinfo.people import People
from peopleinfo.sqlite.store import open_sqlite

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from peopleinfo.settings import Settings


@asynccontextmanager
async def open_people(settings: Settings) -> AsyncIterator[People]:
    """Open the store that the settings name, and close it again. Raises StoreUnusable, saying what to mend."""
    async with open_sqlite(settings.sqlite_path, now=utc_now) as store:
        yield People(store, now=utc_now)


def utc_now() -> datetime:
    """The clock of the service."""
    return datetime.now(UTC)
