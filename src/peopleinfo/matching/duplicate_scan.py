"""Scan: compares all records of a store and adds the probable duplicates to the review queue. An interrupted scan resumes."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import msgspec

from peopleinfo.matching.scan_pairs import PairFinder
from peopleinfo.matching.scoring import MIN_PROBABLE
from peopleinfo.people.store import BulkStore, Checkpoint, PersonReader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from peopleinfo.matching.match_service import MatchService
    from peopleinfo.matching.review_queue import Review

_SCAN_ID: Final = sha256(b"scan of duplicates").digest()
_PAGE_LIMIT: Final = 500


class ScanProgress(NamedTuple):
    """The compared people and the new pairs so far."""

    people: int
    pairs: int


class ScanStore(PersonReader, BulkStore, Protocol):
    """A store of the records to compare."""


class DuplicateScan:
    """Compares each record with its candidates. In a dry run, pairs are counted and not added to the queue."""

    def __init__(
        self,
        matches: MatchService,
        review: Review,
        store: ScanStore,
        *,
        dry_run: bool = False,
        page_limit: int = _PAGE_LIMIT,
    ) -> None:
        self._matches = matches
        self._review = review
        self._store = store
        self._dry_run = dry_run
        self._page_limit = page_limit
        self._finder = PairFinder(matches, threshold=MIN_PROBABLE)
        self._relatives = 0

    async def run(self) -> AsyncIterator[ScanProgress]:
        """Count the frequencies of names, then compare all records page by page. Yields the progress after each page."""
        checkpoint = Checkpoint(_SCAN_ID) if self._dry_run else await self._store.read_checkpoint(_SCAN_ID)
        is_resumed = checkpoint != Checkpoint(_SCAN_ID)
        if not is_resumed:
            await self._matches.count()
        while True:
            page = await self._store.scan(after=checkpoint.position or None, limit=self._page_limit)
            pairs = await self._compare(page.people)
            after = msgspec.structs.replace(
                checkpoint,
                rows=checkpoint.rows + len(page.people),
                stored=checkpoint.stored + pairs,
                position=page.next or b"",
            )
            yield ScanProgress(after.rows, after.stored)
            if page.next is None:
                break
            if not self._dry_run:
                await self._store.create_many([], checkpoint=(checkpoint, after))
            checkpoint = after
        if not self._dry_run:
            await self._store.delete_checkpoint(checkpoint)
        if not is_resumed:  # a resumed scan has not seen all relatives
            await self._write_relatives()

    async def _compare(self, bodies: Sequence[bytes]) -> int:
        """Compare the records of a page, and return the number of new pairs."""
        pairs = 0
        for found in await self._finder.compare(bodies):
            self._relatives += found.relatives
            if self._dry_run:
                pairs += len(found.candidates)
            elif found.candidates:
                pairs += await self._review.open(found.person_id, found.matched)
        return pairs

    async def _write_relatives(self) -> None:
        """Store the number of relatives, which most pairs show twice."""
        statistics = await self._matches.statistics()
        await self._matches.write_statistics(
            msgspec.structs.replace(statistics, relatives=self._relatives // 2, related_people=statistics.addressed)
        )
