"""Rejects the rows of an import that have a unique identifier of another person, so that one such row does not end the import.

The store compares again when it creates the people: it knows those that other clients have created since.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peopleinfo.bulk.identifier_keys import people_by_key
from peopleinfo.errors import FieldError, IdentifierConflict
from peopleinfo.people.identifiers import is_same, keys_of, values_of
from peopleinfo.people.person import PersonData

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from peopleinfo.bulk.identifier_keys import PeopleByKey
    from peopleinfo.bulk.row_decisions import Decision
    from peopleinfo.people.search_index import SearchIndex


class UniqueRows:
    """Compares the new people of an import with the stored ones and with each other."""

    def __init__(self, index: SearchIndex, *, created_before: str | None) -> None:
        """`created_before`: the start of an import that is resumed, RFC 3339; its own records are no other people."""
        self._index = index
        self._created_before = created_before
        self._names = sorted(index.plan.unique)
        self._earlier: dict[tuple[str, str], list[str]] = {}  # field and key → values of earlier rows

    async def mark(self, decisions: Sequence[Decision]) -> list[Decision]:
        """Return the decisions, with each new person rejected that has a unique identifier of another person."""
        new = [one.action for one in decisions if one.creates and isinstance(one.action, PersonData)]
        keys = dict.fromkeys(key for person in new for _, _, key in self._identifiers(person))
        stored = await people_by_key(self._index, list(keys))
        return [self._marked(one, stored) for one in decisions]

    def _marked(self, decision: Decision, stored: PeopleByKey) -> Decision:
        person = decision.action
        if not isinstance(person, PersonData):
            return decision
        identifiers = list(self._identifiers(person))
        if decision.creates:
            for name, value, key in identifiers:
                if reason := self._conflict(name, value, key, stored):
                    return decision._replace(action="rejected", errors=(FieldError(f"/{name}", reason),))
        for name, value, key in identifiers:
            self._earlier.setdefault((name, key), []).append(value)
        return decision

    def _conflict(self, name: str, value: str, key: str, stored: PeopleByKey) -> str | None:
        """Return why a new person must not have a value, None if it may."""
        if any(is_same(name, value, other) for other in self._earlier.get((name, key), ())):
            return f"an earlier row has the same {name}: correct the value"
        # The store decides about a key of more people than a lookup returns.
        for fields in stored[key] or ():
            if self._is_other(fields) and any(is_same(name, value, other) for _, other in values_of(fields, [name])):
                return str(IdentifierConflict(name, str(fields["person_id"])))
        return None

    def _is_other(self, fields: Mapping[str, Any]) -> bool:
        return self._created_before is None or fields["created_at"] < self._created_before

    def _identifiers(self, person: PersonData) -> Iterator[tuple[str, str, str]]:
        """Yield the field, the value and the index key of each unique identifier."""
        for name, value in values_of(person.extra, self._names):
            for key in keys_of(name, value):
                yield name, value, key
