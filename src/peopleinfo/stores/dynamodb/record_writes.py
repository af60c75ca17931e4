"""The writes of a transaction that moves a record to another partition, or deletes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.stores.dynamodb.items import ALIAS, ItemKey, binary, bytes_attr, int_attr, number, singleton_key

if TYPE_CHECKING:
    from peopleinfo.stores.dynamodb.client import Item, Json

ABSENT: Final = "attribute_not_exists(pk)"
AT_VERSION: Final = "version = :expected"
# About the change that wrote the current version: principal, operation, time in microseconds and import.
ORIGIN: Final = ("made_by", "made_as", "made_at", "made_in")
SURVIVES: Final = "survives"  # present if other records are merged into the record
CARRIED: Final = ("once", "alias", SURVIVES, *ORIGIN, "index_plan")  # attributes that a move of the record preserves
_MOVED: Final = "moved_to = :at"


class Located(NamedTuple):
    """The item of a record, its home key and its current key."""

    home: ItemKey
    item_key: ItemKey
    item: Item

    @property
    def version(self) -> int:
        """The version of the record when it was read."""
        return int_attr(self.item, "version")


def carried_attributes(item: Item) -> Item:
    """Return the attributes that a change of the record preserves."""
    return {name: item[name] for name in CARRIED if name in item}


def move_writes(found: Located, target: ItemKey, item: Item) -> list[Json]:
    """Return the writes that move a record: put it at `target`, delete it here, update the redirect at its home key."""
    expected = {"ExpressionAttributeValues": {":expected": number(found.version)}}
    at = {":at": binary(found.item_key.pk)}
    delete: Json = {"Delete": {"Key": found.item_key.key, "ConditionExpression": AT_VERSION, **expected}}
    if target == found.home:
        put: Json = {"Item": item, "ConditionExpression": _MOVED, "ExpressionAttributeValues": at}
        return [delete, {"Put": put}]
    put_moved = {"Item": item | {"home": binary(found.home.pk)}, "ConditionExpression": ABSENT}
    if found.item_key == found.home:
        redirect_item = found.home.key | {"moved_to": binary(target.pk)}
        return [{"Put": {"Item": redirect_item, "ConditionExpression": AT_VERSION, **expected}}, {"Put": put_moved}]
    redirect = {
        "Key": found.home.key,
        "UpdateExpression": "SET moved_to = :target",
        "ConditionExpression": _MOVED,
        "ExpressionAttributeValues": at | {":target": binary(target.pk)},
    }
    return [delete, {"Put": put_moved}, {"Update": redirect}]


def update_write(item_key: ItemKey, change: str, values: Item) -> Json:
    """Return the write that changes a record at the version `:expected`."""
    update = {"Key": item_key.key, "UpdateExpression": change, "ConditionExpression": AT_VERSION}
    return {"Update": update | {"ExpressionAttributeValues": values}}


def delete_writes(found: Located) -> tuple[list[Json], list[Json]]:
    """Return the writes that delete a record, and the write that deletes its saved response, if any."""
    version = {"ExpressionAttributeValues": {":expected": number(found.version)}}
    writes: list[Json] = [{"Delete": {"Key": found.item_key.key, "ConditionExpression": AT_VERSION, **version}}]
    if found.item_key != found.home:
        at = {"ExpressionAttributeValues": {":at": binary(found.item_key.pk)}}
        writes.append({"Delete": {"Key": found.home.key, "ConditionExpression": _MOVED, **at}})
    if "alias" in found.item:
        writes.append({"Delete": {"Key": singleton_key(ALIAS + bytes_attr(found.item, "alias"))}})
    if "once" not in found.item:
        return writes, []
    clear_response = {
        "Key": singleton_key(b"once" + bytes_attr(found.item, "once")),
        "UpdateExpression": "REMOVE answer",
        "ConditionExpression": "place = :home",
        "ExpressionAttributeValues": {":home": binary(found.home.block)},
    }
    return writes, [{"Update": clear_response}]


def removal_writes(found: Located) -> list[Json]:
    """Return the writes that remove a record from its place; its alias and its saved response remain."""
    kept = {name: found.item[name] for name in found.item if name not in ("alias", "once")}
    return delete_writes(found._replace(item=kept))[0]
