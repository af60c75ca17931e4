"""Reads of merges from the table."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from peopleinfo.errors import PersonMerged, PersonNotFound, StoreUnavailable, VersionConflict
from peopleinfo.matching.merge_store import Member, reencoded
from peopleinfo.people.history import Operation, Origin, PersonVersion
from peopleinfo.people.person import StoredPerson, check_stored
from peopleinfo.stores.dynamodb.history import origin_of
from peopleinfo.stores.dynamodb.items import binary, item_key_of
from peopleinfo.stores.dynamodb.merge_items import (
    MEMBER,
    MergedItem,
    merge_key,
    merge_key_of,
    merge_of,
    merged_key,
    partition,
)
from peopleinfo.stores.dynamodb.queries import query_items
from peopleinfo.stores.dynamodb.record_writes import ORIGIN, SURVIVES, Located
from peopleinfo.stores.dynamodb.search_entries import INDEXED
from peopleinfo.stores.dynamodb.table_writer import TableWriter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from peopleinfo.matching.merge_store import MergeRecord
    from peopleinfo.stores.dynamodb.items import ItemKey
    from peopleinfo.stores.dynamodb.key_renewal import KeyRenewals
    from peopleinfo.stores.dynamodb.table_writer import WriterParts

_MAX_ATTEMPTS: Final = 20  # attempts of a read that conflicts with concurrent writes
ATTRIBUTES: Final = ", ".join(("version", "body", "moved_to", "once", "alias", SURVIVES, *ORIGIN, INDEXED))


class MergeReader(TableWriter):
    """Reads merged records and merges."""

    def __init__(
        self,
        parts: WriterParts,
        find: Callable[[str, str], Awaitable[Located | None]],
        home_of_alias: Callable[[str], Awaitable[ItemKey | None]],
        renewals: KeyRenewals,
    ) -> None:
        """`find` reads the current item of a person; `home_of_alias` returns the home key of an id of another store."""
        super().__init__(parts)
        self._find = find
        self._home_of_alias = home_of_alias
        self._renewals = renewals

    async def read_members(self, person_ids: Sequence[str]) -> list[Member | None]:
        """Implement `MergeStore.read_members`."""
        return list(await asyncio.gather(*map(self._member, person_ids)))

    async def read_merge(self, merge_id: str) -> MergeRecord | None:
        """Implement `MergeStore.read_merge`."""
        item = await self._table.get(merge_key(merge_id))
        return merge_of(item) if item else None

    async def merges_of(self, person_id: str) -> list[MergeRecord]:
        """Implement `MergeStore.merges_of`; the record may also be in the trash."""
        home = await self._home(person_id)
        return await self._merges_of(home) if home else []

    async def survivor(self, person_id: str) -> tuple[str, ItemKey | None]:
        """Return the id and the home key of the outermost record into which a record is merged, its own if it is not merged."""
        home = await self._home(person_id)
        while merged := await self.merged(person_id):
            person_id, home = merged.merged_into, merged.survivor
        return person_id, home

    async def group(self, person_id: str) -> list[str]:
        """Implement `PersonReader.merge_group`."""
        found = [(await self.survivor(person_id))[0]]
        for each in found:
            for record in await self.merges_of(each):
                if record.undone_at is None and record.survivor.person_id == each:
                    found += [other.person_id for other in record.merged]
        return found

    async def missing(self, person_id: str) -> PersonNotFound:
        """Return the error of a record that is not current: PersonMerged or PersonNotFound."""
        merged = await self.merged(person_id)
        return PersonMerged(merged.merged_into, merged.merge_id) if merged else PersonNotFound(person_id)

    async def merged(self, person_id: str) -> MergedItem | None:
        """Return a merged record, whichever store created its id, or None."""
        block = self._ids.decode(person_id)
        if block is None:
            return None
        home = item_key_of(block)
        item = await self._table.get(merged_key(home))
        if item is None and (other := await self._home_of_alias(person_id)):
            home, item = other, await self._table.get(merged_key(other))
        return MergedItem(home, item) if item else None

    async def last_versions(self, person_id: str) -> tuple[ItemKey, list[PersonVersion]]:
        """Return the home key of a merged record, its last version and the version that its merge created.

        Raises PersonNotFound.
        """
        merged = await self.merged(person_id)
        record = await self._record_of(person_id, merged) if merged else None
        if merged is None or record is None:
            raise PersonNotFound(person_id)
        versions = [PersonVersion(record.version, origin_of(merged.item, record.version), record.body)]
        if merge := await self.read_merge(merged.merge_id):
            after = reencoded(record, record.version + 1, merge.at)
            versions.append(PersonVersion(after.version, Origin(Operation.MERGED, merge.by), after.body))
        return merged.home, versions

    async def _member(self, person_id: str) -> Member | None:
        for _ in range(_MAX_ATTEMPTS):
            found = await self._find(person_id, ATTRIBUTES)
            if found is None:
                return await self._merged_member(person_id)
            body = await self._format.body(found.home, found.item)
            if body is None:
                return None
            with suppress(VersionConflict):  # the log is newer than the record
                log = await self._logs.read(found.home, found.item, found.version)
                return Member(StoredPerson(person_id, found.version, check_stored(body, person_id)), log)
        raise StoreUnavailable("concurrent changes of the person prevented the read; try again")

    async def _merged_member(self, person_id: str) -> Member | None:
        merged = await self.merged(person_id)
        record = await self._record_of(person_id, merged) if merged else None
        if merged is None or record is None:
            return None
        log = await self._logs.read(merged.home, merged.item, merged.version)
        return Member(record, log, merged.merge_id, merged.merged_into)

    async def _record_of(self, person_id: str, merged: MergedItem) -> StoredPerson | None:
        body = await self._format.body(merged.home, merged.item)
        return StoredPerson(person_id, merged.version, check_stored(body, person_id)) if body is not None else None

    async def _home(self, person_id: str) -> ItemKey | None:
        block = self._ids.decode(person_id)
        return (await self._home_of_alias(person_id) or item_key_of(block)) if block else None

    async def _merges_of(self, home: ItemKey) -> list[MergeRecord]:
        values = {":pk": binary(partition(home)), ":member": binary(MEMBER)}
        condition = "pk = :pk AND begins_with(sk, :member)"
        members = query_items(self._table, condition, values, ScanIndexForward=False)
        keys = [merge_key_of(member) async for member in members]
        merges = {item["pk"]["B"]: merge_of(item) for item in await self._table.get_many(keys)}
        return [merges[key["pk"]["B"]] for key in keys if key["pk"]["B"] in merges]
