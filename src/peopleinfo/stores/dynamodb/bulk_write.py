"""Many people at once: stored by several calls at a time, so that a run that was cut, or two that overlap, store nobody twice."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

from peopleinfo.errors import ImportAlreadyRunning
from peopleinfo.people.store import Checkpoint
from peopleinfo.stores.dynamodb.client import BATCH, ConditionFailed, several_writes
from peopleinfo.stores.dynamodb.items import binary, bytes_attr, int_attr, number, singleton_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from peopleinfo.people.person import PersonData, StoredPerson
    from peopleinfo.stores.dynamodb.client import Item, TableClient
    from peopleinfo.stores.dynamodb.items import ItemKey, KeyAllocator
    from peopleinfo.stores.dynamodb.record_format import NewItem, RecordFormat

_WRITERS: Final = 8  # calls of a load under way at a time: what the table does not take slows the load down
_RACES: Final = 20  # times that a step begins again since another run was faster


class BulkWriter:
    """Stores many people, and remembers how far an import has come."""

    def __init__(
        self,
        table: TableClient,
        form: RecordFormat,
        places: KeyAllocator,
        new: Callable[[ItemKey, PersonData], tuple[NewItem, StoredPerson]],
    ) -> None:
        """`new` makes a new person who is to lie at a place."""
        self._table = table
        self._form = form
        self._places = places
        self._new = new

    async def load(self, people: Sequence[PersonData], step: tuple[Checkpoint, Checkpoint] | None) -> list[str]:
        """Do what `Store.load` promises."""
        if step is None:
            with several_writes() if len(people) > BATCH else nullcontext():
                return await self._store_many(people, self._places.new(len(people) or 1))
        before, after = step
        first, again = await self._begin_checkpoint(before, len(people))
        with several_writes() if people else nullcontext():
            ids = await self._store_many(people, first, again=again)
            await self.commit_checkpoint(before, after)
        return ids

    async def progress(self, import_id: bytes) -> Checkpoint:
        """Return how far an import has come."""
        return _progress(import_id, await self._table.get(singleton_key(b"import" + import_id)))

    async def _store_many(self, people: Sequence[PersonData], first: int, *, again: bool = False) -> list[str]:
        """Store people under the sort keys from `first` on; those that are there already stay as they are when it is done `again`."""
        ids = [""] * len(people)

        def groups() -> Iterator[list[NewItem]]:
            group: list[NewItem] = []
            for index, details in enumerate(people):
                place = self._places.place(details.surname_key, first + index)
                new, record = self._new(place, details)
                ids[index] = record.person_id
                group.append(new)
                if len(group) == BATCH or index == len(people) - 1:
                    yield group
                    group = []

        async def write(waiting: Iterator[list[NewItem]]) -> None:
            for group in waiting:
                await self._form.put_all(group, again=again)

        waiting = groups()
        writers = [asyncio.ensure_future(write(waiting)) for _ in range(_WRITERS)]
        try:
            await asyncio.gather(*writers)
        finally:
            for writer in writers:
                writer.cancel()
            await asyncio.gather(*writers, return_exceptions=True)
        return ids

    async def _begin_checkpoint(self, before: Checkpoint, count: int) -> tuple[int, bool]:
        """Note that a step is being taken; return its first sort key, and whether some of its people may have been stored already.

        The sort keys of an import are chosen once for all its people. So a run that ended, or still runs, in the midst of a step has
        stored the same people in the same places as the one that takes the step again, however each divides the input into steps.
        """
        key = singleton_key(b"import" + before.import_id)
        for _ in range(_RACES):
            item = await self._table.get(key) or {}
            if _progress(before.import_id, item) != before:
                raise ImportAlreadyRunning
            base = int_attr(item, "base_sk") if "base_sk" in item else self._places.new()
            begun = int_attr(item, "people_begun") if "people_begun" in item else 0
            stands, values = _checkpoint_condition(before)
            values |= {":base": number(base), ":to": number(max(begun, before.stored + count))}
            if item:
                stands, values = f"{stands} AND people_begun = :begun", values | {":begun": number(begun)}
            else:
                stands = f"{stands} AND attribute_not_exists(people_begun)"
            try:
                await self._table.update(key, "SET base_sk = :base, people_begun = :to", stands, values)
            except ConditionFailed:
                continue  # another run, or an attempt of ours that was not heard
            return base + before.stored, begun > before.stored
        raise ImportAlreadyRunning

    async def check_step(self, before: Checkpoint) -> None:
        """Raise ImportOverlap when progress is elsewhere."""
        if await self.progress(before.import_id) != before:
            raise ImportAlreadyRunning

    async def commit_checkpoint(self, before: Checkpoint, after: Checkpoint) -> None:
        """Let progress take a step. Raises ImportOverlap when it is elsewhere."""
        stands, values = _checkpoint_condition(before)
        values |= {":to_rows": number(after.rows), ":to_people": number(after.stored), ":to": binary(after.digest)}
        change = "SET rows_read = :to_rows, people_stored = :to_people, rows_digest = :to"
        try:
            await self._table.update(singleton_key(b"import" + before.import_id), change, stands, values)
        except ConditionFailed as failed:
            if not (failed.repeated and failed.item and _progress(before.import_id, failed.item) == after):
                raise ImportAlreadyRunning from None


def _checkpoint_condition(progress: Checkpoint) -> tuple[str, Item]:
    """Return the condition that an import has come just so far, and its values."""
    if progress == Checkpoint(progress.import_id):
        return "attribute_not_exists(rows_read)", {}
    values = {":rows": number(progress.rows), ":people": number(progress.stored), ":digest": binary(progress.digest)}
    return "rows_read = :rows AND people_stored = :people AND rows_digest = :digest", values


def _progress(import_id: bytes, item: Item | None) -> Checkpoint:
    if item is None or "rows_read" not in item:
        return Checkpoint(import_id)
    return Checkpoint(
        import_id, int_attr(item, "rows_read"), int_attr(item, "people_stored"), bytes_attr(item, "rows_digest")
    )
