"""Records encrypted with one key each. The keys are stored in a separate table without backups (ADR 10).

One transaction stores or deletes a record and its key, so a crash never separates them. A record without a key, for example one restored
from a backup after its deletion, is treated as absent.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.crypto.ciphertext_format import MERGE_LOG, RECORD, RESPONSE, context
from peopleinfo.crypto.keyring import KeyCache
from peopleinfo.errors import DecryptionFailed, PersonNotFound
from peopleinfo.stores.dynamodb.client import ConditionFailed, TransactionCancelled
from peopleinfo.stores.dynamodb.conditional_writes import transact
from peopleinfo.stores.dynamodb.items import b64_key, binary, bytes_attr, home_of, int_attr, number, record_attributes
from peopleinfo.stores.dynamodb.key_table import key_of
from peopleinfo.stores.dynamodb.record_format import KeyRenewal, NewItem
from peopleinfo.stores.dynamodb.record_writes import ABSENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peopleinfo.crypto.cipher import Cipher
    from peopleinfo.crypto.store_keys import RecordEncryption
    from peopleinfo.people.person import StoredPerson
    from peopleinfo.people.person_filter import PersonFilter
    from peopleinfo.stores.dynamodb.client import Item, Json, TableClient
    from peopleinfo.stores.dynamodb.items import ItemKey
    from peopleinfo.stores.dynamodb.key_table import KeyGenerations

_FIRST_VERSION: Final = 1  # the version of a saved response: that of a new record


class _Key(NamedTuple):
    """The decrypted key of a record and the 16 bytes of its home key."""

    cipher: Cipher
    owner: bytes


class EncryptedFormat:
    """Implements `RecordFormat`: each record is one ciphertext under its own key."""

    listed = "pk, sk, home, version, body, surname_key"

    def __init__(
        self, people: TableClient, keys: TableClient, encryption: RecordEncryption, generations: KeyGenerations
    ) -> None:
        self._people = people
        self._keys = keys
        self._keyring = encryption.keys
        self._cache: KeyCache[str, _Key] = KeyCache()  # home key in base64 → decrypted key
        self.is_readable = encryption.prefixes
        self._generations = generations
        self._index_lookup = encryption.index_lookup
        self.index = encryption.index

    async def refresh_keys(self) -> None:
        await self._generations.refresh_if_stale(self._keyring)

    def check_searchable(self, person_filter: PersonFilter) -> None:
        if person_filter.surname_key is not None or person_filter.prefix_key is not None:
            self._index_lookup(person_filter)

    def new(self, home: ItemKey, item_key: ItemKey, surname_key: str, record: StoredPerson, write_id: bytes) -> NewItem:
        cipher, wrapped = self._keyring.new(home.block)
        item = item_key.key | self._attributes(cipher, home, item_key, surname_key, record, write_id)
        # Overwrites a key left behind by a record that a restored backup lacks; no record needs that key.
        key_write: Json = {"TableName": self._keys.name, "Item": key_of(home.block) | {"data_key": binary(wrapped)}}
        return NewItem(
            item, ({"Put": key_write},), partial(cipher.encrypt, context=context(RESPONSE, home.block, _FIRST_VERSION))
        )

    async def put_new(self, new: NewItem) -> bool:
        return await transact(self._people, new.writes)

    async def put_all(self, group: Sequence[NewItem], *, retry: bool) -> None:
        while group:
            try:
                await self._people.transact_write(
                    *[write for new in group for write in new.writes], token=secrets.token_hex(16)
                )
            except TransactionCancelled as cancelled:
                if not any(cancelled.failed):
                    raise
                # Each record has two writes. A failed condition means that another run of the same import stored the record.
                group = [new for new, exists in zip(group, cancelled.failed[::2], strict=True) if not exists]
            else:
                return

    async def update_attributes(
        self, home: ItemKey, item_key: ItemKey, surname_key: str, record: StoredPerson, write_id: bytes
    ) -> Item:
        key = (await self._keys_of([b64_key(home)])).get(b64_key(home))
        if key is None:
            raise PersonNotFound(record.person_id)
        return self._attributes(key.cipher, home, item_key, surname_key, record, write_id)

    async def get_home(self, home: ItemKey, attributes: str) -> Item | None:
        self._cache.expire()
        if "body" not in attributes or b64_key(home) in self._cache:
            return await self._people.get(home.key, attributes)
        people, keys = self._people.name, self._keys.name
        found = await self._people.batch_get(
            {people: {"Keys": [home.key], "ProjectionExpression": attributes}, keys: {"Keys": [key_of(home.block)]}}
        )
        await self._unwrap_keys(found[keys])
        return found[people][0] if found[people] else None

    async def body(self, home: ItemKey, item: Item) -> bytes | None:
        return await self._decrypt(b64_key(home), item, await self._keys_of([b64_key(home)]))

    async def bodies(self, items: Sequence[Item | None]) -> list[bytes | None]:
        homes = [home_of(item) if item is not None else "" for item in items]
        keys = await self._keys_of([home for home in homes if home])
        return [
            await self._decrypt(home, item, keys) if item is not None else None
            for home, item in zip(homes, items, strict=True)
        ]

    async def encrypt_version(self, home: ItemKey, version: int, body: bytes) -> bytes:
        key = await self._key_of(home)
        return key.cipher.encrypt(body, context(RECORD, key.owner, version))

    async def decrypt_versions(self, home: ItemKey, items: Sequence[Item]) -> list[bytes | None]:
        keys = await self._keys_of([b64_key(home)])
        numbered = [item | {"version": number(int.from_bytes(bytes_attr(item, "sk")))} for item in items]
        return [await self._decrypt(b64_key(home), item, keys) for item in numbered]

    async def encrypt_log(self, home: ItemKey, version: int, body: bytes) -> bytes:
        key = await self._key_of(home)
        return key.cipher.encrypt(body, context(MERGE_LOG, key.owner, version))

    async def decrypt_log(self, home: ItemKey, version: int, stored: bytes) -> bytes | None:
        keys = await self._keys_of([b64_key(home)])
        return await self._decrypt_with(b64_key(home), stored, keys, MERGE_LOG, version)

    async def renew_key(self, home: ItemKey) -> KeyRenewal:
        await self.refresh_keys()
        item = await self._keys.get(key_of(home.block))
        if item is None:
            raise PersonNotFound("")
        cipher, wrapped = self._keyring.new(home.block)
        update: Json = {
            "TableName": self._keys.name,
            "Key": key_of(home.block),
            "UpdateExpression": "SET data_key = :new, previous_key = :old",
            "ConditionExpression": "data_key = :old",
            "ExpressionAttributeValues": {":new": binary(wrapped), ":old": item["data_key"]},
        }

        def encrypt(kind: bytes, version: int, body: bytes) -> bytes:
            return cipher.encrypt(body, context(kind, home.block, version))

        return KeyRenewal(
            [{"Update": update}], partial(encrypt, RECORD), partial(encrypt, MERGE_LOG), self.index, self.is_readable
        )

    async def encrypt_response(self, home: ItemKey, body: bytes) -> bytes:
        key = await self._key_of(home)
        return key.cipher.encrypt(body, context(RESPONSE, key.owner, _FIRST_VERSION))

    async def finish_renewal(self, home: ItemKey) -> None:
        with suppress(ConditionFailed):
            change, condition = "REMOVE previous_key", "attribute_exists(data_key) AND data_key <> :empty"
            await self._keys.update(key_of(home.block), change, condition, {":empty": binary(b"-")})

    async def has_key(self, home: ItemKey) -> bool:
        return await self._keys.get(key_of(home.block), "pk") is not None

    async def without_key(self, homes: Sequence[ItemKey]) -> list[ItemKey]:
        existing = {item["pk"]["B"] for item in await self._keys.get_many([key_of(home.block) for home in homes])}
        return [home for home in homes if b64_key(home) not in existing]

    def key_absent_conditions(self, home: ItemKey) -> list[Json]:
        key = {"TableName": self._keys.name, "Key": key_of(home.block), "ConditionExpression": ABSENT}
        return [{"ConditionCheck": key}]

    def delete_key_writes(self, home: ItemKey) -> list[Json]:
        return [{"Delete": {"TableName": self._keys.name, "Key": key_of(home.block)}}]

    def evict_key(self, home: ItemKey) -> None:
        self._cache.pop(b64_key(home), None)

    async def read_response(self, home: ItemKey, stored: bytes) -> bytes | None:
        keys = await self._keys_of([b64_key(home)])
        return await self._decrypt_with(b64_key(home), stored, keys, RESPONSE, _FIRST_VERSION)

    def _attributes(
        self, cipher: Cipher, home: ItemKey, item_key: ItemKey, surname_key: str, record: StoredPerson, write_id: bytes
    ) -> Item:
        encrypted = record._replace(body=cipher.encrypt(record.body, context(RECORD, home.block, record.version)))
        return record_attributes(self.index(surname_key), encrypted, item_key, write_id, prefixes=self.is_readable)

    async def _decrypt(self, home: str, item: Item, keys: dict[str, _Key]) -> bytes | None:
        return await self._decrypt_with(home, bytes_attr(item, "body"), keys, RECORD, int_attr(item, "version"))

    async def _decrypt_with(
        self, home: str, body: bytes, keys: dict[str, _Key], kind: bytes, version: int
    ) -> bytes | None:
        key = keys.get(home)
        if key is None:
            return None
        text = context(kind, key.owner, version)
        try:
            return key.cipher.decrypt(body, text)
        except DecryptionFailed:
            # The record was deleted and restored with a new key, or its key was renewed: the cached key is outdated.
            self._cache.pop(home, None)
        key = (await self._keys_of([home])).get(home)
        if key is None:
            return None
        try:
            return key.cipher.decrypt(body, text)
        except DecryptionFailed as error:
            return (await self._previous_key(key.owner, error)).decrypt(body, text)

    async def _previous_key(self, owner: bytes, error: DecryptionFailed) -> Cipher:
        """Return the key before the last renewal, which remains until all versions are encrypted with the new one."""
        item = await self._keys.get(key_of(owner))
        if item is None or "previous_key" not in item:
            raise error
        return self._keyring.key(owner, bytes_attr(item, "previous_key"))

    async def _key_of(self, home: ItemKey) -> _Key:
        """Return the key of a record. Raises PersonNotFound if it was deleted."""
        key = (await self._keys_of([b64_key(home)])).get(b64_key(home))
        if key is None:
            raise PersonNotFound("")
        return key

    async def _keys_of(self, homes: Sequence[str]) -> dict[str, _Key]:
        """Return the existing keys by home key."""
        self._cache.expire()
        keys = {home: key for home in homes if (key := self._cache.get(home))}
        if len(keys) < len(homes):
            missing: list[Item] = [{"pk": {"B": home}} for home in homes if home not in keys]
            keys |= await self._unwrap_keys(await self._keys.get_many(missing))
        return keys

    async def _unwrap_keys(self, items: Sequence[Item]) -> dict[str, _Key]:
        wrapped = [bytes_attr(item, "data_key") for item in items]
        if not all(self._keyring.has_generation(key) for key in wrapped):  # another process has started a rotation
            await self._generations.read(self._keyring)
        keys = {}
        for item, key in zip(items, wrapped, strict=True):
            owner = bytes_attr(item, "pk")
            keys[item["pk"]["B"]] = self._cache.put(item["pk"]["B"], _Key(self._keyring.key(owner, key), owner))
        return keys
