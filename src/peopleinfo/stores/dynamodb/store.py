"""The DynamoDB store: implements `peopleinfo.people.store.Store` on one table."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from peopleinfo.crypto.person_ids import IdCipher
from peopleinfo.errors import (
    PersonMerged,
    PersonNotFound,
    StoreUnavailable,
    VersionConflict,
)
from peopleinfo.people.history import UPDATED, Operation, Origin, PersonVersion
from peopleinfo.people.person import PersonData, StoredPerson, check_stored, decode_header
from peopleinfo.people.store import (
    Checkpoint,
    Lease,
    Page,
    PurgeResult,
    ReindexResult,
)
from peopleinfo.stores.dynamodb.api_keys import DynamoDBApiKeyStore
from peopleinfo.stores.dynamodb.batches import RecordBatches
from peopleinfo.stores.dynamodb.bulk_write import BulkWriter
from peopleinfo.stores.dynamodb.changes import ChangeFeed
from peopleinfo.stores.dynamodb.client import non_atomic_writes
from peopleinfo.stores.dynamodb.ended_sessions import DynamoDBEndedSessionStore
from peopleinfo.stores.dynamodb.history import (
    ItemPerson,
    VersionItems,
    item_person,
    origin_of,
)
from peopleinfo.stores.dynamodb.import_log import DynamoDBImportLog
from peopleinfo.stores.dynamodb.items import (
    ItemKey,
    KeyAllocator,
    b64_key,
    bytes_attr,
    home_of,
    is_person,
    item_key_of,
    singleton_key,
)
from peopleinfo.stores.dynamodb.key_renewal import KeyRenewals
from peopleinfo.stores.dynamodb.leases import acquire_lease
from peopleinfo.stores.dynamodb.match_index import DynamoDBMatchIndex
from peopleinfo.stores.dynamodb.merge_eraser import erasure_order
from peopleinfo.stores.dynamodb.merges import DynamoDBMerges
from peopleinfo.stores.dynamodb.paging import PageBuilder, key_at, position_of
from peopleinfo.stores.dynamodb.people_count import estimate_items
from peopleinfo.stores.dynamodb.record_creator import RecordCreator
from peopleinfo.stores.dynamodb.record_writer import RecordWriter
from peopleinfo.stores.dynamodb.record_writes import (
    ORIGIN,
    SURVIVES,
    Located,
)
from peopleinfo.stores.dynamodb.search_entries import INDEXED, SearchEntries
from peopleinfo.stores.dynamodb.search_index import DynamoDBSearchIndex
from peopleinfo.stores.dynamodb.search_items import SearchItems
from peopleinfo.stores.dynamodb.surname_search import SurnameSearch
from peopleinfo.stores.dynamodb.table_writer import WriterParts
from peopleinfo.stores.dynamodb.trash import DynamoDBTrash
from peopleinfo.stores.dynamodb.unique_identifiers import UniqueIdentifiers
from peopleinfo.stores.dynamodb.upsert import Upsert, is_local_id
from peopleinfo.stores.dynamodb.version_archive import DynamoDBVersionArchive

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from peopleinfo.people.history import HistoryLimits, VersionPage
    from peopleinfo.people.index_entries import IndexPlan
    from peopleinfo.people.person_filter import PersonFilter
    from peopleinfo.stores.dynamodb.client import Item, TableClient
    from peopleinfo.stores.dynamodb.record_format import RecordFormat

_MAX_ATTEMPTS: Final = 20  # attempts of a write that conflicts with concurrent writes
_ATTRIBUTES: Final = ", ".join(("version", "body", "moved_to", SURVIVES, *ORIGIN, INDEXED))
_DELETED_ATTRIBUTES: Final = f"version, body, moved_to, once, alias, made_at, {SURVIVES}, {INDEXED}"
_MAX_SCAN_ITEMS: Final = 1_000  # items requested per call; a response holds at most 1 MB


class DynamoDBStore:
    """Person records in a DynamoDB table that several processes share."""

    def __init__(
        self,
        table: TableClient,
        record_format: RecordFormat,
        secret: bytes,
        shards: int,
        *,
        now: Callable[[], datetime],
        limits: HistoryLimits,
        plan: IndexPlan,
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
        self._feed = ChangeFeed(table, self._ids, limits, now)
        self.read_changes = self._feed.read
        self._versions = VersionItems(table, record_format, limits, now)
        layout = SearchItems(secret, is_readable=record_format.is_readable)
        self._entries = SearchEntries(table, record_format, layout, plan, now)
        self.search = DynamoDBSearchIndex(table, layout, self._entries, self._bodies_at)
        self.matches = DynamoDBMatchIndex(table, self.search)
        parts = WriterParts(
            table,
            record_format,
            self._item_keys,
            self._ids,
            self._feed,
            self._versions,
            self._entries,
            UniqueIdentifiers(table, layout, plan, self._bodies_at, now),
            self.matches.links,
            now,
            self._locate,
            self._erase_merged,
        )
        self._creator = RecordCreator(parts)
        self.create = self._creator.create
        self.imports = DynamoDBImportLog(table, self._ids, self._item_keys, limits, now)
        self._writer = RecordWriter(parts)
        self._renewals = KeyRenewals(table, record_format, self._versions, self._locate, now)
        self._upsert = Upsert(parts)
        self.merges = DynamoDBMerges(parts, self._find, self._upsert.home, self._renewals)
        self.merge_group = self.merges.group
        self.trash = DynamoDBTrash(parts, self._find, self._upsert.home, self.merges)
        others = self.merges.last_versions, self.trash.last_versions
        self.archive = DynamoDBVersionArchive(table, self, self._versions, self._locate, limits, now, *others)
        self._bulk = BulkWriter(parts, self.imports, self._creator.new)
        self.read_checkpoint, self.delete_checkpoint = self._bulk.read_checkpoint, self._bulk.delete_checkpoint
        batches = RecordBatches(table, record_format, self._ids, self.imports, self)
        self.get_many = batches.get_many
        self.create_each = batches.create_each
        self.replace_many = batches.replace_many
        self._by_surname = SurnameSearch(table, record_format, self._item_keys)
        self.estimate = partial(estimate_items, table)

    async def get(self, person_id: str) -> StoredPerson:
        return await self._get(person_id)

    async def _get(self, person_id: str) -> ItemPerson:
        found = await self._find(person_id, _ATTRIBUTES)
        body = await self._format.body(found.home, found.item) if found else None
        if found is None or body is None:
            raise await self.merges.missing(person_id)
        return item_person(person_id, found.home, found.item, check_stored(body, person_id))

    async def replace(
        self,
        person_id: str,
        data: PersonData,
        *,
        expected: int,
        current: StoredPerson | None = None,
        origin: Origin = UPDATED,
    ) -> StoredPerson:
        if not isinstance(current, ItemPerson) or current.version != expected:
            current = await self._get(person_id)
        if current.version != expected:
            raise VersionConflict(person_id, actual=current.version)
        home = self._home(person_id)
        if not is_local_id(home, decode_header(current.body).creation_time):  # another store may have created the id
            home = await self._upsert.home(person_id) or home
        return await self._writer.replace(home, current, data, origin)

    async def delete(self, person_id: str, *, expected: int | None = None) -> None:
        for _ in range(_MAX_ATTEMPTS):
            survivor, found = person_id, await self._find(person_id, _DELETED_ATTRIBUTES)
            if found is None:
                survivor, _ = await self.merges.survivor(person_id)
                if survivor != person_id and expected is not None:
                    raise await self.merges.missing(person_id)
                found = await self._find(survivor, _DELETED_ATTRIBUTES)
            if found is None:
                await self.merges.resume(person_id)
                return
            if await self._delete(found, survivor, expected, person_id):
                return
        raise StoreUnavailable("concurrent changes of the person prevented its deletion; try again")

    async def _delete(self, found: Located, survivor: str, expected: int | None, person_id: str) -> bool:
        """Erase a located record with its merged records, the requested one last; return False if it has changed since."""
        if not await self._format.has_key(found.home):
            raise PersonNotFound(person_id)
        if expected not in (None, found.version):
            raise VersionConflict(person_id, actual=found.version)
        merged = (await self.merges.group(survivor))[1:] if SURVIVES in found.item else []
        return await self._writer.delete(found, survivor, erasure_order(merged, person_id))

    async def read_versions(self, person_id: str, *, after: int, limit: int) -> VersionPage:
        try:
            current = await self._get(person_id)
        except PersonMerged:
            home, versions = await self.merges.last_versions(person_id)
            return await self._versions.read(home, versions, after, limit)
        version = PersonVersion(current.version, origin_of(current.item, current.version), current.body)
        return await self._versions.read(current.home, [version], after, limit)

    async def expire_history(self) -> bool:
        # DynamoDB deletes expired items itself.
        await self._renewals.resume()
        await self._writer.resume_index_changes()
        erasers = self._entries.erase, self.matches.links.erase_marked, self.merges.erase_marked
        await self._versions.resume_erasures(*erasers)
        return False

    async def _erase_merged(self, person_ids: Sequence[str]) -> None:
        await self.merges.erase(person_ids)

    async def find(self, person_filter: PersonFilter, *, after: bytes | None, limit: int) -> Page:
        return await self._by_surname.find(person_filter, after=after, limit=limit)

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
        import_id: bytes | None = None,
    ) -> list[str]:
        await self._format.refresh_keys()
        origin = Origin(Operation.CREATED, principal, import_id)
        return await self._bulk.create_many(people, checkpoint, offsets, origin)

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
            result = await self._upsert.reindex(after, limit)
            await self.search.advance(after, result.next)
        return result

    async def purge(self, *, after: bytes | None, limit: int, remove: bool = True) -> PurgeResult:
        start = {"ExclusiveStartKey": key_at(after)} if after else {}
        items, last = await self._table.scan(
            limit=limit, ProjectionExpression="pk, sk, home, version, written_at, made_at, alias", **start
        )
        # Every record has exactly one item at its home key: the record itself or a redirect.
        homes = [
            ItemKey(bytes_attr(item, "pk"), bytes_attr(item, "sk"))
            for item in items
            if is_person(item) and "home" not in item
        ]
        orphans = await self._format.without_key(homes)
        for home in orphans if remove else ():
            if found := await self._locate(home, "version, moved_to, once, alias"):
                await self._writer.purge(found)
        if remove:
            await self._entries.sweep(items)
        lost = await self.trash.purge(items, remove=remove) + await self.merges.purge(items, remove=remove)
        return PurgeResult(len(homes), len(orphans) + lost, position_of(last) if last else None)

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

    # Records of items

    async def _bodies(self, items: list[Item]) -> list[bytes | None]:
        """Return the JSON of the record behind each home item; None for items of another kind."""
        at_home = [item if is_person(item) and "body" in item and "home" not in item else None for item in items]
        bodies = await self._format.bodies(at_home)
        return [
            body if home is not None else await self._moved_body(item)
            for item, home, body in zip(items, at_home, bodies, strict=True)
        ]

    async def _bodies_at(self, homes: Sequence[ItemKey]) -> list[bytes | None]:
        """Return the JSON of the records with these home keys; None for a deleted record."""
        attributes = "pk, sk, home, version, body, surname_key, moved_to"
        found = await self._table.get_many([home.key for home in dict.fromkeys(homes)], attributes)
        moved = [ItemKey(bytes_attr(item, "moved_to"), bytes_attr(item, "sk")) for item in found if "moved_to" in item]
        found += await self._table.get_many([item_key.key for item_key in moved], attributes)
        items = {home_of(item): item for item in found if "body" in item}
        return await self._format.bodies([items.get(b64_key(home)) for home in homes])

    async def _moved_body(self, item: Item) -> bytes | None:
        if "moved_to" not in item or not is_person(item):
            return None
        found = await self._locate(ItemKey(bytes_attr(item, "pk"), bytes_attr(item, "sk")), "version, body, moved_to")
        return await self._format.body(found.home, found.item) if found else None
