"""The distributed store on one DynamoDB table. The promises are those of `peopleinfo.store`; comments here say how they are kept."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.dynamodb.items import (
    PREFIXES,
    Place,
    Places,
    alone,
    binary,
    is_person,
    number,
    place_of,
    prefix_key,
    value,
    whole,
    written,
)
from peopleinfo.dynamodb.table import BATCH, Cancelled, ConditionFailed
from peopleinfo.errors import (
    CreationErased,
    ImportOverlap,
    KeyReused,
    OutcomeUnknown,
    PersonNotFound,
    StoreUnavailable,
    VersionConflict,
)
from peopleinfo.ids import BLOCK_SIZE, IdCipher
from peopleinfo.person import Details, Record, details_of, render, timestamp
from peopleinfo.store import EXAMINED, ONCE_SECONDS, Once, Page, Progress, Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from peopleinfo.dynamodb.table import Item, Json, Table
    from peopleinfo.search import Filter

_ABSENT: Final = "attribute_not_exists(pk)"
_AT_VERSION: Final = "version = :expected"
_MOVED: Final = "moved_to = :at"
_LISTED: Final = "sk, body, surname_key"  # what a search needs of a person
_WRITERS: Final = 8  # calls of a load under way at a time: what the table does not take slows the load down
_RACES: Final = 20  # times that a write begins again since another one was faster
_SCANNED: Final = 1_000  # items asked for at a time


class _Found(NamedTuple):
    """A person's item, and where it lies; `home` is its first place."""

    home: Place
    place: Place
    item: Item

    @property
    def version(self) -> int:
        return whole(self.item, "version")


class DynamoStore:
    """People in a DynamoDB table, which other processes use at the same time."""

    def __init__(self, table: Table, secret: bytes, shards: int, *, now: Callable[[], datetime]) -> None:
        self._table = table
        self.secret = secret
        self._places = Places(secret, shards)
        self._ids = IdCipher(secret)
        self._now = now

    async def get(self, person_id: str, *, reading: Reading | None = None) -> Record:  # noqa: ARG002 - nothing is between
        found = await self._locate(self._home(person_id), "version, body, moved_to")
        if found is None:
            raise PersonNotFound(person_id)
        return Record(person_id, found.version, value(found.item, "body"))

    async def create(self, details: Details, *, once: Once | None = None) -> Record:
        for _ in range(_RACES):
            place = self._places.place(details.surname_key, self._places.new())
            write_id = secrets.token_bytes(8)
            item, record = self._new(place, details, write_id)
            if once is None:
                done = await self._put_new(item, write_id)
            else:
                answer = await self._create_once(item | {"once": binary(once.key)}, record, place, once)
                done = answer is not None
                record = answer or record
            if done:
                return record
        raise StoreUnavailable("no free place was found")

    async def replace(self, person_id: str, details: Details, *, expected: int, known: Record | None = None) -> Record:
        home = self._home(person_id)
        if known is None or known.version != expected:
            known = await self.get(person_id)
        if known.version != expected:
            raise VersionConflict(person_id, actual=known.version)
        old, given = details_of(known)
        now = timestamp(self._now())
        record = render(person_id, expected + 1, details, created_at=given["created_at"], updated_at=now)
        if self._places.moved(home, old.surname_key) == self._places.moved(home, details.surname_key):
            await self._change(home, self._places.moved(home, old.surname_key), details, record)
        else:
            await self._move(home, details, record)
        return record

    async def erase(self, person_id: str, *, expected: int | None = None) -> None:
        home = self._home(person_id)
        for _ in range(_RACES):
            found = await self._locate(home, "version, moved_to, once")
            if found is None:
                raise PersonNotFound(person_id)
            if expected not in (None, found.version):
                raise VersionConflict(person_id, actual=found.version)
            if await self._erase(found):
                return
        raise StoreUnavailable("the person changes too often to be erased")

    async def find(
        self,
        where: Filter,
        *,
        after: bytes | None,
        limit: int,
        reading: Reading | None = None,  # noqa: ARG002 - as in get
    ) -> Page:
        listing = _Listing(where, limit, after)
        more = True
        while more and not listing.is_full:
            if where.surname_key is not None:
                people, more = await self._by_surname(where.surname_key, listing)
            else:
                people, more = await self._by_prefix(where.prefix_key or "", listing)
            for position, body in people:
                if not listing.add(position, body):
                    break
        return listing.page(more=more)

    async def scan(
        self, *, after: bytes | None, limit: int, where: Filter | None = None, segment: int = 0, segments: int = 1
    ) -> Page:
        listing = _Listing(where, limit, after)
        while True:
            start = {"ExclusiveStartKey": _key_at(listing.position)} if listing.position else {}
            wanted = min(_SCANNED, listing.wanted)
            items, last = await self._table.scan(limit=wanted, Segment=segment, TotalSegments=segments, **start)
            for item, body in zip(items, await self._bodies(items), strict=True):
                if not listing.add(_position_of(item), body):
                    break
            if last is None or listing.is_full or (listing.people and not listing.refines):
                return listing.page(more=last is not None)

    async def load(self, people: Sequence[Details], *, step: tuple[Progress, Progress] | None = None) -> list[str]:
        if step is None:
            return await self._store_many(people, self._places.new(len(people) or 1))
        before, after = step
        first, again = await self._begin_step(before, len(people))
        ids = await self._store_many(people, first, again=again)
        await self._end_step(before, after)
        return ids

    async def progress(self, import_id: bytes) -> Progress:
        item = await self._table.get(alone(b"import" + import_id))
        return _progress(import_id, item)

    async def ready(self) -> None:
        await self._table.get(alone(b"deployment"), "sk")

    # Places

    def _home(self, person_id: str) -> Place:
        block = self._ids.open(person_id)
        if block is None:
            raise PersonNotFound(person_id)
        return place_of(block)

    async def _locate(self, home: Place, attributes: str) -> _Found | None:
        """Return the person whose first place is `home`, as it stands now, or None."""
        for _ in range(_RACES):
            item = await self._table.get(home.key, attributes)
            if item is None:
                return None
            if "moved_to" not in item:
                return _Found(home, home, item)
            place = Place(value(item, "moved_to"), home.sk)
            item = await self._table.get(place.key, attributes)
            if item is not None:
                return _Found(home, place, item)
            # It has moved on, or is erased, since we saw where it had moved to.
        raise StoreUnavailable("the person moves too often to be read")

    # Writes of one person

    def _new(self, place: Place, details: Details, write_id: bytes) -> tuple[Item, Record]:
        now = timestamp(self._now())
        record = render(self._ids.seal(place.block), 1, details, created_at=now, updated_at=now)
        return place.key | written(details, record, place, write_id), record

    async def _put_new(self, item: Item, write_id: bytes) -> bool:
        """Store a new person unless its place is taken by somebody else."""
        try:
            await self._table.put(item, _ABSENT)
        except ConditionFailed as failed:
            # What lies at a place that was chosen by chance after an attempt of ours is ours, whoever has changed it since.
            return failed.repeated or (failed.item is not None and value(failed.item, "write_id") == write_id)
        return True

    async def _create_once(self, item: Item, record: Record, place: Place, once: Once) -> Record | None:
        """Store a new person with the answer that is given for it; return the first answer, None when its place is taken."""
        now = int(self._now().timestamp())
        remembered = alone(b"once" + once.key) | {
            "content": binary(once.content),
            "place": binary(place.block),
            "answer": binary(record.body),
            "expires_at": number(now + ONCE_SECONDS),
        }
        forgotten = {
            "ConditionExpression": f"{_ABSENT} OR expires_at <= :now",
            "ExpressionAttributeValues": {":now": number(now)},
        }
        try:
            await self._table.transact(
                {"Put": {"Item": remembered, **forgotten}},
                {"Put": {"Item": item, "ConditionExpression": _ABSENT}},
                token=item["write_id"]["B"],
            )
        except Cancelled as cancelled:
            if not any(cancelled.failed):
                raise
        else:
            return record
        first = await self._table.get(alone(b"once" + once.key))
        if first is None or whole(first, "expires_at") <= now:
            return None
        if value(first, "content") != once.content:
            raise KeyReused
        if "answer" not in first:
            raise CreationErased
        return Record(self._ids.seal(value(first, "place")), 1, value(first, "answer"))

    async def _change(self, home: Place, place: Place, details: Details, record: Record) -> None:
        """Replace what is known of a person who stays in its partition."""
        write_id = secrets.token_bytes(8)
        attributes = written(details, record, place, write_id)
        change = "SET " + ", ".join(f"{name} = :{name}" for name in attributes)
        values = {f":{name}": text for name, text in attributes.items()}
        values[":expected"] = number(record.version - 1)
        try:
            await self._table.update(place.key, change, _AT_VERSION, values)
        except ConditionFailed as failed:
            if failed.item is None or "version" not in failed.item:
                found = await self._locate(home, "version, write_id, moved_to")
                self._refuse(record, found.item if found else None, write_id, repeated=failed.repeated)
            else:
                self._refuse(record, failed.item, write_id, repeated=failed.repeated)

    async def _move(self, home: Place, details: Details, record: Record) -> None:
        """Replace what is known of a person who goes to another partition."""
        write_id = secrets.token_bytes(8)
        repeated = False
        for _ in range(_RACES):
            found = await self._locate(home, "version, write_id, once, moved_to")
            if found is None or found.version != record.version - 1:
                self._refuse(record, found.item if found else None, write_id, repeated=repeated)
                return
            target = self._places.moved(home, details.surname_key)
            item = target.key | written(details, record, target, write_id)
            if "once" in found.item:
                item["once"] = found.item["once"]
            try:
                await self._table.transact(*_moving(found, target, item), token=secrets.token_hex(16))
            except Cancelled as cancelled:
                if not any(cancelled.failed):
                    raise
                repeated = repeated or cancelled.repeated
            else:
                return
        raise StoreUnavailable("the person moves too often to be changed")

    def _refuse(self, record: Record, item: Item | None, write_id: bytes, *, repeated: bool) -> None:
        """Raise what a change comes to whose condition did not hold; return when it was done after all."""
        if item is not None and "write_id" in item and value(item, "write_id") == write_id:
            return
        if repeated:  # an attempt may have been done, and its person changed or erased since
            raise OutcomeUnknown("the person was changed at the same time")
        if item is None:
            raise PersonNotFound(record.person_id)
        raise VersionConflict(record.person_id, actual=whole(item, "version"))

    async def _erase(self, found: _Found) -> bool:
        """Erase a person and its traces; False when it has changed or moved since it was found."""
        version = {"ExpressionAttributeValues": {":expected": number(found.version)}}
        writes: list[Json] = [{"Delete": {"Key": found.place.key, "ConditionExpression": _AT_VERSION, **version}}]
        if found.place != found.home:
            at = {"ExpressionAttributeValues": {":at": binary(found.place.pk)}}
            writes.append({"Delete": {"Key": found.home.key, "ConditionExpression": _MOVED, **at}})
        traces = list(_traces(found))
        token = secrets.token_hex(16)
        try:
            await self._table.transact(*writes, *traces, token=token)
        except Cancelled as cancelled:
            if any(cancelled.failed[: len(writes)]):
                return False
            if not traces or not cancelled.failed[-1]:
                raise
        else:
            return True
        # The key under which it was created is forgotten, or names somebody else by now.
        try:
            await self._table.transact(*writes, token=secrets.token_hex(16))
        except Cancelled:
            return False
        return True

    # Searches

    async def _by_surname(self, key: str, listing: _Listing) -> tuple[list[tuple[bytes, bytes | None]], bool]:
        """Return the next people of a surname, oldest first, and whether there are more."""
        shards = [self._shard(key, shard, listing.position, listing.wanted) for shard in range(self._places.shards)]
        pages = [await shards[0]] if len(shards) == 1 else await asyncio.gather(*shards)
        ends = [value(last, "sk") for _, last in pages if last is not None]
        # Beyond the end of any shard's page somebody of that shard may be missing.
        end = min(ends) if ends else None
        people = [
            (sk, value(item, "body") if "body" in item and item["surname_key"]["S"] == key else None)
            for items, _ in pages
            for item in items
            if (sk := value(item, "sk")) and (end is None or sk <= end)
        ]
        if len(pages) > 1:
            people.sort()
        return people, end is not None

    async def _shard(self, key: str, shard: int, after: bytes, limit: int) -> tuple[list[Item], Item | None]:
        condition, values = "pk = :pk", {":pk": binary(self._places.partition(key, shard))}
        if after:
            condition, values = "pk = :pk AND sk > :after", values | {":after": binary(after)}
        return await self._table.query(
            condition, values, limit=limit, ConsistentRead=True, ProjectionExpression=_LISTED
        )

    async def _by_prefix(self, prefix: str, listing: _Listing) -> tuple[list[tuple[bytes, bytes | None]], bool]:
        """Return the next people by the index, each as it stands in the table now, and whether there are more."""
        start = {"ExclusiveStartKey": _index_key_at(listing.position, prefix)} if listing.position else {}
        entries, last = await self._table.query(
            "prefix_pk = :pk AND begins_with(prefix_sk, :prefix)",
            {":pk": {"S": prefix[0]}, ":prefix": binary(prefix_key(prefix))},
            limit=min(_SCANNED, listing.wanted),
            IndexName=PREFIXES,
            **start,
        )
        items = await self._table.get_many([{"pk": entry["pk"], "sk": entry["sk"]} for entry in entries])
        bodies = {
            (item["pk"]["B"], item["sk"]["B"]): value(item, "body")
            for item in items
            if "body" in item and item["surname_key"]["S"].startswith(prefix)
        }
        return [(_index_position_of(one), bodies.get((one["pk"]["B"], one["sk"]["B"]))) for one in entries], bool(last)

    async def _bodies(self, items: list[Item]) -> list[bytes | None]:
        """Return the JSON of those whose first place is that of the item."""
        return [
            value(item, "body") if "body" in item and "home" not in item else await self._body_elsewhere(item)
            for item in items
        ]

    async def _body_elsewhere(self, item: Item) -> bytes | None:
        if "moved_to" not in item or not is_person(item):
            return None
        found = await self._locate(Place(value(item, "pk"), value(item, "sk")), "version, body, moved_to")
        return value(found.item, "body") if found else None

    # Loads

    async def _store_many(self, people: Sequence[Details], first: int, *, again: bool = False) -> list[str]:
        """Store people under the sort keys from `first` on; those that are there already stay as they are when it is done `again`."""
        ids = [""] * len(people)

        def groups() -> Iterator[list[Item]]:
            group: list[Item] = []
            for index, details in enumerate(people):
                place = self._places.place(details.surname_key, first + index)
                item, record = self._new(place, details, secrets.token_bytes(8))
                ids[index] = record.person_id
                group.append(item)
                if len(group) == BATCH or index == len(people) - 1:
                    yield group
                    group = []

        async def write(waiting: Iterator[list[Item]]) -> None:
            for group in waiting:
                await (self._put_missing(group) if again else self._table.put_many(group))

        waiting = groups()
        writers = [asyncio.ensure_future(write(waiting)) for _ in range(_WRITERS)]
        try:
            await asyncio.gather(*writers)
        finally:
            for writer in writers:
                writer.cancel()
            await asyncio.gather(*writers, return_exceptions=True)
        return ids

    async def _put_missing(self, items: list[Item]) -> None:
        for item in items:
            await self._put_new(item, b"")

    async def _begin_step(self, before: Progress, count: int) -> tuple[int, bool]:
        """Note that a step is being taken; return its first sort key, and whether some of its people may have been stored already.

        The sort keys of an import are chosen once for all its people. So a run that ended, or still runs, in the midst of a step has
        stored the same people in the same places as the one that takes the step again, however each divides the input into steps.
        """
        key = alone(b"import" + before.import_id)
        for _ in range(_RACES):
            item = await self._table.get(key) or {}
            if _progress(before.import_id, item) != before:
                raise ImportOverlap
            base = whole(item, "base_sk") if "base_sk" in item else self._places.new()
            begun = whole(item, "people_begun") if "people_begun" in item else 0
            stands, values = _standing(before)
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
        raise ImportOverlap

    async def _end_step(self, before: Progress, after: Progress) -> None:
        stands, values = _standing(before)
        values |= {":to_rows": number(after.rows), ":to_people": number(after.stored), ":to": binary(after.digest)}
        change = "SET rows_read = :to_rows, people_stored = :to_people, rows_digest = :to"
        try:
            await self._table.update(alone(b"import" + before.import_id), change, stands, values)
        except ConditionFailed as failed:
            if not (failed.repeated and failed.item and _progress(before.import_id, failed.item) == after):
                raise ImportOverlap from None


class _Listing:
    """A page that is being filled: whom it has, and after whom the next one begins."""

    def __init__(self, where: Filter | None, limit: int, after: bytes | None) -> None:
        self.people: list[bytes] = []
        self.position = after or b""
        self.refines = where is not None and where.refines
        self.is_full = False
        self._where = where
        self._limit = limit
        self._examined = 0

    @property
    def wanted(self) -> int:
        """How many items to ask for: one more than there is room for tells whether there are more."""
        return EXAMINED - self._examined if self.refines else self._limit - len(self.people) + 1

    def add(self, position: bytes, body: bytes | None) -> bool:
        """Go on to the item here, which has a person's JSON in it or not; False when the page ended before it."""
        if len(self.people) == self._limit:
            self.is_full = True
            return False
        self.position = position
        self._examined += 1
        if body is not None and (not self.refines or (self._where is not None and self._where.matches(body))):
            self.people.append(body)
        self.is_full = self.refines and self._examined == EXAMINED
        return True

    def page(self, *, more: bool) -> Page:
        """Return the page; `more` says whether there are items after those that were asked for."""
        return Page(self.people, self.position if more or self.is_full else None)


def _moving(found: _Found, target: Place, item: Item) -> list[Json]:
    """Return the writes that take a person to another place: there, away from here, and the word in its first place."""
    expected = {"ExpressionAttributeValues": {":expected": number(found.version)}}
    at = {":at": binary(found.place.pk)}
    leave: Json = {"Delete": {"Key": found.place.key, "ConditionExpression": _AT_VERSION, **expected}}
    if target == found.home:
        arrive: Json = {"Item": item, "ConditionExpression": _MOVED, "ExpressionAttributeValues": at}
        return [leave, {"Put": arrive}]
    away = {"Item": item | {"home": binary(found.home.pk)}, "ConditionExpression": _ABSENT}
    if found.place == found.home:
        word = found.home.key | {"moved_to": binary(target.pk)}
        return [{"Put": {"Item": word, "ConditionExpression": _AT_VERSION, **expected}}, {"Put": away}]
    redirect = {
        "Key": found.home.key,
        "UpdateExpression": "SET moved_to = :target",
        "ConditionExpression": _MOVED,
        "ExpressionAttributeValues": at | {":target": binary(target.pk)},
    }
    return [leave, {"Put": away}, {"Update": redirect}]


def _traces(found: _Found) -> Iterator[Json]:
    """Yield the writes that remove what else is known of a person: the answer that was given when it was created."""
    if "once" in found.item:
        yield {
            "Update": {
                "Key": alone(b"once" + value(found.item, "once")),
                "UpdateExpression": "REMOVE answer",
                "ConditionExpression": "place = :home",
                "ExpressionAttributeValues": {":home": binary(found.home.block)},
            }
        }


def _standing(progress: Progress) -> tuple[str, Item]:
    """Return the condition that an import has come just so far, and its values."""
    if progress == Progress(progress.import_id):
        return "attribute_not_exists(rows_read)", {}
    values = {":rows": number(progress.rows), ":people": number(progress.stored), ":digest": binary(progress.digest)}
    return "rows_read = :rows AND people_stored = :people AND rows_digest = :digest", values


def _progress(import_id: bytes, item: Item | None) -> Progress:
    if item is None or "rows_read" not in item:
        return Progress(import_id)
    return Progress(import_id, whole(item, "rows_read"), whole(item, "people_stored"), value(item, "rows_digest"))


def _position_of(item: Item) -> bytes:
    pk = value(item, "pk")
    return bytes([len(pk)]) + pk + value(item, "sk")


def _key_at(position: bytes) -> Item:
    end = 1 + position[0]
    return Place(position[1:end], position[end:]).key


def _index_position_of(entry: Item) -> bytes:
    return value(entry, "pk") + value(entry, "sk") + value(entry, "prefix_sk")


def _index_key_at(position: bytes, prefix: str) -> Item:
    index = {"prefix_pk": {"S": prefix[0]}, "prefix_sk": binary(position[BLOCK_SIZE:])}
    return place_of(position[:BLOCK_SIZE]).key | index
