"""The base of the classes that write records."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from peopleinfo.errors import StoreUnavailable
from peopleinfo.stores.dynamodb.changes import Announcement
from peopleinfo.stores.dynamodb.history import time_of
from peopleinfo.stores.dynamodb.merge_logs import MergeLogs
from peopleinfo.stores.dynamodb.search_entries import INDEXED, data_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from peopleinfo.crypto.person_ids import IdCipher
    from peopleinfo.people.history import Operation
    from peopleinfo.stores.dynamodb.changes import ChangeFeed
    from peopleinfo.stores.dynamodb.client import Item, TableClient
    from peopleinfo.stores.dynamodb.duplicate_links import DynamoDBLinks
    from peopleinfo.stores.dynamodb.history import VersionItems
    from peopleinfo.stores.dynamodb.items import ItemKey, KeyAllocator
    from peopleinfo.stores.dynamodb.record_format import RecordFormat
    from peopleinfo.stores.dynamodb.record_writes import Located
    from peopleinfo.stores.dynamodb.search_entries import Current, IndexChange, SearchEntries
    from peopleinfo.stores.dynamodb.unique_identifiers import UniqueIdentifiers


class WriterParts(NamedTuple):
    """The parts of a store that its writers share."""

    table: TableClient
    record_format: RecordFormat
    item_keys: KeyAllocator
    ids: IdCipher
    feed: ChangeFeed
    versions: VersionItems
    entries: SearchEntries
    unique: UniqueIdentifiers
    links: DynamoDBLinks
    now: Callable[[], datetime]
    locate: Callable[[ItemKey, str], Awaitable[Located | None]]
    """Reads the current item of the record with a home key."""
    erase_merged: Callable[[Sequence[str]], Awaitable[None]]
    """Erases records that were merged into an erased one."""


class TableWriter:
    """Writes records to a table."""

    def __init__(self, parts: WriterParts) -> None:
        self._table = parts.table
        self._format = parts.record_format
        self._item_keys = parts.item_keys
        self._ids = parts.ids
        self._feed = parts.feed
        self._versions = parts.versions
        self._entries = parts.entries
        self._unique = parts.unique
        self._links = parts.links
        self._now = parts.now
        self._locate = parts.locate
        self._erase_merged = parts.erase_merged
        self._logs = MergeLogs(parts.table, parts.record_format)

    def _announcement(
        self, home: ItemKey, person_id: str, version: int, operation: Operation, item: Item
    ) -> Announcement:
        """Return the change of a record to a version; `item` is its current item."""
        foreign_id = person_id if self._ids.encode(home.block) != person_id else None
        return Announcement(home, version, operation, foreign_id, time_of(item))

    async def _erasure(
        self, home: ItemKey, item: Item, version: int, person_id: str, merged: Sequence[str] = ()
    ) -> tuple[IndexChange, Item]:
        """Return the removal of the entries of a record, and the marker of its erasure and of those `merged` into it."""
        indexed = self._entries.change(home, version, await self._decode(home, item), None, erases=True)
        return indexed, self._versions.marker(home, person_id, merged) | self._entries.marked(indexed)

    async def _erase_copies(self, home: ItemKey, person_id: str, merged: Sequence[str] = ()) -> None:
        """Erase the links, versions and merges of an erased record and the records `merged` into it, then its marker. Safe to repeat."""
        await self._links.erase(person_id)
        await self._versions.erase(home)
        await self._erase_merged(merged)
        await self._versions.delete_marker(home)

    async def _erase_unless_kept(self, *homes: ItemKey) -> None:
        """Erase the versions of people that were erased meanwhile, maybe before their last versions were stored."""
        with suppress(StoreUnavailable):
            for home in homes:
                await self._versions.erase_unless_kept(home)

    async def _undo_entries(self, indexed: IndexChange) -> None:
        """Remove the added entries of a change that was not applied; a sweep removes them if the table is unavailable."""
        with suppress(StoreUnavailable):
            await self._remove_entries(indexed)

    async def _remove_entries(self, indexed: IndexChange) -> None:
        if indexed.added or indexed.marker:
            await self._entries.undo(indexed, await self._read_current(indexed.home))

    async def _read_current(self, home: ItemKey) -> Current | None:
        """Return the current record with a home key, or None."""
        found = await self._locate(home, f"version, body, moved_to, {INDEXED}")
        return await self._decode(found.home, found.item) if found else None

    async def _decode(self, home: ItemKey, item: Item) -> Current | None:
        """Return the fields of a record with its item; None if its encryption key is deleted."""
        body = await self._format.body(home, item)
        return (data_of(body), item) if body is not None else None
