"""The list of all people by name or by the time of the last update, and their number.

The list by name has the order of the search index: by surname key, then by first names, both folded. So Ä sorts like A, and each script in the order of its
characters. The entry of a person under the word of its surname key is the place of the person in the list; a list skips the other entries.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from peopleinfo.errors import FieldError, InvalidSearch
from peopleinfo.people.field_access import redact
from peopleinfo.people.index_entries import MAX_ORDER, MAX_WORD, order_of
from peopleinfo.people.person import StoredPerson, check_stored, decode_header, split_record
from peopleinfo.people.store import MAX_HIDDEN_PAGE, MAX_ROWS_SCANNED, PAGE_SIZE, Page

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from peopleinfo.people.index_entries import IndexPlan
    from peopleinfo.people.person_filter import PersonFilter
    from peopleinfo.people.store import PersonReader

SORT_BY_NAME: Final = "name"
SORT_BY_UPDATE: Final = "-updated_at"
SORT_PARAMETERS: Final = {SORT_BY_NAME: ("surname", "name"), SORT_BY_UPDATE: ()}
"""The orders of a list, each with the filters of a search that reveal the same fields."""
MAX_COUNTED: Final = 10_000  # people that a count with a filter reads
LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_COUNT_PAGE: Final = 1_000
_CHECKED: Final = 200  # people read at a time if a filter compares each of them
_MAX_READS: Final = MAX_ROWS_SCANNED // _CHECKED
_LAST_ORDER: Final = "\U0010ffff"  # sorts after every order


class Count(NamedTuple):
    """The number of people; without `is_exact` an estimate, or for a filter the number of those that were read."""

    people: int
    is_exact: bool


class NameRange(NamedTuple):
    """The surname keys that start with a prefix, or with `whole` only the prefix itself."""

    prefix: str = ""
    whole: bool = False

    @property
    def word(self) -> str:
        """The start of the words of these surname keys in the index."""
        return self.prefix[:MAX_WORD]

    def contains_key(self, surname_key: str) -> bool:
        """Return whether a surname key is in this range."""
        return surname_key == self.prefix if self.whole else surname_key.startswith(self.prefix)

    def contains(self, word: str, order: str) -> bool:
        """Return whether an entry is the place of a person in this range."""
        start = f"{self.prefix}\t" if self.whole else self.prefix
        return is_place(word, order) and order.startswith(start[:MAX_ORDER])


class Place(NamedTuple):
    """The place of a person in a list: the position after it, the store's reference to the record, and the order of the entry.

    A list by the time of the update has no order.
    """

    next: bytes
    ref: bytes
    order: str


if TYPE_CHECKING:
    ReadPlaces = Callable[[bytes | None, int], Awaitable[tuple[list[Place], bytes | None]]]
    ReadPeople = Callable[[Sequence[bytes]], Awaitable[list[bytes | None]]]


class ListIndex(Protocol):
    """The part of a store's index that lists people by name. Every method may raise StoreUnavailable."""

    @property
    def plan(self) -> IndexPlan:
        """The indexes of the store."""

    @property
    def is_readable(self) -> bool:
        """Whether the index contains readable words, which can be sorted."""

    async def read_places(
        self, names: NameRange, position: bytes | None, limit: int
    ) -> tuple[list[Place], bytes | None]:
        """Return the next places of a range in order, at most `limit`, and the position of the following ones; None at the end.

        A call reads a limited number of entries, so it may return fewer places, or none, before the end.
        """

    @property
    def updates(self) -> UpdateIndex | None:
        """The index of the last updates, None if the store cannot have one."""

    async def read_people(self, refs: Sequence[bytes]) -> list[bytes | None]:
        """Return the JSON of the records; None for a record that was deleted."""

    async def read_unindexed(self, limit: int) -> tuple[list[bytes], bool]:
        """Return people that are not indexed under the current plan, and whether more exist; empty when `reindex` is complete."""

    async def count_people(self) -> Count:
        """Return the number of people in the store, or an estimate if an exact count would cost too much."""


class UpdateIndex(Protocol):
    """The part of an index that lists people by the time of their last update. Every method may raise StoreUnavailable."""

    async def problem(self) -> str | None:
        """Return why the index is not available, with the remedy; None if it is."""

    async def read_latest(self, position: bytes | None, limit: int) -> tuple[list[Place], bytes | None]:
        """Return the next people, the latest update first, and the position of the following ones; None at the end."""


class PeopleList:
    """Lists and counts the people of a store."""

    def __init__(self, people: PersonReader, index: ListIndex | None) -> None:
        """`index` is None if the store has no search index."""
        self._people = people
        self._index = index

    async def page(
        self,
        person_filter: PersonFilter,
        *,
        after: bytes | None,
        limit: int,
        hidden: frozenset[str] = frozenset(),
        sort: str = SORT_BY_NAME,
    ) -> Page:
        """Return a page of the matching people, without `hidden` fields. Raises InvalidSearch if the store cannot sort.

        Successive pages repeat no person, and omit none except after a change of its name. A page may have fewer people than its limit.
        """
        names = _range_of(person_filter)
        if sort == SORT_BY_UPDATE:
            index, updates = await self._index_of_updates()
            read, checks = updates.read_latest, bool(names.prefix)
        else:
            index = await self._sortable()
            read, checks = partial(index.read_places, names), False
        page = _SortedPage(read, index.read_people, person_filter, min(limit, MAX_HIDDEN_PAGE) if hidden else limit)
        await page.fill(after, checks=checks or person_filter.needs_row_check)
        people = [redact(body, hidden) for body in page.people] if hidden else page.people
        return Page(people, page.position)

    async def letters(self) -> list[str]:
        """Return the letters from a to z with which a surname key starts. Raises InvalidSearch if the store cannot sort."""
        index = await self._sortable()
        found = await asyncio.gather(*(_exists(index, NameRange(letter)) for letter in LETTERS))
        return [letter for letter, exists in zip(LETTERS, found, strict=True) if exists]

    async def count(self, person_filter: PersonFilter) -> Count:
        """Return the number of matching people: exact up to `MAX_COUNTED`."""
        is_keyed = person_filter.surname_key is not None or person_filter.prefix_key is not None
        if not is_keyed and not person_filter.needs_row_check and self._index is not None:
            return await self._index.count_people()
        count, after = 0, None
        for _ in range(MAX_COUNTED // _COUNT_PAGE):
            if is_keyed:
                page = await self._people.find(person_filter, after=after, limit=_COUNT_PAGE)
            else:
                page = await self._people.scan(after=after, limit=_COUNT_PAGE, person_filter=person_filter)
            count, after = count + len(page.people), page.next
            if after is None:
                return Count(count, is_exact=True)
        return Count(count, is_exact=False)

    async def _sortable(self) -> ListIndex:
        index = self._index
        if index is None or "names" not in index.plan.indexes:
            raise _cannot_sort("is not available without the index of names: add names to PEOPLEINFO_SEARCH_INDEXES")
        if not index.is_readable:
            raise _cannot_sort("is not available in an encrypted store without ?index=prefix: omit it")
        if any(await index.read_unindexed(1)):
            raise _cannot_sort("is not available until all people are indexed: run peopleinfo reindex, or omit it")
        return index

    async def _index_of_updates(self) -> tuple[ListIndex, UpdateIndex]:
        index, updates = self._index, self._index.updates if self._index else None
        if index is None or updates is None:
            raise _cannot_sort("by updated_at is not available in a table of DynamoDB: read /v1/changes instead")
        if problem := await updates.problem():
            raise _cannot_sort(problem)
        return index, updates


class _SortedPage:
    """A page under construction. `position` is None after the last page."""

    def __init__(self, read: ReadPlaces, read_people: ReadPeople, person_filter: PersonFilter, limit: int) -> None:
        self.people: list[bytes] = []
        self.position: bytes | None = None
        self._read = read
        self._read_people = read_people
        self._filter = person_filter
        self._names = _range_of(person_filter)
        self._limit = limit
        self._size = 0

    async def fill(self, after: bytes | None, *, checks: bool) -> None:
        """Read people until the page is full, or enough places are read. `checks`: some of the people do not match."""
        self.position = after
        for _ in range(_MAX_READS):
            wanted = _CHECKED if checks else self._limit - len(self.people)
            places, end = await self._read(self.position, wanted)
            bodies = await self._read_people([place.ref for place in places])
            for place, body in zip(places, bodies, strict=True):
                self.position = place.next
                self._add(place, body)
                if self._is_full and (place is not places[-1] or end is not None):
                    return
            self.position = end
            if end is None or self._is_full:
                return

    @property
    def _is_full(self) -> bool:
        return len(self.people) == self._limit or self._size >= PAGE_SIZE

    def _add(self, place: Place, body: bytes | None) -> None:
        if body is not None and self._is_in_order(check_stored(body), place.order) and self._matches(body):
            self.people.append(body)
            self._size += len(body)

    def _is_in_order(self, body: bytes, order: str) -> bool:
        return _has_order(body, order) if order else self._names.contains_key(decode_header(body).surname_key)

    def _matches(self, body: bytes) -> bool:
        return not self._filter.needs_row_check or self._filter.matches(body)


def _range_of(person_filter: PersonFilter) -> NameRange:
    key = person_filter.surname_key
    return NameRange(person_filter.prefix_key or "") if key is None else NameRange(key, whole=True)


def is_place(word: str, order: str) -> bool:
    """Return whether the entry of a word is that of the surname key."""
    return order.partition("\t")[0][:MAX_WORD] == word


def skip_to(word: str, order: str) -> str | None:
    """Return the order up to which the following entries of a word have no place; None if the next entry may be one."""
    first = f"{word}\t"
    if order < first:
        return first
    return None if order.startswith(first) or len(word) == MAX_WORD else _LAST_ORDER


def _has_order(body: bytes, order: str) -> bool:
    """Return whether a record has the names of an entry, which may be older."""
    data, _ = split_record(StoredPerson("", 0, body))
    return order_of(data).startswith(order)


async def _exists(index: ListIndex, names: NameRange) -> bool:
    position = None
    while True:
        places, position = await index.read_places(names, position, 1)
        if places or position is None:
            return bool(places)


def _cannot_sort(reason: str) -> InvalidSearch:
    return InvalidSearch([FieldError("sort", reason)])
