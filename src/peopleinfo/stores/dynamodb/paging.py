"""Builds pages of records from items, and converts positions to keys and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peopleinfo.crypto.person_ids import BLOCK_SIZE
from peopleinfo.people.person import check_stored
from peopleinfo.people.store import MAX_ROWS_SCANNED, PAGE_SIZE, Page
from peopleinfo.stores.dynamodb.items import ItemKey, binary, bytes_attr, item_key_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from peopleinfo.people.person_filter import PersonFilter
    from peopleinfo.stores.dynamodb.client import Item


class PageBuilder:
    """A page under construction: its records and the position of the last item read."""

    def __init__(self, person_filter: PersonFilter | None, limit: int, after: bytes | None) -> None:
        self.people: list[bytes] = []
        self.position = after or b""
        self.filters_rows = person_filter is not None and person_filter.needs_row_check
        self.is_full = False
        self._filter = person_filter
        self._limit = limit
        self._examined = 0
        self._size = 0

    @property
    def next_limit(self) -> int:
        """The number of items to request: one more than fits, which shows whether more exist."""
        return MAX_ROWS_SCANNED - self._examined if self.filters_rows else self._limit - len(self.people) + 1

    def add(self, position: bytes, body: bytes | None) -> bool:
        """Advance to an item and add its record, if any, that matches; return False if the page is already full."""
        if len(self.people) == self._limit or self._size >= PAGE_SIZE:
            self.is_full = True
            return False
        self.position = position
        self._examined += 1
        if (
            body is not None
            and check_stored(body)
            and (not self.filters_rows or (self._filter is not None and self._filter.matches(body)))
        ):
            self.people.append(body)
            self._size += len(body)
        self.is_full = self.filters_rows and self._examined == MAX_ROWS_SCANNED
        return True

    def add_all(self, people: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Add pairs of position and record until the page is full."""
        for position, body in people:
            if not self.add(position, body):
                break

    def build(self, *, more: bool) -> Page:
        """Return the page; `more` states whether items follow those requested."""
        return Page(self.people, self.position if more or self.is_full else None)


def position_of(item: Item) -> bytes:
    """Return the position of an item in a scan."""
    pk = bytes_attr(item, "pk")
    return bytes([len(pk)]) + pk + bytes_attr(item, "sk")


def key_at(position: bytes) -> Item:
    """Return the key of the item at a position of a scan."""
    end = 1 + position[0]
    return ItemKey(position[1:end], position[end:]).key


def index_position_of(entry: Item) -> bytes:
    """Return the position of an entry in the prefix index."""
    return bytes_attr(entry, "pk") + bytes_attr(entry, "sk") + bytes_attr(entry, "prefix_sk")


def index_key_at(position: bytes, prefix: str) -> Item:
    """Return the key of the index entry at a position."""
    index = {"prefix_pk": {"S": prefix[0]}, "prefix_sk": binary(position[BLOCK_SIZE:])}
    return item_key_of(position[:BLOCK_SIZE]).key | index
