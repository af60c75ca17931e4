"""Merges in the table. Implements `peopleinfo.matching.merge_store.MergeStore`.

One transaction applies a merge or an undo; each record in it has a condition on its version.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.errors import (
    IdentifierConflict,
    PersonNotFound,
    StoreUnavailable,
    VersionConflict,
)
from peopleinfo.matching.merge_store import encode_log, reencoded
from peopleinfo.people.history import Operation, Origin
from peopleinfo.people.person import StoredPerson, check_stored, timestamp
from peopleinfo.stores.dynamodb.client import non_atomic_writes
from peopleinfo.stores.dynamodb.conditional_writes import transact
from peopleinfo.stores.dynamodb.history import moment, origin_attributes, time_of
from peopleinfo.stores.dynamodb.items import number
from peopleinfo.stores.dynamodb.merge_archive import MergeArchive
from peopleinfo.stores.dynamodb.merge_eraser import MergeEraser
from peopleinfo.stores.dynamodb.merge_items import (
    MergedItem,
    add_merge,
    log_item,
    log_key,
    merged_item,
    remove_merged,
    replace_merge,
)
from peopleinfo.stores.dynamodb.merge_reader import ATTRIBUTES
from peopleinfo.stores.dynamodb.record_writes import (
    SURVIVES,
    Located,
    carried_attributes,
    move_writes,
    removal_writes,
    update_write,
)
from peopleinfo.stores.dynamodb.search_entries import data_of
from peopleinfo.stores.dynamodb.trash_items import store_writes
from peopleinfo.stores.dynamodb.unique_identifiers import IdentifierPending, Incoming

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peopleinfo.matching.merge_store import MergeRecord, MergeWrite, RecordChange, UndoWrite
    from peopleinfo.stores.dynamodb.changes import Announcement
    from peopleinfo.stores.dynamodb.client import Item, Json
    from peopleinfo.stores.dynamodb.items import ItemKey
    from peopleinfo.stores.dynamodb.search_entries import IndexChange

_MAX_ATTEMPTS: Final = 20  # attempts of a write that conflicts with concurrent writes


class _Current(NamedTuple):
    """A current record with its item."""

    found: Located
    record: StoredPerson


class _Restored(NamedTuple):
    """A merged record that an undo restores."""

    merged: MergedItem
    change: RecordChange
    announced: Announcement
    archived: list[Item]
    obsolete: list[Item]
    indexed: IndexChange
    before: StoredPerson


class DynamoDBMerges(MergeArchive, MergeEraser):
    """Merges of the records in the table."""

    async def merge(self, write: MergeWrite) -> StoredPerson | None:
        for _ in range(_MAX_ATTEMPTS):
            if await self.read_merge(write.record.merge_id):
                return None
            survivor = await self._current(write.survivor.person_id, write.survivor.expected)
            merged = [await self._current(each.person_id, each.version - 1) for each in write.record.merged]
            if record := await self._merge(write, survivor, merged):
                return record
        raise StoreUnavailable("concurrent changes of the people prevented their merge; try again")

    async def undo(self, write: UndoWrite) -> list[StoredPerson] | None:
        for _ in range(_MAX_ATTEMPTS):
            stored = await self.read_merge(write.record.merge_id)
            if stored is None or stored.undone_at is not None:
                return None
            survivor = await self._current(write.survivor.person_id, write.survivor.expected)
            restored = [await self._restored(change, stored) for change in write.merged]
            if people := await self._undo(write, stored, survivor, restored):
                return people
        raise StoreUnavailable("concurrent changes of the people prevented the undo; try again")

    async def _current(self, person_id: str, expected: int) -> _Current:
        """Return a current record. Raises PersonNotFound, PersonMerged, VersionConflict."""
        found = await self._find(person_id, ATTRIBUTES)
        if found is None:
            raise await self.missing(person_id)
        body = await self._format.body(found.home, found.item)
        if body is None:
            raise PersonNotFound(person_id)
        if found.version != expected:
            raise VersionConflict(person_id, actual=found.version)
        return _Current(found, StoredPerson(person_id, found.version, check_stored(body, person_id)))

    async def _merge(self, write: MergeWrite, survivor: _Current, merged: Sequence[_Current]) -> StoredPerson | None:
        """Apply a merge of located records; return None if one of them has changed since."""
        found, version = survivor.found, survivor.record.version + 1
        person_id, data = survivor.record.person_id, write.survivor.data
        announced = [
            self._announcement(found.home, person_id, version, Operation.UPDATED, found.item),
            *(self._merged_announcement(each)._replace(merged_into=person_id) for each in merged),
        ]
        more, obsolete = await self._versions.archive(found.home, found.version, survivor.record.body, found.item)
        indexed = self._entries.change(found.home, version, (data_of(survivor.record.body), found.item), data)
        removed = [self._removed(each) for each in merged]
        all_indexed = [indexed, *removed]
        more += [item for each in all_indexed for item in each.items]
        changes = await self._feed.announce(announced, more=more, obsolete=obsolete)
        record = reencoded(survivor.record, version, timestamp(moment(changes[0].time)), data.to_dict())
        target = self._item_keys.rekeyed(found.home, data.surname_key)
        write_id = secrets.token_bytes(8)
        attributes = await self._format.update_attributes(found.home, target, data.surname_key, record, write_id)
        attributes |= origin_attributes(Origin(Operation.MERGED, write.principal), changes[0].time)
        attributes |= self._entries.indexed | {SURVIVES: number(1)}
        homes = [found.home, *(each.found.home for each in merged)]
        writes = [
            *_replace_writes(found, target, attributes),
            *await self._logs.writes(found.home, version, write.survivor.log),
            *add_merge(write.record, homes),
        ]
        for each in merged:
            item = merged_item(each.found, found.home, person_id, write.record.merge_id)
            writes += [*removal_writes(each.found), {"Put": {"Item": item}}]
        try:
            async with self._feed.writing(changes):
                await self._unique.check([Incoming(found.home, person_id, data)], besides=homes)
                await self._entries.add_words([indexed])
                done = await transact(self._table, writes)
        except (IdentifierConflict, IdentifierPending):
            await self._undo_all(all_indexed)
            raise
        if not done:
            await self._feed.withdraw(changes)
            await self._undo_all(all_indexed)
            await self._erase_unless_kept(*homes)
            return None
        with non_atomic_writes():
            for change in all_indexed:
                await self._entries.finish(change)
        return record

    async def _restored(self, change: RecordChange, merge: MergeRecord) -> _Restored:
        """Return a merged record with the writes that restore it. Raises PersonNotFound, VersionConflict."""
        merged = await self.merged(change.person_id)
        record = await self._record_of(change.person_id, merged) if merged else None
        if merged is None or record is None:
            raise VersionConflict(change.person_id, actual=change.expected + 1)
        if merged.merge_id != merge.merge_id or merged.version + 1 != change.expected:
            raise VersionConflict(change.person_id, actual=merged.version + 1)
        home, version = merged.home, change.expected + 1
        announced = self._announcement(home, change.person_id, version, Operation.UNMERGED, merged.item)
        between = reencoded(record, merged.version + 1, merge.at)
        origin = origin_attributes(Origin(Operation.MERGED, merge.by), time_of(merged.item))
        first, old = await self._versions.archive(home, record.version, record.body, merged.item)
        second, older = await self._versions.archive(home, between.version, between.body, origin)
        first = [item for item in first if {"pk": item["pk"], "sk": item["sk"]} not in older]
        # The item of a record without entries: a merge removes them.
        indexed = self._entries.change(home, version, (data_of(record.body), {}), change.data)
        return _Restored(merged, change, announced, [*first, *second], [*old, *older], indexed, record)

    async def _undo(
        self, write: UndoWrite, stored: MergeRecord, survivor: _Current, restored: Sequence[_Restored]
    ) -> list[StoredPerson] | None:
        """Apply an undo of located records; return None if one of them has changed since."""
        found, version = survivor.found, survivor.record.version + 1
        home, person_id, data = found.home, survivor.record.person_id, write.survivor.data
        renewal = await self._format.renew_key(home)
        marker = self._renewals.marker(home, renewal, write, found.version)
        more, obsolete = await self._versions.archive(home, found.version, survivor.record.body, found.item)
        indexed = self._entries.change(home, version, (data_of(survivor.record.body), found.item), data)
        announced = [
            self._announcement(home, person_id, version, Operation.UPDATED, found.item),
            *(each.announced for each in restored),
        ]
        for each in restored:
            more, obsolete = [*more, *each.archived, *each.indexed.items], [*obsolete, *each.obsolete]
        changes = await self._feed.announce(announced, more=[marker, *more, *indexed.items], obsolete=obsolete)
        record = reencoded(survivor.record, version, timestamp(moment(changes[0].time)), data.to_dict())
        target = self._item_keys.rekeyed(home, data.surname_key)
        attributes = renewal.attributes(target, data.surname_key, record, secrets.token_bytes(8))
        attributes |= origin_attributes(Origin(Operation.UNMERGED, write.principal), changes[0].time)
        attributes |= self._entries.indexed
        log = write.survivor.log
        put_log: Json = (
            {"Put": {"Item": log_item(home, version, renewal.encrypt_log(version, encode_log(log)))}}
            if log
            else {"Delete": {"Key": log_key(home)}}
        )
        gone = () if log else (SURVIVES,)
        writes = [*_replace_writes(found, target, attributes, gone), put_log, *renewal.writes]
        writes.append(replace_merge(stored, write.record))
        people = [record]
        for each, change in zip(restored, changes[1:], strict=True):
            after, more_writes = await self._restore_writes(each, change, write.principal)
            people.append(after)
            writes += more_writes
        incoming = [
            Incoming(home, person_id, data),
            *(Incoming(each.merged.home, each.change.person_id, each.change.data) for each in restored),
        ]
        all_indexed = [indexed, *(each.indexed for each in restored)]
        try:
            async with self._feed.writing(changes):
                await self._unique.check(incoming)
                await self._entries.add_words(all_indexed)
                done = await transact(self._table, writes)
        except (IdentifierConflict, IdentifierPending):
            await self._undo_all(all_indexed)
            raise
        if not done:
            await self._feed.withdraw(changes)
            await self._undo_all(all_indexed)
            await self._erase_unless_kept(*(one.home for one in incoming))
            return None
        self._format.evict_key(home)
        with non_atomic_writes():
            for each_indexed in all_indexed:
                await self._entries.finish(each_indexed)
            await self._renewals.finish(home, marker)
        return people

    async def _restore_writes(
        self, each: _Restored, change: Announcement, principal: str | None
    ) -> tuple[StoredPerson, list[Json]]:
        """Return a restored record, and the writes that move it back."""
        home, data = each.merged.home, each.change.data
        at = timestamp(moment(change.time))
        record = reencoded(each.before, each.change.expected + 1, at, data.to_dict())
        target = self._item_keys.rekeyed(home, data.surname_key)
        attributes = await self._format.update_attributes(
            home, target, data.surname_key, record, secrets.token_bytes(8)
        )
        attributes |= origin_attributes(Origin(Operation.UNMERGED, principal), change.time)
        item = target.key | each.merged.kept | attributes | self._entries.indexed
        writes = [remove_merged(each.merged), *store_writes(home, target, item)]
        return record, writes + await self._logs.writes(home, record.version, each.change.log)

    async def _undo_all(self, indexed: Sequence[IndexChange]) -> None:
        for change in indexed:
            await self._undo_entries(change)

    def _merged_announcement(self, each: _Current) -> Announcement:
        found, version = each.found, each.record.version + 1
        return self._announcement(found.home, each.record.person_id, version, Operation.MERGED, found.item)

    def _removed(self, each: _Current) -> IndexChange:
        before = (data_of(each.record.body), each.found.item)
        return self._entries.change(each.found.home, each.record.version + 1, before, None)


def _replace_writes(found: Located, target: ItemKey, attributes: Item, removed: Sequence[str] = ()) -> list[Json]:
    """Return the writes that replace a record, which may move to another partition."""
    if target != found.item_key:
        carried = {name: value for name, value in carried_attributes(found.item).items() if name not in removed}
        return move_writes(found, target, target.key | carried | attributes)
    change = "SET " + ", ".join(f"{name} = :{name}" for name in attributes)
    change += "".join(f" REMOVE {name}" for name in removed)
    values = {f":{name}": value for name, value in attributes.items()} | {":expected": number(found.version)}
    return [update_write(target, change, values)]
