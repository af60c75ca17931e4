"""Bulk writes: concurrent batches with checkpoints. Interrupted or overlapping runs store no record twice."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Final

from peopleinfo.errors import IdentifierConflict, ImportAlreadyRunning
from peopleinfo.people.history import Operation
from peopleinfo.people.store import Checkpoint
from peopleinfo.stores.dynamodb.changes import Announcement
from peopleinfo.stores.dynamodb.client import MAX_BATCH_WRITE, ConditionFailed, non_atomic_writes
from peopleinfo.stores.dynamodb.items import binary, bytes_attr, int_attr, number, singleton_key
from peopleinfo.stores.dynamodb.table_writer import TableWriter
from peopleinfo.stores.dynamodb.unique_identifiers import IdentifierPending, Incoming

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from peopleinfo.people.history import Origin
    from peopleinfo.people.person import PersonData, StoredPerson
    from peopleinfo.stores.dynamodb.client import Item
    from peopleinfo.stores.dynamodb.import_log import DynamoDBImportLog
    from peopleinfo.stores.dynamodb.items import ItemKey
    from peopleinfo.stores.dynamodb.record_format import NewItem
    from peopleinfo.stores.dynamodb.search_entries import IndexChange
    from peopleinfo.stores.dynamodb.table_writer import WriterParts

_MAX_WRITERS: Final = 8  # concurrent batches; throttling by the table slows them down
_MAX_ATTEMPTS: Final = 20  # attempts of a checkpoint that conflicts with another run


class BulkWriter(TableWriter):
    """Stores many new records and the checkpoint of their import."""

    def __init__(
        self,
        parts: WriterParts,
        imports: DynamoDBImportLog,
        new: Callable[[ItemKey, PersonData, Origin, int], tuple[NewItem, StoredPerson]],
    ) -> None:
        """`new` creates the item and the record of a person at an item key, for an origin and a time in microseconds."""
        super().__init__(parts)
        self._imports = imports
        self._new = new

    async def create_many(
        self,
        people: Sequence[PersonData],
        checkpoint: tuple[Checkpoint, Checkpoint] | None,
        offsets: Sequence[int],
        origin: Origin,
    ) -> list[str]:
        """Implement `BulkStore.create_many`."""
        if checkpoint is None:
            with non_atomic_writes() if len(people) > MAX_BATCH_WRITE else nullcontext():
                keys = self._keys(people, self._item_keys.new(len(people) or 1), range(len(people)))
                async with self._imports.creating(origin.import_id, keys):
                    return await self._store_many(people, keys, origin)
        await self._imports.check_not_undone(origin.import_id)
        before, after = checkpoint
        first, retry = await self._begin_step(before, after.rows)
        keys = self._keys(people, first, offsets or range(len(people)))
        with non_atomic_writes() if people else nullcontext():
            async with self._imports.creating(origin.import_id, keys):
                ids = await self._store_many(people, keys, origin, retry=retry)
                await self.commit_checkpoint(before, after)
        return ids

    async def read_checkpoint(self, operation_id: bytes) -> Checkpoint:
        """Implement `BulkStore.read_checkpoint`."""
        return _checkpoint_of(operation_id, await self._table.get(singleton_key(b"import" + operation_id)))

    async def delete_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Implement `BulkStore.delete_checkpoint`."""
        if checkpoint == Checkpoint(checkpoint.operation_id):
            return
        with suppress(ConditionFailed):
            await self._table.delete(
                singleton_key(b"import" + checkpoint.operation_id), *_checkpoint_condition(checkpoint)
            )

    async def _store_many(
        self,
        people: Sequence[PersonData],
        homes: Sequence[ItemKey],
        origin: Origin,
        *,
        retry: bool = False,
    ) -> list[str]:
        """Store records at their home keys; a `retry` does not overwrite existing ones."""
        ids = [""] * len(people)

        async def write(batches: Iterator[range]) -> None:
            for batch in batches:
                keys = [homes[index] for index in batch]
                indexed = [
                    self._entries.change(key, 1, None, people[index]) for index, key in zip(batch, keys, strict=True)
                ]
                changes = await self._feed.announce(
                    [Announcement(key, 1, Operation.CREATED) for key in keys],
                    more=[item for one in indexed for item in one.items],
                )
                new = [
                    self._new(change.home, people[index], origin, change.time)
                    for index, change in zip(batch, changes, strict=True)
                ]
                async with self._feed.writing(changes, atomic=False):
                    await self._check_unique(
                        indexed,
                        [(record.person_id, people[index]) for index, (_, record) in zip(batch, new, strict=True)],
                    )
                    await self._entries.add_words(indexed)
                    await self._format.put_all([item for item, _ in new], retry=retry)
                for index, (_, record) in zip(batch, new, strict=True):
                    ids[index] = record.person_id

        starts = range(0, len(people), MAX_BATCH_WRITE)
        batches = iter([range(start, min(start + MAX_BATCH_WRITE, len(people))) for start in starts])
        writers = [asyncio.ensure_future(write(batches)) for _ in range(_MAX_WRITERS)]
        try:
            await asyncio.gather(*writers)
        finally:
            for writer in writers:
                writer.cancel()
            await asyncio.gather(*writers, return_exceptions=True)
        return ids

    async def _check_unique(self, indexed: Sequence[IndexChange], people: Sequence[tuple[str, PersonData]]) -> None:
        """Raise IdentifierConflict or IdentifierPending if one of the people must not be stored, and remove their entries."""
        incoming = [Incoming(one.home, *person) for one, person in zip(indexed, people, strict=True)]
        try:
            await self._unique.check(incoming)
        except (IdentifierConflict, IdentifierPending):
            for one in indexed:
                await self._entries.undo(one)
            raise

    def _keys(self, people: Sequence[PersonData], first: int, offsets: Sequence[int]) -> list[ItemKey]:
        """Return the home keys of new records: their sort keys are `first` plus their offsets."""
        return [
            self._item_keys.for_surname(person.surname_key, first + offset)
            for person, offset in zip(people, offsets, strict=True)
        ]

    async def _begin_step(self, before: Checkpoint, rows: int) -> tuple[int, bool]:
        """Record the start of a step up to `rows`; return its first sort key and whether some of its records may exist already.

        An import chooses the sort keys of all its rows once. So an interrupted or concurrent run has stored a row under the same key,
        even if it divides the input into other steps or stores other rows.
        """
        key = singleton_key(b"import" + before.operation_id)
        for _ in range(_MAX_ATTEMPTS):
            item = await self._table.get(key) or {}
            if _checkpoint_of(before.operation_id, item) != before:
                raise ImportAlreadyRunning
            base = int_attr(item, "base_sk") if "base_sk" in item else self._item_keys.new()
            started = int_attr(item, "rows_begun") if "rows_begun" in item else 0
            condition, values = _checkpoint_condition(before)
            values |= {":base": number(base), ":to": number(max(started, rows))}
            if item:
                condition, values = f"{condition} AND rows_begun = :begun", values | {":begun": number(started)}
            else:
                condition = f"{condition} AND attribute_not_exists(rows_begun)"
            try:
                await self._table.update(key, "SET base_sk = :base, rows_begun = :to", condition, values)
            except ConditionFailed:
                continue  # another run or a lost attempt changed the checkpoint
            return base + before.rows, started > before.rows
        raise ImportAlreadyRunning

    async def check_step(self, before: Checkpoint) -> None:
        """Raise ImportAlreadyRunning unless the stored checkpoint is `before`."""
        if await self.read_checkpoint(before.operation_id) != before:
            raise ImportAlreadyRunning

    async def commit_checkpoint(self, before: Checkpoint, after: Checkpoint) -> None:
        """Advance the checkpoint. Raises ImportAlreadyRunning unless the stored one is `before`."""
        condition, values = _checkpoint_condition(before)
        values |= {f":to_{name}": value for name, value in _attributes(after).items()}
        change = "SET " + ", ".join(f"{name} = :to_{name}" for name in _attributes(after))
        try:
            await self._table.update(singleton_key(b"import" + before.operation_id), change, condition, values)
        except ConditionFailed as failed:
            if not (failed.repeated and failed.item and _checkpoint_of(before.operation_id, failed.item) == after):
                raise ImportAlreadyRunning from None


def _attributes(checkpoint: Checkpoint) -> Item:
    return {
        "rows_read": number(checkpoint.rows),
        "people_stored": number(checkpoint.stored),
        "rows_digest": binary(checkpoint.digest),
        "source_position": binary(checkpoint.position),
        "is_finished": number(int(checkpoint.finished)),
        "started_at": {"S": checkpoint.started_at},
    }


def _checkpoint_condition(checkpoint: Checkpoint) -> tuple[str, Item]:
    """Return the condition that the stored checkpoint equals this one, and its values."""
    if checkpoint == Checkpoint(checkpoint.operation_id):
        return "attribute_not_exists(rows_read)", {}
    identifying = ("rows_read", "people_stored", "rows_digest")  # an older version stored only these
    values = {f":{name}": _attributes(checkpoint)[name] for name in identifying}
    return " AND ".join(f"{name} = :{name}" for name in identifying), values


def _checkpoint_of(operation_id: bytes, item: Item | None) -> Checkpoint:
    if item is None or "rows_read" not in item:
        return Checkpoint(operation_id)
    return Checkpoint(
        operation_id,
        int_attr(item, "rows_read"),
        int_attr(item, "people_stored"),
        bytes_attr(item, "rows_digest"),
        bytes_attr(item, "source_position") if "source_position" in item else b"",
        "is_finished" in item and bool(int_attr(item, "is_finished")),
        item.get("started_at", {}).get("S", ""),
    )
