"""Comparison of all records of a store with each other: each pair once, many records at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.matching.blocking_keys import NAME, SURNAME, key_values
from peopleinfo.matching.candidate_selection import MIN_FETCHED, hits, select
from peopleinfo.matching.candidates import Candidate, Match, candidate_of
from peopleinfo.matching.match_index import look_up
from peopleinfo.matching.match_service import Matched
from peopleinfo.matching.scoring import are_relatives, score
from peopleinfo.people.person import decode_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from peopleinfo.matching.candidate_selection import Hit
    from peopleinfo.matching.frequencies import Frequencies
    from peopleinfo.matching.match_record import MatchRecord
    from peopleinfo.matching.match_service import MatchService
    from peopleinfo.matching.scoring import Score

_MIN_FETCHED: Final = MIN_FETCHED + 1  # a stored record finds itself
_COMPARED_KINDS: Final = (
    "birthdate",
    "surname_address",
)  # keys of people that are compared even if they are no candidates


class Person(NamedTuple):
    """A stored record that is compared."""

    person_id: str
    record: MatchRecord


class Compared(NamedTuple):
    """The candidates of a record, and the number of relatives, as both records of a pair would count them."""

    person_id: str
    candidates: list[Candidate]
    relatives: int
    examined: int

    @property
    def matched(self) -> Matched:
        """The candidates in the form of a match."""
        return Matched(Match(self.candidates, 0, self.examined, []), {})


class _Selected(NamedTuple):
    """The people to compare with a record, by reference, and how many records of the pair see it: 2 if only the first one reports it."""

    seen: dict[bytes, int]
    own: bytes | None
    """The reference to the record itself, None if it is not known yet."""

    def others(self, person: Person, fetched: Mapping[bytes, Person]) -> dict[Person, int]:
        """Return the fetched people, without the record itself and the people that report the pair."""
        found = {ref: other for ref in self.seen if (other := fetched.get(ref))}
        own = self.own or next((ref for ref, other in found.items() if other.person_id == person.person_id), b"")
        return {found[ref]: records for ref, records in _reported(self.seen, own).items() if ref in found}


class PairFinder:
    """Compares stored records with all others. A pair has one score, whichever record comes first."""

    def __init__(self, matches: MatchService, *, threshold: float) -> None:
        """`threshold` is the lowest score of a candidate."""
        self._matches = matches
        self._threshold = threshold

    async def compare(self, bodies: Sequence[bytes]) -> list[Compared]:
        """Compare records, given as JSON, with their candidates. One of the two records reports a pair."""
        people = [self._person(body) for body in bodies]
        index, hasher = self._matches.index, self._matches.hasher
        met, _ = await look_up(index, hasher, [person.record for person in people])
        is_complete = await index.is_complete()
        selected = [
            _select(person.record, hasher.sub(person.record), hits(found), finds_itself=is_complete)
            for person, found in zip(people, met, strict=True)
        ]
        fetched = await self._fetch({ref for found in selected for ref in found.seen})
        return [
            await self._compare(person, found.others(person, fetched))
            for person, found in zip(people, selected, strict=True)
        ]

    async def _fetch(self, refs: Iterable[bytes]) -> dict[bytes, Person]:
        listed = list(refs)
        bodies = await self._matches.index.read_people(listed)
        return {ref: self._person(body) for ref, body in zip(listed, bodies, strict=True) if body is not None}

    def _person(self, body: bytes) -> Person:
        return Person(decode_header(body).person_id, self._matches.record(body))

    async def _compare(self, person: Person, others: Mapping[Person, int]) -> Compared:
        if not others:
            return Compared(person.person_id, [], 0, 0)
        record = person.record
        frequencies = await self._matches.frequencies(record, [other.record for other in others])
        scores = {other: score(record, other.record, frequencies) for other in others}
        relatives = sum(others[other] for other, found in scores.items() if are_relatives(found.evidence))
        candidates = [one for other, found in scores.items() if (one := self._candidate(other, found, frequencies))]
        return Compared(person.person_id, candidates, relatives, len(others))

    def _candidate(self, other: Person, found: Score, frequencies: Frequencies) -> Candidate | None:
        candidate = candidate_of(other.person_id, found, frequencies)
        return candidate if candidate and candidate.score >= self._threshold else None


def _select(record: MatchRecord, sub: bytes, found: dict[bytes, Hit], *, finds_itself: bool) -> _Selected:
    """Return the people to fetch for a record.

    Of the others, only people with the same birthdate can be probable, and people with the same surname at one address relatives.
    With `finds_itself`, the only person with the keys and the sub of the record is the record, which is not fetched.
    """
    kinds = frozenset(kind for kind, _ in key_values(record))
    alike = [ref for ref, hit in found.items() if hit.sub == sub and hit.kinds == kinds] if finds_itself else []
    own = alike[0] if len(alike) == 1 else None
    has_names = _has_names(sub)
    seen = {
        ref: 1 + (has_names and _has_names(found[ref].sub))
        for ref, is_candidate in select(sub, found, _MIN_FETCHED)
        if is_candidate or not found[ref].kinds.isdisjoint(_COMPARED_KINDS)
    }
    return _Selected(seen if own is None else _reported(seen, own), own)


def _reported(seen: Mapping[bytes, int], own: bytes) -> dict[bytes, int]:
    """Return the people of the pairs that a record reports: the first record of a pair, or the only one that sees the other."""
    return {ref: records for ref, records in seen.items() if ref > own or (records == 1 and ref != own)}


def _has_names(sub: bytes) -> bool:
    """Return whether a record has both names. Two such records find each other, or neither finds the other one."""
    return any(sub[NAME]) and any(sub[SURNAME])
