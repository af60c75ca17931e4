"""The distributed store on one DynamoDB table. The promises are those of `peopleinfo.people.store`; comments here say how they are kept."""

from __future__ import annotations

import asyncio
import secrets
from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from peopleinfo.crypto.ids import IdCipher
from peopleinfo.errors import (
    CreationErased,
    KeyReused,
    OutcomeUnknown,
    PersonNotFound,
    StoreUnavailable,
    VersionConflict,
)
from peopleinfo.people.person import Details, Record, checked, details_of, render, timestamp
from peopleinfo.people.store import ONCE_SECONDS, Once, Page, Progress, Purged, Reading, Rekeyed
from peopleinfo.stores.dynamodb.api_keys import DynamoApiKeys
from peopleinfo.stores.dynamodb.bulk_write import Loads
from peopleinfo.stores.dynamodb.client import Cancelled, ConditionFailed, several_writes
from peopleinfo.stores.dynamodb.ended_sessions import DynamoEndedSessions
from peopleinfo.stores.dynamodb.items import (
    PREFIXES,
    Place,
    Places,
    alone,
    binary,
    is_person,
    number,
    place_of,
    prefix_key,
    surname_key,
    value,
    whole,
)
from peopleinfo.stores.dynamodb.paging import Listing, index_key_at, index_position_of, key_at, position_of
from peopleinfo.stores.dynamodb.record_format import is_of
from peopleinfo.stores.dynamodb.transactions import ABSENT, AT_VERSION, Found, erasing, kept, moving
from peopleinfo.stores.dynamodb.upsert import Adoption, is_near

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from peopleinfo.people.search import Filter
    from peopleinfo.stores.dynamodb.client import Item, Json, Table
    from peopleinfo.stores.dynamodb.record_format import Form, New

_RACES: Final = 20  # times that a write begins again since another one was faster
_SCANNED: Final = 1_000  # items asked for at a time; a response has at most 1 MB of them
_GROUP: Final = 50  # people found by a prefix that are in memory together, beside those of the page


class DynamoStore:
    """People in a DynamoDB table, which other processes use at the same time."""

    cache_state = None

    def __init__(self, table: Table, form: Form, secret: bytes, shards: int, *, now: Callable[[], datetime]) -> None:
        self._table = table
        self._form = form
        self.api_keys = DynamoApiKeys(table)
        self.ended_sessions = DynamoEndedSessions(table)
        self.secret = secret
        self.index = form.index
        self._places = Places(secret, shards)
        self._ids = IdCipher(secret)
        self._now = now
        self._loads = Loads(table, form, self._places, self._new)
        self._adoption = Adoption(table, form, self._places, self._ids, self._locate)

    async def get(self, person_id: str, *, reading: Reading | None = None) -> Record:
        found = await self._find(person_id, "version, body, moved_to")
        body = await self._form.body(found.home, found.item) if found else None
        if found is None or body is None:
            raise PersonNotFound(person_id)
        return Record(person_id, found.version, checked(body, person_id))

    async def create(self, details: Details, *, once: Once | None = None) -> Record:
        await self._form.prepare()
        for _ in range(_RACES):
            place = self._places.place(details.surname_key, self._places.new())
            new, record = self._new(place, details)
            if once is None:
                done = await self._form.put_new(new)
            else:
                answer = await self._create_once(new, record, place, once)
                done = answer is not None
                record = answer or record
            if done:
                return record
        raise StoreUnavailable("no free place was found")

    async def replace(self, person_id: str, details: Details, *, expected: int, known: Record | None = None) -> Record:
        if known is None or known.version != expected:
            known = await self.get(person_id)
        if known.version != expected:
            raise VersionConflict(person_id, actual=known.version)
        old, given = details_of(known)
        home = self._home(person_id)
        if not is_near(home, datetime.fromisoformat(given["created_at"])):  # the id may be another store's
            home = await self._adoption.home(person_id) or home
        now = timestamp(self._now())
        record = render(person_id, expected + 1, details, created_at=given["created_at"], updated_at=now)
        if self._places.moved(home, old.surname_key) == self._places.moved(home, details.surname_key):
            await self._change(home, self._places.moved(home, old.surname_key), details, record)
        else:
            await self._move(home, details, record)
        return record

    async def erase(self, person_id: str, *, expected: int | None = None) -> None:
        for _ in range(_RACES):
            found = await self._find(person_id, "version, moved_to, once, alias")
            if found is None or not await self._form.is_there(found.home):
                raise PersonNotFound(person_id)
            if expected not in (None, found.version):
                raise VersionConflict(person_id, actual=found.version)
            if await self._erase(found, self._form.destroying(found.home)):
                return
        raise StoreUnavailable("the person changes too often to be erased")

    async def find(self, where: Filter, *, after: bytes | None, limit: int, reading: Reading | None = None) -> Page:
        self._form.check(where)
        listing = Listing(where, limit, after)
        more = True
        while more and not listing.is_full:
            if where.surname_key is not None:
                people, more = await self._by_surname(where.surname_key, listing)
                listing.add_all(people)
            else:
                more = await self._by_prefix(where.prefix_key or "", listing)
        return listing.page(more=more)

    async def scan(
        self, *, after: bytes | None, limit: int, where: Filter | None = None, segment: int = 0, segments: int = 1
    ) -> Page:
        listing = Listing(where, limit, after)
        while True:
            start = {"ExclusiveStartKey": key_at(listing.position)} if listing.position else {}
            wanted = min(_SCANNED, listing.wanted)
            items, last = await self._table.scan(limit=wanted, Segment=segment, TotalSegments=segments, **start)
            for item, body in zip(items, await self._bodies(items), strict=True):
                if not listing.add(position_of(item), body):
                    break
            if last is None or listing.is_full or (listing.people and not listing.refines):
                return listing.page(more=last is not None)

    async def load(self, people: Sequence[Details], *, step: tuple[Progress, Progress] | None = None) -> list[str]:
        await self._form.prepare()
        return await self._loads.load(people, step)

    async def progress(self, import_id: bytes) -> Progress:
        return await self._loads.progress(import_id)

    def note_state(self) -> None:
        pass  # what it waits for is counted where it waits

    async def adopt(self, people: Sequence[bytes], *, step: tuple[Progress, Progress] | None = None) -> int:
        if step is not None:
            await self._loads.check_step(step[0])
        await self._form.prepare()
        with several_writes():
            changed = await self._adoption.adopt(people)
            if step is not None:
                await self._loads.end_step(*step)
        return changed

    async def rekey(self, *, after: bytes | None, limit: int) -> Rekeyed:
        with several_writes():
            return await self._adoption.rekey(after, limit)

    async def purge(self, *, after: bytes | None, limit: int, remove: bool = True) -> Purged:
        start = {"ExclusiveStartKey": key_at(after)} if after else {}
        items, last = await self._table.scan(limit=limit, ProjectionExpression="pk, sk, home", **start)
        # Everybody has one first place, and lies there or has left word of where.
        homes = [
            Place(value(item, "pk"), value(item, "sk")) for item in items if is_person(item) and "home" not in item
        ]
        gone = await self._form.keyless(homes)
        for home in gone if remove else ():
            if found := await self._locate(home, "version, moved_to, once, alias"):
                await self._erase(found, self._form.unless_back(home))
        return Purged(len(homes), len(gone), position_of(last) if last else None)

    async def estimate(self) -> int | None:
        return await self._adoption.estimate()

    async def ready(self) -> None:
        await self._table.get(alone(b"deployment"), "sk")

    # Places

    def _home(self, person_id: str) -> Place:
        block = self._ids.open(person_id)
        if block is None:
            raise PersonNotFound(person_id)
        return place_of(block)

    async def _find(self, person_id: str, attributes: str) -> Found | None:
        """Return a person as it stands now, whichever store has given it its id, or None."""
        found = await self._locate(self._home(person_id), attributes)
        if found is None and (home := await self._adoption.home(person_id)):
            found = await self._locate(home, attributes)
        return found

    async def _locate(self, home: Place, attributes: str) -> Found | None:
        """Return the person whose first place is `home`, as it stands now, or None."""
        for _ in range(_RACES):
            item = await self._form.first(home, attributes)
            if item is None:
                return None
            if "moved_to" not in item:
                return Found(home, home, item)
            place = Place(value(item, "moved_to"), home.sk)
            item = await self._table.get(place.key, attributes)
            if item is not None:
                return Found(home, place, item)
            # It has moved on, or is erased, since we saw where it had moved to.
        raise StoreUnavailable("the person moves too often to be read")

    # Writes of one person

    def _new(self, place: Place, details: Details) -> tuple[New, Record]:
        now = timestamp(self._now())
        record = render(self._ids.seal(place.block), 1, details, created_at=now, updated_at=now)
        return self._form.new(place, place, details.surname_key, record, secrets.token_bytes(8)), record

    async def _create_once(self, new: New, record: Record, place: Place, once: Once) -> Record | None:
        """Store a new person with the answer that is given for it; return the first answer, None when its place is taken."""
        now = int(self._now().timestamp())
        remembered = alone(b"once" + once.key) | {
            "content": binary(once.content),
            "place": binary(place.block),
            "answer": binary(new.answer(record.body)),
            "expires_at": number(now + ONCE_SECONDS),
        }
        forgotten = {
            "ConditionExpression": f"{ABSENT} OR expires_at <= :now",
            "ExpressionAttributeValues": {":now": number(now)},
        }
        new.item["once"] = binary(once.key)
        try:
            await self._table.transact(
                {"Put": {"Item": remembered, **forgotten}}, *new.writes, token=new.item["write_id"]["B"]
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
        home = place_of(value(first, "place"))
        answer = await self._form.read_answer(home, value(first, "answer")) if "answer" in first else None
        if answer is None:
            raise CreationErased
        return Record(self._ids.seal(home.block), 1, answer)

    async def _change(self, home: Place, place: Place, details: Details, record: Record) -> None:
        """Replace what is known of a person who stays in its partition."""
        write_id = secrets.token_bytes(8)
        attributes = await self._form.changed(home, place, details.surname_key, record, write_id)
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

    async def _move(self, home: Place, details: Details, record: Record) -> None:
        """Replace what is known of a person who goes to another partition."""
        write_id = secrets.token_bytes(8)
        repeated = False
        for _ in range(_RACES):
            found = await self._locate(home, "version, write_id, once, alias, moved_to")
            if found is None or found.version != record.version - 1:
                self._refuse(record, found.item if found else None, write_id, repeated=repeated)
                return
            target = self._places.moved(home, details.surname_key)
            attributes = await self._form.changed(home, target, details.surname_key, record, write_id)
            item = target.key | attributes | kept(found.item)
            try:
                await self._table.transact(*moving(found, target, item), token=secrets.token_hex(16))
            except Cancelled as cancelled:
                if not any(cancelled.failed):
                    raise
                repeated = repeated or cancelled.repeated
            else:
                return
        raise StoreUnavailable("the person moves too often to be changed")

    def _refuse(self, record: Record, item: Item | None, write_id: bytes, *, repeated: bool) -> None:
        """Raise what a change comes to whose condition did not hold; return when it was done after all."""
        if is_of(item, write_id):
            return
        if repeated:  # an attempt may have been done, and its person changed or erased since
            raise OutcomeUnknown("the person was changed at the same time")
        if item is None:
            raise PersonNotFound(record.person_id)
        raise VersionConflict(record.person_id, actual=whole(item, "version"))

    async def _erase(self, found: Found, together: list[Json]) -> bool:
        """Erase a person and its traces, `together` with other writes; False when it has changed or moved since it was found."""
        writes, traces = erasing(found)
        writes += together
        # Without the traces when those alone do not fit: the key under which it was created is forgotten, or names somebody else.
        for further in (traces, []):
            try:
                await self._table.transact(*writes, *further, token=secrets.token_hex(16))
            except Cancelled as cancelled:
                if not any(cancelled.failed):
                    raise
                if any(cancelled.failed[: len(writes)]):
                    return False
            else:
                self._form.destroyed(found.home)
                return True
        return False

    # Searches

    async def _by_surname(self, key: str, listing: Listing) -> tuple[list[tuple[bytes, bytes | None]], bool]:
        """Return the next people of a surname, oldest first, and whether there are more."""
        shards = [self._shard(key, shard, listing.position, listing.wanted) for shard in range(self._places.shards)]
        pages = [await shards[0]] if len(shards) == 1 else await asyncio.gather(*shards)
        ends = [value(last, "sk") for _, last in pages if last is not None]
        # Beyond the end of any shard's page somebody of that shard may be missing.
        end = min(ends) if ends else None
        index = self._form.index(key)
        found = [
            (sk, item if "body" in item and surname_key(item) == index else None)
            for items, _ in pages
            for sk, item in ((value(item, "sk"), item) for item in items)
            if end is None or sk <= end
        ]
        if len(pages) > 1:
            found.sort(key=itemgetter(0))
        bodies = await self._form.bodies([item for _, item in found])
        return [(sk, body) for (sk, _), body in zip(found, bodies, strict=True)], end is not None

    async def _shard(self, key: str, shard: int, after: bytes, limit: int) -> tuple[list[Item], Item | None]:
        condition, values = "pk = :pk", {":pk": binary(self._places.partition(key, shard))}
        if after:
            condition, values = "pk = :pk AND sk > :after", values | {":after": binary(after)}
        return await self._table.query(
            condition, values, limit=limit, ConsistentRead=True, ProjectionExpression=self._form.listed
        )

    async def _by_prefix(self, prefix: str, listing: Listing) -> bool:
        """Add the next people by the index, each as it is in the table now; return whether the index has more."""
        start = {"ExclusiveStartKey": index_key_at(listing.position, prefix)} if listing.position else {}
        entries, last = await self._table.query(
            "prefix_pk = :pk AND begins_with(prefix_sk, :prefix)",
            {":pk": {"S": prefix[0]}, ":prefix": binary(prefix_key(prefix))},
            limit=min(_SCANNED, listing.wanted),
            IndexName=PREFIXES,
            **start,
        )
        for start_of_group in range(0, len(entries), _GROUP):
            if listing.is_full:
                break
            listing.add_all(await self._indexed(entries[start_of_group : start_of_group + _GROUP], prefix))
        return bool(last)

    async def _indexed(self, entries: list[Item], prefix: str) -> list[tuple[bytes, bytes | None]]:
        """Return the people of entries of the index, None for those that have left the prefix."""
        found = await self._table.get_many([{"pk": entry["pk"], "sk": entry["sk"]} for entry in entries])
        items = [item for item in found if "body" in item and surname_key(item).startswith(prefix)]
        keys = [(item["pk"]["B"], item["sk"]["B"]) for item in items]
        bodies = dict(zip(keys, await self._form.bodies(items), strict=True))
        return [(index_position_of(one), bodies.get((one["pk"]["B"], one["sk"]["B"]))) for one in entries]

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
        found = await self._locate(Place(value(item, "pk"), value(item, "sk")), "version, body, moved_to")
        return await self._form.body(found.home, found.item) if found else None
