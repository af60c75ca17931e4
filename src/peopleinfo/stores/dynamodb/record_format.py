"""How people are kept in the items of the table: as they are, or sealed (`sealing`). The store and what it is made of ask a form, and know no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from peopleinfo.stores.dynamodb.client import ConditionFailed
from peopleinfo.stores.dynamodb.items import value, written
from peopleinfo.stores.dynamodb.transactions import ABSENT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from peopleinfo.people.person import Record
    from peopleinfo.people.search import Filter
    from peopleinfo.stores.dynamodb.client import Item, Json, Table
    from peopleinfo.stores.dynamodb.items import Place


class New(NamedTuple):
    """A person who is to be stored: its item, and the writes that are done together with it or not at all."""

    item: Item
    together: tuple[Json, ...] = ()
    answer: Callable[[bytes], bytes] = bytes
    """Returns the answer given for it as it is kept."""

    @property
    def writes(self) -> list[Json]:
        """All of them, for a transaction; the first one is that of the item, which fails where somebody is."""
        return [{"Put": {"Item": self.item, "ConditionExpression": ABSENT}}, *self.together]


class Form(Protocol):
    """How people are kept. `home` is a person's first place, by which it is known for ever."""

    listed: str
    """The attributes that a search needs of an item."""

    async def prepare(self) -> None:
        """Come to know what new people are to be kept with; to be called before `new`."""

    def check(self, where: Filter) -> None:
        """Raise InvalidSearch when people cannot be found by that."""

    def index(self, surname_key: str) -> str:
        """Return what stands in an item in the place of a surname's key."""

    def new(self, home: Place, place: Place, surname_key: str, record: Record, write_id: bytes) -> New:
        """Return somebody new, who is to lie at `place`."""

    async def put_new(self, new: New) -> bool:
        """Store somebody new unless somebody else lies there."""

    async def put_all(self, group: Sequence[New], *, again: bool) -> None:
        """Store a batch of new people; those stay as they are who were stored before when it is done `again`."""

    async def changed(self, home: Place, place: Place, surname_key: str, record: Record, write_id: bytes) -> Item:
        """Return what is to be written of a person who is there. Raises PersonNotFound when its key is gone."""

    async def first(self, home: Place, attributes: str) -> Item | None:
        """Read what lies at a first place, and what it takes to open it."""

    async def body(self, home: Place, item: Item) -> bytes | None:
        """Return the JSON of a person; None when its key is gone."""

    async def bodies(self, items: Sequence[Item | None]) -> list[bytes | None]:
        """Return the JSON of the people in items that have the attributes `listed`; None where there is no item, or the key is gone."""

    async def is_there(self, home: Place) -> bool:
        """Say whether somebody whose item was found can be read."""

    async def keyless(self, homes: Sequence[Place]) -> list[Place]:
        """Return those whose key is gone."""

    def unless_back(self, home: Place) -> list[Json]:
        """Return what keeps a transaction from being done when somebody has a key again."""

    def destroying(self, home: Place) -> list[Json]:
        """Return the writes that make every copy of a person unreadable."""

    def destroyed(self, home: Place) -> None:
        """Forget what was known of somebody."""

    async def read_answer(self, home: Place, kept: bytes) -> bytes | None:
        """Return the answer as it was given; None when the person's key is gone."""


class PlainForm:
    """People as they are."""

    listed = "sk, body, surname_key"

    def __init__(self, table: Table) -> None:
        self._table = table

    async def prepare(self) -> None:
        pass

    def check(self, where: Filter) -> None:
        pass

    def index(self, surname_key: str) -> str:
        return surname_key

    def new(self, home: Place, place: Place, surname_key: str, record: Record, write_id: bytes) -> New:
        return New(place.key | written(surname_key, record, place, write_id))

    async def put_new(self, new: New) -> bool:
        try:
            await self._table.put(new.item, ABSENT)
        except ConditionFailed as failed:
            # What lies at a place that was chosen by chance after an attempt of ours is ours, whoever has changed it since.
            return failed.repeated or is_of(failed.item, value(new.item, "write_id"))
        return True

    async def put_all(self, group: Sequence[New], *, again: bool) -> None:
        if not again:
            await self._table.put_many([new.item for new in group])
            return
        for new in group:
            await self.put_new(new)

    async def changed(self, home: Place, place: Place, surname_key: str, record: Record, write_id: bytes) -> Item:
        return written(surname_key, record, place, write_id)

    async def first(self, home: Place, attributes: str) -> Item | None:
        return await self._table.get(home.key, attributes)

    async def body(self, home: Place, item: Item) -> bytes | None:
        return value(item, "body")

    async def bodies(self, items: Sequence[Item | None]) -> list[bytes | None]:
        return [value(item, "body") if item is not None else None for item in items]

    async def is_there(self, home: Place) -> bool:
        return True

    async def keyless(self, homes: Sequence[Place]) -> list[Place]:
        return []

    def unless_back(self, home: Place) -> list[Json]:
        return []

    def destroying(self, home: Place) -> list[Json]:
        return []

    def destroyed(self, home: Place) -> None:
        pass

    async def read_answer(self, home: Place, kept: bytes) -> bytes | None:
        return kept


def is_of(item: Item | None, write_id: bytes) -> bool:
    """Say whether an item stands as this write has left it; the word that somebody has moved has no write of its own."""
    return item is not None and "write_id" in item and value(item, "write_id") == write_id
