"""Creation of several records in one transaction, each with its own outcome."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from peopleinfo.errors import IdempotencyKeyConflict, IdempotentPersonDeleted, IdentifierConflict, PeopleInfoError
from peopleinfo.people.history import Operation, Origin
from peopleinfo.people.identifiers import have_common_keys
from peopleinfo.people.person import StoredPerson
from peopleinfo.stores.sqlite.batches import variable_size

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from peopleinfo.people.person import PersonData
    from peopleinfo.people.store import CreateOutcome, Creation, PersonWriter
    from peopleinfo.stores.sqlite.idempotency import IdempotencyKeys
    from peopleinfo.stores.sqlite.writer import GroupCommitWriter

    Insert = Callable[[sqlite3.Connection, Sequence[PersonData], Origin], list[StoredPerson]]


class BatchCreator:
    """Creates records together: one set of statements for all costs a fraction of a set for each."""

    def __init__(
        self,
        writer: GroupCommitWriter,
        insert: Insert,
        idempotency: IdempotencyKeys,
        id_of: Callable[[int], str],
        unique: frozenset[str],
        single: PersonWriter,
    ) -> None:
        """`insert` stores new records in a transaction, `single` creates one record; `unique` names the unique identifiers."""
        self._writer = writer
        self._insert = insert
        self._idempotency = idempotency
        self._id_of = id_of
        self._unique = unique
        self._single = single

    async def create_each(self, creations: Sequence[Creation], *, principal: str | None = None) -> list[CreateOutcome]:
        """Implement `PersonWriter.create_each`."""
        size = sum(variable_size(creation.data) for creation in creations)
        # `insert` compares identifiers with stored records only.
        if not have_common_keys([creation.data.extra for creation in creations], self._unique):
            with suppress(IdentifierConflict):
                return await self._writer.run(lambda db: self._create_together(db, creations, principal), size=size)
        return await asyncio.gather(*(self._create_alone(creation, principal) for creation in creations))

    def _create_together(
        self, db: sqlite3.Connection, creations: Sequence[Creation], principal: str | None
    ) -> list[CreateOutcome]:
        replayed = [self._replay(db, creation) for creation in creations]
        new = [creation for creation, outcome in zip(creations, replayed, strict=True) if outcome is None]
        records = (
            self._insert(db, [creation.data for creation in new], Origin(Operation.CREATED, principal)) if new else []
        )
        if any(creation.idempotency_key for creation in new):
            (last,) = db.execute("SELECT last_seq FROM deployment").fetchone()
            for seq, (creation, record) in enumerate(zip(new, records, strict=True), start=last - len(new) + 1):
                if creation.idempotency_key:
                    self._idempotency.save(db, creation.idempotency_key, seq, record.body)
        created = iter(records)
        return [outcome or next(created) for outcome in replayed]

    def _replay(self, db: sqlite3.Connection, creation: Creation) -> CreateOutcome | None:
        """Return the outcome of a creation whose key was used before, None for a new one."""
        if creation.idempotency_key is None:
            return None
        try:
            first = self._idempotency.replay(db, creation.idempotency_key)
        except (IdempotencyKeyConflict, IdempotentPersonDeleted) as error:
            return error
        return StoredPerson(self._id_of(first[0]), 1, first[1]) if first else None

    async def _create_alone(self, creation: Creation, principal: str | None) -> CreateOutcome:
        try:
            return await self._single.create(
                creation.data, idempotency_key=creation.idempotency_key, principal=principal
            )
        except PeopleInfoError as error:
            return error
