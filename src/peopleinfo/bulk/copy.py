"""Copy all records between stores while the source is in use: one pass over all, then repairs of records that changed since."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

import msgspec

from peopleinfo.bulk.checksum import BUCKETS, BucketChecksums, SetChecksum, bucket
from peopleinfo.bulk.supplement import iter_supplement, store_entries
from peopleinfo.crypto.person_ids import derive_key
from peopleinfo.errors import ImportAlreadyRunning, PersonNotFound, StoreDamaged, StoreUnavailable, TargetNotEmpty
from peopleinfo.people.person import decode_header, timestamp, utc_now
from peopleinfo.people.store import BulkStore, Checkpoint, PersonReader, PersonStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from peopleinfo.bulk.archived_store import ArchivedStore
    from peopleinfo.people.store import Page
    from peopleinfo.people.trash import TrashStore
    from peopleinfo.people.version_archive import PersonHistory, VersionArchive

T = TypeVar("T")

PAGE_SIZE: Final = 2_000  # records read and stored at a time; at most 128 MB
RETRY_TIMEOUT: Final = 60.0  # seconds; a new table is throttled while it scales up
_FIRST_DELAY: Final = 0.1  # seconds; doubles at each retry
_MAX_DELAY: Final = 5.0
_TRASH_PAGE: Final = 100  # people
_HISTORIES: Final = 500  # people of one read of versions
MAX_IDS_IN_MEMORY: Final = 200_000  # of records compared by one repair


class StoreComparison(NamedTuple):
    """The checksums of two stores, and the buckets that differ."""

    source: SetChecksum
    target: SetChecksum
    differing: list[int]

    @property
    def is_equal(self) -> bool:
        """Whether both stores hold the same records at the same versions."""
        return self.source == self.target


class RepairResult(NamedTuple):
    """Numbers of records copied to the target, deleted from it, and extra in it: not in the source, but not deleted."""

    copied: int
    deleted: int
    extra: int


class CopyTarget(PersonStore, BulkStore, Protocol):
    """The target of a copy: it stores, compares and repairs records."""


class StoreCopy:
    """A copy of all records from `source` to `target`. The target holds a checkpoint, from which another run resumes."""

    def __init__(
        self,
        source: PersonReader,
        target: CopyTarget,
        stores: tuple[ArchivedStore, ArchivedStore],
    ) -> None:
        """`stores` have the supplements of source and target. The secret of the source identifies the copy."""
        self._source = source
        self._target = target
        self._stores = stores
        self._archive, self._target_archive = (store.archive for store in stores)
        self._id = hashlib.sha256(derive_key(stores[0].secret, "copies")).digest()

    async def copied_so_far(self) -> int:
        """Return the number of records that earlier runs copied. Raises TargetNotEmpty if there was no earlier run and the target is not empty."""
        checkpoint = await self._target.read_checkpoint(self._id)
        if checkpoint == Checkpoint(self._id) and await is_not_empty(self._target):
            raise TargetNotEmpty("copy to an empty store")
        return checkpoint.rows

    async def run(self) -> AsyncIterator[int]:
        """Copy the remaining records and yield the number of records of each page.

        Raises ImportAlreadyRunning when another process runs the same copy.
        """
        before = await self._target.read_checkpoint(self._id)
        while not before.finished:
            page = await scan(self._source, before.position or None, PAGE_SIZE)
            read = before.rows + len(page.people)
            after = Checkpoint(self._id, rows=read, stored=read, position=page.next or b"", finished=page.next is None)
            await self._upsert(page.people, (before, after))
            yield len(page.people)
            before = after

    async def copy_supplement(self, *, delete: bool) -> None:
        """Copy the supplement. With `delete`, also erase people in the trash of the target that the source does not have."""
        source, target = self._stores
        async for batch in iter_supplement(source):
            await retry_while_unavailable(partial(self._target.upsert_many, list(batch.people.values())))
            await retry_while_unavailable(partial(self._target_archive.store_histories, batch.histories))
            await retry_while_unavailable(partial(store_entries, target, batch.entries))
        if delete:
            await self._erase_extra_trash(source.trash, target.trash)

    async def _erase_extra_trash(self, source: TrashStore, target: TrashStore) -> None:
        after: bytes | None = None
        while True:
            page = await target.page(after=after, limit=_TRASH_PAGE)
            for person in page.people:
                with suppress(PersonNotFound):
                    await source.get(person.person_id)
                    continue
                if await self._is_deleted(person.person_id):
                    await target.erase(person.person_id)
            if (after := page.next) is None:
                return

    async def _upsert(self, people: Sequence[bytes], checkpoint: tuple[Checkpoint, Checkpoint]) -> None:
        histories = [one async for batch in iter_histories(self._archive, people) for one in batch]
        await upsert_with_histories(self._target, self._target_archive, people, histories, checkpoint)

    async def compare(self, on_progress: Callable[[int], None]) -> StoreComparison:
        """Compare all records of both stores; call `on_progress` with the number of records of each page."""
        checksums = []
        for store in (self._source, self._target):
            buckets = BucketChecksums()
            async for people in iter_pages(store):
                buckets.add(people)
                on_progress(len(people))
            checksums.append(buckets)
        source, target = checksums
        return StoreComparison(source.whole, target.whole, source.differing(target))

    async def repair(
        self, comparison: StoreComparison, on_progress: Callable[[int], None], *, delete: bool
    ) -> RepairResult:
        """Copy the records of differing buckets. With `delete`, also delete records that the source does not have."""
        per_bucket = 1 + max(comparison.source.people, comparison.target.people) // BUCKETS
        buckets = frozenset(comparison.differing[: max(1, MAX_IDS_IN_MEMORY // per_bucket)])
        copied = 0
        ids: set[str] = set()
        async for people in iter_pages(self._source):
            selected = [(key, body) for body in people if bucket(key := decode_header(body).person_id) in buckets]
            ids.update(key for key, _ in selected)
            copied += await retry_while_unavailable(partial(self._target.upsert_many, [body for _, body in selected]))
            async for histories in iter_histories(self._archive, [body for _, body in selected]):
                await retry_while_unavailable(partial(self._target_archive.store_histories, histories))
            on_progress(len(people))
        deleted = extra = 0
        async for people in iter_pages(self._target):
            for person_id in (decode_header(body).person_id for body in people):
                if bucket(person_id) in buckets and person_id not in ids and await self._is_deleted(person_id):
                    if delete:
                        await self._delete(person_id)
                    deleted, extra = deleted + delete, extra + (not delete)
            on_progress(len(people))
        return RepairResult(copied, deleted, extra)

    async def _is_deleted(self, person_id: str) -> bool:
        """Return whether the source lacks a person now; the record may have been created after the scan."""
        try:
            await self._source.get(person_id)
        except PersonNotFound:
            return True
        return False

    async def _delete(self, person_id: str) -> None:
        with suppress(PersonNotFound):
            await self._target.delete(person_id)


async def retry_while_unavailable(operation: Callable[[], Awaitable[T]]) -> T:
    """Retry an idempotent operation while the store is unavailable. Raises StoreUnavailable after `RETRY_TIMEOUT`."""
    deadline = monotonic() + RETRY_TIMEOUT
    delay = _FIRST_DELAY
    while True:
        try:
            return await operation()
        except StoreUnavailable:
            if monotonic() + delay > deadline:
                raise
        await asyncio.sleep(delay)
        delay = min(2 * delay, _MAX_DELAY)


async def scan(store: PersonReader, after: bytes | None, limit: int) -> Page:
    """Return a page of records, with retries. Raises StoreDamaged for a record that is not JSON."""
    page = await retry_while_unavailable(partial(store.scan, after=after, limit=limit))
    try:
        for body in page.people:
            decode_header(body)
            body.decode()
    except ValueError:
        raise StoreDamaged("a record is not valid JSON") from None
    return page


async def upsert_with_checkpoint(
    store: BulkStore, people: Sequence[bytes], before: Checkpoint, after: Checkpoint
) -> None:
    """Upsert records and advance the checkpoint from `before` to `after`, with retries. Raises ImportAlreadyRunning."""
    retried = False

    async def upsert() -> None:
        nonlocal retried
        # An attempt of unknown outcome may have succeeded: the checkpoint shows it.
        if not (retried and await store.read_checkpoint(after.operation_id) == after):
            retried = True
            await store.upsert_many(people, checkpoint=(before, after))

    await retry_while_unavailable(upsert)


async def upsert_with_histories(
    store: BulkStore,
    archive: VersionArchive,
    people: Sequence[bytes],
    histories: Sequence[PersonHistory],
    checkpoint: tuple[Checkpoint, Checkpoint],
) -> None:
    """Upsert records with their histories, then advance the checkpoint, with retries. Raises ImportAlreadyRunning."""
    if not histories:
        await upsert_with_checkpoint(store, people, *checkpoint)
        return
    before, after = checkpoint
    if await retry_while_unavailable(partial(store.read_checkpoint, before.operation_id)) != before:
        raise ImportAlreadyRunning
    if before == Checkpoint(before.operation_id):
        # The records are stored before their checkpoint: an interrupted run must recognize them as its own.
        started = msgspec.structs.replace(before, started_at=timestamp(utc_now()))
        await upsert_with_checkpoint(store, [], before, started)
        before = started
    await retry_while_unavailable(partial(store.upsert_many, people))
    await retry_while_unavailable(partial(archive.store_histories, histories))
    await upsert_with_checkpoint(store, [], before, after)


async def iter_histories(archive: VersionArchive, people: Sequence[bytes]) -> AsyncIterator[list[PersonHistory]]:
    """Yield the histories of records, given as JSON, some at a time."""
    ids = [decode_header(body).person_id for body in people]
    for start in range(0, len(ids), _HISTORIES):
        yield await retry_while_unavailable(partial(archive.read_histories, ids[start : start + _HISTORIES]))


async def iter_pages(store: PersonReader) -> AsyncIterator[list[bytes]]:
    """Yield the JSON of all records of a store, a page at a time."""
    after: bytes | None = None
    while True:
        page = await scan(store, after, PAGE_SIZE)
        if page.people:
            yield page.people
        if (after := page.next) is None:
            return


async def is_not_empty(store: PersonReader) -> bool:
    """Return whether a store contains a record."""
    async for _ in iter_pages(store):
        return True
    return False
