"""Candidates: the people that a store holds and that may be the same person as a record, the most certain first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from peopleinfo.matching.match_index import NotExamined  # noqa: TC001 - read at run time, as a type
from peopleinfo.matching.scoring import GRADES, Evidence, Grade, Score, best_score, score

if TYPE_CHECKING:
    from collections.abc import Iterable

    from peopleinfo.matching.frequencies import Frequencies
    from peopleinfo.matching.match_record import MatchRecord

DEFAULT_COUNT: Final = 10
_RANKS: Final = {grade: rank for rank, (grade, _) in enumerate(GRADES)}


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
    people, compared = frequencies.counts.people, list(others)
    candidates = [
        candidate
        for person_id, other in compared
        if can_reach(threshold, best_score(record, other, frequencies), frequencies)
        and (candidate := candidate_of(person_id, score(record, other, frequencies), frequencies, threshold))
        and (candidate.grade == "certain" or not only_certain)
    ]
    candidates.sort(key=lambda candidate: (_RANKS[candidate.grade], -candidate.score, candidate.person_id))
    return Match(candidates[:count], people, len(compared), list(not_examined))


def can_reach(threshold: float, best: Score, frequencies: Frequencies) -> bool:
    """Return whether a pair with this best score may have a probability of at least `threshold`."""
    return best.assess(frequencies.counts.people, frequencies.relatives).probability >= threshold


def candidate_of(person_id: str, found: Score, frequencies: Frequencies, threshold: float) -> Candidate | None:
    """Return the candidate with a score; None below the grade possible, or below the threshold."""
    grade, probability, relatives = found.assess(frequencies.counts.people, frequencies.relatives)
    if grade is None or probability < threshold:
        return None
    return Candidate(person_id, grade, probability, relatives, found.evidence)


def at_least(grade: Grade, least: Grade) -> bool:
    """Return whether a grade is as certain as another one, or more."""
    return _RANKS[grade] <= _RANKS[least]
