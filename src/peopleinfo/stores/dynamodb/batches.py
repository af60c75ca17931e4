"""Reads and changes of many records by id."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

from peopleinfo.errors import IdentifierConflict, PeopleInfoError, PersonNotFound, VersionConflict
from peopleinfo.people.history import UPDATED
from peopleinfo.people.person import StoredPerson, check_stored
from peopleinfo.stores.dynamodb.client import non_atomic_writes
from peopleinfo.stores.dynamodb.history import item_person
from peopleinfo.stores.dynamodb.items import ItemKey, bytes_attr, item_key_of
from peopleinfo.stores.dynamodb.record_writes import ORIGIN
from peopleinfo.stores.dynamodb.search_entries import INDEXED
from peopleinfo.stores.dynamodb.upsert import gather_limited

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peopleinfo.crypto.person_ids import IdCipher
    from peopleinfo.people.history import Origin
    from peopleinfo.people.store import CreateOutcome, Creation, PersonStore, Replacement, ReplaceOutcome
    from peopleinfo.stores.dynamodb.client import TableClient
    from peopleinfo.stores.dynamodb.imports import DynamoDBImportLog
    from peopleinfo.stores.dynamodb.record_format import RecordFormat

_ATTRIBUTES: Final = ", ".join(("pk", "sk", "version", "body", *ORIGIN, INDEXED))


class RecordBatches:
    """Reads records together, and changes them concurrently."""

    def __init__(
        self,
        table: TableClient,
        record_format: RecordFormat,
        ids: IdCipher,
        imports: DynamoDBImportLog,
        single: PersonStore,
    ) -> None:
        """`single` reads and changes one record."""
        self._table = table
        self._format = record_format
        self._ids = ids
        self._imports = imports
        self._single = single

    async def get_many(self, person_ids: Sequence[str]) -> list[StoredPerson | None]:
        """Implement `PersonReader.get_many`."""
        found: dict[str, StoredPerson | None] = {**await self._read_at_home(person_ids)}
        moved = dict.fromkeys(person_id for person_id in person_ids if person_id not in found)
        found |= await gather_limited(map(self._get_or_none, moved))
        return [found[person_id] for person_id in person_ids]

    async def create_each(self, creations: Sequence[Creation], *, principal: str | None = None) -> list[CreateOutcome]:
        """Implement `PersonWriter.create_each`."""
        outcomes: dict[int, CreateOutcome] = {}

        async def create(index: int, creation: Creation) -> None:
            try:
                outcomes[index] = await self._single.create(
                    creation.data, idempotency_key=creation.idempotency_key, principal=principal
                )
            except PeopleInfoError as error:
                outcomes[index] = error

        await gather_limited(create(index, creation) for index, creation in enumerate(creations))
        return [outcomes[index] for index in range(len(creations))]

    async def replace_many(
        self, replacements: Sequence[Replacement], *, origin: Origin = UPDATED
    ) -> list[ReplaceOutcome]:
        """Implement `BulkStore.replace_many`."""
        outcomes: dict[int, ReplaceOutcome] = {}

        async def replace(index: int, replacement: Replacement) -> None:
            data, current = replacement
            try:
                outcomes[index] = await self._single.replace(
                    current.person_id, data, expected=current.version, current=current, origin=origin
                )
            except (PersonNotFound, VersionConflict, IdentifierConflict) as error:
                outcomes[index] = error

        with non_atomic_writes() if len(replacements) > 1 else nullcontext():
            updated = [(current.person_id, current.version + 1) for _, current in replacements]
            async with self._imports.updating(origin.import_id, updated):
                await gather_limited(replace(index, one) for index, one in enumerate(replacements))
        return [outcomes[index] for index in range(len(replacements))]

    async def _read_at_home(self, person_ids: Sequence[str]) -> dict[str, StoredPerson]:
        """Return the records by id whose item is at the home key: not those that moved or have an alias."""
        homes = {
            person_id: item_key_of(block).key for person_id in person_ids if (block := self._ids.decode(person_id))
        }
        items = {
            (item["pk"]["B"], item["sk"]["B"]): item
            for item in await self._table.get_many(list(homes.values()), _ATTRIBUTES)
            if "body" in item
        }
        found = [
            (person_id, item)
            for person_id, key in homes.items()
            if (item := items.get((key["pk"]["B"], key["sk"]["B"])))
        ]
        bodies = await self._format.bodies([item for _, item in found])
        return {
            person_id: item_person(
                person_id, ItemKey(bytes_attr(item, "pk"), bytes_attr(item, "sk")), item, check_stored(body, person_id)
            )
            for (person_id, item), body in zip(found, bodies, strict=True)
            if body is not None
        }

    async def _get_or_none(self, person_id: str) -> tuple[str, StoredPerson | None]:
        try:
            return person_id, await self._single.get(person_id)
        except PersonNotFound:
            return person_id, None
