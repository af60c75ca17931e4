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
from peopleinfo.people.person import Outline, Record, outline
from peopleinfo.people.store import Rekeyed
from peopleinfo.stores.dynamodb.client import Cancelled, ConditionFailed, Refused
from peopleinfo.stores.dynamodb.items import CHANCE, Place, alias, binary, is_person, number, place_of, value, whole
from peopleinfo.stores.dynamodb.paging import key_at, position_of
from peopleinfo.stores.dynamodb.transactions import ABSENT, AT_VERSION, KEPT, Found, erasing, kept, moving

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from datetime import datetime

    from peopleinfo.crypto.ids import IdCipher
    from peopleinfo.stores.dynamodb.client import Item, Json, Table
    from peopleinfo.stores.dynamodb.items import Places
    from peopleinfo.stores.dynamodb.record_format import Form

T = TypeVar("T")

_WRITERS: Final = 16  # people written at a time
_RACES: Final = 20  # times that a write begins again since another one was faster
_ASKED: Final = 50  # people looked for by one call, each at two places
_NEAR: Final = (
    24 * 60 * 60 * 1_000_000
)  # microseconds between the time in an own id and that of its person's creation, at most
_FOUND: Final = "version, home, moved_to, " + ", ".join(KEPT)
_REKEYED: Final = f"{_FOUND}, fold, body, surname_key"


class _Coming(NamedTuple):
    """A person who comes."""

    outline: Outline
    body: bytes
    own: Place  # where the id leads by itself

    @property
    def record(self) -> Record:
        return Record(self.outline.person_id, self.outline.version, self.body)


class Adoption:
    """Takes people over from another store, and gives people new keys."""

    def __init__(
        self,
        table: Table,
        form: Form,
        places: Places,
        ids: IdCipher,
        locate: Callable[[Place, str], Awaitable[Found | None]],
    ) -> None:
        """`locate` finds the person whose first place is known."""
        self._table = table
        self._form = form
        self._places = places
        self._ids = ids
        self._locate = locate

    async def home(self, person_id: str) -> Place | None:
        """Return the first place of a person who came with this id, None when nobody did."""
        item = await self._table.get(alias(person_id), "place")
        return place_of(value(item, "place")) if item else None

    async def adopt(self, people: Sequence[bytes]) -> int:
        """Do what `Store.adopt` promises."""
        latest: dict[str, _Coming] = {}
        for body in people:
            known = outline(body)
            if known.person_id not in latest or latest[known.person_id].outline.version < known.version:
                own = place_of(self._ids.open(known.person_id) or b"")
                latest[known.person_id] = _Coming(known, body, own)
        come = list(latest.values())
        return sum([await self._adopt_some(come[start : start + _ASKED]) for start in range(0, len(come), _ASKED)])

    async def rekey(self, after: bytes | None, limit: int) -> Rekeyed:
        """Do what `Store.rekey` promises."""
        start = {"ExclusiveStartKey": key_at(after)} if after else {}
        wanted = "pk, sk, home, fold, moved_to"
        items, last = await self._table.scan(limit=limit, ProjectionExpression=wanted, **start)
        # Everybody has one first place, and lies there or has left word of where.
        people = sum(is_person(item) and "home" not in item for item in items)
        old = [item for item in items if "fold" in item and whole(item, "fold") != FOLD_VERSION]
        homes = [Place(value(item, "home" if "home" in item else "pk"), value(item, "sk")) for item in old]
        keys = await _side_by_side(self._rekey(home) for home in homes)
        return Rekeyed(people, [pair for pair in keys if pair], position_of(last) if last else None)

    async def estimate(self) -> int | None:
        """Return about how many items the table has, as DynamoDB counts them every few hours."""
        try:
            described = await self._table.call("DescribeTable", {}, self._table.timeouts.read)
        except Refused:  # the role may not ask
            return None
        return int(described["Table"].get("ItemCount", 0)) or None

    async def _adopt_some(self, people: list[_Coming]) -> int:
        homes = await self._known_homes(people)
        done = await _side_by_side(self._take(person, homes.get(person.outline.person_id)) for person in people)
        return sum(done)

    async def _known_homes(self, people: list[_Coming]) -> dict[str, Place]:
        """Return the first places of those who are here, or whose id leads somewhere already."""
        asked = [key for person in people for key in (person.own.key, alias(person.outline.person_id))]
        there = {(item["pk"]["B"], item["sk"]["B"]): item for item in await self._table.get_many(asked)}
        homes: dict[str, Place] = {}
        for person in people:
            own, named = person.own.key, alias(person.outline.person_id)
            if (own["pk"]["B"], own["sk"]["B"]) in there:
                homes[person.outline.person_id] = person.own
            elif item := there.get((named["pk"]["B"], named["sk"]["B"])):
                homes[person.outline.person_id] = place_of(value(item, "place"))
        return homes

    def _chosen(self, person: _Coming) -> Place:
        """Return the first place of somebody new: its own when the id was made here, else one in the order of its age."""
        if is_near(person.own, person.outline.created):
            return person.own
        digest = int.from_bytes(blake2b(person.own.block, digest_size=8).digest())
        microsecond = round(person.outline.created.timestamp() * 1_000) * 1_000 + digest % 1_000
        # The same however often it is chosen, so that a copy that was cut and is taken up again finds it.
        return self._places.place(
            person.outline.surname_key, (microsecond << 8 * CHANCE) + (digest >> 8 * (8 - CHANCE))
        )

    async def _take(self, person: _Coming, home: Place | None) -> bool:
        """Take one person over, whose first place may be known; False when it is here like that or newer."""
        if home is None:
            home = await self._named(person, self._chosen(person))
            if await self._settle(person, home):
                return True
        for _ in range(_RACES):
            found = await self._locate(home, _FOUND)
            if found is None:
                if await self._settle(person, home):
                    return True
            elif not await self._form.is_there(found.home):
                # A backup has brought back an item whose key was destroyed. The id goes on leading to this place.
                left = found._replace(item={name: found.item[name] for name in found.item if name != "alias"})
                await _done(self._table.transact(*erasing(left)[0], token=secrets.token_hex(16)))
            elif not _is(found, person):
                home = await self._next(person, home)
            elif found.version >= person.outline.version:
                return False
            elif await self._renew(found, person.outline.surname_key, person.record):
                return True
        raise StoreUnavailable("a person changes too often to be taken over")

    async def _named(self, person: _Coming, home: Place) -> Place:
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

    async def _next(self, person: _Coming, home: Place) -> Place:
        """Return the place after one that somebody else has, and let the alias lead there."""
        place = self._places.place(person.outline.surname_key, int.from_bytes(home.sk) + 1)
        await self._table.put_many([alias(person.outline.person_id) | {"place": binary(place.block)}])
        return place

    async def _settle(self, person: _Coming, home: Place) -> bool:
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
        return await _done(self._table.transact({"Put": word}, *new.writes, token=secrets.token_hex(16)))

    async def _rekey(self, home: Place) -> tuple[str, str] | None:
        for _ in range(_RACES):
            found = await self._locate(home, _REKEYED)
            if found is None or whole(found.item, "fold") == FOLD_VERSION:
                return None
            body = await self._form.body(found.home, found.item)
            if body is None:
                return None
            key = outline(body).surname_key
            if await self._renew(found, key, Record("", found.version, body)):
                return found.item["surname_key"]["S"], self._form.index(key)
        raise StoreUnavailable("a person changes too often to be given another key")

    async def _renew(self, found: Found, surname_key: str, record: Record) -> bool:
        """Put a record and its key in the place of those found; False when they have changed since."""
        target = self._places.moved(found.home, surname_key)
        try:
            attributes = await self._form.changed(found.home, target, surname_key, record, secrets.token_bytes(8))
        except PersonNotFound:  # erased since
            return False
        if target == found.place:
            change = "SET " + ", ".join(f"{name} = :{name}" for name in attributes)
            values: Item = {f":{name}": text for name, text in attributes.items()}
            values[":expected"] = number(found.version)
            return await _done(self._table.update(target.key, change, AT_VERSION, values))
        item = target.key | attributes | kept(found.item)
        return await _done(self._table.transact(*moving(found, target, item), token=secrets.token_hex(16)))


def is_near(place: Place, created: datetime) -> bool:
    """Say whether the time in a place is that of a creation, as it is in ids that were made here; in a foreign one it is any time at all."""
    microsecond = int.from_bytes(place.sk) >> 8 * CHANCE
    return abs(microsecond - round(created.timestamp() * 1_000_000)) <= _NEAR


def _is(found: Found, person: _Coming) -> bool:
    """Say whether who was found is the one who comes, and not somebody whose place was chosen alike."""
    if "alias" not in found.item:
        return found.home == person.own
    return value(found.item, "alias").hex() == person.outline.person_id


async def _done(write: Awaitable[None]) -> bool:
    """Do a write that has a condition; False when it did not hold, since somebody was faster."""
    try:
        await write
    except ConditionFailed:
        return False
    except Cancelled as cancelled:
        if not any(cancelled.failed):
            raise
        return False
    return True


async def _side_by_side(jobs: Iterator[Awaitable[T]]) -> list[T]:
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
