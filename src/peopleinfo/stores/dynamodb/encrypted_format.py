"""People sealed with a key each; the keys lie in a table of their own that is not backed up (ADR 10), and come and go with the people.

Keys are written in the transaction that stores or erases their person, so a crash leaves neither without the other. What lies in the table of
people and has no key, because a backup has brought it back, is not there.
"""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.crypto.envelope import RECORD, RESPONSE, DecryptionFailed, decrypt, encrypt
from peopleinfo.crypto.keyring import KeyCache
from peopleinfo.errors import PersonNotFound
from peopleinfo.stores.dynamodb.client import TransactionCancelled
from peopleinfo.stores.dynamodb.items import b64_key, binary, bytes_attr, home_of, int_attr, record_attributes
from peopleinfo.stores.dynamodb.key_table import key_of
from peopleinfo.stores.dynamodb.record_format import NewItem
from peopleinfo.stores.dynamodb.transactions import ABSENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from peopleinfo.crypto.record_encryption import RecordEncryption
    from peopleinfo.people.person import StoredPerson
    from peopleinfo.people.search import PersonFilter
    from peopleinfo.stores.dynamodb.client import Item, Json, TableClient
    from peopleinfo.stores.dynamodb.items import ItemKey
    from peopleinfo.stores.dynamodb.key_table import KeyGenerations

_CREATED: Final = 1  # the version of an answer that is kept for a creation


class _Key(NamedTuple):
    """A person's key, ready to use, and the 16 bytes behind the id of whose it is."""

    key: AESGCM
    owner: bytes


class EncryptedFormat:
    """The port `forms.Form`: each person in one ciphertext, under a key of its own."""

    listed = "pk, sk, home, version, body, surname_key"

    def __init__(
        self, people: TableClient, keys: TableClient, sealer: RecordEncryption, generations: KeyGenerations
    ) -> None:
        self._people = people
        self._keys = keys
        self._ring = sealer.keys
        self._held: KeyCache[str, _Key] = KeyCache()  # first place, as it is written → the key
        self._prefixes = sealer.prefixes
        self._generations = generations
        self._looked_up = sealer.index_lookup
        self.index = sealer.index

    async def refresh_keys(self) -> None:
        await self._generations.refresh_if_stale(self._ring)

    def check_searchable(self, where: PersonFilter) -> None:
        if where.surname_key is not None or where.prefix_key is not None:
            self._looked_up(where)

    def new(self, home: ItemKey, place: ItemKey, surname_key: str, record: StoredPerson, write_id: bytes) -> NewItem:
        key, wrapped = self._ring.new(home.block)
        item = place.key | self._written(key, home, place, surname_key, record, write_id)
        # Where nobody is there may be a key all the same, of somebody whom a backup does not know: nothing needs that one.
        keep: Json = {"TableName": self._keys.name, "Item": key_of(home.block) | {"data_key": binary(wrapped)}}
        return NewItem(item, ({"Put": keep},), partial(encrypt, key, home.block, RESPONSE, _CREATED))

    async def put_new(self, new: NewItem) -> bool:
        try:
            await self._people.transact_write(*new.writes, token=secrets.token_hex(16))
        except TransactionCancelled as cancelled:
            if not any(cancelled.failed):
                raise
            return False
        return True

    async def put_all(self, group: Sequence[NewItem], *, again: bool) -> None:
        while group:
            try:
                await self._people.transact_write(
                    *[write for new in group for write in new.writes], token=secrets.token_hex(16)
                )
            except TransactionCancelled as cancelled:
                if not any(cancelled.failed):
                    raise
                # Two writes a person. Who is there was stored by another run of the same import.
                group = [new for new, there in zip(group, cancelled.failed[::2], strict=True) if not there]
            else:
                return

    async def update_attributes(
        self, home: ItemKey, place: ItemKey, surname_key: str, record: StoredPerson, write_id: bytes
    ) -> Item:
        known = (await self._keys_of([b64_key(home)])).get(b64_key(home))
        if known is None:
            raise PersonNotFound(record.person_id)
        return self._written(known.key, home, place, surname_key, record, write_id)

    async def get_home(self, home: ItemKey, attributes: str) -> Item | None:
        self._held.expire()
        if "body" not in attributes or b64_key(home) in self._held:
            return await self._people.get(home.key, attributes)
        people, keys = self._people.name, self._keys.name
        found = await self._people.batch_get(
            {people: {"Keys": [home.key], "ProjectionExpression": attributes}, keys: {"Keys": [key_of(home.block)]}}
        )
        await self._opened(found[keys])
        return found[people][0] if found[people] else None

    async def body(self, home: ItemKey, item: Item) -> bytes | None:
        return await self._open(b64_key(home), item, await self._keys_of([b64_key(home)]))

    async def bodies(self, items: Sequence[Item | None]) -> list[bytes | None]:
        homes = [home_of(item) if item is not None else "" for item in items]
        keys = await self._keys_of([home for home in homes if home])
        return [
            await self._open(home, item, keys) if item is not None else None
            for home, item in zip(homes, items, strict=True)
        ]

    async def has_key(self, home: ItemKey) -> bool:
        return await self._keys.get(key_of(home.block), "pk") is not None

    async def without_key(self, homes: Sequence[ItemKey]) -> list[ItemKey]:
        there = {item["pk"]["B"] for item in await self._keys.get_many([key_of(home.block) for home in homes])}
        return [home for home in homes if b64_key(home) not in there]

    def key_absent_conditions(self, home: ItemKey) -> list[Json]:
        key = {"TableName": self._keys.name, "Key": key_of(home.block), "ConditionExpression": ABSENT}
        return [{"ConditionCheck": key}]

    def delete_key_writes(self, home: ItemKey) -> list[Json]:
        return [{"Delete": {"TableName": self._keys.name, "Key": key_of(home.block)}}]

    def evict_key(self, home: ItemKey) -> None:
        self._held.pop(b64_key(home), None)

    async def read_answer(self, home: ItemKey, kept: bytes) -> bytes | None:
        known = (await self._keys_of([b64_key(home)])).get(b64_key(home))
        return decrypt(*known, RESPONSE, _CREATED, kept) if known else None

    def _written(
        self, key: AESGCM, home: ItemKey, place: ItemKey, surname_key: str, record: StoredPerson, write_id: bytes
    ) -> Item:
        sealed = record._replace(body=encrypt(key, home.block, RECORD, record.version, record.body))
        return record_attributes(self.index(surname_key), sealed, place, write_id, prefixes=self._prefixes)

    async def _open(self, home: str, item: Item, keys: dict[str, _Key]) -> bytes | None:
        known, version, sealed = keys.get(home), int_attr(item, "version"), bytes_attr(item, "body")
        if known is None:
            return None
        try:
            return decrypt(*known, RECORD, version, sealed)
        except DecryptionFailed:
            # Who was erased and brought back by somebody has another key since: what was held of it is out of date.
            self._held.pop(home, None)
            known = (await self._keys_of([home])).get(home)
            return decrypt(*known, RECORD, version, sealed) if known else None

    async def _keys_of(self, homes: Sequence[str]) -> dict[str, _Key]:
        """Return the keys of those who have one, by their first places."""
        self._held.expire()
        keys = {home: known for home in homes if (known := self._held.get(home))}
        if len(keys) < len(homes):
            asked: list[Item] = [{"pk": {"B": home}} for home in homes if home not in keys]
            keys |= await self._opened(await self._keys.get_many(asked))
        return keys

    async def _opened(self, items: Sequence[Item]) -> dict[str, _Key]:
        wrapped = [bytes_attr(item, "data_key") for item in items]
        if not all(self._ring.has_generation(key) for key in wrapped):  # a rotation has begun elsewhere
            await self._generations.read(self._ring)
        keys = {}
        for item, key in zip(items, wrapped, strict=True):
            owner = bytes_attr(item, "pk")
            keys[item["pk"]["B"]] = self._held.put(item["pk"]["B"], _Key(self._ring.key(owner, key), owner))
        return keys
