"""Updates of stored records by rows with a key."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol

from peopleinfo.bulk.row_decisions import Decision, KeyedRow
from peopleinfo.bulk.row_validation import own_fields, validate, without_read_only_fields
from peopleinfo.bulk.rows import as_cell
from peopleinfo.errors import (
    FieldError,
    IdentifierConflict,
    InvalidPerson,
    PersonMerged,
    PersonNotFound,
    VersionConflict,
)
from peopleinfo.people.person import MAX_RECORD_SIZE, StoredPerson, parse_person, split_record
from peopleinfo.people.service import apply_merge_patch
from peopleinfo.people.store import BulkStore, PersonReader, Replacement

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from peopleinfo.bulk.rows import Row
    from peopleinfo.bulk.upsert_options import Mode
    from peopleinfo.people.history import Origin
    from peopleinfo.people.person import PersonData

_MAX_READS: Final = 16  # concurrent reads
_MAX_ATTEMPTS: Final = 5  # for a record that other clients change at the same time
_NEW: Final = FieldError("/person_id", "no person has this id: stored as a new person")


class ImportStore(PersonReader, BulkStore, Protocol):
    """The store of an import: it compares rows with records, and stores them."""


def keyed_row(row: Row) -> KeyedRow | None:
    """Return the key and the fields of a row that has the id of a record of this service, None for any other row."""
    data = row.data
    if row.errors or not isinstance(data, dict) or "person_id" not in data or not (own := own_fields(data)):
        return None
    fields, _ = without_read_only_fields(data)
    return KeyedRow(own["person_id"], int(own["version"]) if "version" in own else None, fields)


class Updates:
    """Applies the rows with a key to the records with these ids."""

    def __init__(self, store: ImportStore, mode: Mode) -> None:
        self._store = store
        self._mode = mode

    async def apply(self, decisions: list[Decision], today: date, origin: Origin | None) -> list[Decision]:
        """Update the records of keyed rows, and return the decisions with their results. Without an `origin`, store nothing.

        A row whose record does not exist creates a person. A row is a conflict if its record has changed since the export.
        """
        decided = list(decisions)
        pending = [index for index, one in enumerate(decided) if isinstance(one.action, KeyedRow) and not one.is_stored]
        for _ in range(_MAX_ATTEMPTS):
            if not pending:
                break
            batch = _Batch(await self._read([decided[index] for index in pending]), self._mode, today)
            results = await self._without_merged([batch.decide(decided[index]) for index in pending])
            failed = await self._replace(batch, origin) if origin else {}
            retried = []
            for index, result in zip(pending, results, strict=True):
                error = failed.get(result.person_id or "")
                if error is None:
                    decided[index] = result
                elif isinstance(error, IdentifierConflict):
                    decided[index] = result._replace(
                        action="rejected", errors=(FieldError(f"/{error.field}", str(error)),)
                    )
                elif isinstance(error, VersionConflict) and _version(decided[index]) is not None:
                    decided[index] = _conflict(result, error.actual)
                else:
                    retried.append(index)
            pending = retried
        for index in pending:
            decided[index] = _conflict(decided[index], None)
        return decided

    async def _read(self, decisions: Sequence[Decision]) -> dict[str, StoredPerson]:
        ids = list(dict.fromkeys(one.action.person_id for one in decisions if isinstance(one.action, KeyedRow)))
        return {record.person_id: record for record in await self._store.get_many(ids) if record}

    async def _without_merged(self, decisions: list[Decision]) -> list[Decision]:
        """Report a conflict for each row that would create the person of a merged record again."""
        ids = [one.row.data["person_id"] for one in decisions if one.errors == (_NEW,)]
        survivors: dict[str, str | None] = {}
        for start in range(0, len(ids), _MAX_READS):
            group = ids[start : start + _MAX_READS]
            survivors |= zip(group, await asyncio.gather(*map(self._survivor, group)), strict=True)
        return [
            _merged(one, survivor)
            if one.errors == (_NEW,) and (survivor := survivors[one.row.data["person_id"]])
            else one
            for one in decisions
        ]

    async def _survivor(self, person_id: str) -> str | None:
        """Return the id of the record into which a record is merged, or None."""
        try:
            await self._store.get(person_id)
        except PersonMerged as merged:
            return merged.merged_into
        except PersonNotFound:
            pass
        return None

    async def _replace(self, batch: _Batch, origin: Origin) -> dict[str, Exception]:
        """Store the changes of a batch; return the errors by id."""
        if not batch.replacements:
            return {}
        ids = list(batch.replacements)
        outcomes = await self._store.replace_many(list(batch.replacements.values()), origin=origin)
        return {
            person_id: outcome
            for person_id, outcome in zip(ids, outcomes, strict=True)
            if not isinstance(outcome, StoredPerson)
        }


class _Batch:
    """The records of a batch of rows, and their changes. Several rows may change the same record."""

    def __init__(self, records: dict[str, StoredPerson], mode: Mode, today: date) -> None:
        self._records = records
        self._mode = mode
        self._today = today
        self.replacements: dict[str, Replacement] = {}

    def decide(self, decision: Decision) -> Decision:
        """Return the result of a keyed row, and remember its change."""
        keyed = decision.action
        if not isinstance(keyed, KeyedRow):
            return decision
        current = self._records.get(keyed.person_id)
        if current is None:
            return self._create(decision)
        changed = self.replacements.get(keyed.person_id)
        old = changed.data if changed else split_record(current)[0]
        try:
            new = self._changed(decision.row, keyed, old)
        except InvalidPerson as invalid:
            return Decision(decision.row, "rejected", invalid.errors)
        result = Decision(decision.row, "updated", person_id=keyed.person_id)
        if new == old:
            return result._replace(action="unchanged")
        if keyed.version is not None and keyed.version < current.version:
            return _conflict(result, current.version)
        self.replacements[keyed.person_id] = Replacement(new, current)
        return result

    def _create(self, decision: Decision) -> Decision:
        person, errors = validate(decision.row, self._today)
        return Decision(decision.row, person or "rejected", errors or (_NEW,))

    def _changed(self, row: Row, keyed: KeyedRow, old: PersonData) -> PersonData:
        stored = old.to_dict()
        fields = _typed(keyed.fields, stored) if isinstance(row.raw, list) else keyed.fields
        return parse_person(
            apply_merge_patch(stored, fields) if self._mode == "merge" else fields,
            today=self._today,
            current_birthdate=old.person_birthdate,
            size_limit=max(MAX_RECORD_SIZE, old.size),
        )


def _typed(fields: dict[str, Any], stored: dict[str, Any]) -> dict[str, Any]:
    """Replace the text of each unchanged cell by the stored value, which is, for example, a number."""
    return {
        name: stored[name] if name in stored and as_cell(stored[name]) == text else text
        for name, text in fields.items()
    }


def _version(decision: Decision) -> int | None:
    return decision.action.version if isinstance(decision.action, KeyedRow) else None


def _conflict(decision: Decision, actual: int | None) -> Decision:
    at = "changes continuously" if actual is None else f"is now at version {actual}"
    reason = f"the record has changed since it was exported and {at}: export it again and repeat the change"
    action = decision.action
    person_id = action.person_id if isinstance(action, KeyedRow) else decision.person_id
    return Decision(decision.row, "conflict", (FieldError("/version", reason),), person_id)


def _merged(decision: Decision, survivor: str) -> Decision:
    person_id = decision.row.data["person_id"]
    reason = f"the person is merged into {survivor}: change that person, or undo the merge and import the row again"
    return Decision(decision.row, "conflict", (FieldError("/person_id", reason),), person_id)
