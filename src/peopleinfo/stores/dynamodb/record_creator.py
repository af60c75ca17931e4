"""Creation of one record, with its index entries, its change in the feed and the response of an idempotency key."""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from peopleinfo.errors import (
    IdempotencyKeyConflict,
    IdempotentPersonDeleted,
    IdentifierConflict,
    StoreUnavailable,
)
from peopleinfo.people.history import Operation, Origin
from peopleinfo.people.idempotency import IDEMPOTENCY_TTL
from peopleinfo.people.person import StoredPerson, encode_person, timestamp
from peopleinfo.stores.dynamodb.changes import Announcement
from peopleinfo.stores.dynamodb.client import TransactionCancelled
from peopleinfo.stores.dynamodb.history import moment, origin_attributes
from peopleinfo.stores.dynamodb.items import binary, bytes_attr, int_attr, item_key_of, number, singleton_key
from peopleinfo.stores.dynamodb.record_writes import ABSENT
from peopleinfo.stores.dynamodb.table_writer import TableWriter
from peopleinfo.stores.dynamodb.unique_identifiers import IdentifierPending, Incoming

if TYPE_CHECKING:
    from peopleinfo.people.idempotency import IdempotencyKey
    from peopleinfo.people.person import PersonData
    from peopleinfo.stores.dynamodb.items import ItemKey
    from peopleinfo.stores.dynamodb.record_format import NewItem
    from peopleinfo.stores.dynamodb.search_entries import IndexChange

_MAX_ATTEMPTS: Final = 20  # attempts to find an unused item key


class RecordCreator(TableWriter):
    """Creates records."""

    async def create(
        self, data: PersonData, *, idempotency_key: IdempotencyKey | None = None, principal: str | None = None
    ) -> StoredPerson:
        """Implement `PersonStore.create`."""
        await self._format.refresh_keys()
        for _ in range(_MAX_ATTEMPTS):
            item_key = self._item_keys.for_surname(data.surname_key, self._item_keys.new())
            indexed = self._entries.change(item_key, 1, None, data)
            try:
                created = await self._create_at(item_key, indexed, data, idempotency_key, principal)
            except (IdentifierConflict, IdentifierPending):
                await self._undo(indexed)
                # The other person may be the one that an earlier attempt of this request created.
                if idempotency_key is None or not (created := await self._first_response(idempotency_key)):
                    raise
            if created is not None:
                return created
        raise StoreUnavailable("no unused item key was found; try again")

    def new(self, item_key: ItemKey, data: PersonData, origin: Origin, time: int) -> tuple[NewItem, StoredPerson]:
        """Return the item and the record of a person at an item key, for an origin and a time in microseconds."""
        at = timestamp(moment(time))
        record = encode_person(self._ids.encode(item_key.block), 1, data, created_at=at, updated_at=at)
        new = self._format.new(item_key, item_key, data.surname_key, record, secrets.token_bytes(8))
        new.item.update(origin_attributes(origin, time) | self._entries.indexed)
        return new, record

    async def _create_at(
        self,
        item_key: ItemKey,
        indexed: IndexChange,
        data: PersonData,
        idempotency_key: IdempotencyKey | None,
        principal: str | None,
    ) -> StoredPerson | None:
        """Store a new person at an item key; return None if the key is in use."""
        changes = await self._feed.announce([Announcement(item_key, 1, Operation.CREATED)], more=indexed.items)
        new, record = self.new(item_key, data, Origin(Operation.CREATED, principal), changes[0].time)
        async with self._feed.writing(changes):
            await self._unique.check([Incoming(item_key, record.person_id, data)])
            await self._entries.add_words([indexed])
            if idempotency_key is None:
                created = record if await self._format.put_new(new) else None
            else:
                created = await self._create_idempotent(new, record, item_key, idempotency_key)
        if created != record:
            await self._feed.withdraw(changes)
            await self._undo(indexed)
        return created

    async def _undo(self, indexed: IndexChange) -> None:
        """Remove the entries of a creation that was not applied; `sweep` removes them otherwise."""
        with suppress(StoreUnavailable):
            await self._entries.undo(indexed)

    async def _create_idempotent(
        self, new: NewItem, record: StoredPerson, item_key: ItemKey, idempotency_key: IdempotencyKey
    ) -> StoredPerson | None:
        """Store a new person with its response under the idempotency key.

        Return the record of the first request, or None when the item key is already in use.
        """
        now = int(self._now().timestamp())
        saved = singleton_key(b"once" + idempotency_key.key) | {
            "content": binary(idempotency_key.content),
            "place": binary(item_key.block),
            "answer": binary(new.encode_response(record.body)),
            "expires_at": number(now + IDEMPOTENCY_TTL),
        }
        unused = {
            "ConditionExpression": f"{ABSENT} OR expires_at <= :now",
            "ExpressionAttributeValues": {":now": number(now)},
        }
        new.item["once"] = binary(idempotency_key.key)
        try:
            await self._table.transact_write(
                {"Put": {"Item": saved, **unused}}, *new.writes, token=new.item["write_id"]["B"]
            )
        except TransactionCancelled as cancelled:
            if not any(cancelled.failed):
                raise
        else:
            return record
        return await self._first_response(idempotency_key)

    async def _first_response(self, idempotency_key: IdempotencyKey) -> StoredPerson | None:
        """Return the record that the first request with this key created, None if there was none."""
        first = await self._table.get(singleton_key(b"once" + idempotency_key.key))
        if first is None or int_attr(first, "expires_at") <= int(self._now().timestamp()):
            return None
        if bytes_attr(first, "content") != idempotency_key.content:
            raise IdempotencyKeyConflict
        home = item_key_of(bytes_attr(first, "place"))
        body = await self._format.read_response(home, bytes_attr(first, "answer")) if "answer" in first else None
        if body is None:
            raise IdempotentPersonDeleted
        return StoredPerson(self._ids.encode(home.block), 1, body)
