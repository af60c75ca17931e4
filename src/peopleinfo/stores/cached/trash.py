"""The trash of a store behind a cache. A move to or from the trash invalidates the cache like a deletion."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from peopleinfo.errors import VersionConflict

if TYPE_CHECKING:
    from datetime import datetime

    from peopleinfo.people.person import StoredPerson
    from peopleinfo.people.trash import TrashStore
    from peopleinfo.stores.cached.store import CachedStore


class CachedTrash:
    """Implements `TrashStore` in front of another one."""

    def __init__(self, trash: TrashStore, people: CachedStore) -> None:
        self._trash = trash
        self._people = people
        self.get = trash.get
        self.page = trash.page
        self.erase = trash.erase  # needs no fence: no read finds a person in the trash
        self.expired = trash.expired

    async def add(
        self,
        person_id: str,
        *,
        expected: int | None = None,
        expires_at: datetime,
        principal: str | None = None,
        deleted_at: datetime | None = None,
    ) -> None:
        add = partial(self._trash.add, expires_at=expires_at, principal=principal, deleted_at=deleted_at)
        await self._people.delete_by(add, person_id, expected)

    async def restore(self, person_id: str, *, expected: int, principal: str | None = None) -> StoredPerson:
        deleted = await self._trash.get(person_id)
        if deleted.version != expected:
            raise VersionConflict(person_id, actual=deleted.version)
        restore = partial(self._trash.restore, person_id, expected=expected, principal=principal)
        return await self._people.write_fenced(self._people.names_of(deleted.record), restore)
