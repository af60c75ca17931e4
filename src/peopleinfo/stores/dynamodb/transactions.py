"""What is written together when a person moves to another surname's partition, or is erased."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.stores.dynamodb.items import ALIAS, ItemKey, binary, bytes_attr, int_attr, number, singleton_key

if TYPE_CHECKING:
    from peopleinfo.stores.dynamodb.client import Item, Json

ABSENT: Final = "attribute_not_exists(pk)"
AT_VERSION: Final = "version = :expected"
CARRIED: Final = ("once", "alias")  # attributes that stay with a person, beside those of a record
_MOVED: Final = "moved_to = :at"


class Located(NamedTuple):
    """A person's item, and where it lies; `home` is its first place."""

    home: ItemKey
    place: ItemKey
    item: Item

    @property
    def version(self) -> int:
        """The version at which it was found."""
        return int_attr(self.item, "version")


def carried_attributes(item: Item) -> Item:
    """Return what stays with a person whatever becomes of its record."""
    return {name: item[name] for name in CARRIED if name in item}


def move_writes(found: Located, target: ItemKey, item: Item) -> list[Json]:
    """Return the writes that take a person to another place: there, away from here, and the word in its first place."""
    expected = {"ExpressionAttributeValues": {":expected": number(found.version)}}
    at = {":at": binary(found.place.pk)}
    leave: Json = {"Delete": {"Key": found.place.key, "ConditionExpression": AT_VERSION, **expected}}
    if target == found.home:
        arrive: Json = {"Item": item, "ConditionExpression": _MOVED, "ExpressionAttributeValues": at}
        return [leave, {"Put": arrive}]
    away = {"Item": item | {"home": binary(found.home.pk)}, "ConditionExpression": ABSENT}
    if found.place == found.home:
        word = found.home.key | {"moved_to": binary(target.pk)}
        return [{"Put": {"Item": word, "ConditionExpression": AT_VERSION, **expected}}, {"Put": away}]
    redirect = {
        "Key": found.home.key,
        "UpdateExpression": "SET moved_to = :target",
        "ConditionExpression": _MOVED,
        "ExpressionAttributeValues": at | {":target": binary(target.pk)},
    }
    return [leave, {"Put": away}, {"Update": redirect}]


def delete_writes(found: Located) -> tuple[list[Json], list[Json]]:
    """Return the writes that erase a person where it lies, and those that remove its traces: the answer given when it was created."""
    version = {"ExpressionAttributeValues": {":expected": number(found.version)}}
    writes: list[Json] = [{"Delete": {"Key": found.place.key, "ConditionExpression": AT_VERSION, **version}}]
    if found.place != found.home:
        at = {"ExpressionAttributeValues": {":at": binary(found.place.pk)}}
        writes.append({"Delete": {"Key": found.home.key, "ConditionExpression": _MOVED, **at}})
    if "alias" in found.item:
        writes.append({"Delete": {"Key": singleton_key(ALIAS + bytes_attr(found.item, "alias"))}})
    if "once" not in found.item:
        return writes, []
    forget = {
        "Key": singleton_key(b"once" + bytes_attr(found.item, "once")),
        "UpdateExpression": "REMOVE answer",
        "ConditionExpression": "place = :home",
        "ExpressionAttributeValues": {":home": binary(found.home.block)},
    }
    return writes, [{"Update": forget}]
