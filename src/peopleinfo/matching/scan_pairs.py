"""Comparison of all records of a store with each other, in the order of the match index."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.matching.block_pairs import BirthdateKeys, compared_pairs, selects
from peopleinfo.matching.blocking_keys import Lookup, key_values
from peopleinfo.matching.candidates import Candidate, can_reach, candidate_of
from peopleinfo.matching.match_index import MAX_READ, Block
from peopleinfo.matching.scoring import are_relatives, best_score, score
from peopleinfo.people.person import decode_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from peopleinfo.matching.block_pairs import Birthdate, Pair
    from peopleinfo.matching.blocking_keys import KeyKind
    from peopleinfo.matching.frequencies import Frequencies
    from peopleinfo.matching.match_index import FoundEntry
    from peopleinfo.matching.match_record import MatchRecord
    from peopleinfo.matching.match_service import MatchService
    from peopleinfo.matching.statistics import CountReader

_CACHED: Final = 10_000  # frequencies of names of people
_MAX_EXAMINED: Final = 3  # people whose records can show the kind of a key; an entry may be outdated


class Person(NamedTuple):
    """A stored record that is compared."""

    person_id: str
    record: MatchRecord


class ComparedPair(NamedTuple):
    """Two records that may be of one person, or are relatives (`scoring.are_relatives`)."""

    person_id: str
    candidate: Candidate | None
    """The other record; None if the score is too low."""
    are_relatives: bool
    is_first: bool
    """Whether no other key of the two records finds the pair before this one."""


class _BlockOfKind(NamedTuple):
    """A block with the kind of its key, and with the entries of the birthdate with day and month swapped."""

    lookup: Lookup
    entries: list[FoundEntry]
    swapped: list[FoundEntry]

    def pairs(self) -> Iterator[Pair]:
        """Yield the pairs to compare. The block of the swapped birthdate has its own pairs."""
        others = set(self.swapped)
        for pair in compared_pairs(self.lookup, [*self.entries, *self.swapped]):
            if not others.issuperset(pair):
                yield pair


class PairFinder:
    """Compares the people of blocks. A pair has one score, whichever record comes first."""

    def __init__(self, matches: MatchService, *, threshold: float) -> None:
        """`threshold` is the lowest score of a candidate."""
        self._matches = matches
        self._threshold = threshold
        self._birthdates = BirthdateKeys(matches.hasher)

    async def compare(self, blocks: Sequence[Block]) -> list[ComparedPair]:
        """Compare the people of blocks, and return the pairs of candidates and of relatives."""
        pairs = [(block.lookup.key, pair) for block in await self._of_kinds(blocks) for pair in block.pairs()]
        people = await self._fetch({entry.ref for _, pair in pairs for entry in pair})
        reader = await self._matches.count_reader()
        frequencies_of = lru_cache(_CACHED)(lambda ref: reader.frequencies(people[ref].record, ()))
        existing = ((key, a, b) for key, (a, b) in pairs if a.ref in people and b.ref in people)
        alike = [
            (key, people[a.ref], people[b.ref])
            for key, a, b in existing
            if self._may_be_alike(people[a.ref].record, people[b.ref].record, frequencies_of(a.ref))
        ]
        found = (self._compare(key, person, other, reader) for key, person, other in alike)
        return [one for one in found if one is not None]

    async def _of_kinds(self, blocks: Sequence[Block]) -> list[_BlockOfKind]:
        """Return the blocks that have a pair, with the kinds of their keys."""
        known = [(block, self._birthdates.of(block.key, block.entries[0].sub)) for block in blocks]
        birthdates = await self._with_birthdates([(block, born) for block, born in known if born])
        return [*birthdates, *await self._of_other_kinds([block for block, born in known if not born])]

    async def _with_birthdates(self, known: Sequence[tuple[Block, Birthdate]]) -> list[_BlockOfKind]:
        """Return the blocks of birthdates that have a pair. The lower one of two swapped birthdates has the entries of both."""
        keys = [born.swapped for block, born in known if born.swapped and block.key < born.swapped]
        lookups = [Lookup("birthdate", key) for key in keys]
        swapped = dict(zip(keys, await self._matches.index.find(lookups, limit=MAX_READ), strict=True))
        found = [
            _BlockOfKind(Lookup("birthdate", block.key), block.entries, swapped.get(born.swapped or b"", []))
            for block, born in known
        ]
        return [block for block in found if 1 < len(block.entries) + len(block.swapped) < MAX_READ]

    async def _of_other_kinds(self, blocks: Sequence[Block]) -> list[_BlockOfKind]:
        """Return the other blocks that have a pair. A record shows the kind of the key."""
        others = [block for block in blocks if 1 < len(block.entries) < MAX_READ]
        people = await self._fetch({entry.ref for block in others for entry in block.entries[:_MAX_EXAMINED]})
        kinds = (
            (block, self._kind(block.key, (people.get(entry.ref) for entry in block.entries[:_MAX_EXAMINED])))
            for block in others
        )
        return [_BlockOfKind(Lookup(kind, block.key), block.entries, []) for block, kind in kinds if kind]

    def _kind(self, key: bytes, people: Iterable[Person | None]) -> KeyKind | None:
        return next((kind for person in people if person and (kind := self._keys(person.record).get(key))), None)

    def _keys(self, record: MatchRecord) -> dict[bytes, KeyKind]:
        return {self._matches.hasher.key(kind, value): kind for kind, value in key_values(record)}

    async def _fetch(self, refs: Iterable[bytes]) -> dict[bytes, Person]:
        listed = list(refs)
        bodies = await self._matches.index.read_people(listed)
        return {ref: self._person(body) for ref, body in zip(listed, bodies, strict=True) if body is not None}

    def _person(self, body: bytes) -> Person:
        return Person(decode_header(body).person_id, self._matches.record(body))

    def _compare(self, key: bytes, person: Person, other: Person, reader: CountReader) -> ComparedPair | None:
        """Return a pair that is worth reporting, of two records that share a key."""
        p, q = person.record, other.record
        frequencies = reader.frequencies(p, (q,))
        found = score(p, q, frequencies)
        candidate = candidate_of(other.person_id, found, frequencies, self._threshold)
        relatives = are_relatives(found.evidence)
        if candidate is None and not relatives:
            return None
        return ComparedPair(person.person_id, candidate, relatives, self._is_first(key, p, q))

    def _may_be_alike(self, p: MatchRecord, q: MatchRecord, frequencies: Frequencies) -> bool:
        """Return whether two records may be worth reporting, whatever their addresses are."""
        best = best_score(p, q, frequencies)
        return can_reach(self._threshold, best, frequencies) or are_relatives(best.evidence)

    def _is_first(self, key: bytes, p: MatchRecord, q: MatchRecord) -> bool:
        hasher = self._matches.hasher
        sub, other_sub, keys, other_keys = hasher.sub(p), hasher.sub(q), self._keys(p), self._keys(q)
        shared = [each for each, kind in keys.items() if each in other_keys and selects(kind, sub, other_sub)]
        return not shared or key == min(shared)
