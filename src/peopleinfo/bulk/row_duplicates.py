"""Duplicates of the new people of an import: each row is compared with the stored people and with the earlier rows."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from peopleinfo.bulk.rows import RowDuplicate
from peopleinfo.errors import FieldError, PersonNotFound
from peopleinfo.matching.batch_match import BatchMatch
from peopleinfo.matching.candidates import at_least
from peopleinfo.matching.errors import DuplicatesDisabled
from peopleinfo.people.person import PersonData

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peopleinfo.bulk.row_decisions import Decision
    from peopleinfo.bulk.rows import RowResult
    from peopleinfo.bulk.upsert_options import DuplicateMode
    from peopleinfo.matching.batch_match import BatchCandidate
    from peopleinfo.matching.match_service import MatchService
    from peopleinfo.matching.review_queue import Review
    from peopleinfo.matching.scoring import Grade


class RowDuplicates:
    """Finds the duplicates of rows. `refused` is the lowest grade for which a row is skipped or refused."""

    def __init__(self, matches: MatchService, mode: DuplicateMode, refused: Grade, hidden: frozenset[str]) -> None:
        self._batch = BatchMatch(matches, hidden)
        self._mode = mode
        self._refused = refused

    async def mark(self, decisions: Sequence[Decision]) -> list[Decision]:
        """Return the decisions with the duplicate of each new person. A person that is not stored gets another status."""
        new = [index for index, decision in enumerate(decisions) if decision.creates]
        people = [one.action.to_dict() for one in decisions if one.creates and isinstance(one.action, PersonData)]
        marked = list(decisions)
        for index, found in zip(new, await self._batch.match(people), strict=True):
            if found is not None:
                marked[index] = self._marked(
                    decisions[index], found, None if found.number is None else new[found.number]
                )
        return marked

    def _marked(self, decision: Decision, found: BatchCandidate, index: int | None) -> Decision:
        candidate = found.candidate
        because = tuple(item.because for item in candidate.evidence if item.bits > 0)
        person_id = candidate.person_id if index is None else None
        duplicate = RowDuplicate(candidate.grade, candidate.score, because, person_id, row_index=index)
        decision = decision._replace(duplicate=duplicate)
        if self._mode in ("report", "queue") or not at_least(candidate.grade, self._refused):
            return decision
        other = "a stored person" if index is None else "the person of an earlier row"
        reason = FieldError("", f"is the same as {other} ({candidate.grade}: {', '.join(because)})")
        return decision._replace(action="skipped" if self._mode == "skip" else "rejected", errors=(reason,))


async def queue(review: Review, results: Sequence[RowResult]) -> None:
    """Add the stored people that have a duplicate to the review queue."""
    for result in results:
        if result.duplicate is not None and result.status == "stored" and result.person_id:
            with suppress(PersonNotFound):  # deleted since
                await review.add(result.person_id)


def row_duplicates(
    matches: MatchService | None, mode: DuplicateMode | None, refused: Grade, hidden: frozenset[str]
) -> RowDuplicates | None:
    """Return the comparison of rows, None without a mode. Raises DuplicatesDisabled, FieldAccessDenied."""
    if mode is None:
        return None
    if matches is None:
        raise DuplicatesDisabled
    matches.check(hidden)
    return RowDuplicates(matches, mode, refused, hidden)


def with_ids(results: list[RowResult]) -> list[RowResult]:
    """Return the results with line and id of the people that rows of the same batch created."""
    return [_with_id(result, result.duplicate, results) if result.duplicate else result for result in results]


def _with_id(result: RowResult, duplicate: RowDuplicate, results: list[RowResult]) -> RowResult:
    if duplicate.row_index is None:
        return result
    other = results[duplicate.row_index]
    # Of three equal rows, the third one may be compared with the second one, which is not stored.
    person_id = other.person_id or (other.duplicate.person_id if other.duplicate else None)
    return result._replace(duplicate=duplicate._replace(person_id=person_id, line=other.row.line))
