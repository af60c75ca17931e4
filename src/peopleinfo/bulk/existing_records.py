"""Recognizes rows that equal a record which existed before the import, so that an import of the same rows stores nothing twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from peopleinfo.bulk.rows import as_cell
from peopleinfo.people.fields import READ_ONLY_FIELDS
from peopleinfo.people.person import PersonData, decode_fields
from peopleinfo.people.person_filter import PersonFilter, Search

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from peopleinfo.bulk.row_decisions import Decision
    from peopleinfo.people.store import PersonReader

_PAGE_LIMIT: Final = 1_000
_MAX_READS: Final = 16  # concurrent searches
_encode_sorted = msgspec.json.Encoder(order="sorted").encode


class ExistingRecords:
    """The contents of the records with the surnames of the rows, as hashes of 8 bytes. Each record matches one row.

    The records of a surname are read once, before the import stores its first row with that surname. In an empty store nothing is read.
    """

    def __init__(self, store: PersonReader, *, created_before: str | None) -> None:
        """`created_before`: the start of an import that is resumed, RFC 3339; its own records are no existing ones."""
        self._store = store
        self._created_before = created_before
        self._is_empty: bool | None = None
        self._as_cells = False  # whether to compare values as the text of table cells
        self._surnames: set[int] = set()
        self._contents: Counter[int] = Counter()

    async def mark(self, decisions: Sequence[Decision]) -> list[Decision]:
        """Return the decisions, with the status `unchanged` for each new person that equals an existing record."""
        if await self._is_store_empty():
            return list(decisions)
        self._as_cells = any(isinstance(one.row.raw, list) for one in decisions)  # all rows of an import have one form
        await self._read([one.action for one in decisions if isinstance(one.action, PersonData)])
        return [self._marked(one) for one in decisions]

    def _marked(self, decision: Decision) -> Decision:
        person = decision.action
        if not isinstance(person, PersonData):
            return decision
        content = _hash(person.to_dict(), as_cells=self._as_cells)
        if self._contents[content] <= 0:
            return decision
        self._contents[content] -= 1
        return decision._replace(action="unchanged", errors=())

    async def _is_store_empty(self) -> bool:
        if self._is_empty is None:
            page = await self._store.scan(after=None, limit=_PAGE_LIMIT)
            self._is_empty = not page.people and page.next is None
        return self._is_empty

    async def _read(self, people: Iterable[PersonData]) -> None:
        """Read the records of the surnames that were not read yet."""
        surnames = {}
        for person in people:
            if (key := hash(person.surname_key)) not in self._surnames:
                self._surnames.add(key)
                surnames[key] = person.person_surname or person.person_name or ""
        unread = list(surnames.values())
        for start in range(0, len(unread), _MAX_READS):
            await asyncio.gather(*map(self._read_surname, unread[start : start + _MAX_READS]))

    async def _read_surname(self, surname: str) -> None:
        person_filter, after = PersonFilter(Search(surname=surname)), None
        while True:
            page = await self._store.find(person_filter, after=after, limit=_PAGE_LIMIT)
            for body in page.people:
                self._add(decode_fields(body))
            if (after := page.next) is None:
                return

    def _add(self, fields: dict[str, Any]) -> None:
        if self._created_before is None or fields["created_at"] < self._created_before:
            content = {name: value for name, value in fields.items() if name not in READ_ONLY_FIELDS}
            self._contents[_hash(content, as_cells=self._as_cells)] += 1


def _hash(fields: dict[str, Any], *, as_cells: bool) -> int:
    if as_cells:
        fields = {name: as_cell(value) for name, value in fields.items()}
    return hash(_encode_sorted(fields))
