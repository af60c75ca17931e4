"""A page of people as it is filled from the items of the table, and where it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peopleinfo.crypto.ids import BLOCK_SIZE
from peopleinfo.people.person import check_stored
from peopleinfo.people.store import MAX_ROWS_SCANNED, PAGE_SIZE, Page
from peopleinfo.stores.dynamodb.items import ItemKey, binary, bytes_attr, place_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from peopleinfo.people.search import PersonFilter
    from peopleinfo.stores.dynamodb.client import Item


class PageBuilder:
    """A page that is being filled: whom it has, and after whom the next one begins."""

    def __init__(self, where: PersonFilter | None, limit: int, after: bytes | None) -> None:
        self.people: list[bytes] = []
        self.position = after or b""
        self.refines = where is not None and where.needs_row_check
        self.is_full = False
        self._where = where
        self._limit = limit
        self._examined = 0
        self._size = 0

    @property
    def next_limit(self) -> int:
        """How many items to ask for: one more than there is room for tells whether there are more."""
        return MAX_ROWS_SCANNED - self._examined if self.refines else self._limit - len(self.people) + 1

    def add(self, position: bytes, body: bytes | None) -> bool:
        """Go on to the item here, which has a person's JSON in it or not; False when the page ended before it."""
        if len(self.people) == self._limit or self._size >= PAGE_SIZE:
            self.is_full = True
            return False
        self.position = position
        self._examined += 1
        if (
            body is not None
            and check_stored(body)
            and (not self.refines or (self._where is not None and self._where.matches(body)))
        ):
            self.people.append(body)
            self._size += len(body)
        self.is_full = self.refines and self._examined == MAX_ROWS_SCANNED
        return True

    def add_all(self, people: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Add people by their positions until the page is full."""
        for position, body in people:
            if not self.add(position, body):
                break

    def page(self, *, more: bool) -> Page:
        """Return the page; `more` says whether there are items after those that were asked for."""
        return Page(self.people, self.position if more or self.is_full else None)


def position_of(item: Item) -> bytes:
    """Return where an item lies in a scan."""
    pk = bytes_attr(item, "pk")
    return bytes([len(pk)]) + pk + bytes_attr(item, "sk")


def key_at(position: bytes) -> Item:
    """Return the key of the item that lies there."""
    end = 1 + position[0]
    return ItemKey(position[1:end], position[end:]).key


def index_position_of(entry: Item) -> bytes:
    """Return where an entry of the prefix index lies in it."""
    return bytes_attr(entry, "pk") + bytes_attr(entry, "sk") + bytes_attr(entry, "prefix_sk")


def index_key_at(position: bytes, prefix: str) -> Item:
    """Return the key, in the index, of the entry that lies there."""
    index = {"prefix_pk": {"S": prefix[0]}, "prefix_sk": binary(position[BLOCK_SIZE:])}
    return place_of(position[:BLOCK_SIZE]).key | index
