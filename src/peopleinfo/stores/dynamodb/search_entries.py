"""Writes of the search index.

The entries of a person are stored before the record, and removed after it. So a crash leaves at most an entry that its record no longer
has: a search compares the record itself and skips it, and `SearchEntries.sweep` deletes it. A word enters the vocabulary after the
entries and before the record. Its removal reads the entries again afterwards, and restores the word if a concurrent write needs it.

A change of entries stores a marker with them, which names all entries that it adds and removes. `SearchEntries.resume` deletes those that
remain after a crash: an erasure of the person could not find them.

A delete is conditional on the version in the entry, because a later change may have stored the same entry again.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.crypto.person_ids import BLOCK_SIZE
from peopleinfo.people.identifiers import values_of
from peopleinfo.people.index_entries import NAME, IndexPlan
from peopleinfo.people.person import StoredPerson, split_record
from peopleinfo.people.search_index import Lookup
from peopleinfo.stores.dynamodb.client import ConditionFailed
from peopleinfo.stores.dynamodb.items import ItemKey, binary, bytes_attr, int_attr, item_key_of, number
from peopleinfo.stores.dynamodb.paging import key_at, position_of
from peopleinfo.stores.dynamodb.queries import query_items
from peopleinfo.stores.dynamodb.search_items import home_of_entry, is_entry, is_identifier, start_item

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from datetime import datetime

    from peopleinfo.people.person import PersonData
    from peopleinfo.stores.dynamodb.client import Item, Json, TableClient
    from peopleinfo.stores.dynamodb.record_format import RecordFormat
    from peopleinfo.stores.dynamodb.search_items import KeyRange, Rows, SearchItems

INDEXED: Final = "index_plan"  # attribute of a record: the plan of its entries
MIN_ENTRY_AGE: Final = 300  # seconds after which the write of an entry's record has ended
_RANGE: Final = "pk = :pk AND sk BETWEEN :first AND :last"
_ERASED: Final = "entries"  # attribute of a marker
_CHANGES: Final = b"index changes"
_SHARDS: Final = 4  # partitions of the markers of changes
_RANDOM_SIZE: Final = 8  # bytes

Current = tuple["PersonData", "Item"]  # the fields of a record, and its item


class IndexChange(NamedTuple):
    """The entries that a write of a record adds and removes."""

    home: ItemKey
    version: int
    items: list[Item]
    added: Rows
    removed: Rows
    start: ItemKey | None
    """The item for the start of the surname key, if people are listed by name."""
    marker: ItemKey | None
    """The key of the marker of the change, if there is one."""


class SearchEntries:
    """Writes entries and the vocabulary."""

    def __init__(
        self,
        table: TableClient,
        record_format: RecordFormat,
        layout: SearchItems,
        plan: IndexPlan,
        now: Callable[[], datetime],
    ) -> None:
        self._table = table
        self._format = record_format
        self._layout = layout
        self._now = now
        self.plan = plan
        self.plan_text = f"{'words' if layout.code is None else 'hashes'}:{plan.text}"
        self._starts: set[ItemKey] = set()  # stored by this process
        self.indexed: Item = {INDEXED: {"S": self.plan_text}}

    def is_outdated(self, item: Item) -> bool:
        """Return whether an item of the table is a record that is not indexed under the current plan."""
        return "fold" in item and item.get(INDEXED) != self.indexed[INDEXED]

    def change(
        self, home: ItemKey, version: int, before: Current | None, after: PersonData | None, *, erases: bool = False
    ) -> IndexChange:
        """Return the change of the entries by the write of a version; `before` is the current record, if any.

        A write that `erases` the record has its own marker.
        """
        old = self._rows_of(home, *before) if before is not None else {}
        new = self._layout.rows(after, self.plan, home) if after is not None else {}
        added = {key: word for key, word in new.items() if key not in old}
        # A writer with another value under the same key must find an entry of this version (`unique_identifiers`).
        has_new_values = before is not None and after is not None and self._unique(before[0]) != self._unique(after)
        removed = {key: word for key, word in old.items() if key not in new}
        written = {"version": number(version), "written_at": number(self._seconds())}
        stored = {*added, *(key for key in new if has_new_values and is_identifier(key))}
        items: list[Item] = [key.key | written for key in stored]
        start = self._start_item(after) if after is not None else None
        marker = _new_marker(home) if before is not None and not erases and (added or removed) else None
        if marker is not None:
            items.insert(0, marker.key | written | _positions({**added, **removed}))  # in the first batch
        return IndexChange(home, version, items, added, removed, start, marker)

    async def add_words(self, changes: Iterable[IndexChange]) -> None:
        """Add the new words of stored entries to the vocabulary, and the starts of surname keys to the list by name."""
        changes = list(changes)
        starts = {change.start for change in changes if change.start} - self._starts
        await self._table.write_many([start.key for start in starts], [])
        self._starts |= starts
        await self._add_words({word for change in changes for word in change.added.values() if word})

    async def finish(self, change: IndexChange) -> None:
        """Remove the entries that a record no longer has. Raises StoreUnavailable."""
        await self._remove(change.removed, change.version)
        await self._delete_marker(change.marker)

    async def undo(self, change: IndexChange, current: Current | None = None) -> None:
        """Remove the added entries of a write that was not applied, except those of the current record. Raises StoreUnavailable."""
        kept = self._rows_of(change.home, *current) if current is not None else {}
        await self._remove({key: word for key, word in change.added.items() if key not in kept}, change.version)
        await self._delete_marker(change.marker)

    def marked(self, change: IndexChange) -> Json:
        """Return the attribute of a deletion's marker from which `erase` deletes the entries."""
        return _positions(change.removed)

    async def erase(self, marker: Item) -> None:
        """Delete the entries of a deletion that was interrupted, and readable words without another entry."""
        keys = _marked_keys(marker)
        await self._table.write_many([], [key.key for key in keys])
        await self._remove_words(map(self._layout.name_word, keys))

    async def resume(self, read: Callable[[ItemKey], Awaitable[Current | None]]) -> None:
        """Delete the entries that interrupted changes left, except those of the current record. `read` returns that of a home key."""
        oldest = self._seconds() - MIN_ENTRY_AGE
        for shard in range(_SHARDS):
            async for marker in query_items(self._table, "pk = :pk", {":pk": binary(_CHANGES + bytes([shard]))}):
                if int_attr(marker, "written_at") < oldest:
                    await self._resume(marker, read)

    async def _resume(self, marker: Item, read: Callable[[ItemKey], Awaitable[Current | None]]) -> None:
        home = item_key_of(bytes_attr(marker, "sk")[:BLOCK_SIZE])
        current = await read(home)
        kept = self._rows_of(home, *current) if current is not None else {}
        left = {key: self._layout.name_word(key) for key in _marked_keys(marker) if key not in kept}
        await self._remove(left, int_attr(marker, "version"))
        await self._delete_marker(_key(marker))

    async def sweep(self, items: Sequence[Item]) -> None:
        """Delete the entries of missing people among the items of a scan."""
        oldest = self._seconds() - MIN_ENTRY_AGE
        found = [item for item in items if is_entry(item) and int_attr(item, "written_at") < oldest]
        homes = list({home_of_entry(bytes_attr(item, "sk")) for item in found})
        existing = {
            (item["pk"]["B"], item["sk"]["B"])
            for item in await self._table.get_many([home.key for home in homes], "pk, sk")
        }
        gone = {home for home in homes if (home.key["pk"]["B"], home.key["sk"]["B"]) not in existing}
        gone |= set(await self._format.without_key([home for home in homes if home not in gone]))
        orphans = [item for item in found if home_of_entry(bytes_attr(item, "sk")) in gone]
        await asyncio.gather(*(self._delete(_key(item), int_attr(item, "version")) for item in orphans))
        await self._remove_words(self._layout.name_word(_key(item)) for item in orphans)

    def _start_item(self, data: PersonData) -> ItemKey | None:
        is_listed = "names" in self.plan.indexes and self._layout.code is None
        return start_item(data.surname_key) if is_listed else None

    def _unique(self, data: PersonData) -> list[tuple[str, str]]:
        return list(values_of(data.extra, sorted(self.plan.unique))) if self.plan.unique else []

    def _rows_of(self, home: ItemKey, data: PersonData, item: Item) -> Rows:
        text = item.get(INDEXED, {}).get("S", "")
        kind, _, plan = text.partition(":")
        if not plan or (kind == "words") != (self._layout.code is None):
            return {}
        return self._layout.rows(data, IndexPlan.parse(plan), home)

    async def _remove(self, rows: Rows, version: int) -> None:
        await asyncio.gather(*(self._delete(key, version) for key in rows))
        await self._remove_words(rows.values())

    async def _delete(self, key: ItemKey, version: int) -> None:
        with suppress(ConditionFailed):  # deleted already, or stored again by a later change
            await self._table.delete(key.key, "version <= :version", {":version": number(version)})

    async def _delete_marker(self, marker: ItemKey | None) -> None:
        await self._table.write_many([], [marker.key] if marker else [])

    async def _remove_words(self, words: Iterable[str]) -> None:
        """Remove the words of deleted entries from the vocabulary, except words with other entries."""
        for word in {word for word in words if word}:
            await self._remove_word(word)

    async def _add_words(self, words: set[str]) -> None:
        marks = {word: keys[-1] for word in words if (keys := self._layout.vocabulary(word))}
        found = await self._table.get_many([key.key for key in marks.values()], "pk, sk") if marks else []
        known = {_key(item) for item in found}
        new = [word for word, mark in marks.items() if mark not in known]
        others = {key for word in new for key in self._layout.vocabulary(word)[:-1]}
        await self._table.write_many([key.key for key in others], [])
        await self._table.write_many([marks[word].key for word in new], [])

    async def _remove_word(self, word: str) -> None:
        keys = self._layout.vocabulary(word)
        if not keys or await self._has_entry(word):
            return
        # Deleted first: a writer that no longer finds it adds the word again.
        await self._table.write_many([], [keys[-1].key])
        await self._table.write_many([], [key.key for key in keys[:-1]])
        if await self._has_entry(word):
            await self._table.write_many([key.key for key in keys], [])

    async def _has_entry(self, word: str) -> bool:
        found, _ = await read_range(self._table, self._layout.entry_range(Lookup(NAME + word)), 1)
        return bool(found)

    def _seconds(self) -> int:
        return int(self._now().timestamp())


def data_of(body: bytes) -> PersonData:
    """Return the fields that a client set in a record."""
    return split_record(StoredPerson("", 0, body))[0]


async def read_range(table: TableClient, keys: KeyRange, limit: int) -> tuple[list[bytes], bool]:
    """Return the first sort keys of a range, and whether these are all."""
    items, is_complete = await read_items(table, keys, limit, "sk")
    return [bytes_attr(item, "sk") for item in items], is_complete


async def read_items(table: TableClient, keys: KeyRange, limit: int, attributes: str) -> tuple[list[Item], bool]:
    """Return attributes of the first items of a range, and whether these are all."""
    values = {":pk": binary(keys.pk), ":first": binary(keys.first), ":last": binary(keys.last)}
    items, last = await table.query(_RANGE, values, limit=limit, ConsistentRead=True, ProjectionExpression=attributes)
    return items, last is None


def _new_marker(home: ItemKey) -> ItemKey:
    """Return the key of a marker; concurrent changes to the same version have different ones."""
    return ItemKey(_CHANGES + bytes([home.sk[-1] % _SHARDS]), home.block + secrets.token_bytes(_RANDOM_SIZE))


def _positions(keys: Iterable[ItemKey]) -> Json:
    """Return the attribute of a marker that names entries."""
    positions = [binary(position_of(key.key))["B"] for key in keys]
    return {_ERASED: {"BS": positions}} if positions else {}


def _marked_keys(marker: Item) -> list[ItemKey]:
    positions = [bytes_attr({"key": {"B": text}}, "key") for text in marker.get(_ERASED, {}).get("BS", ())]
    return [_key(key_at(position)) for position in positions]


def _key(item: Item) -> ItemKey:
    return ItemKey(bytes_attr(item, "pk"), bytes_attr(item, "sk"))
