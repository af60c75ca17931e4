"""Rows of an import that update the people with the same identifier, for example a mail address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from peopleinfo.bulk.row_decisions import Decision, KeyedRow
from peopleinfo.bulk.row_validation import validate, without_read_only_fields
from peopleinfo.errors import FieldError, InvalidSearch
from peopleinfo.people.identifiers import is_same, keys_of, values_of
from peopleinfo.people.index_entries import IDENTIFIER
from peopleinfo.people.person import decode_fields
from peopleinfo.people.search_index import Lookup

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date
    from typing import Any

    from peopleinfo.bulk.rows import Row
    from peopleinfo.bulk.upsert_options import UpsertOptions
    from peopleinfo.people.search_index import SearchIndex

PERSON_ID: Final = "person_id"
_LOOKUPS: Final = 50  # keys that are looked up at a time
_NOT_INDEXED: Final = "is not available until all people are indexed: run peopleinfo reindex"
_SAME_IN_FILE: Final = "is that of an earlier row: import this row again to update its person"
_SEVERAL: Final = "is that of several people: use the key person_id"

PeopleByKey = dict[str, "list[Mapping[str, Any]] | None"]
"""The people under a key of the index; None for more than a lookup returns."""


class IdentifierKeys:
    """Finds the people of rows by an identifier, a custom field in PEOPLEINFO_IDENTIFIERS."""

    def __init__(self, index: SearchIndex, name: str, *, merges: bool) -> None:
        """`merges`: a row does not change the identifier itself, which may be in another notation or one of several values."""
        self._index = index
        self._name = name
        self._merges = merges

    def keyed_row(self, row: Row) -> KeyedRow | None:
        """Return the fields of a row with the identifier, still without the id of a person; None for any other row."""
        if row.errors or not isinstance(row.data, dict) or not self._keys(self._values(row.data)):
            return None
        fields, _ = without_read_only_fields(row.data)
        return KeyedRow("", None, fields)

    async def resolve(self, decisions: Sequence[Decision], today: date) -> list[Decision]:
        """Return the decisions with the id of the person of each keyed row; without one, the row creates a person. Raises InvalidSearch."""
        if any(await self._index.read_unindexed(1)):
            raise InvalidSearch([FieldError("key", _NOT_INDEXED)])
        new = {
            index: self._values(one.action.fields)
            for index, one in enumerate(decisions)
            if isinstance(one.action, KeyedRow) and not one.is_stored
        }
        keys = dict.fromkeys(key for values in new.values() for key in self._keys(values))
        found = await people_by_key(self._index, list(keys))
        resolved = list(decisions)
        created: dict[str, list[list[str]]] = {}
        for index, values in new.items():
            resolved[index] = self._resolved(decisions[index], values, found, created, today)
            if resolved[index].creates:
                for key in self._keys(values):
                    created.setdefault(key, []).append(values)
        return resolved

    def _resolved(
        self,
        decision: Decision,
        values: list[str],
        found: PeopleByKey,
        created: Mapping[str, list[list[str]]],
        today: date,
    ) -> Decision:
        keys = self._keys(values)
        people = {
            str(person["person_id"]): person
            for key in keys
            for person in found[key] or ()
            if self._have_same(values, self._values(person))
        }
        if len(people) > 1 or any(found[key] is None for key in keys):
            return self._conflict(decision, _SEVERAL)
        if people:
            return decision._replace(action=self._update_of(next(iter(people)), decision))
        if any(self._have_same(values, others) for key in keys for others in created.get(key, ())):
            return self._conflict(decision, _SAME_IN_FILE)
        person, errors = validate(decision.row, today)
        return Decision(decision.row, person or "rejected", errors)

    def _update_of(self, person_id: str, decision: Decision) -> KeyedRow:
        fields = decision.action.fields if isinstance(decision.action, KeyedRow) else {}
        kept = {name: value for name, value in fields.items() if not (self._merges and name == self._name)}
        return KeyedRow(person_id, None, kept)

    def _conflict(self, decision: Decision, reason: str) -> Decision:
        return Decision(decision.row, "conflict", (FieldError(f"/{self._name}", reason),))

    def _values(self, fields: Mapping[str, Any]) -> list[str]:
        return [value for _, value in values_of(fields, [self._name])]

    def _keys(self, values: Sequence[str]) -> list[str]:
        return list(dict.fromkeys(key for value in values for key in keys_of(self._name, value)))

    def _have_same(self, values: Sequence[str], others: Sequence[str]) -> bool:
        return any(is_same(self._name, value, other) for value in values for other in others)


def identifier_keys(index: SearchIndex | None, options: UpsertOptions) -> IdentifierKeys | None:
    """Return the search for the people of rows, None for rows without a key or with ids. Raises InvalidSearch."""
    key = options.key
    if key in (None, PERSON_ID):
        return None
    names = index.plan.identifiers if index else ()
    if index is None or key not in names:
        raise InvalidSearch([FieldError("key", f"must be one of {', '.join((PERSON_ID, *names))}")])
    return IdentifierKeys(index, key, merges=options.mode == "merge")


async def people_by_key(index: SearchIndex, keys: Sequence[str]) -> PeopleByKey:
    """Return the people with an entry of each key of an identifier."""
    found: PeopleByKey = {}
    for start in range(0, len(keys), _LOOKUPS):
        part = keys[start : start + _LOOKUPS]
        hits = await index.look_up([Lookup(IDENTIFIER + key) for key in part])
        refs = list(dict.fromkeys(hit.ref for one in hits for hit in one.hits))
        bodies = dict(zip(refs, await index.read_people(refs), strict=True))
        for key, one in zip(part, hits, strict=True):
            people: list[Mapping[str, Any]] = [
                decode_fields(body) for hit in one.hits if (body := bodies[hit.ref]) is not None
            ]
            found[key] = people if one.complete else None
    return found
