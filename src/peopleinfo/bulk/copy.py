"""Everybody from one store into another while the first one is used: a pass over all, and rounds that find and mend what has changed since."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from peopleinfo.bulk.checksum import BUCKETS, BucketChecksums, SetChecksum, bucket
from peopleinfo.crypto.ids import derive_key
from peopleinfo.errors import PeopleInfoError, PersonNotFound, StoreDamaged, StoreUnavailable
from peopleinfo.people.person import decode_header
from peopleinfo.people.store import Checkpoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from peopleinfo.people.store import Page, Store

T = TypeVar("T")

PAGE_SIZE: Final = 2_000  # people held at a time, and stored in one go; even the largest ones are 128 MB
# Seconds that a store may be away: nobody waits at a screen, and a new table is throttled while it grows.
RETRY_SECONDS: Final = 60.0
_FIRST_DELAY: Final = 0.1  # seconds before it is asked again; doubles each time
_LONGEST_DELAY: Final = 5.0
MAX_IDS_IN_MEMORY: Final = 200_000  # ids held at a time while two stores are mended


class TargetNotEmpty(PeopleInfoError):
    """People are there whom nobody has put there in the same way before."""

    def __init__(self, how_to: str) -> None:
        super().__init__(f"there are people in the target already: {how_to}")


class Comparison(NamedTuple):
    """What two stores hold, and the buckets in which they differ."""

    source: SetChecksum
    target: SetChecksum
    differing: list[int]

    @property
    def is_equal(self) -> bool:
        """Whether both hold the same people at the same versions."""
        return self.source == self.target


class RepairResult(NamedTuple):
    """How many were taken over, erased because the source no longer has them, and left although the source does not have them."""

    taken: int
    erased: int
    left: int


class StoreCopy:
    """A copy of everybody in `source` to `target`. How far it has come is kept in the target, so whoever runs it again goes on there."""

    def __init__(self, source: Store, target: Store) -> None:
        self._source = source
        self._target = target
        self._id = hashlib.sha256(derive_key(source.secret, "copies")).digest()

    async def copied_so_far(self) -> int:
        """Return how many people earlier runs have read. Raises TargetNotEmpty when there were none and yet people are there."""
        progress = await self._target.progress(self._id)
        if progress == Checkpoint(self._id) and await is_not_empty(self._target):
            raise TargetNotEmpty("a copy goes into a store of its own")
        return progress.rows

    async def run(self) -> AsyncIterator[int]:
        """Take over everybody, from where the last run stopped, and yield how many people were read, page by page.

        Raises ImportOverlap when the same copy runs somewhere else.
        """
        before = await self._target.progress(self._id)
        if before.rows and not before.digest:
            return  # an earlier run has come to the end
        while True:
            page = await scan(self._source, before.digest or None, PAGE_SIZE)
            read = before.rows + len(page.people)
            after = Checkpoint(self._id, rows=read, stored=read, digest=page.next or b"")
            await upsert_with_checkpoint(self._target, page.people, before, after)
            yield len(page.people)
            if page.next is None:
                return
            before = after

    async def compare(self, on_progress: Callable[[int], None]) -> Comparison:
        """Look at everybody in both stores; `seen` is told how many, as it goes."""
        sums = []
        for store in (self._source, self._target):
            buckets = BucketChecksums()
            async for people in iter_pages(store):
                buckets.add(people)
                on_progress(len(people))
            sums.append(buckets)
        source, target = sums
        return Comparison(source.whole, target.whole, source.differing(target))

    async def repair(self, comparison: Comparison, on_progress: Callable[[int], None], *, erase: bool) -> RepairResult:
        """Make the target like the source where they differ. Whom the source no longer has is erased only with `erase`."""
        per_bucket = 1 + max(comparison.source.people, comparison.target.people) // BUCKETS
        wanted = frozenset(comparison.differing[: max(1, MAX_IDS_IN_MEMORY // per_bucket)])
        taken = 0
        ids: set[str] = set()
        async for people in iter_pages(self._source):
            known = [(one, body) for body in people if bucket(one := decode_header(body).person_id) in wanted]
            ids.update(one for one, _ in known)
            taken += await retry_while_unavailable(partial(self._target.upsert_many, [body for _, body in known]))
            on_progress(len(people))
        erased = left = 0
        async for people in iter_pages(self._target):
            for person_id in (decode_header(body).person_id for body in people):
                if bucket(person_id) in wanted and person_id not in ids and await self._is_gone(person_id):
                    if erase:
                        await self._erase(person_id)
                    erased, left = erased + erase, left + (not erase)
            on_progress(len(people))
        return RepairResult(taken, erased, left)

    async def _is_gone(self, person_id: str) -> bool:
        """Say whether the source does not have a person now, who may have come after it was looked at."""
        try:
            await self._source.get(person_id)
        except PersonNotFound:
            return True
        return False

    async def _erase(self, person_id: str) -> None:
        with suppress(PersonNotFound):
            await self._target.delete(person_id)


async def retry_while_unavailable(act: Callable[[], Awaitable[T]]) -> T:
    """Do what may be done twice, again and again while the store is away. Raises StoreUnavailable after `PATIENCE`."""
    ends = monotonic() + RETRY_SECONDS
    delay = _FIRST_DELAY
    while True:
        try:
            return await act()
        except StoreDamaged:
            raise
        except StoreUnavailable:
            if monotonic() + delay > ends:
                raise
        await asyncio.sleep(delay)
        delay = min(2 * delay, _LONGEST_DELAY)


async def scan(store: Store, after: bytes | None, limit: int) -> Page:
    """Return a page of everybody, patiently. Raises StoreDamaged when a record is not JSON, which would spoil a copy or a backup."""
    page = await retry_while_unavailable(partial(store.scan, after=after, limit=limit))
    try:
        for body in page.people:
            decode_header(body)
            body.decode()
    except ValueError:
        raise StoreDamaged("a record is not JSON any more") from None
    return page


async def upsert_with_checkpoint(store: Store, people: Sequence[bytes], before: Checkpoint, after: Checkpoint) -> None:
    """Take people over and progress from `before` to `after`, patiently. Raises ImportOverlap."""
    again = False

    async def act() -> None:
        nonlocal again
        # What did not answer may have been done: then the progress is there.
        if not (again and await store.progress(after.import_id) == after):
            again = True
            await store.upsert_many(people, checkpoint=(before, after))

    await retry_while_unavailable(act)


async def iter_pages(store: Store) -> AsyncIterator[list[bytes]]:
    """Yield the JSON of everybody in a store, some at a time."""
    after: bytes | None = None
    while True:
        page = await scan(store, after, PAGE_SIZE)
        if page.people:
            yield page.people
        if (after := page.next) is None:
            return


async def is_not_empty(store: Store) -> bool:
    """Say whether somebody is in a store."""
    async for _ in iter_pages(store):
        return True
    return False
