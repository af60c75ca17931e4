"""The list of people by name: the entries of their surname keys in the search index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from peopleinfo.people.index_entries import NAME
from peopleinfo.people.people_list import Place, skip_to
from peopleinfo.stores.sqlite.paging import SEQ_SIZE, prefix_upper_bound

if TYPE_CHECKING:
    import sqlite3

    from peopleinfo.people.people_list import NameRange

_NEXT: Final = """
    SELECT key, names, seq FROM search_entries WHERE (key, names, seq) > (?, ?, ?) AND key < ? ORDER BY key, names, seq LIMIT ?
"""
_ENTRIES_PER_PERSON: Final = 3  # of names, as a rule
_Bound = tuple[str, str, int]


def read_places(
    db: sqlite3.Connection, names: NameRange, position: bytes | None, limit: int
) -> tuple[list[Place], bytes | None]:
    """Return the next places of a range, and the position of the following ones; see `ListIndex.read_places`."""
    start: _Bound = msgspec.json.decode(position, type=_Bound) if position else (NAME + names.word, "", -1)
    key = NAME + names.word
    end = key + "\0" if names.whole else prefix_upper_bound(key)
    count = limit * _ENTRIES_PER_PERSON + 1
    rows = db.execute(_NEXT, (*start, end, count)).fetchall()
    places = [
        Place(msgspec.json.encode(row), row[2].to_bytes(SEQ_SIZE), row[1])
        for row in rows
        if names.contains(row[0][1:], row[1])
    ]
    if len(places) > limit:
        return places[:limit], places[limit - 1].next
    return places, msgspec.json.encode(_next_bound(rows[-1])) if len(rows) == count else None


def _next_bound(row: _Bound) -> _Bound:
    """Return the position after an entry, which skips the entries of its word that are no places."""
    order = skip_to(row[0][1:], row[1])
    return row if order is None else (row[0], order, -1)
