"""The format of records in the items: plain (here) or encrypted (`encrypted_format`), behind one interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from peopleinfo.stores.dynamodb.client import ConditionFailed
from peopleinfo.stores.dynamodb.items import bytes_attr, record_attributes
from peopleinfo.stores.dynamodb.record_writes import ABSENT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from peopleinfo.people.person import StoredPerson
    from peopleinfo.people.person_filter import PersonFilter
    from peopleinfo.stores.dynamodb.client import Item, Json, TableClient
    from peopleinfo.stores.dynamodb.items import ItemKey


class NewItem(NamedTuple):
    """The item of a new record and the writes that belong to the same transaction."""

    item: Item
    extra_writes: tuple[Json, ...] = ()
    encode_response: Callable[[bytes], bytes] = bytes
    """Encodes the response for storage under an idempotency key."""

    @property
    def writes(self) -> list[Json]:
        """All writes of the transaction; the first stores the item and fails if its key is in use."""
        return [{"Put": {"Item": self.item, "ConditionExpression": ABSENT}}, *self.extra_writes]


class KeyRenewal(NamedTuple):
    """A new key of a record: the writes that store it, and the encryption of a body or of a log at a version."""

    writes: list[Json]
    encrypt: Callable[[int, bytes], bytes]
    encrypt_log: Callable[[int, bytes], bytes]
    index_of: Callable[[str], str]
    prefixes: bool = True

    def attributes(self, item_key: ItemKey, surname_key: str, record: StoredPerson, write_id: bytes) -> Item:
        """Return the attributes of a record, encrypted with the new key."""
        encrypted = record._replace(body=self.encrypt(record.version, record.body))
        return record_attributes(self.index_of(surname_key), encrypted, item_key, write_id, prefixes=self.prefixes)


class RecordFormat(Protocol):
    """Converts records to and from items. `home` is the home key of a record, which never changes."""

    listed: str
    """The projection expression of a search."""
    is_readable: bool
    """Whether an index may contain words; otherwise it contains hashes."""

    async def refresh_keys(self) -> None:
        """Refresh the encryption keys for new records if they are stale; call this before `new`."""

    def check_searchable(self, person_filter: PersonFilter) -> None:
        """Raise InvalidSearch if this format cannot serve the search."""

    def index(self, surname_key: str) -> str:
        """Return the indexed form of a surname key."""

    def new(self, home: ItemKey, item_key: ItemKey, surname_key: str, record: StoredPerson, write_id: bytes) -> NewItem:
        """Return the item and writes of a new record at `item_key`."""

    async def put_new(self, new: NewItem) -> bool:
        """Store a new record; return False if the item key is in use."""

    async def put_all(self, group: Sequence[NewItem], *, retry: bool) -> None:
        """Store a batch of new records; a `retry` does not overwrite records that an earlier run stored."""

    async def update_attributes(
        self, home: ItemKey, item_key: ItemKey, surname_key: str, record: StoredPerson, write_id: bytes
    ) -> Item:
        """Return the new attributes of an existing record. Raises PersonNotFound if its encryption key was deleted."""

    async def get_home(self, home: ItemKey, attributes: str) -> Item | None:
        """Read the item at a home key; cache its encryption key."""

    async def body(self, home: ItemKey, item: Item) -> bytes | None:
        """Return the JSON of a record; None if its encryption key was deleted."""

    async def bodies(self, items: Sequence[Item | None]) -> list[bytes | None]:
        """Return the JSON of each item with the attributes `listed`; None for no item or a deleted encryption key."""

    async def encrypt_version(self, home: ItemKey, version: int, body: bytes) -> bytes:
        """Return the stored form of an earlier version. Raises PersonNotFound if the encryption key was deleted."""

    async def decrypt_versions(self, home: ItemKey, items: Sequence[Item]) -> list[bytes | None]:
        """Return the JSON of earlier versions; None if the encryption key was deleted. The sort key is the version."""

    async def encrypt_log(self, home: ItemKey, version: int, body: bytes) -> bytes:
        """Return the stored form of the log of a record. Raises PersonNotFound if the encryption key was deleted."""

    async def decrypt_log(self, home: ItemKey, version: int, stored: bytes) -> bytes | None:
        """Return the log of a record; None if the encryption key was deleted."""

    async def renew_key(self, home: ItemKey) -> KeyRenewal:
        """Return a new key for a record, to be stored by a transaction. Raises PersonNotFound if the key was deleted."""

    async def encrypt_response(self, home: ItemKey, body: bytes) -> bytes:
        """Return the stored form of a saved response. Raises PersonNotFound if the encryption key was deleted."""

    async def finish_renewal(self, home: ItemKey) -> None:
        """Delete the key before the last renewal, with which nothing is encrypted any more."""

    async def has_key(self, home: ItemKey) -> bool:
        """Return whether the record can be decrypted."""

    async def without_key(self, homes: Sequence[ItemKey]) -> list[ItemKey]:
        """Return the home keys of records without an encryption key."""

    def key_absent_conditions(self, home: ItemKey) -> list[Json]:
        """Return the conditions that cancel a transaction if the record has an encryption key again."""

    def delete_key_writes(self, home: ItemKey) -> list[Json]:
        """Return the writes that delete the encryption key, so that no copy of the record can be decrypted."""

    def evict_key(self, home: ItemKey) -> None:
        """Remove the encryption key of a record from the cache."""

    async def read_response(self, home: ItemKey, stored: bytes) -> bytes | None:
        """Decode a saved response; None if the encryption key of the record was deleted."""


class PlainFormat:
    """Records without encryption."""

    listed = "sk, body, surname_key"
    is_readable = True

    def __init__(self, table: TableClient) -> None:
        self._table = table

    async def refresh_keys(self) -> None:
        pass

    def check_searchable(self, person_filter: PersonFilter) -> None:
        pass

    def index(self, surname_key: str) -> str:
        return surname_key

    def new(self, home: ItemKey, item_key: ItemKey, surname_key: str, record: StoredPerson, write_id: bytes) -> NewItem:
        return NewItem(item_key.key | record_attributes(surname_key, record, item_key, write_id))

    async def put_new(self, new: NewItem) -> bool:
        try:
            await self._table.put(new.item, ABSENT)
        except ConditionFailed as failed:
            # After a retry, a record at this random key is ours, even if another request has changed it since.
            return failed.repeated or was_written_by(failed.item, bytes_attr(new.item, "write_id"))
        return True

    async def put_all(self, group: Sequence[NewItem], *, retry: bool) -> None:
        if not retry:
            await self._table.put_many([new.item for new in group])
            return
        for new in group:
            await self.put_new(new)

    async def update_attributes(
        self, home: ItemKey, item_key: ItemKey, surname_key: str, record: StoredPerson, write_id: bytes
    ) -> Item:
        return record_attributes(surname_key, record, item_key, write_id)

    async def get_home(self, home: ItemKey, attributes: str) -> Item | None:
        return await self._table.get(home.key, attributes)

    async def body(self, home: ItemKey, item: Item) -> bytes | None:
        return bytes_attr(item, "body")

    async def bodies(self, items: Sequence[Item | None]) -> list[bytes | None]:
        return [bytes_attr(item, "body") if item is not None else None for item in items]

    async def encrypt_version(self, home: ItemKey, version: int, body: bytes) -> bytes:
        return body

    async def decrypt_versions(self, home: ItemKey, items: Sequence[Item]) -> list[bytes | None]:
        return [bytes_attr(item, "body") for item in items]

    async def encrypt_log(self, home: ItemKey, version: int, body: bytes) -> bytes:
        return body

    async def decrypt_log(self, home: ItemKey, version: int, stored: bytes) -> bytes | None:
        return stored

    async def renew_key(self, home: ItemKey) -> KeyRenewal:
        return KeyRenewal([], lambda _, body: body, lambda _, body: body, self.index)

    async def encrypt_response(self, home: ItemKey, body: bytes) -> bytes:
        return body

    async def finish_renewal(self, home: ItemKey) -> None:
        pass

    async def has_key(self, home: ItemKey) -> bool:
        return True

    async def without_key(self, homes: Sequence[ItemKey]) -> list[ItemKey]:
        return []

    def key_absent_conditions(self, home: ItemKey) -> list[Json]:
        return []

    def delete_key_writes(self, home: ItemKey) -> list[Json]:
        return []

    def evict_key(self, home: ItemKey) -> None:
        pass

    async def read_response(self, home: ItemKey, stored: bytes) -> bytes | None:
        return stored


def was_written_by(item: Item | None, write_id: bytes) -> bool:
    """Return whether this write was the last one on the item; a redirect has no write id."""
    return item is not None and "write_id" in item and bytes_attr(item, "write_id") == write_id
