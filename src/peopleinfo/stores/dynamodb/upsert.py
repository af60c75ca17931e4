"""People who come from another store and keep their ids, versions and times; and keys that a newer fold makes anew.

An id of another store does not lead to a place here, so an item of its own, the alias, says where its person lies. It is looked for only when
nobody lies at the place that the id deciphers to.
"""

from __future__ import annotations

import asyncio
import secrets
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from peopleinfo.errors import PersonNotFound, StoreUnavailable
from peopleinfo.people.names import FOLD_VERSION
from peopleinfo.people.person import PersonHeader, StoredPerson, decode_header
from peopleinfo.people.store import ReindexResult
from peopleinfo.stores.dynamodb.client import ConditionFailed, RequestRejected, TransactionCancelled
from peopleinfo.stores.dynamodb.items import (
    RANDOM_BYTES,
    ItemKey,
    alias,
    binary,
    bytes_attr,
    int_attr,
    is_person,
    number,
    place_of,
)
from peopleinfo.stores.dynamodb.paging import key_at, position_of
from peopleinfo.stores.dynamodb.transactions import (
    ABSENT,
    AT_VERSION,
    CARRIED,
    Located,
    carried_attributes,
    delete_writes,
    move_writes,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from datetime import datetime

    from peopleinfo.crypto.ids import IdCipher
    from peopleinfo.stores.dynamodb.client import Item, Json, TableClient
    from peopleinfo.stores.dynamodb.items import KeyAllocator
    from peopleinfo.stores.dynamodb.record_format import RecordFormat

T = TypeVar("T")

_WRITERS: Final = 16  # people written at a time
MAX_CONFLICT_RETRIES: Final = 20  # times that a write begins again since another one was faster
_ASKED: Final = 50  # people looked for by one call, each at two places
_NEAR: Final = (
    24 * 60 * 60 * 1_000_000
)  # microseconds between the time in an own id and that of its person's creation, at most
_FOUND: Final = "version, home, moved_to, " + ", ".join(CARRIED)
_REKEYED: Final = f"{_FOUND}, fold, body, surname_key"


class _Incoming(NamedTuple):
    """A person who comes."""

    outline: PersonHeader
    body: bytes
    own: ItemKey  # where the id leads by itself

    @property
    def record(self) -> StoredPerson:
        return StoredPerson(self.outline.person_id, self.outline.version, self.body)


class Upsert:
    """Takes people over from another store, and gives people new keys."""

    def __init__(
        self,
        table: TableClient,
        form: RecordFormat,
        places: KeyAllocator,
        ids: IdCipher,
        locate: Callable[[ItemKey, str], Awaitable[Located | None]],
    ) -> None:
        """`locate` finds the person whose first place is known."""
        self._table = table
        self._form = form
        self._places = places
        self._ids = ids
        self._locate = locate

    async def home(self, person_id: str) -> ItemKey | None:
        """Return the first place of a person who came with this id, None when nobody did."""
        item = await self._table.get(alias(person_id), "place")
        return place_of(bytes_attr(item, "place")) if item else None

    async def adopt(self, people: Sequence[bytes]) -> int:
        """Do what `Store.adopt` promises."""
        latest: dict[str, _Incoming] = {}
        for body in people:
            known = decode_header(body)
            if known.person_id not in latest or latest[known.person_id].outline.version < known.version:
                own = place_of(self._ids.decode(known.person_id) or b"")
                latest[known.person_id] = _Incoming(known, body, own)
        come = list(latest.values())
        return sum([await self._adopt_some(come[start : start + _ASKED]) for start in range(0, len(come), _ASKED)])

    async def rekey(self, after: bytes | None, limit: int) -> ReindexResult:
        """Do what `Store.rekey` promises."""
        start = {"ExclusiveStartKey": key_at(after)} if after else {}
        wanted = "pk, sk, home, fold, moved_to"
        items, last = await self._table.scan(limit=limit, ProjectionExpression=wanted, **start)
        # Everybody has one first place, and lies there or has left word of where.
        people = sum(is_person(item) and "home" not in item for item in items)
        old = [item for item in items if "fold" in item and int_attr(item, "fold") != FOLD_VERSION]
        homes = [ItemKey(bytes_attr(item, "home" if "home" in item else "pk"), bytes_attr(item, "sk")) for item in old]
        keys = await gather_limited(self._rekey(home) for home in homes)
        return ReindexResult(people, [pair for pair in keys if pair], position_of(last) if last else None)

    async def estimate(self) -> int | None:
        """Return about how many items the table has, as DynamoDB counts them every few hours."""
        try:
            described = await self._table.call("DescribeTable", {}, self._table.timeouts.read)
        except RequestRejected:  # the role may not ask
            return None
        return int(described["Table"].get("ItemCount", 0)) or None

    async def _adopt_some(self, people: list[_Incoming]) -> int:
        homes = await self._known_homes(people)
        done = await gather_limited(self._upsert_one(person, homes.get(person.outline.person_id)) for person in people)
        return sum(done)

    async def _known_homes(self, people: list[_Incoming]) -> dict[str, ItemKey]:
        """Return the first places of those who are here, or whose id leads somewhere already."""
        asked = [key for person in people for key in (person.own.key, alias(person.outline.person_id))]
        there = {(item["pk"]["B"], item["sk"]["B"]): item for item in await self._table.get_many(asked)}
        homes: dict[str, ItemKey] = {}
        for person in people:
            own, named = person.own.key, alias(person.outline.person_id)
            if (own["pk"]["B"], own["sk"]["B"]) in there:
                homes[person.outline.person_id] = person.own
            elif item := there.get((named["pk"]["B"], named["sk"]["B"])):
                homes[person.outline.person_id] = place_of(bytes_attr(item, "place"))
        return homes

    def _assign_key(self, person: _Incoming) -> ItemKey:
        """Return the first place of somebody new: its own when the id was made here, else one in the order of its age."""
        if is_local_id(person.own, person.outline.creation_time):
            return person.own
        digest = int.from_bytes(blake2b(person.own.block, digest_size=8).digest())
        microsecond = round(person.outline.creation_time.timestamp() * 1_000) * 1_000 + digest % 1_000
        # The same however often it is chosen, so that a copy that was cut and is taken up again finds it.
        return self._places.place(
            person.outline.surname_key, (microsecond << 8 * RANDOM_BYTES) + (digest >> 8 * (8 - RANDOM_BYTES))
        )

    async def _upsert_one(self, person: _Incoming, home: ItemKey | None) -> bool:
        """Take one person over, whose first place may be known; False when it is here like that or newer."""
        if home is None:
            home = await self._write_alias(person, self._assign_key(person))
            if await self._insert(person, home):
                return True
        for _ in range(MAX_CONFLICT_RETRIES):
            found = await self._locate(home, _FOUND)
            if found is None:
                if await self._insert(person, home):
                    return True
            elif not await self._form.has_key(found.home):
                # A backup has brought back an item whose key was destroyed. The id goes on leading to this place.
                left = found._replace(item={name: found.item[name] for name in found.item if name != "alias"})
                await _done(self._table.transact_write(*delete_writes(left)[0], token=secrets.token_hex(16)))
            elif not _is(found, person):
                home = await self._next(person, home)
            elif found.version >= person.outline.version:
                return False
            elif await self._update(found, person.outline.surname_key, person.record):
                return True
        raise StoreUnavailable("a person changes too often to be taken over")

    async def _write_alias(self, person: _Incoming, home: ItemKey) -> ItemKey:
        """Let the id lead to a place, and return where it leads: who takes the same person over at the same time may be faster."""
        if home == person.own:
            return home
        # Before the person itself: an alias that leads nowhere yet harms nobody, without one it would be found by surname but not by id.
        key = alias(person.outline.person_id)
        try:
            await self._table.put(key | {"place": binary(home.block)}, ABSENT)
        except ConditionFailed:
            return await self.home(person.outline.person_id) or home
        return home

    async def _next(self, person: _Incoming, home: ItemKey) -> ItemKey:
        """Return the place after one that somebody else has, and let the alias lead there."""
        place = self._places.place(person.outline.surname_key, int.from_bytes(home.sk) + 1)
        await self._table.put_many([alias(person.outline.person_id) | {"place": binary(place.block)}])
        return place

    async def _insert(self, person: _Incoming, home: ItemKey) -> bool:
        """Store somebody who is not here; False when somebody is, who has to be looked at again."""
        key = person.outline.surname_key
        place = self._places.moved(home, key)
        new = self._form.new(home, place, key, person.record, secrets.token_bytes(8))
        if home != person.own:
            new.item["alias"] = binary(bytes.fromhex(person.outline.person_id))
        if place == home:
            return await self._form.put_new(new)
        new.item["home"] = binary(home.pk)
        word: Json = {"Item": home.key | {"moved_to": binary(place.pk)}, "ConditionExpression": ABSENT}
        return await _done(self._table.transact_write({"Put": word}, *new.writes, token=secrets.token_hex(16)))

    async def _rekey(self, home: ItemKey) -> tuple[str, str] | None:
        for _ in range(MAX_CONFLICT_RETRIES):
            found = await self._locate(home, _REKEYED)
            if found is None or int_attr(found.item, "fold") == FOLD_VERSION:
                return None
            body = await self._form.body(found.home, found.item)
            if body is None:
                return None
            key = decode_header(body).surname_key
            if await self._update(found, key, StoredPerson("", found.version, body)):
                return found.item["surname_key"]["S"], self._form.index(key)
        raise StoreUnavailable("a person changes too often to be given another key")

    async def _update(self, found: Located, surname_key: str, record: StoredPerson) -> bool:
        """Put a record and its key in the place of those found; False when they have changed since."""
        target = self._places.moved(found.home, surname_key)
        try:
            attributes = await self._form.update_attributes(
                found.home, target, surname_key, record, secrets.token_bytes(8)
            )
        except PersonNotFound:  # erased since
            return False
        if target == found.place:
            change = "SET " + ", ".join(f"{name} = :{name}" for name in attributes)
            values: Item = {f":{name}": text for name, text in attributes.items()}
            values[":expected"] = number(found.version)
            return await _done(self._table.update(target.key, change, AT_VERSION, values))
        item = target.key | attributes | carried_attributes(found.item)
        return await _done(self._table.transact_write(*move_writes(found, target, item), token=secrets.token_hex(16)))


def is_local_id(place: ItemKey, created: datetime) -> bool:
    """Say whether the time in a place is that of a creation, as it is in ids that were made here; in a foreign one it is any time at all."""
    microsecond = int.from_bytes(place.sk) >> 8 * RANDOM_BYTES
    return abs(microsecond - round(created.timestamp() * 1_000_000)) <= _NEAR


def _is(found: Located, person: _Incoming) -> bool:
    """Say whether who was found is the one who comes, and not somebody whose place was chosen alike."""
    if "alias" not in found.item:
        return found.home == person.own
    return bytes_attr(found.item, "alias").hex() == person.outline.person_id


async def _done(write: Awaitable[None]) -> bool:
    """Do a write that has a condition; False when it did not hold, since somebody was faster."""
    try:
        await write
    except ConditionFailed:
        return False
    except TransactionCancelled as cancelled:
        if not any(cancelled.failed):
            raise
        return False
    return True


async def gather_limited(jobs: Iterator[Awaitable[T]]) -> list[T]:
    """Do the jobs, some at a time, and return what they said, in no order."""

    async def work() -> list[T]:
        return [await job for job in jobs]

    workers = [asyncio.ensure_future(work()) for _ in range(_WRITERS)]
    try:
        return [one for done in await asyncio.gather(*workers) for one in done]
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
