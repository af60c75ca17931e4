"""Reads of the local cache, which never wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peopleinfo.people.store import CacheStatus

if TYPE_CHECKING:
    from peopleinfo.people.person import StoredPerson
    from peopleinfo.people.person_filter import PersonFilter
    from peopleinfo.people.store import Page
    from peopleinfo.stores.cached.local import LocalCache


class LocalReader:
    """Implements `peopleinfo.people.store.ImmediateReader`."""

    source = CacheStatus.LOCAL

    def __init__(self, local: LocalCache) -> None:
        self._get = local.get

    def get_now(self, person_id: str) -> StoredPerson | None:
        """Implement `ImmediateReader.get_now`."""
        record: StoredPerson | None = self._get(person_id)
        return record if record is not None and record.version else None

    def find_now(self, person_filter: PersonFilter, limit: int) -> tuple[bytes, bytes | None] | None:
        """Implement `ImmediateReader.find_now`."""
        if person_filter.needs_row_check:
            return None
        page: Page | None = self._get((person_filter.surname_key, None, limit))
        return (b",".join(page.people), page.next) if page is not None else None
