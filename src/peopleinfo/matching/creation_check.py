"""Duplicates of a new record: they are reported and wait for a review, or the record is refused.

The record is written first and compared then. So of two records that are created at the same time, at least one finds the other. To
refuse a record means to delete it again. Leases order the deletions of records that find each other, so that one of them remains.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol
from zlib import crc32

from peopleinfo.errors import PersonNotFound, VersionConflict
from peopleinfo.matching.candidates import at_least
from peopleinfo.matching.errors import PossibleDuplicate
from peopleinfo.matching.match_service import MatchOptions, encode_candidates
from peopleinfo.matching.scoring import MIN_PROBABLE
from peopleinfo.people.store import Lease, LeaseStore, PersonStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from peopleinfo.matching.candidates import Candidate
    from peopleinfo.matching.match_service import Matched, MatchService
    from peopleinfo.matching.scoring import Grade

MAX_REPORTED: Final = 100  # candidates
_LOCKS: Final = 64
_LOCK_TTL: Final = timedelta(seconds=15)
_LOCK_DELAY: Final = 0.02  # seconds between two attempts


class CreationStore(PersonStore, LeaseStore, Protocol):
    """A store of which new records are compared."""


class PairQueue(Protocol):
    """The review queue."""

    async def add_new(self, person_id: str, candidates: Sequence[Candidate]) -> None:
        """Add the candidates of a new record."""


class NewRecords:
    """Compares a new record with the stored ones."""

    def __init__(
        self,
        matches: MatchService,
        store: CreationStore,
        queue: PairQueue,
        refused: Grade,
        now: Callable[[], datetime],
    ) -> None:
        """`refused` is the lowest grade that refuses a record."""
        self._matches = matches
        self.check = matches.check
        self._store = store
        self._queue = queue
        self._refused = refused
        self._now = now

    async def report(self, person_id: str, hidden: frozenset[str]) -> Matched:
        """Return the probable duplicates of a stored record, and add them to the review queue."""
        return await self._queued(person_id, await self._find(person_id, hidden), hidden)

    async def refuse(self, person_id: str, hidden: frozenset[str]) -> Matched:
        """Return the duplicates of a new record, or delete it and raise PossibleDuplicate if one has the refused grade."""
        found = await self._find(person_id, hidden)
        if blocking := self._blocking(found):
            async with self._locked(sorted({person_id, *(one.person_id for one in blocking)})):
                found = await self._find(person_id, hidden)
                if self._blocking(found) and await self._erase(person_id):
                    raise PossibleDuplicate(encode_candidates(found))
        return await self._queued(person_id, found, hidden)

    async def refuse_again(self, fields: Mapping[str, Any], hidden: frozenset[str]) -> None:
        """Raise PossibleDuplicate for the repetition of a refused request, if the record would still be refused."""
        found = await self._matches.match(fields, MatchOptions(MAX_REPORTED, MIN_PROBABLE, hidden=hidden))
        if self._blocking(found):
            raise PossibleDuplicate(encode_candidates(found))

    async def _find(self, person_id: str, hidden: frozenset[str]) -> Matched:
        return await self._matches.duplicates(person_id, MatchOptions(MAX_REPORTED, MIN_PROBABLE, hidden=hidden))

    async def _queued(self, person_id: str, found: Matched, hidden: frozenset[str]) -> Matched:
        """Add duplicates to the review queue, and return them. Grades without the hidden fields are not those of the queue."""
        if found.match.candidates and not hidden:
            await self._queue.add_new(person_id, found.match.candidates)
        return found

    async def _erase(self, person_id: str) -> bool:
        """Delete a new record; return False if another client has changed or deleted it."""
        try:
            await self._store.delete(person_id, expected=1)
        except (PersonNotFound, VersionConflict):
            return False
        return True

    def _blocking(self, found: Matched) -> list[Candidate]:
        return [one for one in found.match.candidates if at_least(one.grade, self._refused)]

    @asynccontextmanager
    async def _locked(self, person_ids: Sequence[str]) -> AsyncIterator[None]:
        """Hold the locks of records. Records share a few locks, so that no lock outlives its record."""
        async with AsyncExitStack() as stack:
            for number in sorted({crc32(person_id.encode()) % _LOCKS for person_id in person_ids}):
                await stack.enter_async_context(self._lock(f"duplicates {number}"))
            yield

    @asynccontextmanager
    async def _lock(self, name: str) -> AsyncIterator[None]:
        holder = secrets.token_bytes(16)
        while not await self._store.acquire_lease(Lease(name, holder, self._now() + _LOCK_TTL), now=self._now()):  # noqa: ASYNC110 - other processes hold it
            await asyncio.sleep(_LOCK_DELAY)
        try:
            yield
        finally:
            await self._store.acquire_lease(Lease(name, holder, self._now()), now=self._now())


def counts(found: Matched) -> str:
    """Return the numbers of certain and probable candidates, as in the header Duplicates."""
    numbers = Counter(one.grade for one in found.match.candidates)
    return f"certain={numbers['certain']}, probable={numbers['probable']}"
