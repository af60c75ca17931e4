"""How people are kept in the items of the table: as they are, or sealed (`sealing`). The store and what it is made of ask a form, and know no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from peopleinfo.stores.dynamodb.client import ConditionFailed
from peopleinfo.stores.dynamodb.items import bytes_attr, record_attributes
from peopleinfo.stores.dynamodb.transactions import ABSENT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from peopleinfo.people.person import StoredPerson
    from peopleinfo.people.search import PersonFilter
    from peopleinfo.stores.dynamodb.client import Item, Json, TableClient
    from peopleinfo.stores.dynamodb.items import ItemKey


class NewItem(NamedTuple):
    """A person who is to be stored: its item, and the writes that are done together with it or not at all."""

    item: Item
    together: tuple[Json, ...] = ()
    answer: Callable[[bytes], bytes] = bytes
    """Returns the answer given for it as it is kept."""

    @property
    def writes(self) -> list[Json]:
        """All of them, for a transaction; the first one is that of the item, which fails where somebody is."""
        return [{"Put": {"Item": self.item, "ConditionExpression": ABSENT}}, *self.together]


class RecordFormat(Protocol):
    """How people are kept. `home` is a person's first place, by which it is known for ever."""

    listed: str
    """The attributes that a search needs of an item."""

    async def refresh_keys(self) -> None:
        """Come to know what new people are to be kept with; to be called before `new`."""

    def check_searchable(self, where: PersonFilter) -> None:
        """Raise InvalidSearch when people cannot be found by that."""

    def index(self, surname_key: str) -> str:
        """Return what stands in an item in the place of a surname's key."""

    def new(self, home: ItemKey, place: ItemKey, surname_key: str, record: StoredPerson, write_id: bytes) -> NewItem:
        """Return somebody new, who is to lie at `place`."""

    async def put_new(self, new: NewItem) -> bool:
        """Store somebody new unless somebody else lies there."""

    async def put_all(self, group: Sequence[NewItem], *, again: bool) -> None:
        """Store a batch of new people; those stay as they are who were stored before when it is done `again`."""

    async def update_attributes(
        self, home: ItemKey, place: ItemKey, surname_key: str, record: StoredPerson, write_id: bytes
    ) -> Item:
        """Return what is to be written of a person who is there. Raises PersonNotFound when its key is gone."""

    async def get_home(self, home: ItemKey, attributes: str) -> Item | None:
        """Read what lies at a first place, and what it takes to open it."""

    async def body(self, home: ItemKey, item: Item) -> bytes | None:
        """Return the JSON of a person; None when its key is gone."""

    async def bodies(self, items: Sequence[Item | None]) -> list[bytes | None]:
        """Return the JSON of the people in items that have the attributes `listed`; None where there is no item, or the key is gone."""

    async def has_key(self, home: ItemKey) -> bool:
        """Say whether somebody whose item was found can be read."""

    async def without_key(self, homes: Sequence[ItemKey]) -> list[ItemKey]:
        """Return those whose key is gone."""

    def key_absent_conditions(self, home: ItemKey) -> list[Json]:
        """Return what keeps a transaction from being done when somebody has a key again."""

    def delete_key_writes(self, home: ItemKey) -> list[Json]:
        """Return the writes that make every copy of a person unreadable."""

    def evict_key(self, home: ItemKey) -> None:
        """Forget what was known of somebody."""

    async def read_answer(self, home: ItemKey, kept: bytes) -> bytes | None:
        """Return the answer as it was given; None when the person's key is gone."""


class PlainFormat:
    """People as they are."""

    listed = "sk, body, surname_key"

    def __init__(self, table: TableClient) -> None:
        self._table = table

    async def refresh_keys(self) -> None:
        pass

    def check_searchable(self, where: PersonFilter) -> None:
        pass

    def index(self, surname_key: str) -> str:
        return surname_key

    def new(self, home: ItemKey, place: ItemKey, surname_key: str, record: StoredPerson, write_id: bytes) -> NewItem:
        return NewItem(place.key | record_attributes(surname_key, record, place, write_id))

    async def put_new(self, new: NewItem) -> bool:
        try:
            await self._table.put(new.item, ABSENT)
        except ConditionFailed as failed:
            # What lies at a place that was chosen by chance after an attempt of ours is ours, whoever has changed it since.
            return failed.repeated or is_of(failed.item, bytes_attr(new.item, "write_id"))
        return True

    async def put_all(self, group: Sequence[NewItem], *, again: bool) -> None:
        if not again:
            await self._table.put_many([new.item for new in group])
            return
        for new in group:
            await self.put_new(new)

    async def update_attributes(
        self, home: ItemKey, place: ItemKey, surname_key: str, record: StoredPerson, write_id: bytes
    ) -> Item:
        return record_attributes(surname_key, record, place, write_id)

    async def get_home(self, home: ItemKey, attributes: str) -> Item | None:
        return await self._table.get(home.key, attributes)

    async def body(self, home: ItemKey, item: Item) -> bytes | None:
        return bytes_attr(item, "body")

    async def bodies(self, items: Sequence[Item | None]) -> list[bytes | None]:
        return [bytes_attr(item, "body") if item is not None else None for item in items]

    async def has_key(self, home: ItemKey) -> bool:
        return True

    async def without_key(self, homes: Sequence[ItemKey]) -> list[ItemKey]:
        return []

    def key_absent_conditions(self, home: ItemKey) -> list[Json]:
        return []

    def delete_key_writes(self, home: ItemKey) -> list[Json]:
        return []

    def evict_key(self, home: ItemKey) -> None:
        pass

    async def read_answer(self, home: ItemKey, kept: bytes) -> bytes | None:
        return kept


def is_of(item: Item | None, write_id: bytes) -> bool:
    """Say whether an item stands as this write has left it; the word that somebody has moved has no write of its own."""
    return item is not None and "write_id" in item and bytes_attr(item, "write_id") == write_id
