"""Erasure of merged records: the records of one person are erased together."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from peopleinfo.errors import PersonNotFound
from peopleinfo.people.history import Operation
from peopleinfo.stores.dynamodb.client import ConditionFailed, non_atomic_writes
from peopleinfo.stores.dynamodb.conditional_writes import transact
from peopleinfo.stores.dynamodb.history import merged_of
from peopleinfo.stores.dynamodb.items import ALIAS, binary, bytes_attr, person_id_of, singleton_key
from peopleinfo.stores.dynamodb.merge_items import home_of_merged, is_merged, merged_key, remove_merged
from peopleinfo.stores.dynamodb.merge_reader import MergeReader
from peopleinfo.stores.dynamodb.trash_items import is_kept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peopleinfo.stores.dynamodb.client import Item, Json
    from peopleinfo.stores.dynamodb.merge_items import MergedItem


class MergeEraser(MergeReader):
    """Erases merged records."""

    async def resume(self, person_id: str) -> None:
        """Complete an interrupted erasure that the caller repeats. Raises PersonNotFound unless it included merged records."""
        survivor, home = await self.survivor(person_id)
        marker = await self._versions.read_marker(home) if home else None
        if home is None or marker is None:
            raise PersonNotFound(person_id)
        merged = merged_of(marker)
        with non_atomic_writes():
            await self._entries.erase(marker)
            await self._erase_copies(home, survivor, erasure_order(merged, person_id))
        if not merged:  # the record itself is erased, perhaps by a concurrent request
            raise PersonNotFound(person_id)

    async def erase_marked(self, marker: Item) -> None:
        """Erase the merged records of a deletion that was interrupted."""
        await self.erase(merged_of(marker))

    async def erase(self, person_ids: Sequence[str]) -> None:
        """Erase records that were merged into an erased one. Safe to repeat."""
        for person_id in person_ids:
            _, survivor = await self.survivor(person_id)
            if survivor and not await is_kept(self._table, survivor):
                await self._erase(person_id)

    async def purge(self, items: Sequence[Item], *, remove: bool) -> int:
        """Return the number of merged records without an encryption key among the items of a scan; with `remove`, erase them."""
        records = {home_of_merged(item): item for item in items if is_merged(item)}
        lost = await self._format.without_key(list(records))
        for home in lost if remove else ():
            deletions: list[Json] = [{"Delete": {"Key": merged_key(home)}}, *_alias_writes(records[home])]
            await transact(self._table, [*deletions, *self._format.key_absent_conditions(home)])
            await self._erase_copies(home, person_id_of(home, records[home], self._ids))
        return len(lost)

    async def _erase(self, person_id: str) -> None:
        merged = await self.merged(person_id)
        if merged is None:  # an earlier erasure was interrupted after the record
            if home := await self._home(person_id):
                await self._erase_copies(home, person_id)
            return
        home = merged.home
        # An interrupted merge may have left entries.
        indexed, marker = await self._erasure(home, merged.item, merged.version + 1, person_id)
        change = self._announcement(home, person_id, merged.version + 2, Operation.DELETED, merged.item)
        changes = await self._feed.announce([change], more=[marker])
        writes = [remove_merged(merged), *self._format.delete_key_writes(home), *_alias_writes(merged.item)]
        async with self._feed.writing(changes):
            done = await transact(self._table, writes)
        if not done:  # erased meanwhile
            await self._feed.withdraw(changes)
            return
        self._format.evict_key(home)
        with non_atomic_writes():  # the marker remains
            await self._entries.finish(indexed)
            if "once" in merged.item:
                await self._clear_response(merged)
            await self._erase_copies(home, person_id)

    async def _clear_response(self, merged: MergedItem) -> None:
        """Delete the response that is saved under the idempotency key of the creation."""
        key = singleton_key(b"once" + bytes_attr(merged.item, "once"))
        with suppress(ConditionFailed):  # the key expired, or belongs to another record
            await self._table.update(key, "REMOVE answer", "place = :home", {":home": binary(merged.home.block)})


def erasure_order(person_ids: Sequence[str], requested: str) -> list[str]:
    """Return ids with the requested one at the end: the caller can repeat an interrupted erasure while its record exists."""
    return sorted(person_ids, key=requested.__eq__)


def _alias_writes(item: Item) -> list[Json]:
    """Return the write that deletes the id of another store, if the record has one."""
    return [{"Delete": {"Key": singleton_key(ALIAS + bytes_attr(item, "alias"))}}] if "alias" in item else []
