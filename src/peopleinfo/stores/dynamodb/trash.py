"""The trash in the table. Implements `peopleinfo.people.trash.TrashStore`.

One transaction moves a person. Like a change, the move is announced before, together with the version that it replaces.
"""

from __future__ import annotations

import asyncio
import secrets
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.errors import IdentifierConflict, PersonNotFound, StoreUnavailable, VersionConflict
from peopleinfo.people.history import Operation, Origin, PersonVersion
from peopleinfo.people.person import PersonData, StoredPerson, check_stored, encode_person, split_record, timestamp
from peopleinfo.people.store import PAGE_SIZE
from peopleinfo.people.trash import TrashedPerson, TrashPage
from peopleinfo.stores.dynamodb.client import non_atomic_writes
from peopleinfo.stores.dynamodb.conditional_writes import transact
from peopleinfo.stores.dynamodb.history import moment, origin_attributes, origin_of
from peopleinfo.stores.dynamodb.items import ItemKey, binary, bytes_attr, item_key_of
from peopleinfo.stores.dynamodb.merge_eraser import erasure_order
from peopleinfo.stores.dynamodb.record_writes import ORIGIN, SURVIVES, Located, delete_writes
from peopleinfo.stores.dynamodb.search_entries import INDEXED
from peopleinfo.stores.dynamodb.table_writer import TableWriter
from peopleinfo.stores.dynamodb.trash_items import (
    SHARDS,
    Deleted,
    add_writes,
    deleted_of,
    is_trash,
    list_partition,
    remove_writes,
    store_writes,
    trash_item,
    trash_key,
)
from peopleinfo.stores.dynamodb.unique_identifiers import IdentifierPending, Incoming

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from peopleinfo.stores.dynamodb.changes import Announcement
    from peopleinfo.stores.dynamodb.client import Item
    from peopleinfo.stores.dynamodb.items import ItemKey
    from peopleinfo.stores.dynamodb.merges import DynamoDBMerges
    from peopleinfo.stores.dynamodb.search_entries import IndexChange
    from peopleinfo.stores.dynamodb.table_writer import WriterParts

_MAX_ATTEMPTS: Final = 20  # attempts of a write that conflicts with concurrent writes
_ATTRIBUTES: Final = ", ".join(("version", "body", "moved_to", "once", "alias", SURVIVES, INDEXED, *ORIGIN))
_GROUP: Final = 25  # people of a page that are read together
_MAX_ENTRIES: Final = 1_000  # entries of the list that one request reads


class _Next(NamedTuple):
    """The next version of a record with the same fields, its announced change and the change of its search entries."""

    record: StoredPerson
    data: PersonData
    change: Announcement
    indexed: IndexChange


class DynamoDBTrash(TableWriter):
    """Deleted people in the table."""

    def __init__(
        self,
        parts: WriterParts,
        find: Callable[[str, str], Awaitable[Located | None]],
        home_of_alias: Callable[[str], Awaitable[ItemKey | None]],
        merges: DynamoDBMerges,
    ) -> None:
        """`find` reads the current item of a person; `home_of_alias` returns the home key of an id of another store."""
        super().__init__(parts)
        self._find = find
        self._home_of_alias = home_of_alias
        self._merges = merges

    async def add(
        self,
        person_id: str,
        *,
        expected: int | None = None,
        expires_at: datetime,
        principal: str | None = None,
        deleted_at: datetime | None = None,
    ) -> None:
        archived: list[ItemKey] = []
        for _ in range(_MAX_ATTEMPTS):
            found = await self._find(person_id, _ATTRIBUTES)
            body = await self._format.body(found.home, found.item) if found else None
            if found is None or body is None:
                await self._erase_unless_kept(*archived)
                raise await self._merges.missing(person_id)
            if expected not in (None, found.version):
                raise VersionConflict(person_id, actual=found.version)
            archived = [found.home]
            record = StoredPerson(person_id, found.version, check_stored(body, person_id))
            if await self._add(found, record, expires_at, principal, deleted_at):
                return
        raise StoreUnavailable("concurrent changes of the person prevented its deletion; try again")

    async def get(self, person_id: str) -> TrashedPerson:
        deleted = await self._find_deleted(person_id)
        person = (await self._people([deleted]))[0] if deleted else None
        if person is None:
            raise PersonNotFound(person_id)
        return person

    async def last_versions(self, person_id: str) -> tuple[ItemKey, list[PersonVersion]]:
        """Return the home key of a person in the trash and the version of its deletion. Raises PersonNotFound."""
        deleted = await self._find_deleted(person_id)
        person = (await self._people([deleted]))[0] if deleted else None
        if deleted is None or person is None:
            raise PersonNotFound(person_id)
        origin = Origin(Operation.DELETED, person.deleted_by)
        return deleted.home, [PersonVersion(person.version, origin, person.body)]

    async def page(self, *, after: bytes | None, limit: int) -> TrashPage:
        entries = await self._list(after, limit + 1)
        people: list[TrashedPerson] = []
        size = 0
        for start in range(0, limit, _GROUP):
            group = entries[start : min(start + _GROUP, limit)]
            keys = [trash_key(deleted_of(entry).home) for entry in group]
            items = {item["pk"]["B"]: item for item in await self._table.get_many(keys)}
            found = [deleted_of(items[key["pk"]["B"]]) for key in keys if key["pk"]["B"] in items]
            people += [person for person in await self._people(found) if person]
            size = sum(len(person.body) for person in people)
            if size >= PAGE_SIZE or len(entries) <= start + len(group):
                break
        examined = min(start + len(group), limit)
        return TrashPage(people, bytes_attr(entries[examined - 1], "sk") if examined < len(entries) else None)

    async def restore(self, person_id: str, *, expected: int, principal: str | None = None) -> StoredPerson:
        archived: list[ItemKey] = []
        for _ in range(_MAX_ATTEMPTS):
            deleted = await self._find_deleted(person_id)
            person = (await self._people([deleted]))[0] if deleted else None
            if deleted is None or person is None:
                await self._erase_unless_kept(*archived)
                raise PersonNotFound(person_id)
            if deleted.version != expected:
                raise VersionConflict(person_id, actual=deleted.version)
            archived = [deleted.home]
            if record := await self._restore(deleted, person.record, Origin(Operation.RESTORED, principal)):
                return record
        raise StoreUnavailable("concurrent changes of the person prevented its restoration; try again")

    async def erase(self, person_id: str, *, expected: int | None = None) -> None:
        for _ in range(_MAX_ATTEMPTS):
            survivor, _ = await self._merges.survivor(person_id)
            deleted = await self._find_deleted(survivor)
            if deleted is None:
                await self._merges.resume(person_id)
                return
            if expected not in (None, deleted.version):
                raise VersionConflict(person_id, actual=deleted.version)
            if await self._erase(deleted, await self._merges.group(survivor), person_id):
                return
        raise StoreUnavailable("concurrent changes of the person prevented its erasure; try again")

    async def expired(self, *, limit: int) -> list[tuple[str, int]]:
        now, found = self._now(), list[tuple[str, int]]()
        position: bytes | None = None
        while len(found) < limit:
            entries = await self._list(position, _MAX_ENTRIES)
            people = map(deleted_of, entries)
            found += [(one.person_id(self._ids), one.version) for one in people if one.expires_at <= now]
            if len(entries) < _MAX_ENTRIES:
                break
            position = bytes_attr(entries[-1], "sk")
        return found[:limit]

    async def purge(self, items: Sequence[Item], *, remove: bool) -> int:
        """Return the number of people without an encryption key among the items of a scan; with `remove`, erase them."""
        people = {deleted.home: deleted for deleted in map(deleted_of, filter(is_trash, items))}
        lost = await self._format.without_key(list(people))
        for home in lost if remove else ():
            deleted = people[home]
            await transact(
                self._table, [*remove_writes(deleted, with_alias=True), *self._format.key_absent_conditions(home)]
            )
            await self._erase_copies(home, deleted.person_id(self._ids))
        return len(lost)

    async def _add(
        self,
        found: Located,
        record: StoredPerson,
        expires_at: datetime,
        principal: str | None,
        deleted_at: datetime | None,
    ) -> bool:
        """Move a located person to the trash; return False if it has changed since."""
        home = found.home
        new = await self._announce(home, record, Operation.DELETED, found.item, deleted_at)
        attributes = origin_attributes(Origin(Operation.DELETED, principal), new.change.time)
        attributes |= {name: found.item[name] for name in ("alias", SURVIVES, INDEXED) if name in found.item}
        body = await self._format.encrypt_version(home, new.record.version, new.record.body)
        item = trash_item(home, new.record.version, body, expires_at, attributes)
        without_alias = found._replace(item={name: found.item[name] for name in found.item if name != "alias"})
        writes, responses = delete_writes(without_alias)
        async with self._feed.writing([new.change]):
            is_done = await transact(self._table, [*writes, *add_writes(home, item)], responses)
        if not is_done:
            await self._feed.withdraw([new.change])
            await self._undo_entries(new.indexed)
            return False
        with non_atomic_writes():  # no search returns an entry that remains
            await self._entries.finish(new.indexed)
        return True

    async def _restore(self, deleted: Deleted, record: StoredPerson, origin: Origin) -> StoredPerson | None:
        """Move a person back from the trash; return None if it is no longer there."""
        home = deleted.home
        new = await self._announce(home, record, Operation.RESTORED, deleted.item)
        key = new.data.surname_key
        target = self._item_keys.rekeyed(home, key)
        write_id = secrets.token_bytes(8)
        attributes = await self._format.update_attributes(home, target, key, new.record, write_id)
        attributes |= origin_attributes(origin, new.change.time) | self._entries.indexed
        kept = {name: deleted.item[name] for name in ("alias", SURVIVES) if name in deleted.item}
        item = target.key | attributes | kept
        is_done = False
        try:
            async with self._feed.writing([new.change]):
                await self._unique.check([Incoming(home, record.person_id, new.data)])
                await self._entries.add_words([new.indexed])
                is_done = await transact(self._table, [*remove_writes(deleted), *store_writes(home, target, item)])
            if not is_done:
                await self._feed.withdraw([new.change])
        except (IdentifierConflict, IdentifierPending):
            await self._undo_entries(new.indexed)
            raise
        if not is_done:
            await self._undo_entries(new.indexed)
        return new.record if is_done else None

    async def _erase(self, deleted: Deleted, group: Sequence[str], requested: str) -> bool:
        """Erase a person in the trash with its merged records, the `requested` one last; return False if it is no longer there."""
        (person_id, *merged), home, version = group, deleted.home, deleted.version + 1
        change = self._announcement(home, person_id, version, Operation.DELETED, deleted.item)
        # An interrupted deletion may have left entries.
        indexed, marker = await self._erasure(home, deleted.item, version, person_id, merged)
        changes = await self._feed.announce([change], more=[marker])
        async with self._feed.writing(changes):
            writes = [*remove_writes(deleted, with_alias=True), *self._format.delete_key_writes(home)]
            is_done = await transact(self._table, writes)
        if not is_done:
            await self._feed.withdraw(changes)
            return False
        self._format.evict_key(home)
        with non_atomic_writes():  # the marker remains
            await self._entries.finish(indexed)
            await self._erase_copies(home, person_id, erasure_order(merged, requested))
        return True

    async def _announce(
        self, home: ItemKey, record: StoredPerson, operation: Operation, item: Item, at: datetime | None = None
    ) -> _Next:
        """Announce the next version of a record, `at` a time or now, and store the current one in the history."""
        data, fields = split_record(record)
        version = record.version + 1
        change = self._announcement(home, record.person_id, version, operation, item)
        is_deletion = operation is Operation.DELETED
        before, after = ((data, item), None) if is_deletion else (None, data)
        indexed = self._entries.change(home, version, before, after)
        more, obsolete = await self._versions.archive(home, record.version, record.body, item)
        (change,) = await self._feed.announce([change], more=[*more, *indexed.items], obsolete=obsolete)
        updated, created = timestamp(at or moment(change.time)), fields["created_at"]
        following = encode_person(record.person_id, version, data, created_at=created, updated_at=updated)
        return _Next(following, data, change, indexed)

    async def _find_deleted(self, person_id: str) -> Deleted | None:
        """Return a person in the trash, whichever store created its id, or None."""
        block = self._ids.decode(person_id)
        if block is None:
            return None
        item = await self._table.get(trash_key(item_key_of(block)))
        if item is None and (home := await self._home_of_alias(person_id)):
            item = await self._table.get(trash_key(home))
        return deleted_of(item) if item else None

    async def _people(self, deleted: Sequence[Deleted]) -> list[TrashedPerson | None]:
        """Return the people of items in the trash; None for those that expired or have no encryption key."""
        now = self._now()
        bodies = await self._format.bodies([one.record_item if one.expires_at > now else None for one in deleted])
        return [
            self._person(one, body) if body is not None else None for one, body in zip(deleted, bodies, strict=True)
        ]

    def _person(self, deleted: Deleted, body: bytes) -> TrashedPerson:
        person_id, version = deleted.person_id(self._ids), deleted.version
        principal = origin_of(deleted.item, version).principal
        return TrashedPerson(person_id, version, check_stored(body, person_id), principal, deleted.expires_at)

    async def _list(self, after: bytes | None, limit: int) -> list[Item]:
        """Return the next entries of the list, the last deleted person first."""

        async def query(shard: int) -> list[Item]:
            condition, values = "pk = :pk", {":pk": binary(list_partition(shard))}
            if after:
                condition, values = "pk = :pk AND sk < :after", values | {":after": binary(after)}
            more = {"ConsistentRead": True, "ScanIndexForward": False}
            return (await self._table.query(condition, values, limit=limit, **more))[0]

        entries = [
            (bytes_attr(entry, "sk"), entry)
            for page in await asyncio.gather(*map(query, range(SHARDS)))
            for entry in page
        ]
        return [entry for _, entry in sorted(entries, key=itemgetter(0), reverse=True)][:limit]
