"""What the items of the table look like, and where a person lies.

    partition key `pk`                sort key `sk`           what
    keyed hash of a surname's key     time and chance         a person, or where it has moved to (6 and 10 bytes)
    "once" + an idempotency key       "-"                     the answer that was given under it
    "import" + the id of an import    "-"                     how far it has come
    "alias" + an id of another store  "-"                     the first place of a person who was taken over
    "ended session " + its id         "-"                     when the session's cookie expires
    "deployment"                      "-"                     the secret, the number of shards

A person's first place (`Place`) is its id, enciphered, for ever. Who changes the surname moves to the partition of the new one, keeps the
sort key and leaves the new partition's key in the first place (`moved_to`); so from an id it is two steps at most, and whoever looks through
the whole table meets everybody at their first place once, however they move meanwhile.
"""

from __future__ import annotations

import secrets
import time
from binascii import a2b_base64, b2a_base64
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.crypto.ids import BLOCK_SIZE, derive_key
from peopleinfo.errors import StoreDamaged
from peopleinfo.people.names import FOLD_VERSION

if TYPE_CHECKING:
    from peopleinfo.people.person import StoredPerson
    from peopleinfo.stores.dynamodb.client import Item

PARTITION: Final = 6  # bytes of a person's partition key; ids have room for no more, and `home_of` needs threes
RANDOM_BYTES: Final = 3  # bytes of chance after the 7 of time in a sort key
_KEY: Final = 1_000  # bytes of a surname's key in the prefix index; DynamoDB takes sort keys of at most 1,024
ALONE: Final = b"-"  # the sort key of an item that shares its partition with no other
ALIAS: Final = b"alias"
PREFIXES: Final = "prefixes"  # the index


class ItemKey(NamedTuple):
    """Where a person lies: partition key and sort key."""

    pk: bytes
    sk: bytes

    @property
    def key(self) -> Item:
        """The place as DynamoDB writes it."""
        return {"pk": binary(self.pk), "sk": binary(self.sk)}

    @property
    def block(self) -> bytes:
        """The place as a block of 16 bytes."""
        return self.pk + self.sk


class KeyAllocator:
    """Gives out places; every process of a deployment gives a surname the same partitions. Not for several threads at once."""

    def __init__(self, secret: bytes, shards: int) -> None:
        """Spread every surname over `shards` partitions."""
        self._secret = derive_key(secret, "places")
        self.shards = shards
        self._last = 0

    def new(self, count: int = 1) -> int:
        """Return the first of `count` numbers never given before, each the sort key of a person: later ones are greater.

        They are the machine's time in microseconds and some chance, and go on from the last one when the clock does not.
        """
        number = (time.time_ns() // 1_000 << 8 * RANDOM_BYTES) + secrets.randbits(8 * RANDOM_BYTES)
        number = max(number, self._last + 1)
        self._last = number + count - 1
        return number

    def place(self, surname_key: str, number: int) -> ItemKey:
        """Return where the person with this sort key lies as long as it bears the surname."""
        return ItemKey(self.partition(surname_key, number % self.shards), number.to_bytes(BLOCK_SIZE - PARTITION))

    def moved(self, place: ItemKey, surname_key: str) -> ItemKey:
        """Return where the person who lies here lies under another surname."""
        return self.place(surname_key, int.from_bytes(place.sk))

    def partition(self, surname_key: str, shard: int) -> bytes:
        """Return the partition key of a shard of a surname: a keyed hash, so that it tells nobody the surname."""
        key = shard.to_bytes(2) + surname_key.encode()
        return blake2b(key, key=self._secret, digest_size=PARTITION).digest()


def place_of(block: bytes) -> ItemKey:
    """Take a block of 16 bytes apart."""
    return ItemKey(block[:PARTITION], block[PARTITION:])


def b64_key(place: ItemKey) -> str:
    """Return the place as a block of 16 bytes, as DynamoDB writes it."""
    return binary(place.block)["B"]


def home_of(item: Item) -> str:
    """Return the first place of the person in an item, as `block_of` does: 6 bytes are written without a rest, so nothing need be read."""
    return item["home" if "home" in item else "pk"]["B"] + item["sk"]["B"]


def record_attributes(
    surname_key: str, record: StoredPerson, place: ItemKey, write_id: bytes, *, prefixes: bool = True
) -> Item:
    """Return the attributes of a person that a change replaces; `prefixes` says whether it is to be found by the beginning of its surname.

    `write_id` tells the writes apart: whoever has not heard whether a write was done can see whether it is his.
    """
    attributes: Item = {
        "version": number(record.version),
        "body": binary(record.body),
        "surname_key": {"S": surname_key},
        "fold": number(FOLD_VERSION),
        "write_id": binary(write_id),
    }
    if prefixes:
        attributes["prefix_pk"] = {"S": surname_key[0]}
        attributes["prefix_sk"] = binary(prefix_key(surname_key) + b"\0" + place.sk)
    return attributes


def prefix_key(surname_key: str) -> bytes:
    """Return a surname's key as the prefix index has it, which may be cut off."""
    return surname_key.encode()[:_KEY]


def singleton_key(pk: bytes) -> Item:
    """Return the key of an item that shares its partition with no other."""
    return {"pk": binary(pk), "sk": binary(ALONE)}


def alias(person_id: str) -> Item:
    """Return the key of the item that says where a person lies who came with an id of another store."""
    return singleton_key(ALIAS + bytes.fromhex(person_id))


def is_person(key: Item) -> bool:
    """Say whether an item lies where people lie."""
    return len(bytes_attr(key, "pk")) == PARTITION


def binary(octets: bytes) -> dict[str, str]:
    """Write bytes as DynamoDB does."""
    return {"B": b2a_base64(octets, newline=False).decode()}


def number(whole: int) -> dict[str, str]:
    """Write a number as DynamoDB does."""
    return {"N": str(whole)}


def bytes_attr(item: Item, name: str) -> bytes:
    """Return the bytes of an attribute. Raises StoreDamaged when there are none."""
    try:
        return a2b_base64(item[name]["B"])
    except (KeyError, ValueError) as error:
        raise _damaged(name) from error


def int_attr(item: Item, name: str) -> int:
    """Return the number of an attribute. Raises StoreDamaged when there is none."""
    try:
        return int(item[name]["N"])
    except (KeyError, ValueError) as error:
        raise _damaged(name) from error


def surname_key(item: Item) -> str:
    """Return the key under which a person is found; "" for an item that another program wrote."""
    return item.get("surname_key", {}).get("S", "")


def _damaged(name: str) -> StoreDamaged:
    return StoreDamaged(f"an item of the table has no valid attribute {name}")
