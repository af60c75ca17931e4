"""The distributed store on one DynamoDB table. The promises are those of `peopleinfo.people.store`; comments here say how they are kept."""

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
from peopleinfo.people.person import PersonData, StoredPerson, check_stored, encode_person, split_record, timestamp
from peopleinfo.people.store import (
    IDEMPOTENCY_TTL,
    Checkpoint,
    IdempotencyKey,
    Page,
    PurgeResult,
    ReadOptions,
    ReindexResult,
)
from peopleinfo.stores.dynamodb.api_keys import DynamoDBApiKeyStore
from peopleinfo.stores.dynamodb.bulk_write import BulkWriter
from peopleinfo.stores.dynamodb.client import ConditionFailed, TransactionCancelled, several_writes
from peopleinfo.stores.dynamodb.ended_sessions import DynamoEndedSessions
from peopleinfo.stores.dynamodb.items import (
    ItemKey,
    KeyAllocator,
    binary,
    bytes_attr,
    int_attr,
    is_person,
    number,
    place_of,
    singleton_key,
)
from peopleinfo.stores.dynamodb.paging import PageBuilder, key_at, position_of
from peopleinfo.stores.dynamodb.record_format import is_of
from peopleinfo.stores.dynamodb.surname_search import SurnameSearch
from peopleinfo.stores.dynamodb.transactions import (
    ABSENT,
    AT_VERSION,
    Located,
    carried_attributes,
    delete_writes,
    move_writes,
)
from peopleinfo.stores.dynamodb.upsert import Upsert, is_local_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from peopleinfo.people.search import PersonFilter
    from peopleinfo.stores.dynamodb.client import Item, Json, TableClient
    from peopleinfo.stores.dynamodb.record_format import NewItem, RecordFormat

_RACES: Final = 20  # times that a write begins again since another one was faster
_SCANNED: Final = 1_000  # items asked for at a time; a response has at most 1 MB of them


class DynamoDBStore:
    """People in a DynamoDB table, which other processes use at the same time."""

    cache_state = None

    def __init__(
        self, table: TableClient, form: RecordFormat, secret: bytes, shards: int, *, now: Callable[[], datetime]
    ) -> None:
        self._table = table
        self._form = form
        self.api_keys = DynamoDBApiKeyStore(table)
        self.ended_sessions = DynamoEndedSessions(table)
        self.secret = secret
        self.index_value = form.index
        self._places = KeyAllocator(secret, shards)
        self._ids = IdCipher(secret)
        self._now = now
        self._loads = BulkWriter(table, form, self._places, self._new)
        self._search = SurnameSearch(table, form, self._places)
        self._adoption = Upsert(table, form, self._places, self._ids, self._locate)

    async def get(self, person_id: str, *, options: ReadOptions | None = None) -> StoredPerson:
        found = await self._find(person_id, "version, body, moved_to")
        body = await self._form.body(found.home, found.item) if found else None
        if found is None or body is None:
            raise PersonNotFound(person_id)
        return StoredPerson(person_id, found.version, check_stored(body, person_id))

    async def create(self, details: PersonData, *, idempotency_key: IdempotencyKey | None = None) -> StoredPerson:
        await self._form.refresh_keys()
        for _ in range(_RACES):
            place = self._places.place(details.surname_key, self._places.new())
            new, record = self._new(place, details)
            if idempotency_key is None:
                done = await self._form.put_new(new)
            else:
                answer = await self._create_once(new, record, place, idempotency_key)
                done = answer is not None
                record = answer or record
            if done:
                return record
        raise StoreUnavailable("no free place was found")

    async def replace(
        self, person_id: str, details: PersonData, *, expected: int, current: StoredPerson | None = None
    ) -> StoredPerson:
        if current is None or current.version != expected:
            current = await self.get(person_id)
        if current.version != expected:
            raise VersionConflict(person_id, actual=current.version)
        old, given = split_record(current)
        home = self._home(person_id)
        if not is_local_id(home, datetime.fromisoformat(given["created_at"])):  # the id may be another store's
            home = await self._adoption.home(person_id) or home
        now = timestamp(self._now())
        record = encode_person(person_id, expected + 1, details, created_at=given["created_at"], updated_at=now)
        if self._places.moved(home, old.surname_key) == self._places.moved(home, details.surname_key):
            await self._change(home, self._places.moved(home, old.surname_key), details, record)
        else:
            await self._move(home, details, record)
        return record

    async def delete(self, person_id: str, *, expected: int | None = None) -> None:
        for _ in range(_RACES):
            found = await self._find(person_id, "version, moved_to, once, alias")
            if found is None or not await self._form.has_key(found.home):
                raise PersonNotFound(person_id)
            if expected not in (None, found.version):
                raise VersionConflict(person_id, actual=found.version)
            if await self._erase(found, self._form.delete_key_writes(found.home)):
                return
        raise StoreUnavailable("the person changes too often to be erased")

    async def find(
        self, person_filter: PersonFilter, *, after: bytes | None, limit: int, options: ReadOptions | None = None
    ) -> Page:
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
        listing = PageBuilder(person_filter, limit, after)
        while True:
            start = {"ExclusiveStartKey": key_at(listing.position)} if listing.position else {}
            wanted = min(_SCANNED, listing.next_limit)
            items, last = await self._table.scan(limit=wanted, Segment=segment, TotalSegments=segments, **start)
            for item, body in zip(items, await self._bodies(items), strict=True):
                if not listing.add(position_of(item), body):
                    break
            if last is None or listing.is_full or (listing.people and not listing.refines):
                return listing.page(more=last is not None)

    async def create_many(
        self, people: Sequence[PersonData], *, checkpoint: tuple[Checkpoint, Checkpoint] | None = None
    ) -> list[str]:
        await self._form.refresh_keys()
        return await self._loads.load(people, checkpoint)

    async def progress(self, import_id: bytes) -> Checkpoint:
        return await self._loads.progress(import_id)

    def update_gauges(self) -> None:
        pass  # what it waits for is counted where it waits

    async def upsert_many(
        self, people: Sequence[bytes], *, checkpoint: tuple[Checkpoint, Checkpoint] | None = None
    ) -> int:
        if checkpoint is not None:
            await self._loads.check_step(checkpoint[0])
        await self._form.refresh_keys()
        with several_writes():
            changed = await self._adoption.adopt(people)
            if checkpoint is not None:
                await self._loads.commit_checkpoint(*checkpoint)
        return changed

    async def reindex(self, *, after: bytes | None, limit: int) -> ReindexResult:
        with several_writes():
            return await self._adoption.rekey(after, limit)

    async def purge(self, *, after: bytes | None, limit: int, remove: bool = True) -> PurgeResult:
        start = {"ExclusiveStartKey": key_at(after)} if after else {}
        items, last = await self._table.scan(limit=limit, ProjectionExpression="pk, sk, home", **start)
        # Everybody has one first place, and lies there or has left word of where.
        homes = [
            ItemKey(bytes_attr(item, "pk"), bytes_attr(item, "sk"))
            for item in items
            if is_person(item) and "home" not in item
        ]
        gone = await self._form.without_key(homes)
        for home in gone if remove else ():
            if found := await self._locate(home, "version, moved_to, once, alias"):
                await self._erase(found, self._form.key_absent_conditions(home))
        return PurgeResult(len(homes), len(gone), position_of(last) if last else None)

    async def estimate(self) -> int | None:
        return await self._adoption.estimate()

    async def check(self) -> None:
        await self._table.get(singleton_key(b"deployment"), "sk")

    # Places

    def _home(self, person_id: str) -> ItemKey:
        block = self._ids.decode(person_id)
        if block is None:
            raise PersonNotFound(person_id)
        return place_of(block)

    async def _find(self, person_id: str, attributes: str) -> Located | None:
        """Return a person as it stands now, whichever store has given it its id, or None."""
        found = await self._locate(self._home(person_id), attributes)
        if found is None and (home := await self._adoption.home(person_id)):
            found = await self._locate(home, attributes)
        return found

    async def _locate(self, home: ItemKey, attributes: str) -> Located | None:
        """Return the person whose first place is `home`, as it stands now, or None."""
        for _ in range(_RACES):
            item = await self._form.get_home(home, attributes)
            if item is None:
                return None
            if "moved_to" not in item:
                return Located(home, home, item)
            place = ItemKey(bytes_attr(item, "moved_to"), home.sk)
            item = await self._table.get(place.key, attributes)
            if item is not None:
                return Located(home, place, item)
            # It has moved on, or is erased, since we saw where it had moved to.
        raise StoreUnavailable("the person moves too often to be read")

    # Writes of one person

    def _new(self, place: ItemKey, details: PersonData) -> tuple[NewItem, StoredPerson]:
        now = timestamp(self._now())
        record = encode_person(self._ids.encode(place.block), 1, details, created_at=now, updated_at=now)
        return self._form.new(place, place, details.surname_key, record, secrets.token_bytes(8)), record

    async def _create_once(
        self, new: NewItem, record: StoredPerson, place: ItemKey, idempotency_key: IdempotencyKey
    ) -> StoredPerson | None:
        """Store a new person with the answer that is given for it; return the first answer, None when its place is taken."""
        now = int(self._now().timestamp())
        remembered = singleton_key(b"once" + idempotency_key.key) | {
            "content": binary(idempotency_key.content),
            "place": binary(place.block),
            "answer": binary(new.answer(record.body)),
            "expires_at": number(now + IDEMPOTENCY_TTL),
        }
        forgotten = {
            "ConditionExpression": f"{ABSENT} OR expires_at <= :now",
            "ExpressionAttributeValues": {":now": number(now)},
        }
        new.item["once"] = binary(idempotency_key.key)
        try:
            await self._table.transact_write(
                {"Put": {"Item": remembered, **forgotten}}, *new.writes, token=new.item["write_id"]["B"]
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
        home = place_of(bytes_attr(first, "place"))
        answer = await self._form.read_answer(home, bytes_attr(first, "answer")) if "answer" in first else None
        if answer is None:
            raise IdempotentPersonDeleted
        return StoredPerson(self._ids.encode(home.block), 1, answer)

    async def _change(self, home: ItemKey, place: ItemKey, details: PersonData, record: StoredPerson) -> None:
        """Replace what is known of a person who stays in its partition."""
        write_id = secrets.token_bytes(8)
        attributes = await self._form.update_attributes(home, place, details.surname_key, record, write_id)
        change = "SET " + ", ".join(f"{name} = :{name}" for name in attributes)
        values = {f":{name}": text for name, text in attributes.items()}
        values[":expected"] = number(record.version - 1)
        try:
            await self._table.update(place.key, change, AT_VERSION, values)
        except ConditionFailed as failed:
            item = failed.item
            if item is None or "moved_to" in item:  # it has left the partition
                found = await self._locate(home, "version, write_id, moved_to")
                item = found.item if found else None
            self._refuse(record, item, write_id, repeated=failed.repeated)

    async def _move(self, home: ItemKey, details: PersonData, record: StoredPerson) -> None:
        """Replace what is known of a person who goes to another partition."""
        write_id = secrets.token_bytes(8)
        repeated = False
        for _ in range(_RACES):
            found = await self._locate(home, "version, write_id, once, alias, moved_to")
            if found is None or found.version != record.version - 1:
                self._refuse(record, found.item if found else None, write_id, repeated=repeated)
                return
            target = self._places.moved(home, details.surname_key)
            attributes = await self._form.update_attributes(home, target, details.surname_key, record, write_id)
            item = target.key | attributes | carried_attributes(found.item)
            try:
                await self._table.transact_write(*move_writes(found, target, item), token=secrets.token_hex(16))
            except TransactionCancelled as cancelled:
                if not any(cancelled.failed):
                    raise
                repeated = repeated or cancelled.repeated
            else:
                return
        raise StoreUnavailable("the person moves too often to be changed")

    def _refuse(self, record: StoredPerson, item: Item | None, write_id: bytes, *, repeated: bool) -> None:
        """Raise what a change comes to whose condition did not hold; return when it was done after all."""
        if is_of(item, write_id):
            return
        if repeated:  # an attempt may have been done, and its person changed or erased since
            raise OutcomeUnknown("the person was changed at the same time")
        if item is None:
            raise PersonNotFound(record.person_id)
        raise VersionConflict(record.person_id, actual=int_attr(item, "version"))

    async def _erase(self, found: Located, together: list[Json]) -> bool:
        """Erase a person and its traces, `together` with other writes; False when it has changed or moved since it was found."""
        writes, traces = delete_writes(found)
        writes += together
        # Without the traces when those alone do not fit: the key under which it was created is forgotten, or names somebody else.
        for further in (traces, []):
            try:
                await self._table.transact_write(*writes, *further, token=secrets.token_hex(16))
            except TransactionCancelled as cancelled:
                if not any(cancelled.failed):
                    raise
                if any(cancelled.failed[: len(writes)]):
                    return False
            else:
                self._form.evict_key(found.home)
                return True
        return False

    async def _bodies(self, items: list[Item]) -> list[bytes | None]:
        """Return the JSON of those whose first place is that of the item."""
        at_home = [item if is_person(item) and "body" in item and "home" not in item else None for item in items]
        bodies = await self._form.bodies(at_home)
        return [
            body if home is not None else await self._body_elsewhere(item)
            for item, home, body in zip(items, at_home, bodies, strict=True)
        ]

    async def _body_elsewhere(self, item: Item) -> bytes | None:
        if "moved_to" not in item or not is_person(item):
            return None
        found = await self._locate(ItemKey(bytes_attr(item, "pk"), bytes_attr(item, "sk")), "version, body, moved_to")
        return await self._form.body(found.home, found.item) if found else None
