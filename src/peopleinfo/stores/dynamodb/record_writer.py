"""Changes and deletions of one record, with its version in the history and the change in the feed."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from peopleinfo.errors import IdentifierConflict, OutcomeUnknown, PersonNotFound, StoreUnavailable, VersionConflict
from peopleinfo.people.history import Operation
from peopleinfo.people.person import StoredPerson, encode_person, split_record, timestamp
from peopleinfo.stores.dynamodb.client import ConditionFailed, TransactionCancelled, non_atomic_writes
from peopleinfo.stores.dynamodb.conditional_writes import transact
from peopleinfo.stores.dynamodb.history import moment, origin_attributes
from peopleinfo.stores.dynamodb.items import int_attr, number, person_id_of
from peopleinfo.stores.dynamodb.record_format import was_written_by
from peopleinfo.stores.dynamodb.record_writes import (
    AT_VERSION,
    SURVIVES,
    Located,
    carried_attributes,
    delete_writes,
    move_writes,
    update_write,
)
from peopleinfo.stores.dynamodb.table_writer import TableWriter
from peopleinfo.stores.dynamodb.unique_identifiers import IdentifierPending, Incoming

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peopleinfo.people.history import Origin
    from peopleinfo.people.person import PersonData
    from peopleinfo.stores.dynamodb.client import Item, Json
    from peopleinfo.stores.dynamodb.history import ItemPerson
    from peopleinfo.stores.dynamodb.items import ItemKey

_MAX_ATTEMPTS: Final = 20  # attempts of a write that conflicts with concurrent writes


class RecordWriter(TableWriter):
    """Changes and deletes records."""

    async def replace(self, home: ItemKey, current: ItemPerson, data: PersonData, origin: Origin) -> StoredPerson:
        """Replace the fields of a record at its current version. Raises PersonNotFound, VersionConflict."""
        old, fields = split_record(current)
        person_id, version = current.person_id, current.version + 1
        change = self._announcement(home, person_id, version, origin.operation, current.item)
        more, obsolete = await self._versions.archive(home, current.version, current.body, current.item)
        indexed = self._entries.change(home, version, (old, current.item), data)
        (change,) = await self._feed.announce([change], more=[*more, *indexed.items], obsolete=obsolete)
        at = timestamp(moment(change.time))
        record = encode_person(person_id, version, data, created_at=fields["created_at"], updated_at=at)
        made = origin_attributes(origin, change.time) | self._entries.indexed
        item_key = self._item_keys.rekeyed(home, old.surname_key)
        try:
            async with self._feed.writing([change]):
                await self._unique.check([Incoming(home, person_id, data)])
                await self._entries.add_words([indexed])
                log = await self._logs.edit_writes(home, current.item, current.version, record, data)
                if item_key == self._item_keys.rekeyed(home, data.surname_key):
                    await self._update_in_place(home, item_key, data, record, made, log)
                else:
                    await self._move_partition(home, data, record, made, log)
        except PersonNotFound:  # deleted meanwhile, maybe before its version was stored
            await self._erase_unless_kept(home)
            await self._undo_entries(indexed)
            raise
        except (VersionConflict, IdentifierConflict, IdentifierPending):
            await self._undo_entries(indexed)
            raise
        with non_atomic_writes():
            await self._entries.finish(indexed)
        return record

    async def delete(self, found: Located, person_id: str, merged: Sequence[str]) -> bool:
        """Erase a record with its versions and the records `merged` into it.

        Return False if it was changed or moved after `found` was read.
        """
        change = self._announcement(found.home, person_id, found.version + 1, Operation.DELETED, found.item)
        indexed, marker = await self._erasure(found.home, found.item, found.version + 1, person_id, merged)
        needs_marker = found.version > 1 or indexed.removed
        changes = await self._feed.announce([change], more=[marker] if needs_marker else [])
        async with self._feed.writing(changes):
            deleted = await self._delete_item(found, self._format.delete_key_writes(found.home))
        if not deleted:
            await self._feed.withdraw(changes)
            return False
        with non_atomic_writes():  # the marker remains
            if needs_marker:
                await self._entries.finish(indexed)
                await self._erase_copies(found.home, person_id, merged)
            else:
                await self._links.erase(person_id)
        return True

    async def resume_index_changes(self) -> None:
        """Remove the entries that interrupted changes left."""
        await self._entries.resume(self._read_current)

    async def purge(self, found: Located) -> None:
        """Erase a record without an encryption key; `found` has its attribute `alias`."""
        await self._delete_item(found, self._format.key_absent_conditions(found.home))
        await self._erase_copies(found.home, person_id_of(found.home, found.item, self._ids))

    async def _update_in_place(
        self, home: ItemKey, item_key: ItemKey, data: PersonData, record: StoredPerson, made: Item, log: list[Json]
    ) -> None:
        """Update a record in place, with the writes of its log: its surname, and so its partition, is unchanged."""
        write_id = secrets.token_bytes(8)
        attributes = await self._format.update_attributes(home, item_key, data.surname_key, record, write_id)
        attributes |= made
        change = "SET " + ", ".join(f"{name} = :{name}" for name in attributes)
        values = {f":{name}": text for name, text in attributes.items()}
        values[":expected"] = number(record.version - 1)
        try:
            if log:
                await self._table.transact_write(
                    update_write(item_key, change, values), *log, token=secrets.token_hex(16)
                )
            else:
                await self._table.update(item_key.key, change, AT_VERSION, values)
        except (ConditionFailed, TransactionCancelled) as failed:
            if isinstance(failed, TransactionCancelled) and not any(failed.failed):
                raise
            item = failed.item if isinstance(failed, ConditionFailed) else None
            if item is None or "moved_to" in item:  # the record moved to another partition
                found = await self._locate(home, "version, write_id, moved_to")
                item = found.item if found else None
            self._raise_conflict(record, item, write_id, repeated=failed.repeated)

    async def _move_partition(
        self, home: ItemKey, data: PersonData, record: StoredPerson, made: Item, log: list[Json]
    ) -> None:
        """Update a record and move it to the partition of its new surname, with the writes of its log."""
        write_id = secrets.token_bytes(8)
        repeated = False
        for _ in range(_MAX_ATTEMPTS):
            found = await self._locate(home, f"version, write_id, once, alias, moved_to, {SURVIVES}")
            if found is None or found.version != record.version - 1:
                self._raise_conflict(record, found.item if found else None, write_id, repeated=repeated)
                return
            target = self._item_keys.rekeyed(home, data.surname_key)
            attributes = await self._format.update_attributes(home, target, data.surname_key, record, write_id)
            item = target.key | carried_attributes(found.item) | attributes | made
            try:
                await self._table.transact_write(*move_writes(found, target, item), *log, token=secrets.token_hex(16))
            except TransactionCancelled as cancelled:
                if not any(cancelled.failed):
                    raise
                repeated = repeated or cancelled.repeated
            else:
                return
        raise StoreUnavailable("concurrent moves of the person prevented the change; try again")

    def _raise_conflict(self, record: StoredPerson, item: Item | None, write_id: bytes, *, repeated: bool) -> None:
        """Raise the error of a failed condition; return if an earlier attempt applied the change."""
        if was_written_by(item, write_id):
            return
        if repeated:  # an earlier attempt may have succeeded before another write changed the record
            raise OutcomeUnknown("another request changed the person at the same time")
        if item is None:
            raise PersonNotFound(record.person_id)
        raise VersionConflict(record.person_id, actual=int_attr(item, "version"))

    async def _delete_item(self, found: Located, extra_writes: list[Json]) -> bool:
        """Delete a record with its saved response in one transaction with `extra_writes`.

        Return False if the record was changed or moved after `found` was read.
        """
        writes, response_writes = delete_writes(found)
        # The response remains if only its condition fails: the idempotency key expired, or belongs to another record.
        is_done = await transact(self._table, [*writes, *extra_writes], response_writes)
        if is_done:
            self._format.evict_key(found.home)
        return is_done
