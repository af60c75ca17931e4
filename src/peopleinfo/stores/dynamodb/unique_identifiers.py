"""Checks that no two people have the same value of a unique identifier.

A writer stores the entry of an identifier first, then reads the entries of other people, then stores its record. So of two concurrent
writers at least one finds the entry of the other: either with its record, a conflict, or before its record is stored. Then the writer
gives up, and the client repeats the request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from peopleinfo.errors import IdentifierConflict, StoreUnavailable
from peopleinfo.people.identifiers import is_same, keys_of, values_of
from peopleinfo.people.index_entries import IDENTIFIER
from peopleinfo.people.person import decode_fields, decode_header
from peopleinfo.people.search_index import MAX_ENTRIES_READ, Lookup
from peopleinfo.stores.dynamodb.items import ItemKey, bytes_attr, int_attr
from peopleinfo.stores.dynamodb.search_entries import MIN_ENTRY_AGE, read_items
from peopleinfo.stores.dynamodb.search_items import home_of_entry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from datetime import datetime

    from peopleinfo.people.index_entries import IndexPlan
    from peopleinfo.people.person import PersonData
    from peopleinfo.stores.dynamodb.client import Item, TableClient
    from peopleinfo.stores.dynamodb.search_items import SearchItems

    Bodies = Callable[[Sequence[ItemKey]], Awaitable[list[bytes | None]]]


class IdentifierPending(StoreUnavailable):
    """Another request is about to store a person with the same key of a unique identifier."""


class Incoming(NamedTuple):
    """A person with stored entries, but without a stored record."""

    home: ItemKey
    person_id: str
    data: PersonData


class UniqueIdentifiers:
    """Checks people before their records are stored."""

    def __init__(
        self,
        table: TableClient,
        layout: SearchItems,
        plan: IndexPlan,
        bodies: Bodies,
        now: Callable[[], datetime],
    ) -> None:
        """`bodies` reads the records with these home keys."""
        self._table = table
        self._layout = layout
        self._names = sorted(plan.unique)
        self._bodies = bodies
        self._now = now

    async def check(self, people: Sequence[Incoming], *, besides: Iterable[ItemKey] = ()) -> None:
        """Compare with all people except those with the home keys `besides`. Raise IdentifierConflict if another person has a unique identifier of one of these, and IdentifierPending if one may have it soon."""
        if not self._names:
            return
        homes = {person.home for person in people}.union(besides)
        for index, person in enumerate(people):
            for name, value in values_of(person.data.extra, self._names):
                _check_among(people[:index], name, value)
                for key in keys_of(name, value):
                    await self._check_others(name, value, key, homes)

    async def _check_others(self, name: str, value: str, key: str, homes: set[ItemKey]) -> None:
        """Compare the people with an entry of a key, except those with these home keys."""
        keys = self._layout.entry_range(Lookup(IDENTIFIER + key))
        items, _ = await read_items(self._table, keys, MAX_ENTRIES_READ, "sk, version, written_at")
        others = {home: item for item in items if (home := home_of_entry(bytes_attr(item, "sk"))) not in homes}
        bodies = await self._bodies(list(others))
        for fields in [decode_fields(body) for body in bodies if body is not None]:
            if any(is_same(name, value, other) for _, other in values_of(fields, [name])):
                raise IdentifierConflict(name, str(fields["person_id"]))
        if any(map(self._is_pending, others.values(), bodies)):
            raise IdentifierPending(
                f"another request stores a person with a similar {name} at the same time; try again"
            )

    def _is_pending(self, item: Item, body: bytes | None) -> bool:
        """Return whether a later version of the record of an entry may be stored at any moment."""
        version = decode_header(body).version if body is not None else 0
        is_recent = int_attr(item, "written_at") >= int(self._now().timestamp()) - MIN_ENTRY_AGE
        return is_recent and int_attr(item, "version") > version


def _check_among(people: Sequence[Incoming], name: str, value: str) -> None:
    """Raise IdentifierConflict if one of these people has the value."""
    for person in people:
        if any(is_same(name, value, other) for _, other in values_of(person.data.extra, [name])):
            raise IdentifierConflict(name, person.person_id)
