"""Erasure of merged records: the records of one person are erased together."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

from peopleinfo.errors import PersonNotFound, VersionConflict
from peopleinfo.people.history import Operation
from peopleinfo.stores.dynamodb.client import ConditionFailed, non_atomic_writes
from peopleinfo.stores.dynamodb.conditional_writes import transact
from peopleinfo.stores.dynamodb.items import ALIAS, binary, bytes_attr, item_key_of, person_id_of, singleton_key
from peopleinfo.stores.dynamodb.merge_items import home_of_merged, is_merged, merged_key, remove_merged
from peopleinfo.stores.dynamodb.merge_reader import MergeReader
from peopleinfo.stores.dynamodb.trash_items import trash_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from peopleinfo.stores.dynamodb.client import Item, Json
    from peopleinfo.stores.dynamodb.merge_items import MergedItem


class MergeEraser(MergeReader):
    """Erases merged records."""

    async def erase_group(
        self, person_id: str, expected: int | None, delete: Callable[[str, int | None], Awaitable[None]]
    ) -> None:
        """Erase a record with all records that are merged with it; `delete` erases the current record.

        The record that the caller names is erased last, so that the caller can repeat an interrupted erasure.
        """
        survivor, *merged = await self.group(person_id)
        if survivor != person_id and expected is not None:
            raise await self.missing(person_id)
        await self._check_current(survivor, expected)
        await self.erase([each for each in merged if each != person_id])
        try:
            with non_atomic_writes() if len(merged) > 1 else nullcontext():
                await delete(survivor, expected)
        except PersonNotFound:
            if survivor == person_id or await self._is_in_trash(survivor):
                raise
            # An earlier erasure was interrupted after the survivor.
        if survivor != person_id:
            with non_atomic_writes():
                await self.erase([person_id])

    async def _check_current(self, person_id: str, expected: int | None) -> None:
        """Raise PersonNotFound for a person in the trash, and VersionConflict at another version, before a record is erased."""
        found = await self._find(person_id, "version, moved_to")
        if found is None and await self._is_in_trash(person_id):
            raise PersonNotFound(person_id)
        if found is not None and expected not in (None, found.version):
            raise VersionConflict(person_id, actual=found.version)

    async def erase(self, person_ids: Sequence[str]) -> None:
        """Erase merged records; skip those that are not merged."""
        for person_id in person_ids:
            if merged := await self.merged(person_id):
                await self._erase(person_id, merged)

    async def purge(self, items: Sequence[Item], *, remove: bool) -> int:
        """Return the number of merged records without an encryption key among the items of a scan; with `remove`, erase them."""
        records = {home_of_merged(item): item for item in items if is_merged(item)}
        lost = await self._format.without_key(list(records))
        for home in lost if remove else ():
            deletions: list[Json] = [{"Delete": {"Key": merged_key(home)}}, *_alias_writes(records[home])]
            await transact(self._table, [*deletions, *self._format.key_absent_conditions(home)])
            await self._erase_copies(home, person_id_of(home, records[home], self._ids))
        return len(lost)

    async def _erase(self, person_id: str, merged: MergedItem) -> None:
        home = merged.home
        change = self._announcement(home, person_id, merged.version + 2, Operation.DELETED, merged.item)
        changes = await self._feed.announce([change], more=[self._versions.marker(home, person_id)])
        writes = [remove_merged(merged), *self._format.delete_key_writes(home), *_alias_writes(merged.item)]
        async with self._feed.writing(changes):
            done = await transact(self._table, writes)
        if not done:  # restored or erased meanwhile
            await self._feed.withdraw(changes)
            return
        self._format.evict_key(home)
        with non_atomic_writes():  # the marker remains
            if "once" in merged.item:
                await self._clear_response(merged)
            await self._erase_copies(home, person_id)

    async def _clear_response(self, merged: MergedItem) -> None:
        """Delete the response that is saved under the idempotency key of the creation."""
        key = singleton_key(b"once" + bytes_attr(merged.item, "once"))
        with suppress(ConditionFailed):  # the key expired, or belongs to another record
            await self._table.update(key, "REMOVE answer", "place = :home", {":home": binary(merged.home.block)})

    async def _is_in_trash(self, person_id: str) -> bool:
        block = self._ids.decode(person_id)
        homes = [item_key_of(block)] if block else []
        if other := await self._home_of_alias(person_id):
            homes.append(other)
        return any([await self._table.get(trash_key(home), "pk") for home in homes])


def _alias_writes(item: Item) -> list[Json]:
    """Return the write that deletes the id of another store, if the record has one."""
    return [{"Delete": {"Key": singleton_key(ALIAS + bytes_attr(item, "alias"))}}] if "alias" in item else []
