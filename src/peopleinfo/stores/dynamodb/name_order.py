"""The list of people by name: the entries of their surname keys in the search index.

An item for each start of a surname key leads to the partitions of these entries, in order. Each process writes it once, and nothing deletes it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.people.people_list import Place, skip_to
from peopleinfo.stores.dynamodb.search_entries import read_range
from peopleinfo.stores.dynamodb.search_items import STARTS, KeyRange, home_of_entry, order_of, start_of_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from peopleinfo.people.people_list import NameRange
    from peopleinfo.stores.dynamodb.client import TableClient
    from peopleinfo.stores.dynamodb.search_items import SearchItems

_MAX_STARTS: Final = 32  # partitions that a call reads
_CONCURRENT: Final = 8
_ENTRIES_PER_PERSON: Final = 3  # of names, as a rule
_END: Final = b"\xff"  # sorts after every text
_NEXT_START: Final = b"\1"  # a start with this end is a position after the partition of the start


class _Entries(NamedTuple):
    """Sort keys of entries in a partition, and whether these are all."""

    sort_keys: list[bytes]
    is_complete: bool


async def read_places(
    table: TableClient, layout: SearchItems, names: NameRange, position: bytes | None, limit: int
) -> tuple[list[Place], bytes | None]:
    """Return the next places of a range, and the position of the following ones; see `ListIndex.read_places`.

    A position is a lower bound of the sort keys.
    """
    first = position or names.word.encode() or b"\0"
    last = names.word.encode() + (b"\1" if names.whole else _END)
    starts, is_complete = await _read_starts(table, names, first)
    places: list[Place] = []
    for group in _groups(starts):
        ranges = [KeyRange(layout.name_partition(start), first, last) for start in group]
        count = (limit - len(places)) * _ENTRIES_PER_PERSON + 1
        for start, entries in zip(
            group, await asyncio.gather(*(_read(table, keys, count) for keys in ranges)), strict=True
        ):
            places += _places(entries.sort_keys, names)
            if len(places) > limit:
                return places[:limit], places[limit - 1].next
            if not entries.is_complete:
                return places, _next_bound(entries.sort_keys[-1])
            first = start.encode() + _NEXT_START
    return places, None if is_complete else first


def _groups(starts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the partitions that are read concurrently: most pages end in the first one, and the following ones may be small."""
    yield starts[:1]
    for start in range(1, len(starts), _CONCURRENT):
        yield starts[start : start + _CONCURRENT]


async def _read_starts(table: TableClient, names: NameRange, first: bytes) -> tuple[list[str], bool]:
    """Return the starts of the partitions with sort keys from a lower bound on, and whether these are all."""
    start = first if first.endswith(_NEXT_START) and b"\0" not in first else _start_of(first)
    last = start_of_name(names.word).encode() + _END
    found, is_complete = await read_range(table, KeyRange(STARTS, start, last), _MAX_STARTS)
    return [start.decode() for start in found], is_complete


def _start_of(position: bytes) -> bytes:
    return start_of_name(position.split(b"\0")[0].decode()).encode() or b"\0"


async def _read(table: TableClient, keys: KeyRange, limit: int) -> _Entries:
    return _Entries(*await read_range(table, keys, limit))


def _places(sort_keys: Sequence[bytes], names: NameRange) -> list[Place]:
    split = [(key, *_split(key)) for key in sort_keys]
    return [
        Place(_successor(key), home_of_entry(key).block, order)
        for key, word, order in split
        if names.contains(word, order)
    ]


def _next_bound(sort_key: bytes) -> bytes:
    """Return the position after an entry, which skips the entries of its word that are no places."""
    word, order = _split(sort_key)
    bound = skip_to(word, order)
    return _successor(sort_key) if bound is None else f"{word}\0{bound}".encode()


def _split(sort_key: bytes) -> tuple[str, str]:
    """Return the word and the order of an entry."""
    return sort_key[: sort_key.index(b"\0")].decode(), order_of(sort_key, is_readable=True)


def _successor(sort_key: bytes) -> bytes:
    """Return a sort key after this one, which is not longer: a sort key has a maximum length."""
    return (int.from_bytes(sort_key) + 1).to_bytes(len(sort_key))
