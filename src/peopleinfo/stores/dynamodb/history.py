"""The versions of records in the table.

    partition key `pk`        sort key `sk`   item
    "h" + a home key          a version       a replaced version
    "erasing"                 a home key      the marker of an erasure in progress

A version has its body, its origin (`made_by`, `made_as`, `made_in`) and the time of its replacement. It is stored before the write that
replaces it. If that write fails, the item does no harm: a version never changes, and a reader returns only versions below the current one.

A marker has the id of the erased record, the ids of the `merged` records to erase with it, and the keys of its index entries.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from peopleinfo.people.history import Operation, Origin, PersonVersion, VersionPage, default_operation, milliseconds
from peopleinfo.people.person import StoredPerson, check_stored
from peopleinfo.people.store import PAGE_SIZE
from peopleinfo.stores.dynamodb.items import ItemKey, binary, bytes_attr, int_attr, item_key_of, number
from peopleinfo.stores.dynamodb.merge_items import is_member, merge_key_of
from peopleinfo.stores.dynamodb.merge_items import partition as merge_partition
from peopleinfo.stores.dynamodb.queries import query_items
from peopleinfo.stores.dynamodb.record_writes import ORIGIN
from peopleinfo.stores.dynamodb.schema import TTL
from peopleinfo.stores.dynamodb.trash_items import is_kept

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from peopleinfo.people.history import HistoryLimits
    from peopleinfo.stores.dynamodb.client import Item, Json, TableClient
    from peopleinfo.stores.dynamodb.record_format import RecordFormat

_VERSION_SIZE: Final = 8  # bytes
_QUERY_LIMIT: Final = 1_000
_REWRITE_LIMIT: Final = 100
_ERASING: Final = b"erasing"
_MIN_MARKER_AGE: Final = 300  # seconds after which the deletion of a marker's record has ended
_MERGED: Final = "merged"


class ItemPerson(StoredPerson):
    """A record with its home key and the attributes of its item."""

    home: ItemKey
    item: Item


def item_person(person_id: str, home: ItemKey, item: Item, body: bytes) -> ItemPerson:
    """Return the record in an item."""
    person = ItemPerson(person_id, int_attr(item, "version"), body)
    person.home, person.item = home, item
    return person


class VersionItems:
    """Stores and reads the earlier versions of records."""

    def __init__(
        self, table: TableClient, record_format: RecordFormat, limits: HistoryLimits, now: Callable[[], datetime]
    ) -> None:
        self._table = table
        self._format = record_format
        self._limits = limits
        self._now = now

    async def archive(self, home: ItemKey, version: int, body: bytes, item: Item) -> tuple[list[Item], list[Item]]:
        """Return the items of a version that is about to be replaced, and the keys of the items that exceed the limit.

        `item` has the attributes of its record. Raises PersonNotFound if the encryption key was deleted.
        """
        limits = self._limits
        if limits.max_versions == 0:
            return [], []
        now = self._now()
        archived = _key(home, version) | {name: item[name] for name in ORIGIN if name in item}
        archived |= {
            "body": binary(await self._format.encrypt_version(home, version, body)),
            "replaced_at": number(milliseconds(now)),
        }
        if limits.max_age is not None:
            archived[TTL] = number(int((now + limits.max_age).timestamp()))
        # The oldest version within the limit must remain if the write fails.
        exceeding = limits.oldest_version(version) - 1
        return [archived], [_key(home, exceeding)] if limits.max_versions is not None and exceeding > 0 else []

    async def item(self, home: ItemKey, version: PersonVersion, replaced_at: int) -> Item:
        """Return the item of a version of another store that was replaced at a time in milliseconds."""
        item = _key(home, version.version) | origin_attributes(version.origin, 0)
        del item["made_at"]
        body = await self._format.encrypt_version(home, version.version, version.body)
        item |= {"body": binary(body), "replaced_at": number(replaced_at)}
        if self._limits.max_age is not None:
            item[TTL] = number(replaced_at // 1_000 + int(self._limits.max_age.total_seconds()))
        return item

    async def read(self, home: ItemKey, last_versions: Sequence[PersonVersion], after: int, limit: int) -> VersionPage:
        """Return a page of versions; see `VersionReader.read_versions`. `last_versions` are those that are not in the history."""
        current = last_versions[0]
        first = max(after + 1, self._limits.oldest_version(last_versions[-1].version))
        replaced_after = self._limits.replaced_after(self._now())
        versions: list[PersonVersion] = []
        size = 0
        while first < current.version and len(versions) < limit and size < PAGE_SIZE:
            items, last = await self._query(home, first, current.version - 1, limit - len(versions))
            for item, body in zip(items, await self._format.decrypt_versions(home, items), strict=True):
                if body is not None and not self._has_expired(item, replaced_after) and size < PAGE_SIZE:
                    versions.append(PersonVersion(_version(item), origin_of(item, _version(item)), check_stored(body)))
                    size += len(body)
            first = _version(items[-1]) + 1 if last is not None else current.version
        if len(versions) == limit or size >= PAGE_SIZE:
            return VersionPage(versions, more=True)
        versions += [version for version in last_versions if version.version > after]
        return VersionPage(versions[:limit], more=len(versions) > limit)

    def marker(self, home: ItemKey, person_id: str, merged: Sequence[str] = ()) -> Item:
        """Return the item of a deletion of a record and of those that are `merged` into it.

        While it exists, `resume_erasures` erases the versions of the deleted record and the merged records.
        """
        at = number(int(self._now().timestamp()))
        marker = _marker_key(home) | {"at": at, "person_id": binary(bytes.fromhex(person_id))}
        ids: Json = {_MERGED: {"BS": [binary(bytes.fromhex(each))["B"] for each in merged]}} if merged else {}
        return marker | ids

    async def read_marker(self, home: ItemKey) -> Item | None:
        """Return the marker of an interrupted deletion of a record, None if there is none or if the record exists."""
        marker = await self._table.get(_marker_key(home))
        return marker if marker is not None and not await is_kept(self._table, home) else None

    async def delete_marker(self, home: ItemKey) -> None:
        """Delete the marker of a deletion that is complete."""
        await self._table.write_many([], [_marker_key(home)])

    async def erase(self, home: ItemKey) -> None:
        """Delete all versions of a record and its merges. Safe to repeat."""
        await self.erase_versions(home)
        await self._erase_partition(merge_partition(home))

    async def erase_versions(self, home: ItemKey) -> None:
        """Delete all versions of a record."""
        await self._erase_partition(_partition(home))

    async def _erase_partition(self, partition: bytes) -> None:
        last: Item | None = {}
        while last is not None:
            items, last = await self._keys(partition)
            await self._table.write_many([], [*map(merge_key_of, filter(is_member, items)), *items])

    async def rewrite(self, home: ItemKey, last: int, change: Callable[[bytes], bytes]) -> None:
        """Replace the bodies of the versions up to `last`, encrypted with the current key. Safe to repeat."""
        first = 1
        while first:
            items, more = await self._query(home, first, last, _REWRITE_LIMIT)
            bodies = await self._format.decrypt_versions(home, items)
            rewritten = [
                item | {"body": binary(await self._format.encrypt_version(home, _version(item), change(body)))}
                for item, body in zip(items, bodies, strict=True)
                if body is not None
            ]
            await self._table.write_many(rewritten, [])
            first = _version(items[-1]) + 1 if more is not None else 0

    async def erase_unless_kept(self, home: ItemKey) -> None:
        """Delete all versions of a record unless the person is stored, in the trash or merged."""
        if not await is_kept(self._table, home):
            await self.erase_versions(home)

    async def resume_erasures(self, *erasers: Callable[[Item], Awaitable[None]]) -> None:
        """Erase the versions of deleted records whose deletion was interrupted. Before, each of `erasers` gets the marker."""
        oldest = int(self._now().timestamp()) - _MIN_MARKER_AGE
        async for item in query_items(self._table, "pk = :pk", {":pk": binary(_ERASING)}):
            home = item_key_of(bytes_attr(item, "sk"))
            if int_attr(item, "at") >= oldest:
                continue
            if not await is_kept(self._table, home):
                for erase_others in erasers:
                    await erase_others(item)
                await self.erase(home)
            await self.delete_marker(home)

    async def _keys(self, partition: bytes) -> tuple[list[Item], Item | None]:
        more = {"ConsistentRead": True, "ProjectionExpression": "pk, sk"}
        return await self._table.query("pk = :pk", {":pk": binary(partition)}, limit=_QUERY_LIMIT, **more)

    def _has_expired(self, item: Item, replaced_after: int) -> bool:
        """Return whether a version has expired; DynamoDB deletes its item some time later."""
        expires_at = int_attr(item, TTL) if TTL in item else None
        return int_attr(item, "replaced_at") <= replaced_after or (
            expires_at is not None and expires_at <= self._now().timestamp()
        )

    async def _query(self, home: ItemKey, first: int, last: int, limit: int) -> tuple[list[Item], Item | None]:
        values = {":pk": binary(_partition(home)), ":first": _sort_key(first), ":last": _sort_key(last)}
        condition = "pk = :pk AND sk BETWEEN :first AND :last"
        return await self._table.query(condition, values, limit=limit, ConsistentRead=True)


def origin_attributes(origin: Origin, time: int) -> Item:
    """Return the attributes of a record about the change that wrote it at a time in microseconds."""
    return {
        "made_by": {"S": origin.principal or ""},
        "made_as": {"S": origin.operation},
        "made_at": number(time),
        "made_in": binary(origin.import_id or b""),
    }


def origin_of(item: Item, version: int) -> Origin:
    """Return the origin of a version from the attributes of its item. An earlier release stored none."""
    default = default_operation(version)
    operation = Operation(item["made_as"]["S"]) if "made_as" in item else default
    import_id = bytes_attr(item, "made_in") if "made_in" in item else b""
    return Origin(operation, item.get("made_by", {}).get("S") or None, import_id or None)


def merged_of(marker: Item) -> list[str]:
    """Return the ids of the merged records in the marker of a deletion."""
    return [bytes_attr({"id": {"B": text}}, "id").hex() for text in marker.get(_MERGED, {}).get("BS", ())]


def time_of(item: Item) -> int:
    """Return the time of the last change of a record in microseconds; 0 if an earlier release made it."""
    return int_attr(item, "made_at") if "made_at" in item else 0


def moment(time: int) -> datetime:
    """Return a time in microseconds since 1970 as a datetime."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time)


def _partition(home: ItemKey) -> bytes:
    return b"h" + home.block


def _marker_key(home: ItemKey) -> Item:
    return ItemKey(_ERASING, home.block).key


def _key(home: ItemKey, version: int) -> Item:
    return {"pk": binary(_partition(home)), "sk": _sort_key(version)}


def _sort_key(version: int) -> dict[str, str]:
    return binary(version.to_bytes(_VERSION_SIZE))


def _version(item: Item) -> int:
    return int.from_bytes(bytes_attr(item, "sk"))
