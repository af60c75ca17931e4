"""Upserts of records from another store, which keep their ids, versions and times; and the reindexing of surname keys.

The id of another store does not decrypt to a home key of this table. An alias item maps it to one. A read looks for the alias only if no
item exists at the key that the id decrypts to.
"""

from __future__ import annotations

import secrets
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.errors import PersonNotFound, StoreUnavailable
from peopleinfo.people.folding import FOLD_VERSION
from peopleinfo.people.history import UPDATED, Operation, Origin, default_operation
from peopleinfo.people.person import PersonHeader, StoredPerson, decode_header
from peopleinfo.people.store import ReindexResult
from peopleinfo.stores.dynamodb.client import ConditionFailed
from peopleinfo.stores.dynamodb.concurrency import gather_limited
from peopleinfo.stores.dynamodb.conditional_writes import is_applied, transact
from peopleinfo.stores.dynamodb.history import origin_attributes
from peopleinfo.stores.dynamodb.items import (
    RANDOM_BYTES,
    ItemKey,
    alias,
    binary,
    bytes_attr,
    int_attr,
    is_person,
    item_key_of,
    number,
)
from peopleinfo.stores.dynamodb.merge_items import MergedItem, log_key, merged_key, remove_merged
from peopleinfo.stores.dynamodb.paging import key_at, position_of
from peopleinfo.stores.dynamodb.record_writes import (
    ABSENT,
    AT_VERSION,
    CARRIED,
    Located,
    carried_attributes,
    delete_writes,
    move_writes,
    update_write,
)
from peopleinfo.stores.dynamodb.search_entries import INDEXED, data_of
from peopleinfo.stores.dynamodb.search_index import home_key
from peopleinfo.stores.dynamodb.table_writer import TableWriter
from peopleinfo.stores.dynamodb.trash_items import deleted_of, remove_writes, trash_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from peopleinfo.stores.dynamodb.changes import Announcement
    from peopleinfo.stores.dynamodb.client import Item, Json

_MAX_ATTEMPTS: Final = 20  # attempts of a write that conflicts with concurrent writes
_LOOKUP_BATCH: Final = 50  # records looked up per call, each under three keys
_MAX_ID_AGE: Final = (
    24 * 60 * 60 * 1_000_000
)  # microseconds between the time in a local id and the creation of its record
_LOCATE_ATTRIBUTES: Final = "version, home, moved_to, body, " + ", ".join(CARRIED)
_REINDEX_ATTRIBUTES: Final = f"{_LOCATE_ATTRIBUTES}, fold, surname_key"


class _Incoming(NamedTuple):
    """A record from another store."""

    header: PersonHeader
    body: bytes
    id_key: ItemKey  # the key that the id decrypts to

    @property
    def record(self) -> StoredPerson:
        return StoredPerson(self.header.person_id, self.header.version, self.body)


class Upsert(TableWriter):
    """Upserts records from another store and reindexes surname keys."""

    async def home(self, person_id: str) -> ItemKey | None:
        """Return the home key of the alias for this id, or None."""
        item = await self._table.get(alias(person_id), "place")
        return item_key_of(bytes_attr(item, "place")) if item else None

    async def upsert_many(self, people: Sequence[bytes]) -> int:
        """Implement `Store.upsert_many`."""
        latest: dict[str, _Incoming] = {}
        for body in people:
            header = decode_header(body)
            if header.person_id not in latest or latest[header.person_id].header.version < header.version:
                id_key = item_key_of(self._ids.decode(header.person_id) or b"")
                latest[header.person_id] = _Incoming(header, body, id_key)
        incoming = list(latest.values())
        starts = range(0, len(incoming), _LOOKUP_BATCH)
        return sum([await self._upsert_batch(incoming[start : start + _LOOKUP_BATCH]) for start in starts])

    async def reindex(self, after: bytes | None, limit: int) -> ReindexResult:
        """Implement `Store.reindex`."""
        start = {"ExclusiveStartKey": key_at(after)} if after else {}
        attributes = f"pk, sk, home, fold, moved_to, version, written_at, {INDEXED}"
        items, last = await self._table.scan(limit=limit, ProjectionExpression=attributes, **start)
        await self._entries.sweep(items)
        # Every record has exactly one item at its home key: the record itself or a redirect.
        people = sum(is_person(item) and "home" not in item for item in items)
        homes = [home_key(item) for item in items if self._is_outdated(item)]
        keys = await gather_limited(self._reindex_one(home) for home in homes)
        return ReindexResult(people, [pair for pair in keys if pair], position_of(last) if last else None)

    async def _upsert_batch(self, people: list[_Incoming]) -> int:
        homes = await self._known_homes(people)
        changed = await gather_limited(
            self._upsert_one(person, homes.get(person.header.person_id)) for person in people
        )
        return sum(changed)

    async def _known_homes(self, people: list[_Incoming]) -> dict[str, ItemKey]:
        """Return the home keys of records that exist, are in the trash or have an alias, by id."""
        keys = [
            key
            for person in people
            for key in (person.id_key.key, trash_key(person.id_key), alias(person.header.person_id))
        ]
        items = {(item["pk"]["B"], item["sk"]["B"]): item for item in await self._table.get_many(keys)}
        homes: dict[str, ItemKey] = {}
        for person in people:
            alias_key = alias(person.header.person_id)
            at_id = (person.id_key.key, trash_key(person.id_key))
            if any((key["pk"]["B"], key["sk"]["B"]) in items for key in at_id):
                homes[person.header.person_id] = person.id_key
            elif item := items.get((alias_key["pk"]["B"], alias_key["sk"]["B"])):
                homes[person.header.person_id] = item_key_of(bytes_attr(item, "place"))
        return homes

    def _assign_key(self, person: _Incoming) -> ItemKey:
        """Return the home key of a new record: that of a local id, else one ordered by creation time."""
        if is_local_id(person.id_key, person.header.creation_time):
            return person.id_key
        digest = int.from_bytes(blake2b(person.id_key.block, digest_size=8).digest())
        microsecond = round(person.header.creation_time.timestamp() * 1_000) * 1_000 + digest % 1_000
        # Deterministic, so that a resumed copy finds the same key.
        return self._item_keys.for_surname(
            person.header.surname_key, (microsecond << 8 * RANDOM_BYTES) + (digest >> 8 * (8 - RANDOM_BYTES))
        )

    async def _upsert_one(self, person: _Incoming, home: ItemKey | None) -> bool:
        """Upsert one record; return False if the same or a later version exists."""
        if home is None:
            home = await self._write_alias(person, self._assign_key(person))
        for _ in range(_MAX_ATTEMPTS):
            found = await self._locate(home, _LOCATE_ATTRIBUTES)
            if found is None:
                if await self._is_deleted_later(home, person.header.version):
                    return False
                if await self._insert(person, home):
                    return True
            elif not await self._format.has_key(found.home):
                # A restored backup contains an item without an encryption key. The alias remains valid.
                orphan = found._replace(item={name: found.item[name] for name in found.item if name != "alias"})
                await transact(self._table, delete_writes(orphan)[0])
            elif not _is_same(found, person):
                home = await self._next_free_key(person, home)
            elif found.version >= person.header.version:
                return False
            elif await self._update_recorded(found, person):
                return True
        raise StoreUnavailable("concurrent changes of a person prevented its copy; try again")

    async def _is_deleted_later(self, home: ItemKey, version: int) -> bool:
        """Return whether the person is merged or in the trash at the same or a later version; remove it at an earlier one."""
        if item := await self._table.get(merged_key(home)):
            merged = MergedItem(home, item)
            found, remove = merged.version + 1, [remove_merged(merged)]
        elif item := await self._table.get(trash_key(home)):
            deleted = deleted_of(item)
            found, remove = deleted.version, remove_writes(deleted)
        else:
            return False
        if found >= version:
            return True
        if await transact(self._table, [*remove, {"Delete": {"Key": log_key(home)}}]):
            await self._versions.erase_versions(home)
        return False

    async def _write_alias(self, person: _Incoming, home: ItemKey) -> ItemKey:
        """Store the alias of an id and return its home key, which a concurrent copy may have set first."""
        if home == person.id_key:
            return home
        # The alias is written first: without it a search would find the record, but a read by id would not.
        key = alias(person.header.person_id)
        try:
            await self._table.put(key | {"place": binary(home.block)}, ABSENT)
        except ConditionFailed:
            return await self.home(person.header.person_id) or home
        return home

    async def _next_free_key(self, person: _Incoming, home: ItemKey) -> ItemKey:
        """Return the key after one that another record uses, and point the alias to it."""
        item_key = self._item_keys.for_surname(person.header.surname_key, int.from_bytes(home.sk) + 1)
        await self._table.put_many([alias(person.header.person_id) | {"place": binary(item_key.block)}])
        return item_key

    async def _insert(self, person: _Incoming, home: ItemKey) -> bool:
        """Insert a new record; return False if its key is in use by now."""
        key = person.header.surname_key
        item_key = self._item_keys.rekeyed(home, key)
        new = self._format.new(home, item_key, key, person.record, secrets.token_bytes(8))
        if home != person.id_key:
            new.item["alias"] = binary(bytes.fromhex(person.header.person_id))
        indexed = self._entries.change(home, person.header.version, None, data_of(person.body))
        changes = await self._feed.announce(
            [self._incoming_change(person, home, Operation.CREATED, {})], more=indexed.items
        )
        operation = default_operation(person.header.version)
        new.item.update(origin_attributes(Origin(operation), changes[0].time) | self._entries.indexed)
        async with self._feed.writing(changes):
            await self._entries.add_words([indexed])
            if item_key == home:
                done = await self._format.put_new(new)
            else:
                new.item["home"] = binary(home.pk)
                redirect: Json = {"Item": home.key | {"moved_to": binary(item_key.pk)}, "ConditionExpression": ABSENT}
                writes = ({"Put": redirect}, *new.writes)
                done = await transact(self._table, writes)
        if not done:
            await self._feed.withdraw(changes)
        return done

    async def _update_recorded(self, found: Located, person: _Incoming) -> bool:
        """Replace the located record by a later version; return False if it has changed since."""
        body = await self._format.body(found.home, found.item)
        if body is None:  # its encryption key was deleted since
            return False
        more, obsolete = await self._versions.archive(found.home, found.version, body, found.item)
        change = self._incoming_change(person, found.home, Operation.UPDATED, found.item)
        before = (data_of(body), found.item)
        indexed = self._entries.change(found.home, person.header.version, before, data_of(person.body))
        changes = await self._feed.announce([change], more=[*more, *indexed.items], obsolete=obsolete)
        made = origin_attributes(UPDATED, changes[0].time)
        async with self._feed.writing(changes):
            await self._entries.add_words([indexed])
            data = data_of(person.body)
            log = await self._logs.edit_writes(found.home, found.item, found.version, person.record, data)
            done = await self._update(found, person.header.surname_key, person.record, made, log)
        if done:
            await self._entries.finish(indexed)
        else:
            await self._feed.withdraw(changes)
        return done

    def _incoming_change(self, person: _Incoming, home: ItemKey, operation: Operation, item: Item) -> Announcement:
        return self._announcement(home, person.header.person_id, person.header.version, operation, item)

    async def _reindex_one(self, home: ItemKey) -> tuple[str, str] | None:
        for _ in range(_MAX_ATTEMPTS):
            found = await self._locate(home, _REINDEX_ATTRIBUTES)
            if found is None or not self._is_outdated(found.item):
                return None
            body = await self._format.body(found.home, found.item)
            if body is None:
                return None
            key = decode_header(body).surname_key
            indexed = self._entries.change(home, found.version, (data_of(body), found.item), data_of(body))
            await self._table.write_many(indexed.items, [])
            await self._entries.add_words([indexed])
            if await self._update(found, key, StoredPerson("", found.version, body)):
                await self._entries.finish(indexed)
                pair = found.item["surname_key"]["S"], self._format.index(key)
                return pair if pair[0] != pair[1] else None
        raise StoreUnavailable("concurrent changes of a person prevented its reindexing; try again")

    def _is_outdated(self, item: Item) -> bool:
        return self._entries.is_outdated(item) or ("fold" in item and int_attr(item, "fold") != FOLD_VERSION)

    async def _update(
        self, found: Located, surname_key: str, record: StoredPerson, made: Item | None = None, log: Sequence[Json] = ()
    ) -> bool:
        """Replace the located record and its surname key, with the writes of its log; return False if the record has changed since."""
        target = self._item_keys.rekeyed(found.home, surname_key)
        try:
            attributes = await self._format.update_attributes(
                found.home, target, surname_key, record, secrets.token_bytes(8)
            )
        except PersonNotFound:  # deleted since
            return False
        attributes |= (made or {}) | self._entries.indexed
        if target == found.item_key:
            change = "SET " + ", ".join(f"{name} = :{name}" for name in attributes)
            values: Item = {f":{name}": text for name, text in attributes.items()}
            values[":expected"] = number(found.version)
            if log:
                update = update_write(target, change, values)
                return await transact(self._table, [update, *log])
            return await is_applied(self._table.update(target.key, change, AT_VERSION, values))
        item = target.key | carried_attributes(found.item) | attributes
        return await transact(self._table, [*move_writes(found, target, item), *log])


def is_local_id(item_key: ItemKey, created: datetime) -> bool:
    """Return whether the time in a key matches the creation of its record.

    It does for ids created in this table. The id of another store decrypts to an arbitrary time.
    """
    microsecond = int.from_bytes(item_key.sk) >> 8 * RANDOM_BYTES
    return abs(microsecond - round(created.timestamp() * 1_000_000)) <= _MAX_ID_AGE


def _is_same(found: Located, person: _Incoming) -> bool:
    """Return whether the located record is the incoming one, not another record with the same key."""
    if "alias" not in found.item:
        return found.home == person.id_key
    return bytes_attr(found.item, "alias").hex() == person.header.person_id
