"""Versions and changes in the table: not stored yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peopleinfo.errors import StoreUnavailable

if TYPE_CHECKING:
    from peopleinfo.people.history import ChangePage, VersionPage


class NoHistory:
    """Implements the reads of versions and changes until the store has them."""

    async def read_versions(self, person_id: str, *, after: int, limit: int) -> VersionPage:
        """Raise StoreUnavailable."""
        del person_id, after, limit
        raise StoreUnavailable("this store has no history yet")

    async def read_changes(self, *, since: bytes | None, limit: int) -> ChangePage:
        """Raise StoreUnavailable."""
        del since, limit
        raise StoreUnavailable("this store has no feed of changes yet")

    async def expire_history(self) -> bool:
        """Return False: there is nothing to delete."""
        return False
