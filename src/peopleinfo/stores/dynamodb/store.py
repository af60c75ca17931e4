"""The DynamoDB store: implements `peopleinfo.people.store.Store` on one table."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import TYPE_CHECKING, Final

from peopleinfo.crypto.ids import IdCipher
from peopleinfo.errors import (
    IdempotencyKeyConflict,
    IdempotentPersonDeleted,
    OutcomeUnknown,
    PersonNotFound,
    StoreUnavailable,
    VersionConflict,
)
from peopleinfo.people.history import UPDATED
from peopleinfo.people.person import PersonData, StoredPerson, check_stored, encode_person, split_record, timestamp
from peopleinfo.people.store import (
    IDEMPOTENCY_TTL,
    Checkpoint,
    IdempotencyKey,
    Lease,
    Page,
    PurgeResult,
    ReindexResult,
)
from peopleinfo.stores.dynamodb.api_keys import DynamoDBApiKeyStore
from peopleinfo.stores.dynamodb.batches import RecordBatches
from peopleinfo.stores.dynamodb.bulk_write import BulkWriter
from peopleinfo.stores.dynamodb.client import ConditionFailed, TransactionCancelled, non_atomic_writes
from peopleinfo.stores.dynamodb.ended_sessions import DynamoDBEndedSessionStore
from peopleinfo.stores.dynamodb.history import NoHistory
from peopleinfo.stores.dynamodb.items import (
    ItemKey,
    KeyAllocator,
    binary,
    bytes_attr,
    int_attr,
    is_person,
    item_key_of,
    number,
    singleton_key,
)
from peopleinfo.stores.dynamodb.leases import acquire_lease
from peopleinfo.stores.dynamodb.paging import PageBuilder, key_at, position_of
from peopleinfo.stores.dynamodb.record_format import was_written_by
from peopleinfo.stores.dynamodb.record_writes import (
    ABSENT,
    AT_VERSION,
    Located,
    carried_attributes,
    delete_writes,
    move_writes,
)
from peopleinfo.stores.dynamodb.surname_search import SurnameSearch
from peopleinfo.stores.dynamodb.upsert import Upsert, is_local_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from peopleinfo.people.history import Origin
    from peopleinfo.people.search import PersonFilter
    from peopleinfo.stores.dynamodb.client import Item, Json, TableClient
    from peopleinfo.stores.dynamodb.record_format import NewItem, RecordFormat

_MAX_ATTEMPTS: Final = 20  # attempts of a write that conflicts with concurrent writes
_MAX_SCAN_ITEMS: Final = 1_000  # items requested per call; a response holds at most 1 MB


class DynamoDBStore(NoHistory):
    """Person records in a DynamoDB table that several processes share."""

    search = None  # ADR 16 describes the items of the search index

    def __init__(
        self,
        table: TableClient,
        record_format: RecordFormat,
        secret: bytes,
        shards: int,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._table = table
        self._format = record_format
        self.api_keys = DynamoDBApiKeyStore(table)
        self.ended_sessions = DynamoDBEndedSessionStore(table)
        self.secret = secret
        self.index_value = record_format.index
        self._item_keys = KeyAllocator(secret, shards)
        self._ids = IdCipher(secret)
        self._now = now
        self._bulk = BulkWriter(table, record_format, self._item_keys, self._new)
        self.read_checkpoint = self._bulk.read_checkpoint
        self.delete_checkpoint = self._bulk.delete_checkpoint
        batches = RecordBatches(table, record_format, self._ids, self)
        self.get_many = batches.get_many
        self.replace_many = batches.replace_many
        self._search = SurnameSearch(table, record_format, self._item_keys)
        self._upsert = Upsert(table, record_format, self._item_keys, self._ids, self._locate)
        self.estimate = self._upsert.estimate

    async def get(self, person_id: str) -> StoredPerson:
        found = await self._find(person_id, "version, body, moved_to")
        body = await self._format.body(found.home, found.item) if found else None
        if found is None or body is None:
            raise PersonNotFound(person_id)
        return StoredPerson(person_id, found.version, check_stored(body, person_id))

    async def create(
        self, data: PersonData, *, idempotency_key: IdempotencyKey | None = None, principal: str | None = None
    ) -> StoredPerson:
        await self._format.refresh_keys()
        for _ in range(_MAX_ATTEMPTS):
            item_key = self._item_keys.for_surname(data.surname_key, self._item_keys.new())
            new, record = self._new(item_key, data)
            if idempotency_key is None:
                done = await self._format.put_new(new)
            else:
                created = await self._create_idempotent(new, record, item_key, idempotency_key)
                done = created is not None
                record = created or record
            if done:
                return record
        raise StoreUnavailable("no unused item key was found; try again")

    async def replace(
        self,
        person_id: str,
        data: PersonData,
        *,
        expected: int,
        current: StoredPerson | None = None,
        origin: Origin = UPDATED,
    ) -> StoredPerson:
        if current is None or current.version != expected:
            current = await self.get(person_id)
        if current.version != expected:
            raise VersionConflict(person_id, actual=current.version)
        old, fields = split_record(current)
        home = self._home(person_id)
        if not is_local_id(home, datetime.fromisoformat(fields["created_at"])):  # another store may have created the id
            home = await self._upsert.home(person_id) or home
        now = timestamp(self._now())
        record = encode_person(person_id, expected + 1, data, created_at=fields["created_at"], updated_at=now)
        if self._item_keys.rekeyed(home, old.surname_key) == self._item_keys.rekeyed(home, data.surname_key):
            await self._update_in_place(home, self._item_keys.rekeyed(home, old.surname_key), data, record)
        else:
            await self._move_partition(home, data, record)
        return record

    async def delete(self, person_id: str, *, expected: int | None = None) -> None:
        for _ in range(_MAX_ATTEMPTS):
            found = await self._find(person_id, "version, moved_to, once, alias")
            if found is None or not await self._format.has_key(found.home):
                raise PersonNotFound(person_id)
            if expected not in (None, found.version):
                raise VersionConflict(person_id, actual=found.version)
            if await self._delete_item(found, self._format.delete_key_writes(found.home)):
                return
        raise StoreUnavailable("concurrent changes of the person prevented its deletion; try again")

    async def find(self, person_filter: PersonFilter, *, after: bytes | None, limit: int) -> Page:
        return await self._search.find(person_filter, after=after, limit=limit)

    async def scan(
        self,
        *,
        after: bytes | None,
        limit: int,
        person_filter: PersonFilter | None = None,
        segment: int = 0,
        segments: int = 1,
    ) -> Page:
        page = PageBuilder(person_filter, limit, after)
        while True:
            start = {"ExclusiveStartKey": key_at(page.position)} if page.position else {}
            request_limit = min(_MAX_SCAN_ITEMS, page.next_limit)
            items, last = await self._table.scan(limit=request_limit, Segment=segment, TotalSegments=segments, **start)
            for item, body in zip(items, await self._bodies(items), strict=True):
                if not page.add(position_of(item), body):
                    break
            if last is None or page.is_full or (page.people and not page.filters_rows):
                return page.build(more=last is not None)

    async def create_many(
        self,
        people: Sequence[PersonData],
        *,
        checkpoint: tuple[Checkpoint, Checkpoint] | None = None,
        offsets: Sequence[int] = (),
        principal: str | None = None,
    ) -> list[str]:
        await self._format.refresh_keys()
        return await self._bulk.create_many(people, checkpoint, offsets)

    async def acquire_lease(self, lease: Lease, *, now: datetime) -> bool:
        return await acquire_lease(self._table, lease, now)

    def update_gauges(self) -> None:
        pass  # this store has no gauges: the HTTP client records its waits

    async def upsert_many(
        self, people: Sequence[bytes], *, checkpoint: tuple[Checkpoint, Checkpoint] | None = None
    ) -> int:
        if checkpoint is not None:
            await self._bulk.check_step(checkpoint[0])
        await self._format.refresh_keys()
        with non_atomic_writes():
            changed = await self._upsert.upsert_many(people)
            if checkpoint is not None:
                await self._bulk.commit_checkpoint(*checkpoint)
        return changed

    async def reindex(self, *, after: bytes | None, limit: int) -> ReindexResult:
        with non_atomic_writes():
            return await self._upsert.reindex(after, limit)

    async def purge(self, *, after: bytes | None, limit: int, remove: bool = True) -> PurgeResult:
        start = {"ExclusiveStartKey": key_at(after)} if after else {}
        items, last = await self._table.scan(limit=limit, ProjectionExpression="pk, sk, home", **start)
        # Every record has exactly one item at its home key: the record itself or a redirect.
        homes = [
            ItemKey(bytes_attr(item, "pk"), bytes_attr(item, "sk"))
            for item in items
            if is_person(item) and "home" not in item
        ]
        orphans = await self._format.without_key(homes)
        for home in orphans if remove else ():
            if found := await self._locate(home, "version, moved_to, once, alias"):
                await self._delete_item(found, self._format.key_absent_conditions(home))
        return PurgeResult(len(homes), len(orphans), position_of(last) if last else None)

    async def check(self) -> None:
        await self._table.get(singleton_key(b"deployment"), "sk")

    # Item keys

    def _home(self, person_id: str) -> ItemKey:
        block = self._ids.decode(person_id)
        if block is None:
            raise PersonNotFound(person_id)
        return item_key_of(block)

    async def _find(self, person_id: str, attributes: str) -> Located | None:
        """Return the current item of a person, whichever store created its id, or None."""
        found = await self._locate(self._home(person_id), attributes)
        if found is None and (home := await self._upsert.home(person_id)):
            found = await self._locate(home, attributes)
        return found

    async def _locate(self, home: ItemKey, attributes: str) -> Located | None:
        """Return the current item of the person with this home key, or None."""
        for _ in range(_MAX_ATTEMPTS):
            item = await self._format.get_home(home, attributes)
            if item is None:
                return None
            if "moved_to" not in item:
                return Located(home, home, item)
            item_key = ItemKey(bytes_attr(item, "moved_to"), home.sk)
            item = await self._table.get(item_key.key, attributes)
            if item is not None:
                return Located(home, item_key, item)
            # The record was moved again or deleted after the redirect was read.
        raise StoreUnavailable("concurrent moves of the person prevented the read; try again")

    # Writes of one record

    def _new(self, item_key: ItemKey, data: PersonData) -> tuple[NewItem, StoredPerson]:
        now = timestamp(self._now())
        record = encode_person(self._ids.encode(item_key.block), 1, data, created_at=now, updated_at=now)
        return self._format.new(item_key, item_key, data.surname_key, record, secrets.token_bytes(8)), record

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
        first = await self._table.get(singleton_key(b"once" + idempotency_key.key))
        if first is None or int_attr(first, "expires_at") <= now:
            return None
        if bytes_attr(first, "content") != idempotency_key.content:
            raise IdempotencyKeyConflict
        home = item_key_of(bytes_attr(first, "place"))
        body = await self._format.read_response(home, bytes_attr(first, "answer")) if "answer" in first else None
        if body is None:
            raise IdempotentPersonDeleted
        return StoredPerson(self._ids.encode(home.block), 1, body)

    async def _update_in_place(self, home: ItemKey, item_key: ItemKey, data: PersonData, record: StoredPerson) -> None:
        """Update a record in place: its surname, and so its partition, is unchanged."""
        write_id = secrets.token_bytes(8)
        attributes = await self._format.update_attributes(home, item_key, data.surname_key, record, write_id)
        change = "SET " + ", ".join(f"{name} = :{name}" for name in attributes)
        values = {f":{name}": text for name, text in attributes.items()}
        values[":expected"] = number(record.version - 1)
        try:
            await self._table.update(item_key.key, change, AT_VERSION, values)
        except ConditionFailed as failed:
            item = failed.item
            if item is None or "moved_to" in item:  # the record moved to another partition
                found = await self._locate(home, "version, write_id, moved_to")
                item = found.item if found else None
            self._raise_conflict(record, item, write_id, repeated=failed.repeated)

    async def _move_partition(self, home: ItemKey, data: PersonData, record: StoredPerson) -> None:
        """Update a record and move it to the partition of its new surname."""
        write_id = secrets.token_bytes(8)
        repeated = False
        for _ in range(_MAX_ATTEMPTS):
            found = await self._locate(home, "version, write_id, once, alias, moved_to")
            if found is None or found.version != record.version - 1:
                self._raise_conflict(record, found.item if found else None, write_id, repeated=repeated)
                return
            target = self._item_keys.rekeyed(home, data.surname_key)
            attributes = await self._format.update_attributes(home, target, data.surname_key, record, write_id)
            item = target.key | attributes | carried_attributes(found.item)
            try:
                await self._table.transact_write(*move_writes(found, target, item), token=secrets.token_hex(16))
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
        writes += extra_writes
        # Skip the response if only its condition fails: the idempotency key expired, or belongs to another record.
        for optional in (response_writes, []):
            try:
                await self._table.transact_write(*writes, *optional, token=secrets.token_hex(16))
            except TransactionCancelled as cancelled:
                if not any(cancelled.failed):
                    raise
                if any(cancelled.failed[: len(writes)]):
                    return False
            else:
                self._format.evict_key(found.home)
                return True
        return False

    async def _bodies(self, items: list[Item]) -> list[bytes | None]:
        """Return the JSON of the record behind each home item; None for items of another kind."""
        at_home = [item if is_person(item) and "body" in item and "home" not in item else None for item in items]
        bodies = await self._format.bodies(at_home)
        return [
            body if home is not None else await self._moved_body(item)
            for item, home, body in zip(items, at_home, bodies, strict=True)
        ]

    async def _moved_body(self, item: Item) -> bytes | None:
        if "moved_to" not in item or not is_person(item):
            return None
        found = await self._locate(ItemKey(bytes_attr(item, "pk"), bytes_attr(item, "sk")), "version, body, moved_to")
        return await self._format.body(found.home, found.item) if found else None
