"""The merges of a table as a whole, for backups and copies. Implements `peopleinfo.matching.merge_store.MergeArchive`."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from peopleinfo.errors import StoreUnavailable
from peopleinfo.matching.merge_store import StoredLog, decode_log
from peopleinfo.people.history import Operation
from peopleinfo.stores.dynamodb.client import non_atomic_writes
from peopleinfo.stores.dynamodb.conditional_writes import transact
from peopleinfo.stores.dynamodb.items import binary, bytes_attr, int_attr, number
from peopleinfo.stores.dynamodb.merge_items import (
    add_merge,
    log_key,
    merge_of,
    merged_item,
    merged_key,
    replace_merge,
)
from peopleinfo.stores.dynamodb.merge_reader import ATTRIBUTES, MergeReader
from peopleinfo.stores.dynamodb.record_writes import AT_VERSION, SURVIVES, Located, removal_writes
from peopleinfo.stores.dynamodb.search_entries import data_of

if TYPE_CHECKING:
    from peopleinfo.matching.merge_store import MergedVersion, MergeRecord
    from peopleinfo.stores.dynamodb.changes import Announcement
    from peopleinfo.stores.dynamodb.client import Item, Json
    from peopleinfo.stores.dynamodb.items import ItemKey
    from peopleinfo.stores.dynamodb.search_entries import IndexChange

_MAX_ATTEMPTS: Final = 20  # attempts of a write that conflicts with concurrent writes
_SCAN_LIMIT: Final = 1_000  # items of a request
_IS_MERGE: Final[dict[str, Any]] = {
    "FilterExpression": "begins_with(pk, :g) AND attribute_exists(#record)",
    "ExpressionAttributeNames": {"#record": "record"},
    "ExpressionAttributeValues": {":g": binary(b"g")},
}


class _Merged(NamedTuple):
    """A current record that a merge of another store merges."""

    found: Located
    change: Announcement
    indexed: IndexChange


class MergeArchive(MergeReader):
    """Reads and stores merges."""

    async def merge_ids(self) -> list[str]:
        """Implement `MergeArchive.merge_ids`; reads the whole table."""
        merges: list[MergeRecord] = []
        start: dict[str, Item] = {}
        while True:
            items, last = await self._table.scan(limit=_SCAN_LIMIT, **_IS_MERGE, **start)
            merges += map(merge_of, items)
            if last is None:
                return [merge.merge_id for merge in sorted(merges, key=attrgetter("at"))]
            start = {"ExclusiveStartKey": last}

    async def read_log(self, person_id: str) -> StoredLog | None:
        """Implement `MergeArchive.read_log`."""
        home = await self._home(person_id)
        item = await self._table.get(log_key(home)) if home else None
        if home is None or item is None:
            return None
        version = int_attr(item, "version")
        log = await self._format.decrypt_log(home, version, bytes_attr(item, "log"))
        return StoredLog(version, decode_log(log)) if log is not None else None

    async def store_merge(self, merge: MergeRecord, log: StoredLog | None) -> None:
        """Implement `MergeArchive.store_merge`."""
        for _ in range(_MAX_ATTEMPTS):
            if await self._store_merge(merge, log):
                return
        raise StoreUnavailable("concurrent changes of the people prevented the copy of their merge; try again")

    async def _store_merge(self, merge: MergeRecord, log: StoredLog | None) -> bool:
        """Store a merge; return False if one of its records has changed since it was read."""
        stored = await self.read_merge(merge.merge_id)
        log_writes = await self._log_writes(merge.survivor.person_id, log)
        homes = [home for each in merge.people if (home := await self._home(each))]
        if stored is not None:
            undone = [replace_merge(stored, merge)] if merge.undone_at and not stored.undone_at else []
            writes = [*undone, *log_writes]
            return not writes or await transact(self._table, writes)
        if merge.undone_at:
            return await transact(self._table, [*add_merge(merge, homes), *log_writes])
        merged = [one for each in merge.merged if (one := await self._current_merged(each, merge))]
        if len(merged) < len(merge.merged) or not log_writes:
            return True
        return await self._move(merge, merged, [*add_merge(merge, homes), *log_writes], homes[0])

    async def _move(self, merge: MergeRecord, merged: list[_Merged], writes: list[Json], survivor: ItemKey) -> bool:
        """Run the writes of a merge, and move its merged records; return False if one of them has changed."""
        markers = [item for one in merged for item in one.indexed.items]
        changes = await self._feed.announce([one.change for one in merged], more=markers)
        for one in merged:
            item = merged_item(one.found, survivor, merge.survivor.person_id, merge.merge_id)
            writes += [*removal_writes(one.found), {"Put": {"Item": item}}]
        async with self._feed.writing(changes):
            done = await transact(self._table, writes)
        if not done:
            await self._feed.withdraw(changes)
            return False
        with non_atomic_writes():
            for one in merged:
                await self._entries.finish(one.indexed)
        return True

    async def _current_merged(self, each: MergedVersion, merge: MergeRecord) -> _Merged | None:
        """Return a record of a merge, None unless it is current at the version before the merge."""
        found = await self._find(each.person_id, ATTRIBUTES)
        body = await self._format.body(found.home, found.item) if found else None
        if found is None or body is None or found.version != each.version - 1:
            return None
        change = self._announcement(found.home, each.person_id, each.version, Operation.MERGED, found.item)
        indexed = self._entries.change(found.home, each.version, (data_of(body), found.item), None)
        return _Merged(found, change._replace(merged_into=merge.survivor.person_id), indexed)

    async def _log_writes(self, person_id: str, log: StoredLog | None) -> list[Json]:
        """Return the writes of the log of a survivor, none unless it is current or merged at the version of the log."""
        if log is None:
            return []
        if found := await self._find(person_id, "version, moved_to"):
            home, version, key = found.home, found.version, found.item_key.key
        elif merged := await self.merged(person_id):
            home, version, key = merged.home, merged.version, merged_key(merged.home)
        else:
            return []
        if version != log.version:
            return []
        update = {
            "Key": key,
            "UpdateExpression": f"SET {SURVIVES} = :one",
            "ConditionExpression": AT_VERSION,
            "ExpressionAttributeValues": {":one": number(1), ":expected": number(version)},
        }
        return [{"Update": update}, *await self._logs.writes(home, version, log.log)]
