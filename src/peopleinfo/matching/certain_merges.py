"""Merges of the certain pairs of the review queue, as an operator enables them. Each one is a merge of its own, which can be undone.

The record that was added first remains, because other systems know its id for the longest time. Where both records have a value and the
values differ, that of the record that changed last is taken. Other values remain.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from peopleinfo.errors import InvalidPerson, MergeTooLarge, PersonMerged, PersonNotFound, VersionConflict
from peopleinfo.matching.errors import PairNotFound
from peopleinfo.matching.match_service import MatchOptions
from peopleinfo.matching.merge_service import MergeRequest
from peopleinfo.people.person import split_record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractContextManager

    from peopleinfo.matching.match_service import MatchService
    from peopleinfo.matching.merge_service import MergeService
    from peopleinfo.matching.review_queue import Review, ReviewPair
    from peopleinfo.people.person import StoredPerson

Outcome = Literal["certain", "merged", "changed", "decided", "not-certain", "too-large"]
_PAGE_LIMIT: Final = 100
_OPTIONS: Final = MatchOptions(100, only_certain=True)


class PairOutcome(NamedTuple):
    """What became of a certain pair. A dry run has the outcome `certain` where a merge is possible; the other outcomes leave the pair as it is."""

    pair: str
    score: float
    survivor: str
    merged: str
    outcome: Outcome
    merge_id: str | None = None


class CertainMerges:
    """Merges the pairs of the grade certain, or lists them in a dry run."""

    def __init__(
        self,
        review: Review,
        matches: MatchService,
        merges: MergeService,
        *,
        audited: Callable[[str, str], AbstractContextManager[None]] = lambda *_: nullcontext(),
    ) -> None:
        """`audited` returns the context of a merge of two records, given by id: it writes the audit events."""
        self._review = review
        self._matches = matches
        self._merges = merges
        self._audited = audited

    async def run(self, *, apply: bool, principal: str | None = None) -> AsyncIterator[PairOutcome]:
        """Yield the outcome of each certain pair that waits for a review. Merged pairs leave the queue, so a next run resumes."""
        after: bytes | None = None
        while True:
            page = await self._review.page("open", "certain", after=after, limit=_PAGE_LIMIT)
            for pair in page.pairs:
                yield await self._merge(pair, apply=apply, principal=principal)
            if (after := page.next) is None:
                return

    async def _merge(self, listed: ReviewPair, *, apply: bool, principal: str | None) -> PairOutcome:
        request = request_of(listed.people)
        outcome = PairOutcome(listed.link.pair, listed.link.score, request.survivor, request.merged[0], "certain")
        try:
            pair = await self._review.get(listed.link.pair)  # an earlier merge may have changed it
            request = request_of(pair.people)
            if not await self._review.is_open(pair.link):
                return outcome._replace(outcome="decided")
            if not await self._is_certain(request):
                return outcome._replace(outcome="not-certain")
            if not apply:
                await self._merges.preview(request)
                return outcome
            with self._audited(request.survivor, request.merged[0]):
                result, _ = await self._merges.merge(request, principal=principal)
        except (PairNotFound, PersonNotFound, PersonMerged, VersionConflict):
            return outcome._replace(outcome="changed")
        except (MergeTooLarge, InvalidPerson):
            return outcome._replace(outcome="too-large")
        return outcome._replace(outcome="merged", merge_id=result.merge_id)

    async def _is_certain(self, request: MergeRequest) -> bool:
        """Return whether the pair is still certain: its records may have changed since it was found."""
        found = await self._matches.duplicates(request.survivor, _OPTIONS)
        return request.merged[0] in found.people


def request_of(people: tuple[StoredPerson, StoredPerson]) -> MergeRequest:
    """Return the merge of two records by the rule of this module."""
    records = {person.person_id: split_record(person) for person in people}
    times = {person_id: read_only for person_id, (_, read_only) in records.items()}
    survivor, merged = sorted(records, key=lambda person_id: (times[person_id]["created_at"], person_id))
    latest = max(survivor, merged, key=lambda person_id: str(times[person_id]["updated_at"]))
    ours, theirs = (records[person_id][0].to_dict() for person_id in (survivor, merged))
    take = {field: latest for field in ours if field in theirs and ours[field] != theirs[field]}
    return MergeRequest(survivor, (merged,), {person.person_id: person.version for person in people}, take)
