"""The items of merges.

    partition key `pk`        sort key `sk`               item
    "g" + a home key          "r"                         a merged record at its version before the merge
    "g" + a home key          "l"                         the log of a record into which others are merged
    "g" + a home key          "m" + time and a merge id   a merge in which the record took part
    "g" + a merge id          "-"                         a merge record, without values
    "renewing"                a home key                  an undo; its survivor's versions must be encrypted again (`key_renewal`)

The attribute `survives` of a record states that it has a log. The transaction that writes the record writes its log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from peopleinfo.crypto.person_ids import BLOCK_SIZE
from peopleinfo.matching.merge_store import MergeRecord, decode_merge
from peopleinfo.people import strict_json
from peopleinfo.stores.dynamodb.items import (
    ALONE,
    ItemKey,
    binary,
    bytes_attr,
    int_attr,
    item_key_of,
    number,
    singleton_key,
)
from peopleinfo.stores.dynamodb.record_writes import ABSENT, AT_VERSION, ORIGIN, SURVIVES

if TYPE_CHECKING:
    from peopleinfo.stores.dynamodb.client import Item, Json
    from peopleinfo.stores.dynamodb.record_writes import Located

_PREFIX: Final = b"g"
_RECORD: Final = b"r"
_LOG: Final = b"l"
MERGE_ID_SIZE: Final = 16  # bytes
MEMBER: Final = b"m"  # first byte of the sort key
_KEPT: Final = ("once", "alias", *ORIGIN, SURVIVES, "index_plan")


class MergedItem(NamedTuple):
    """A merged record: its home key and its item."""

    home: ItemKey
    item: Item

    @property
    def version(self) -> int:
        """The version before the merge."""
        return int_attr(self.item, "version")

    @property
    def survivor(self) -> ItemKey:
        """The home key of the record into which this one is merged."""
        return item_key_of(bytes_attr(self.item, "survivor"))

    @property
    def merged_into(self) -> str:
        """The id of that record."""
        return bytes_attr(self.item, "merged_into").hex()

    @property
    def merge_id(self) -> str:
        """The id of the merge."""
        return bytes_attr(self.item, "merge_id").hex()

    @property
    def kept(self) -> Item:
        """The attributes that the record has again after an undo."""
        return {name: self.item[name] for name in ("once", "alias", SURVIVES) if name in self.item}


def partition(home: ItemKey) -> bytes:
    """Return the partition key of the merges of a record."""
    return _PREFIX + home.block


def merged_key(home: ItemKey) -> Item:
    """Return the key of a merged record."""
    return ItemKey(partition(home), _RECORD).key


def log_key(home: ItemKey) -> Item:
    """Return the key of the log of a record."""
    return ItemKey(partition(home), _LOG).key


def merge_key(merge_id: str) -> Item:
    """Return the key of a merge record."""
    return singleton_key(_PREFIX + bytes.fromhex(merge_id))


def merge_key_of(member: Item) -> Item:
    """Return the key of the merge record that a member item names."""
    return merge_key(bytes_attr(member, "sk")[-MERGE_ID_SIZE:].hex())


def merged_item(found: Located, survivor: ItemKey, merged_into: str, merge_id: str) -> Item:
    """Return the item of a merged record from its current item."""
    kept = {name: found.item[name] for name in ("version", "body", *_KEPT) if name in found.item}
    return merged_key(found.home) | kept | {
        "survivor": binary(survivor.block),
        "merged_into": binary(bytes.fromhex(merged_into)),
        "merge_id": binary(bytes.fromhex(merge_id)),
    }  # fmt: skip


def remove_merged(merged: MergedItem) -> Json:
    """Return the write that deletes a merged record."""
    values = {":expected": number(merged.version), ":merge": merged.item["merge_id"]}
    condition = f"{AT_VERSION} AND merge_id = :merge"
    key = merged_key(merged.home)
    return {"Delete": {"Key": key, "ConditionExpression": condition, "ExpressionAttributeValues": values}}


def merge_item(merge: MergeRecord) -> Item:
    """Return the item of a merge record."""
    return merge_key(merge.merge_id) | {"record": binary(strict_json.encode(merge))}


def merge_of(item: Item) -> MergeRecord:
    """Return the merge record of an item."""
    return decode_merge(bytes_attr(item, "record"))


def add_merge(merge: MergeRecord, homes: list[ItemKey]) -> list[Json]:
    """Return the writes that add a merge and its members; the first one fails if the merge exists."""
    sort_key = MEMBER + merge.at.encode() + bytes.fromhex(merge.merge_id)
    members = [ItemKey(partition(home), sort_key).key | {"merge_id": _binary_id(merge.merge_id)} for home in homes]
    first: dict[str, Any] = {"Item": merge_item(merge), "ConditionExpression": ABSENT}
    return [{"Put": first}, *({"Put": {"Item": member}} for member in members)]


def replace_merge(before: MergeRecord, after: MergeRecord) -> Json:
    """Return the write that replaces a merge record, unless it has changed."""
    values = {":before": merge_item(before)["record"]}
    return {
        "Put": {
            "Item": merge_item(after),
            "ConditionExpression": "#record = :before",
            "ExpressionAttributeNames": {"#record": "record"},
            "ExpressionAttributeValues": values,
        }
    }


def log_item(home: ItemKey, version: int, body: bytes) -> Item:
    """Return the item of the log of a record at a version."""
    return log_key(home) | {"version": number(version), "log": binary(body)}


def is_merged(item: Item) -> bool:
    """Return whether an item is a merged record."""
    key = bytes_attr(item, "pk")
    is_partition = key.startswith(_PREFIX) and len(key) == len(_PREFIX) + BLOCK_SIZE
    return is_partition and bytes_attr(item, "sk") == _RECORD


def home_of_merged(item: Item) -> ItemKey:
    """Return the home key of the record in an item of its merges."""
    return item_key_of(bytes_attr(item, "pk")[len(_PREFIX) :])


def is_member(item: Item) -> bool:
    """Return whether an item names a merge of a record."""
    return bytes_attr(item, "sk")[:1] == MEMBER and bytes_attr(item, "sk") != ALONE


def _binary_id(merge_id: str) -> dict[str, str]:
    return binary(bytes.fromhex(merge_id))
