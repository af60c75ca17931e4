"""The items of people in the trash.

    partition key `pk`        sort key `sk`               item
    "t" + a home key          "-"                         a deleted person: its record at the version of the deletion, and its expiry
    "trashed" + shard         time and the home key       an entry of the list of deleted people, in the order of their deletion

The transaction that deletes or stores the record at its home key writes both.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from peopleinfo.crypto.person_ids import BLOCK_SIZE
from peopleinfo.people.history import milliseconds
from peopleinfo.stores.dynamodb.items import (
    ALIAS,
    ALONE,
    ItemKey,
    binary,
    bytes_attr,
    int_attr,
    item_key_of,
    number,
    person_id_of,
    singleton_key,
)
from peopleinfo.stores.dynamodb.merge_items import merged_key
from peopleinfo.stores.dynamodb.record_writes import ABSENT, AT_VERSION

if TYPE_CHECKING:
    from peopleinfo.crypto.person_ids import IdCipher
    from peopleinfo.stores.dynamodb.client import Item, Json, TableClient

SHARDS: Final = 4
TIME_SIZE: Final = 7  # bytes of a time in microseconds
_PREFIX: Final = b"t"
_LIST: Final = b"trashed"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ALIAS: Final = "alias"


class Deleted(NamedTuple):
    """A person in the trash: its home key and its item."""

    home: ItemKey
    item: Item

    @property
    def version(self) -> int:
        """The version that the deletion created."""
        return int_attr(self.item, "version")

    @property
    def expires_at(self) -> datetime:
        """The time from which the person cannot be restored."""
        return _EPOCH + timedelta(milliseconds=int_attr(self.item, "until"))

    @property
    def record_item(self) -> Item:
        """The item with the home key of the person in place of its own key."""
        return self.item | self.home.key

    def person_id(self, ids: IdCipher) -> str:
        """Return the id of the person."""
        return person_id_of(self.home, self.item, ids)


def trash_key(home: ItemKey) -> Item:
    """Return the key of a person in the trash."""
    return singleton_key(_PREFIX + home.block)


def deleted_of(item: Item) -> Deleted:
    """Return the person of an item in the trash or of an entry of the list."""
    key = bytes_attr(item, "pk")
    block = key[len(_PREFIX) :] if is_trash(item) else bytes_attr(item, "sk")[TIME_SIZE:]
    return Deleted(item_key_of(block), item)


def is_trash(item: Item) -> bool:
    """Return whether the item is a person in the trash."""
    key = bytes_attr(item, "pk")
    return len(key) == len(_PREFIX) + BLOCK_SIZE and key.startswith(_PREFIX) and bytes_attr(item, "sk") == ALONE


def list_partition(shard: int) -> bytes:
    """Return the partition key of a shard of the list."""
    return _LIST + bytes([shard])


def trash_item(home: ItemKey, version: int, body: bytes, expires_at: datetime, attributes: Item) -> Item:
    """Return the item of a person in the trash; `attributes` are its origin and its alias."""
    until = number(milliseconds(expires_at))
    return trash_key(home) | attributes | {"version": number(version), "body": binary(body), "until": until}


def add_writes(home: ItemKey, item: Item) -> list[Json]:
    """Return the writes that add a person to the trash."""
    entry = _entry_key(home, item) | {name: item[name] for name in ("version", "until", _ALIAS) if name in item}
    return [{"Put": {"Item": item, "ConditionExpression": ABSENT}}, {"Put": {"Item": entry}}]


def remove_writes(deleted: Deleted, *, with_alias: bool = False) -> list[Json]:
    """Return the writes that remove a person from the trash at its version, and `with_alias` also the id of another store."""
    expected: dict[str, Any] = {"ExpressionAttributeValues": {":expected": number(deleted.version)}}
    keys = [_entry_key(deleted.home, deleted.item)]
    if with_alias and _ALIAS in deleted.item:
        keys.append(singleton_key(ALIAS + bytes_attr(deleted.item, _ALIAS)))
    remove: Json = {"Key": trash_key(deleted.home), "ConditionExpression": AT_VERSION, **expected}
    return [{"Delete": remove}, *({"Delete": {"Key": key}} for key in keys)]


def store_writes(home: ItemKey, target: ItemKey, item: Item) -> list[Json]:
    """Return the writes that store a record at `target`, with a redirect at its home key if the two differ."""
    if target == home:
        return [{"Put": {"Item": item, "ConditionExpression": ABSENT}}]
    redirect = home.key | {"moved_to": binary(target.pk)}
    moved = item | {"home": binary(home.pk)}
    return [{"Put": {"Item": one, "ConditionExpression": ABSENT}} for one in (redirect, moved)]


async def is_kept(table: TableClient, home: ItemKey) -> bool:
    """Return whether the person with a home key is stored, in the trash or merged into another person."""
    # A person can move from the trash or from the merged records between two reads, but must then be stored.
    keys = (home.key, trash_key(home), merged_key(home), home.key)
    return any([await table.get(key, "pk") for key in keys])


def _entry_key(home: ItemKey, item: Item) -> Item:
    return ItemKey(list_partition(home.sk[-1] % SHARDS), int_attr(item, "made_at").to_bytes(TIME_SIZE) + home.block).key
