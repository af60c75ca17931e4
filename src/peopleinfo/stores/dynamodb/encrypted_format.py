"""People sealed with a key each; the keys lie in a table of their own that is not backed up (ADR 10), and come and go with the people.

Keys are written in the transaction that stores or erases their person, so a crash leaves neither without the other. What lies in the table of
people and has no key, because a backup has brought it back, is not there.
"""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.crypto.envelope import ANSWER, RECORD, DoesNotOpen, seal, unseal
from peopleinfo.crypto.keyring import Held
from peopleinfo.errors import PersonNotFound
from peopleinfo.stores.dynamodb.client import Cancelled
from peopleinfo.stores.dynamodb.items import binary, block_of, home_of, value, whole, written
from peopleinfo.stores.dynamodb.key_table import key_of
from peopleinfo.stores.dynamodb.record_format import New
from peopleinfo.stores.dynamodb.transactions import ABSENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from peopleinfo.crypto.record_encryption import Sealer
    from peopleinfo.people.person import Record
    from peopleinfo.people.search import Filter
    from peopleinfo.stores.dynamodb.client import Item, Json, Table
    from peopleinfo.stores.dynamodb.items import Place
    from peopleinfo.stores.dynamodb.key_table import Generations

_CREATED: Final = 1  # the version of an answer that is kept for a creation


class _Key(NamedTuple):
    """A person's key, ready to use, and the 16 bytes behind the id of whose it is."""

    key: AESGCM
    owner: bytes


class SealedForm:
    """The port `forms.Form`: each person in one ciphertext, under a key of its own."""

    listed = "pk, sk, home, version, body, surname_key"

    def __init__(self, people: Table, keys: Table, sealer: Sealer, generations: Generations) -> None:
        self._people = people
        self._keys = keys
        self._ring = sealer.keys
        self._held: Held[str, _Key] = Held()  # first place, as it is written → the key
        self._prefixes = sealer.prefixes
        self._generations = generations
        self._looked_up = sealer.looked_up
        self.index = sealer.index

    async def prepare(self) -> None:
        await self._generations.keep_up(self._ring)

    def check(self, where: Filter) -> None:
        if where.surname_key is not None or where.prefix_key is not None:
            self._looked_up(where)

    def new(self, home: Place, place: Place, surname_key: str, record: Record, write_id: bytes) -> New:
        key, wrapped = self._ring.new(home.block)
        item = place.key | self._written(key, home, place, surname_key, record, write_id)
        # Where nobody is there may be a key all the same, of somebody whom a backup does not know: nothing needs that one.
        keep: Json = {"TableName": self._keys.name, "Item": key_of(home.block) | {"data_key": binary(wrapped)}}
        return New(item, ({"Put": keep},), partial(seal, key, home.block, ANSWER, _CREATED))

    async def put_new(self, new: New) -> bool:
        try:
            await self._people.transact(*new.writes, token=secrets.token_hex(16))
        except Cancelled as cancelled:
            if not any(cancelled.failed):
                raise
            return False
        return True

    async def put_all(self, group: Sequence[New], *, again: bool) -> None:
        while group:
            try:
                await self._people.transact(
                    *[write for new in group for write in new.writes], token=secrets.token_hex(16)
                )
            except Cancelled as cancelled:
                if not any(cancelled.failed):
                    raise
                # Two writes a person. Who is there was stored by another run of the same import.
                group = [new for new, there in zip(group, cancelled.failed[::2], strict=True) if not there]
            else:
                return

    async def changed(self, home: Place, place: Place, surname_key: str, record: Record, write_id: bytes) -> Item:
        known = (await self._keys_of([block_of(home)])).get(block_of(home))
        if known is None:
            raise PersonNotFound(record.person_id)
        return self._written(known.key, home, place, surname_key, record, write_id)

    async def first(self, home: Place, attributes: str) -> Item | None:
        self._held.forget_old()
        if "body" not in attributes or block_of(home) in self._held:
            return await self._people.get(home.key, attributes)
        people, keys = self._people.name, self._keys.name
        found = await self._people.get_across(
            {people: {"Keys": [home.key], "ProjectionExpression": attributes}, keys: {"Keys": [key_of(home.block)]}}
        )
        await self._opened(found[keys])
        return found[people][0] if found[people] else None

    async def body(self, home: Place, item: Item) -> bytes | None:
        return await self._open(block_of(home), item, await self._keys_of([block_of(home)]))

    async def bodies(self, items: Sequence[Item | None]) -> list[bytes | None]:
        homes = [home_of(item) if item is not None else "" for item in items]
        keys = await self._keys_of([home for home in homes if home])
        return [
            await self._open(home, item, keys) if item is not None else None
            for home, item in zip(homes, items, strict=True)
        ]

    async def is_there(self, home: Place) -> bool:
        return await self._keys.get(key_of(home.block), "pk") is not None

    async def keyless(self, homes: Sequence[Place]) -> list[Place]:
        there = {item["pk"]["B"] for item in await self._keys.get_many([key_of(home.block) for home in homes])}
        return [home for home in homes if block_of(home) not in there]

    def unless_back(self, home: Place) -> list[Json]:
        key = {"TableName": self._keys.name, "Key": key_of(home.block), "ConditionExpression": ABSENT}
        return [{"ConditionCheck": key}]

    def destroying(self, home: Place) -> list[Json]:
        return [{"Delete": {"TableName": self._keys.name, "Key": key_of(home.block)}}]

    def destroyed(self, home: Place) -> None:
        self._held.pop(block_of(home), None)

    async def read_answer(self, home: Place, kept: bytes) -> bytes | None:
        known = (await self._keys_of([block_of(home)])).get(block_of(home))
        return unseal(*known, ANSWER, _CREATED, kept) if known else None

    def _written(
        self, key: AESGCM, home: Place, place: Place, surname_key: str, record: Record, write_id: bytes
    ) -> Item:
        sealed = record._replace(body=seal(key, home.block, RECORD, record.version, record.body))
        return written(self.index(surname_key), sealed, place, write_id, prefixes=self._prefixes)

    async def _open(self, home: str, item: Item, keys: dict[str, _Key]) -> bytes | None:
        known, version, sealed = keys.get(home), whole(item, "version"), value(item, "body")
        if known is None:
            return None
        try:
            return unseal(*known, RECORD, version, sealed)
        except DoesNotOpen:
            # Who was erased and brought back by somebody has another key since: what was held of it is out of date.
            self._held.pop(home, None)
            known = (await self._keys_of([home])).get(home)
            return unseal(*known, RECORD, version, sealed) if known else None

    async def _keys_of(self, homes: Sequence[str]) -> dict[str, _Key]:
        """Return the keys of those who have one, by their first places."""
        self._held.forget_old()
        keys = {home: known for home in homes if (known := self._held.get(home))}
        if len(keys) < len(homes):
            asked: list[Item] = [{"pk": {"B": home}} for home in homes if home not in keys]
            keys |= await self._opened(await self._keys.get_many(asked))
        return keys

    async def _opened(self, items: Sequence[Item]) -> dict[str, _Key]:
        wrapped = [value(item, "data_key") for item in items]
        if not all(self._ring.knows(key) for key in wrapped):  # a rotation has begun elsewhere
            await self._generations.read(self._ring)
        keys = {}
        for item, key in zip(items, wrapped, strict=True):
            owner = value(item, "pk")
            keys[item["pk"]["B"]] = self._held.hold(item["pk"]["B"], _Key(self._ring.key(owner, key), owner))
        return keys
