"""The match index of a store, and the look-up of the people that share a key with a record.

A store writes the entries of a person before the record, or with it, and removes them after it, or with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import msgspec

from peopleinfo.matching.blocking_keys import MAX_BLOCK
from peopleinfo.matching.candidate_selection import MIN_FETCHED, hits, worth_fetching

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peopleinfo.matching.blocking_keys import Hasher, KeyKind, Lookup
    from peopleinfo.matching.candidate_selection import Hit
    from peopleinfo.matching.duplicate_links import LinkStore
    from peopleinfo.matching.match_record import MatchRecord

MAX_READ: Final = 50_000  # entries of a key that a scan reads


class FoundEntry(NamedTuple):
    """An entry that a store found, with the store's reference to its person."""

    ref: bytes
    sub: bytes


class Block(NamedTuple):
    """A key with its entries."""

    key: bytes
    entries: list[FoundEntry]


class BlockPage(NamedTuple):
    """Blocks in the order of the store, and the position of the next page; None after the last page."""

    blocks: list[Block]
    next: bytes | None


class MatchIndex(Protocol):
    """The match index of a store. Every method may raise StoreUnavailable."""

    @property
    def links(self) -> LinkStore:
        """The pairs of possible duplicates."""

    async def find(self, lookups: Sequence[Lookup], *, limit: int = MAX_BLOCK + 1) -> list[list[FoundEntry]]:
        """Return the entries of each look-up, at most `limit` in the order of their subs, in one round."""

    async def blocks(self, *, after: bytes | None, limit: int) -> BlockPage:
        """Return a page of all blocks, with about `limit` entries. Of a larger block, it has at most `MAX_READ` entries."""

    async def size(self, lookup: Lookup) -> int:
        """Return the number of entries of a look-up that has more than `MAX_BLOCK`, or a lower bound above 10,000."""

    async def read_people(self, refs: Sequence[bytes]) -> list[bytes | None]:
        """Return the JSON of the records; None for an entry without its person."""

    async def is_complete(self) -> bool:
        """Return whether every person is indexed. If not, `reindex` adds the others."""

    async def read_statistics(self) -> bytes | None:
        """Return the stored statistics, None if no people were counted yet."""

    async def write_statistics(self, body: bytes) -> None:
        """Replace the stored statistics."""


class NotExamined(msgspec.Struct, frozen=True):
    """People that share a key with the record but are too many to compare: the fields of the key, and their number."""

    by: str
    people: int


class Found(NamedTuple):
    """References to the people to fetch and compare, and those that are not examined."""

    refs: list[bytes]
    not_examined: list[NotExamined]


async def find(
    index: MatchIndex, hasher: Hasher, records: Sequence[MatchRecord], *, min_fetched: int = MIN_FETCHED
) -> list[Found]:
    """Query the index for the candidates of each record. A block that is too large is narrowed, which takes a further round.

    At least `min_fetched` people are fetched if so many were found: one more for stored records, which find themselves.
    """
    met, large = await look_up(index, hasher, records)
    found = []
    for record, entries, too_large in zip(records, met, large, strict=True):
        people = hits(sorted(entries))  # the order of the entries depends on fields that may be hidden
        not_examined = [await _not_examined(index, lookup, people) for lookup in too_large]
        found.append(Found(worth_fetching(hasher.sub(record), people, min_fetched), not_examined))
    return found


async def look_up(
    index: MatchIndex, hasher: Hasher, records: Sequence[MatchRecord]
) -> tuple[list[list[tuple[bytes, KeyKind, bytes]]], list[list[Lookup]]]:
    """Return the entries for each record (reference, kind of key, sub), and the look-ups that found too many entries."""
    met: list[list[tuple[bytes, KeyKind, bytes]]] = [[] for _ in records]
    large: list[list[Lookup]] = [[] for _ in records]
    lookups = [(number, lookup) for number, record in enumerate(records) for lookup in hasher.lookups(record)]
    while lookups:
        narrower: list[tuple[int, Lookup]] = []
        blocks = await index.find([lookup for _, lookup in lookups])
        for (number, lookup), block in zip(lookups, blocks, strict=True):
            if len(block) <= MAX_BLOCK:
                met[number] += ((entry.ref, lookup.kind, entry.sub) for entry in block)
                continue
            narrower += ((number, longer) for longer in hasher.narrowed(lookup, records[number]))
            large[number] += [] if lookup.prefix else [lookup]
        lookups = narrower
    return met, large


async def _not_examined(index: MatchIndex, lookup: Lookup, people: dict[bytes, Hit]) -> NotExamined:
    examined = sum(lookup.kind in hit.kinds for hit in people.values())
    return NotExamined(", ".join(lookup.fields), max(0, await index.size(lookup) - examined))
