"""A page of people as it is filled from the items of the table, and where it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peopleinfo.crypto.ids import BLOCK_SIZE
from peopleinfo.people.person import checked
from peopleinfo.people.store import EXAMINED, PAGE_SIZE, Page
from peopleinfo.stores.dynamodb.items import Place, binary, place_of, value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from peopleinfo.people.search import Filter
    from peopleinfo.stores.dynamodb.client import Item


class Listing:
    """A page that is being filled: whom it has, and after whom the next one begins."""

    def __init__(self, where: Filter | None, limit: int, after: bytes | None) -> None:
        self.people: list[bytes] = []
        self.position = after or b""
        self.refines = where is not None and where.refines
        self.is_full = False
        self._where = where
        self._limit = limit
        self._examined = 0
        self._size = 0

    @property
    def wanted(self) -> int:
        """How many items to ask for: one more than there is room for tells whether there are more."""
        return EXAMINED - self._examined if self.refines else self._limit - len(self.people) + 1

    def add(self, position: bytes, body: bytes | None) -> bool:
        """Go on to the item here, which has a person's JSON in it or not; False when the page ended before it."""
        if len(self.people) == self._limit or self._size >= PAGE_SIZE:
            self.is_full = True
            return False
        self.position = position
        self._examined += 1
        if (
            body is not None
            and checked(body)
            and (not self.refines or (self._where is not None and self._where.matches(body)))
        ):
            self.people.append(body)
            self._size += len(body)
        self.is_full = self.refines and self._examined == EXAMINED
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
    pk = value(item, "pk")
    return bytes([len(pk)]) + pk + value(item, "sk")


def key_at(position: bytes) -> Item:
    """Return the key of the item that lies there."""
    end = 1 + position[0]
    return Place(position[1:end], position[end:]).key


def index_position_of(entry: Item) -> bytes:
    """Return where an entry of the prefix index lies in it."""
    return value(entry, "pk") + value(entry, "sk") + value(entry, "prefix_sk")


def index_key_at(position: bytes, prefix: str) -> Item:
    """Return the key, in the index, of the entry that lies there."""
    index = {"prefix_pk": {"S": prefix[0]}, "prefix_sk": binary(position[BLOCK_SIZE:])}
    return place_of(position[:BLOCK_SIZE]).key | index
