"""Candidates: the people that a store holds and that may be the same person as a record, the most certain first.

A store writes the entries of a person before the record, or with it, and removes them after it, or with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import msgspec

from peopleinfo.matching.keys import MAX_BLOCK
from peopleinfo.matching.scoring import GRADES, Evidence, Grade, Score, are_relatives, score
from peopleinfo.matching.selection import MIN_FETCHED, hits, worth_fetching

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from peopleinfo.matching.frequencies import Frequencies
    from peopleinfo.matching.keys import Hasher, KeyKind, Lookup
    from peopleinfo.matching.links import LinkStore
    from peopleinfo.matching.record import MatchRecord
    from peopleinfo.matching.selection import Hit

DEFAULT_COUNT: Final = 10
_RANKS: Final = {grade: rank for rank, (grade, _) in enumerate(GRADES)}


class FoundEntry(NamedTuple):
    """An entry that a store found, with the store's reference to its person."""

    ref: bytes
    sub: bytes


class MatchIndex(Protocol):
    """The match index of a store. Every method may raise StoreUnavailable."""

    @property
    def links(self) -> LinkStore:
        """The pairs of possible duplicates."""

    async def find(self, lookups: Sequence[Lookup]) -> list[list[FoundEntry]]:
        """Return the entries of each look-up, at most `MAX_BLOCK` + 1 in the order of their subs, in one round."""

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


class Candidate(msgspec.Struct, frozen=True):
    """A person that may be the same: its grade, the probabilities of one person and of relatives, and the evidence."""

    person_id: str
    grade: Grade
    score: float
    relatives: float
    evidence: tuple[Evidence, ...]


class Match(msgspec.Struct, frozen=True):
    """The result of a match, with the number of people in the store and the number of compared people."""

    candidates: list[Candidate]
    of_people: int
    examined: int
    not_examined: list[NotExamined]
    relatives: int = 0
    """Compared people that seem to be relatives (`scoring.are_relatives`)."""


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


def rank(
    record: MatchRecord,
    others: Iterable[tuple[str, MatchRecord]],
    frequencies: Frequencies,
    *,
    count: int = DEFAULT_COUNT,
    threshold: float = GRADES[-1][1],
    only_certain: bool = False,
    not_examined: Iterable[NotExamined] = (),
) -> Match:
    """Compare a record with other people, given by id, and return those that may be the same person."""
    people = frequencies.counts.people
    compared = [(person_id, score(record, other, frequencies)) for person_id, other in others]
    relatives = sum(are_relatives(found.evidence) for _, found in compared)
    candidates = [
        candidate
        for candidate in (candidate_of(person_id, found, frequencies) for person_id, found in compared)
        if candidate and candidate.score >= threshold and (candidate.grade == "certain" or not only_certain)
    ]
    candidates.sort(key=lambda candidate: (_RANKS[candidate.grade], -candidate.score, candidate.person_id))
    return Match(candidates[:count], people, len(compared), list(not_examined), relatives)


def candidate_of(person_id: str, found: Score, frequencies: Frequencies) -> Candidate | None:
    """Return the candidate with a score; None below the grade possible."""
    grade, probability, relatives = found.assess(frequencies.counts.people, frequencies.relatives)
    return Candidate(person_id, grade, probability, relatives, found.evidence) if grade else None


def at_least(grade: Grade, least: Grade) -> bool:
    """Return whether a grade is as certain as another one, or more."""
    return _RANKS[grade] <= _RANKS[least]
