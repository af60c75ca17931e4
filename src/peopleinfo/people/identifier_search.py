"""The search for people by the values of identifiers, such as a mail address, with other filters."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from peopleinfo.people.field_access import redact
from peopleinfo.people.identifiers import is_same, keys_of, values_of
from peopleinfo.people.index_entries import IDENTIFIER, order_of
from peopleinfo.people.person import StoredPerson, decode_fields, person_data_from_fields, split_record
from peopleinfo.people.search_index import MAX_HITS, Hits, Lookup
from peopleinfo.people.store import first_page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from peopleinfo.people.person_filter import PersonFilter
    from peopleinfo.people.search_index import SearchIndex

_Rank = tuple[str, str]  # order and id


class IdentifiedPeople(NamedTuple):
    """People with the same identifiers, A-Z. With `more_exist` too many people have the identifiers, and some are missing."""

    people: list[tuple[_Rank, bytes]]
    more_exist: bool

    def page(self, after: bytes | None, limit: int) -> tuple[list[bytes], bytes | None]:
        """Return the next people as JSON, up to the size of a page, and the position of the following ones; None at the end."""
        start = tuple(msgspec.json.decode(after)) if after else ()
        rest = [found for found in self.people if found[0] > start]
        page = first_page((body for _, body in rest), limit)
        return page, msgspec.json.encode(rest[len(page) - 1][0]) if len(rest) > len(page) else None


class IdentifierSearch:
    """Searches the people of an index by identifiers."""

    def __init__(self, index: SearchIndex) -> None:
        self._index = index

    async def find(
        self, values: Mapping[str, str], where: PersonFilter, hidden: frozenset[str] = frozenset()
    ) -> IdentifiedPeople:
        """Return the people with all values of identifiers that match a filter, without `hidden` fields.

        A value matches in any notation, for example a phone number with and without the country code.
        """
        lookups = [Lookup(IDENTIFIER + key) for name, value in values.items() for key in keys_of(name, value)]
        narrowest = _narrowest(await self._index.look_up(lookups))
        bodies = await self._index.read_people([hit.ref for hit in narrowest.hits])
        unindexed, more_unindexed = await self._index.read_unindexed(MAX_HITS)
        found = [body for body in (*bodies, *unindexed) if body is not None and _matches(body, values, where)]
        ranked = dict(_ranked(body, hidden) for body in found)
        return IdentifiedPeople(sorted(ranked.items()), not narrowest.complete or more_unindexed)


def _narrowest(results: Sequence[Hits]) -> Hits:
    """Return the fewest hits, those of a complete lookup if there is one. Every match is among the hits of each lookup."""
    return min(results, key=lambda hits: (not hits.complete, len(hits.hits)), default=Hits([], complete=True))


def _matches(body: bytes, values: Mapping[str, str], where: PersonFilter) -> bool:
    data, _ = split_record(StoredPerson("", 0, body))
    if where.surname_key is not None and data.surname_key != where.surname_key:
        return False
    if where.prefix_key is not None and not data.surname_key.startswith(where.prefix_key):
        return False
    own = list(values_of(data.extra, values))
    return all(
        any(name == field and is_same(name, value, other) for field, other in own) for name, value in values.items()
    ) and (not where.needs_row_check or where.matches(body))


def _ranked(body: bytes, hidden: frozenset[str]) -> tuple[_Rank, bytes]:
    visible = redact(body, hidden) if hidden else body
    fields = decode_fields(visible)
    return (order_of(person_data_from_fields(fields)), str(fields["person_id"])), visible
