"""The items of the table and their keys.

    partition key `pk`                sort key `sk`           item
    keyed hash of a surname key       time and random bytes   a record or a redirect to its current key (6 and 10 bytes)
    "once" + an idempotency key       "-"                     the response of the request
    "import" + a bulk operation's id  "-"                     the checkpoint of the import or copy
    "lease " + its name               "-"                     the holder and the expiry of a lease
    "alias" + an id of another store  "-"                     the home key of a copied record
    "ended session " + its id         "-"                     the expiry of the session's cookie
    "h" + a home key                  a version               an earlier version (`history`)
    "erasing"                         a home key              a deletion in progress (`history`)
    "changes" + day + shard           time and random bytes   a change (`changes`)
    "imports"                         the id of an import     its entry (`imports`)
    "imported" + the id of an import  a sort key              people of the import (`imports`)
    "t" + a home key                  "-"                     a deleted person (`trash_items`)
    "trashed" + shard                 time and a home key     an entry of the list of deleted people (`trash_items`)
    "deployment"                      "-"                     the secret and the number of shards

The home key of a record is its id, decrypted; it never changes. A change of surname moves the record to the partition of the new surname
with the same sort key. A redirect (`moved_to`) with the new partition key replaces it at the home key. So a read by id takes at most two
requests. A scan meets every record exactly once at its home key, even if the record moves during the scan.
"""

from __future__ import annotations

import secrets
import time
from binascii import a2b_base64, b2a_base64
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.crypto.person_ids import BLOCK_SIZE, derive_key
from peopleinfo.errors import StoreDamaged
from peopleinfo.people.folding import FOLD_VERSION

if TYPE_CHECKING:
    from peopleinfo.crypto.person_ids import IdCipher
    from peopleinfo.people.person import StoredPerson
    from peopleinfo.stores.dynamodb.client import Item

PARTITION: Final = 6  # bytes of a record's partition key: an id holds no more, and `home_of` needs a multiple of 3
RANDOM_BYTES: Final = 3  # random bytes after the 7 bytes of time in a sort key
_KEY: Final = 1_000  # bytes of a surname key in the prefix index; a sort key has at most 1,024
ALONE: Final = b"-"  # the sort key of an item that is alone in its partition
ALIAS: Final = b"alias"
PREFIXES: Final = "prefixes"  # the name of the index


class ItemKey(NamedTuple):
    """The partition key and sort key of a record."""

    pk: bytes
    sk: bytes

    @property
    def key(self) -> Item:
        """The key in DynamoDB's JSON format."""
        return {"pk": binary(self.pk), "sk": binary(self.sk)}

    @property
    def block(self) -> bytes:
        """The key as one block of 16 bytes."""
        return self.pk + self.sk


class KeyAllocator:
    """Allocates item keys. All processes of a deployment map a surname to the same partitions. Not thread-safe."""

    def __init__(self, secret: bytes, shards: int) -> None:
        """Spread every surname over `shards` partitions."""
        self._secret = derive_key(secret, "places")
        self.shards = shards
        self._last = 0

    def new(self, count: int = 1) -> int:
        """Reserve `count` consecutive sort keys and return the first, as a number.

        A sort key is the time in microseconds and random bytes. Keys increase even if the clock does not.
        """
        sort_key = (time.time_ns() // 1_000 << 8 * RANDOM_BYTES) + secrets.randbits(8 * RANDOM_BYTES)
        sort_key = max(sort_key, self._last + 1)
        self._last = sort_key + count - 1
        return sort_key

    def for_surname(self, surname_key: str, sort_key: int) -> ItemKey:
        """Return the item key for a surname and a sort key."""
        return ItemKey(self.partition(surname_key, sort_key % self.shards), sort_key.to_bytes(BLOCK_SIZE - PARTITION))

    def rekeyed(self, item_key: ItemKey, surname_key: str) -> ItemKey:
        """Return the key of the same record under another surname."""
        return self.for_surname(surname_key, int.from_bytes(item_key.sk))

    def partition(self, surname_key: str, shard: int) -> bytes:
        """Return the partition key of a shard of a surname: a keyed hash, which does not reveal the surname."""
        key = shard.to_bytes(2) + surname_key.encode()
        return blake2b(key, key=self._secret, digest_size=PARTITION).digest()


def item_key_of(block: bytes) -> ItemKey:
    """Split a block of 16 bytes into an item key."""
    return ItemKey(block[:PARTITION], block[PARTITION:])


def b64_key(item_key: ItemKey) -> str:
    """Return the key as one block in base64, as DynamoDB's JSON format has it."""
    return binary(item_key.block)["B"]


def home_of(item: Item) -> str:
    """Return the home key of an item in the format of `b64_key`.

    The base64 of 6 bytes has no padding, so the two texts can be joined without decoding.
    """
    return item["home" if "home" in item else "pk"]["B"] + item["sk"]["B"]


def record_attributes(
    surname_key: str, record: StoredPerson, item_key: ItemKey, write_id: bytes, *, prefixes: bool = True
) -> Item:
    """Return the attributes of a record that a change replaces; with `prefixes` the prefix index includes it.

    `write_id` identifies the write, so a process that lost the response can detect that its write was applied.
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
        attributes["prefix_sk"] = binary(prefix_key(surname_key) + b"\0" + item_key.sk)
    return attributes


def prefix_key(surname_key: str) -> bytes:
    """Return a surname key as stored in the prefix index, possibly truncated."""
    return surname_key.encode()[:_KEY]


def singleton_key(pk: bytes) -> Item:
    """Return the key of an item that is alone in its partition."""
    return {"pk": binary(pk), "sk": binary(ALONE)}


def alias(person_id: str) -> Item:
    """Return the key of the alias item, which maps the id of another store to a home key."""
    return singleton_key(ALIAS + bytes.fromhex(person_id))


def person_id_of(home: ItemKey, item: Item, ids: IdCipher) -> str:
    """Return the id of the record with a home key; `item` has its attribute `alias`, if another store created the id."""
    return bytes_attr(item, "alias").hex() if "alias" in item else ids.encode(home.block)


def is_person(key: Item) -> bool:
    """Return whether the partition key is that of a record or redirect."""
    return len(bytes_attr(key, "pk")) == PARTITION


def binary(data: bytes) -> dict[str, str]:
    """Encode bytes in DynamoDB's JSON format."""
    return {"B": b2a_base64(data, newline=False).decode()}


def number(value: int) -> dict[str, str]:
    """Encode an integer in DynamoDB's JSON format."""
    return {"N": str(value)}


def bytes_attr(item: Item, name: str) -> bytes:
    """Decode a binary attribute. Raises StoreDamaged if it is missing or invalid."""
    try:
        return a2b_base64(item[name]["B"])
    except (KeyError, ValueError) as error:
        raise _damaged(name) from error


def int_attr(item: Item, name: str) -> int:
    """Decode an integer attribute. Raises StoreDamaged if it is missing or invalid."""
    try:
        return int(item[name]["N"])
    except (KeyError, ValueError) as error:
        raise _damaged(name) from error


def surname_key(item: Item) -> str:
    """Return the indexed surname key of an item; "" for an item of another program."""
    return item.get("surname_key", {}).get("S", "")


def _damaged(name: str) -> StoreDamaged:
    return StoreDamaged(f"an item of the table has no valid attribute {name}: restore it from a backup")
