"""The log of imports in the table.

    partition key `pk`                sort key `sk`                  item
    "imports"                         the id of an import            its entry and its state
    "imported" + the id of an import  the sort key of a new record   people of the import, and the outcome of their undo

The people are recorded before they are written, so that an interrupted import can be undone. A person that was not written does not exist,
and an update that was not applied has no version with the id of the import.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import msgspec

from peopleinfo.crypto.person_ids import BLOCK_SIZE
from peopleinfo.errors import ImportNotFound, ImportUndone
from peopleinfo.people.import_log import (
    BATCH_PEOPLE,
    UNDO_STATES,
    ImportBatch,
    ImportEntry,
    ImportState,
    created_batches,
    decode_entry,
    decode_outcome,
    decode_people,
    encode_entry,
    encode_outcome,
    encode_people,
    retention,
    updated_batches,
)
from peopleinfo.stores.dynamodb.client import ConditionFailed
from peopleinfo.stores.dynamodb.items import PARTITION, ItemKey, binary, bytes_attr, number
from peopleinfo.stores.dynamodb.queries import query_items
from peopleinfo.stores.dynamodb.record_writes import ABSENT
from peopleinfo.stores.dynamodb.schema import TTL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from datetime import datetime

    from peopleinfo.crypto.person_ids import IdCipher
    from peopleinfo.people.history import HistoryLimits
    from peopleinfo.people.import_log import ImportedPeople, UndoOutcome
    from peopleinfo.stores.dynamodb.client import Item, TableClient
    from peopleinfo.stores.dynamodb.items import KeyAllocator

_IMPORTS: Final = b"imports"
_SORT_KEY: Final = BLOCK_SIZE - PARTITION  # bytes
_LAST: Final = b"\xff" * 17  # above all ids
_CHANGE: Final = "SET import_state = :state, import_entry = :entry"


class DynamoDBImportLog:
    """Implements `peopleinfo.people.import_log.ImportLog` on one table."""

    def __init__(
        self,
        table: TableClient,
        ids: IdCipher,
        item_keys: KeyAllocator,
        limits: HistoryLimits,
        now: Callable[[], datetime],
    ) -> None:
        self._table = table
        self._ids = ids
        self._item_keys = item_keys
        self._age = retention(limits)
        self._now = now

    async def start_import(self, entry: ImportEntry) -> None:
        try:
            await self._table.put(_key(entry.import_id) | _attributes(entry) | self._expiry(), ABSENT)
        except ConditionFailed:
            await self.check_not_undone(entry.import_id)

    async def read_import(self, import_id: bytes) -> ImportEntry:
        item = await self._table.get(_key(import_id))
        if item is None:
            raise ImportNotFound
        return decode_entry(bytes_attr(item, "import_entry"))

    async def list_imports(self, *, before: bytes | None, limit: int) -> list[ImportEntry]:
        values = {":pk": binary(_IMPORTS), ":before": binary(before or _LAST)}
        condition = "pk = :pk AND sk < :before"
        items = query_items(self._table, condition, values, limit=limit, ScanIndexForward=False)
        return [decode_entry(bytes_attr(item, "import_entry")) async for item in items]

    async def update_import(self, entry: ImportEntry, *, expected: Sequence[ImportState]) -> bool:
        new = _attributes(entry)
        values: Item = {":state": new["import_state"], ":entry": new["import_entry"]}
        values |= {f":expected{index}": {"S": state} for index, state in enumerate(expected)}
        condition = f"import_state IN ({', '.join(f':expected{index}' for index in range(len(expected)))})"
        try:
            await self._table.update(_key(entry.import_id), _CHANGE, condition, values)
        except ConditionFailed as failed:  # an earlier attempt may have succeeded
            return bool(failed.repeated and failed.item and failed.item.get("import_entry") == new["import_entry"])
        return True

    async def delete_import(self, import_id: bytes) -> None:
        await self._table.write_many([], [_key(import_id)])

    async def read_batches(self, import_id: bytes, *, after: bytes | None, limit: int) -> list[ImportBatch]:
        values = {":pk": binary(_partition(import_id)), ":after": binary(after or b"\0")}
        condition = "pk = :pk AND sk > :after"
        return [_batch(item) async for item in query_items(self._table, condition, values, limit=limit)]

    async def save_outcome(self, import_id: bytes, key: bytes, outcome: UndoOutcome) -> None:
        await self._table.update(
            ItemKey(_partition(import_id), key).key,
            "SET undo_outcome = :outcome",
            "attribute_exists(pk)",
            {":outcome": binary(encode_outcome(outcome))},
        )

    async def store_batches(self, import_id: bytes, batches: Sequence[ImportBatch]) -> None:
        items = []
        for key, people, outcome in batches:
            undone = {"undo_outcome": binary(encode_outcome(outcome))} if outcome is not None else {}
            items.append(self._item(import_id, key, people) | undone)
        await self._table.write_many(items, [])

    @asynccontextmanager
    async def creating(self, import_id: bytes | None, homes: Sequence[ItemKey]) -> AsyncIterator[None]:
        """Record the people that an import creates at these home keys, and check afterwards that it was not undone."""
        ids = [self._ids.encode(home.block) for home in homes] if import_id else []
        batches = [(homes[index * BATCH_PEOPLE].sk, people) for index, people in enumerate(created_batches(ids))]
        async with self._recording(import_id, batches):
            yield

    @asynccontextmanager
    async def updating(self, import_id: bytes | None, people: Sequence[tuple[str, int]]) -> AsyncIterator[None]:
        """Record the people that an import updates, each with its new version, and check afterwards that it was not undone."""
        await self.check_not_undone(import_id)
        updated = updated_batches(people) if import_id else ()
        batches = [(self._item_keys.new().to_bytes(_SORT_KEY), one) for one in updated]
        async with self._recording(import_id, batches):
            yield

    @asynccontextmanager
    async def _recording(
        self, import_id: bytes | None, batches: Sequence[tuple[bytes, ImportedPeople]]
    ) -> AsyncIterator[None]:
        if import_id is None or not batches:
            yield
            return
        items = [self._item(import_id, sort_key, people) for sort_key, people in batches]
        await self._table.write_many(items, [])
        try:
            yield
        finally:
            await self._reopen_undo(import_id, items)

    async def _reopen_undo(self, import_id: bytes, items: list[Item]) -> None:
        """Continue an undo that started during a write, since it may have passed these people. Raises ImportUndone."""
        try:
            await self.check_not_undone(import_id)
        except ImportUndone:
            await self._table.write_many(items, [])  # without their outcome
            entry = await self.read_import(import_id)
            await self.update_import(_reopened(entry), expected=UNDO_STATES)
            raise

    async def check_not_undone(self, import_id: bytes | None) -> None:
        """Raise ImportUndone if the undo of an import has started."""
        item = await self._table.get(_key(import_id), "import_state") if import_id else None
        if item is not None and ImportState(item["import_state"]["S"]) in UNDO_STATES:
            raise ImportUndone

    def _item(self, import_id: bytes, sort_key: bytes, people: ImportedPeople) -> Item:
        key = ItemKey(_partition(import_id), sort_key).key
        return key | {"people": binary(encode_people(people))} | self._expiry()

    def _expiry(self) -> Item:
        return {TTL: number(int((self._now() + self._age).timestamp()))}


def _key(import_id: bytes) -> Item:
    return ItemKey(_IMPORTS, import_id).key


def _partition(import_id: bytes) -> bytes:
    return b"imported" + import_id


def _attributes(entry: ImportEntry) -> Item:
    return {"import_state": {"S": entry.state}, "import_entry": binary(encode_entry(entry))}


def _reopened(entry: ImportEntry) -> ImportEntry:
    return msgspec.structs.replace(entry, state=ImportState.UNDOING, counts=None)


def _batch(item: Item) -> ImportBatch:
    outcome = decode_outcome(bytes_attr(item, "undo_outcome")) if "undo_outcome" in item else None
    return ImportBatch(bytes_attr(item, "sk"), decode_people(bytes_attr(item, "people")), outcome)
