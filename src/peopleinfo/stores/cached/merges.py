"""Merges of a store behind a cache. A merge and its undo invalidate the cache for every record that they change."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from peopleinfo.matching.merge_store import MergeRecord, MergeStore, MergeWrite, RecordChange, StoredLog, UndoWrite
    from peopleinfo.people.person import StoredPerson
    from peopleinfo.stores.cached.store import CachedStore


class CachedMerges:
    """Implements `MergeStore` in front of another one."""

    def __init__(self, merges: MergeStore, people: CachedStore) -> None:
        self._merges = merges
        self._people = people
        self.read_members = merges.read_members
        self.read_merge = merges.read_merge
        self.merges_of = merges.merges_of
        self.merge_ids = merges.merge_ids
        self.read_log = merges.read_log

    async def merge(self, write: MergeWrite) -> StoredPerson | None:
        names = await self._names(write.record.people, write.survivor)
        return await self._people.write_fenced(names, partial(self._merges.merge, write))

    async def undo(self, write: UndoWrite) -> list[StoredPerson] | None:
        names = await self._names(write.record.people, write.survivor, *write.merged)
        return await self._people.write_fenced(names, partial(self._merges.undo, write))

    async def store_merge(self, merge: MergeRecord, log: StoredLog | None) -> None:
        names = await self._names(merge.people)
        await self._people.write_fenced(names, partial(self._merges.store_merge, merge, log))

    async def _names(self, person_ids: list[str], *changes: RecordChange) -> list[str]:
        """Return the cache names of the records before and after the changes."""
        members = await self._merges.read_members(person_ids)
        names = [name for member in members if member for name in self._people.names_of(member.record)]
        return names + [self._people.name_of_surname(change.data.surname_key) for change in changes]
