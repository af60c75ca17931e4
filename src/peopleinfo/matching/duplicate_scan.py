"""Scan: compares all records of a store and adds the probable duplicates to the review queue. An interrupted scan resumes."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import msgspec

from peopleinfo.matching.errors import MatchIndexIncomplete
from peopleinfo.matching.scan_pairs import PairFinder
from peopleinfo.matching.scoring import MIN_PROBABLE
from peopleinfo.people.store import BulkStore, Checkpoint, PersonReader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from peopleinfo.matching.candidates import Candidate
    from peopleinfo.matching.match_index import Block
    from peopleinfo.matching.match_service import MatchService
    from peopleinfo.matching.review_queue import Review

_SCAN_ID: Final = sha256(b"scan of duplicates by key").digest()
_PAGE_LIMIT: Final = 5_000
_ENTRIES_OF_PERSON: Final = 4  # usually
_MAX_OPENED: Final = 100_000  # pairs in memory


class ScanProgress(NamedTuple):
    """The compared people, estimated until the end, and the new pairs so far."""

    people: int
    pairs: int


class ScanStore(PersonReader, BulkStore, Protocol):
    """A store of the records to compare."""


class DuplicateScan:
    """Compares all records that share a key. In a dry run, pairs are counted and not added to the queue."""

    def __init__(
        self,
        matches: MatchService,
        review: Review,
        store: ScanStore,
        *,
        dry_run: bool = False,
        page_limit: int = _PAGE_LIMIT,
    ) -> None:
        """`page_limit`: entries of the match index that are compared at a time."""
        self._matches = matches
        self._review = review
        self._store = store
        self._dry_run = dry_run
        self._page_limit = page_limit
        self._finder = PairFinder(matches, threshold=MIN_PROBABLE)
        self._relatives = 0
        self._opened: set[tuple[str, str]] = set()

    async def run(self) -> AsyncIterator[ScanProgress]:
        """Count the frequencies of names, then compare all records page by page. Yields the progress after each page.

        Raises DuplicatesDisabled, MatchIndexIncomplete.
        """
        if not await self._matches.index.is_complete():
            raise MatchIndexIncomplete
        checkpoint = Checkpoint(_SCAN_ID) if self._dry_run else await self._store.read_checkpoint(_SCAN_ID)
        is_resumed = checkpoint != Checkpoint(_SCAN_ID)
        people = (await (self._matches.statistics() if is_resumed else self._matches.count())).people
        while True:
            page = await self._matches.index.blocks(after=checkpoint.position or None, limit=self._page_limit)
            pairs = await self._compare(page.blocks)
            after = msgspec.structs.replace(
                checkpoint,
                rows=checkpoint.rows + sum(len(block.entries) for block in page.blocks),
                stored=checkpoint.stored + pairs,
                position=page.next or b"",
            )
            done = people if page.next is None else min(people, after.rows // _ENTRIES_OF_PERSON)
            yield ScanProgress(done, after.stored)
            if page.next is None:
                break
            if not self._dry_run:
                await self._store.create_many([], checkpoint=(checkpoint, after))
            checkpoint = after
        if not self._dry_run:
            await self._store.delete_checkpoint(checkpoint)
        if not is_resumed:  # a resumed scan has not seen all relatives
            await self._write_relatives()

    async def _compare(self, blocks: Sequence[Block]) -> int:
        """Compare the people of blocks, and return the number of new pairs."""
        pairs = 0
        for found in await self._finder.compare(blocks):
            self._relatives += found.is_first and found.are_relatives
            if self._dry_run:
                pairs += found.is_first and found.candidate is not None
            elif found.candidate is not None:
                pairs += await self._open(found.person_id, found.candidate)
        return pairs

    async def _open(self, person_id: str, candidate: Candidate) -> int:
        """Add a pair to the queue unless another key has found it."""
        pair = (min(person_id, candidate.person_id), max(person_id, candidate.person_id))
        if pair in self._opened:
            return 0
        if len(self._opened) == _MAX_OPENED:
            self._opened.clear()
        self._opened.add(pair)
        return await self._review.open(person_id, [candidate])

    async def _write_relatives(self) -> None:
        """Store the number of relatives."""
        statistics = await self._matches.statistics()
        await self._matches.write_statistics(
            msgspec.structs.replace(statistics, relatives=self._relatives, related_people=statistics.addressed)
        )
