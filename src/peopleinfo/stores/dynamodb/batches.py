"""Reads and changes of many records by id."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

from peopleinfo.errors import IdentifierConflict, OutcomeUnknown, PeopleInfoError, PersonNotFound, VersionConflict
from peopleinfo.people.history import UPDATED
from peopleinfo.people.person import StoredPerson, check_stored
from peopleinfo.stores.dynamodb.client import MAX_BATCH_WRITE, non_atomic_writes
from peopleinfo.stores.dynamodb.concurrency import gather_limited
from peopleinfo.stores.dynamodb.history import item_person
from peopleinfo.stores.dynamodb.items import ItemKey, bytes_attr, item_key_of
from peopleinfo.stores.dynamodb.record_writes import ORIGIN, SURVIVES
from peopleinfo.stores.dynamodb.search_entries import INDEXED
from peopleinfo.stores.dynamodb.unique_identifiers import IdentifierPending

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peopleinfo.crypto.person_ids import IdCipher
    from peopleinfo.people.history import Origin
    from peopleinfo.people.store import CreateOutcome, Creation, Replacement, ReplaceOutcome, Store
    from peopleinfo.stores.dynamodb.client import TableClient
    from peopleinfo.stores.dynamodb.import_log import DynamoDBImportLog
    from peopleinfo.stores.dynamodb.record_format import RecordFormat

_ATTRIBUTES: Final = ", ".join(("pk", "sk", "version", "body", SURVIVES, *ORIGIN, INDEXED))


class RecordBatches:
    """Reads records together, and changes them concurrently."""

    def __init__(
        self,
        table: TableClient,
        record_format: RecordFormat,
        ids: IdCipher,
        imports: DynamoDBImportLog,
        single: Store,
    ) -> None:
        """`single` is the store, which reads and changes single records."""
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
        keyless = [index for index, creation in enumerate(creations) if creation.idempotency_key is None]
        groups = [keyless[start : start + MAX_BATCH_WRITE] for start in range(0, len(keyless), MAX_BATCH_WRITE)]
        groups += [[index] for index, creation in enumerate(creations) if creation.idempotency_key is not None]
        outcomes: dict[int, CreateOutcome] = {}

        async def create(indexes: Sequence[int]) -> None:
            stored = await self._create_group([creations[index] for index in indexes], principal)
            outcomes.update(zip(indexes, stored, strict=True))

        await gather_limited(create(indexes) for indexes in groups)
        return [outcomes[index] for index in range(len(creations))]

    async def _create_group(self, creations: Sequence[Creation], principal: str | None) -> Sequence[CreateOutcome]:
        """Create records together, or one by one if an identifier of one of them is in use."""
        if len(creations) > 1:
            try:
                ids = await self._single.create_many([creation.data for creation in creations], principal=principal)
            except (IdentifierConflict, IdentifierPending):
                pass  # nothing was stored: identifiers are checked before the first record
            except PeopleInfoError as error:
                return [error] * len(creations)
            else:
                return await self._created(ids)
        return [await self._create_alone(creation, principal) for creation in creations]

    async def _created(self, ids: Sequence[str]) -> Sequence[CreateOutcome]:
        """Return the records that were stored; if they cannot be read, a repeated creation would store them twice."""
        try:
            with non_atomic_writes():
                records = await self.get_many(ids)
        except PeopleInfoError as error:
            return [error] * len(ids)
        return [record or OutcomeUnknown("the person was deleted after its creation") for record in records]

    async def _create_alone(self, creation: Creation, principal: str | None) -> CreateOutcome:
        try:
            return await self._single.create(
                creation.data, idempotency_key=creation.idempotency_key, principal=principal
            )
        except PeopleInfoError as error:
            return error

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
