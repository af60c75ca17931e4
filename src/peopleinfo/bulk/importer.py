"""Import rows in batches with a checkpoint: an interrupted import resumes and stores no row twice."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.bulk.row_validation import validate
from peopleinfo.bulk.rows import Account, InvalidRow, Row, RowResult, SkippedRow, Status
from peopleinfo.crypto.ids import derive_key
from peopleinfo.errors import FieldError, IdempotencyKeyConflict
from peopleinfo.people import strict_json
from peopleinfo.people.birthdate import earliest_date
from peopleinfo.people.person import PersonData
from peopleinfo.people.store import Checkpoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
    from datetime import date, datetime

    from peopleinfo.people.store import BulkStore

BATCH_ROWS: Final = 45_000  # a larger batch writes fewer pages of the store: 20,000 took a fifth longer
BATCH_SIZE: Final = 8 * 1024 * 1024  # characters of the rows; bounds the memory of an import
_NO_VALUES: Final = (InvalidRow, SkippedRow)


class ImportTarget(NamedTuple):
    """The store of an import, its secret, and a function that returns the current time."""

    store: BulkStore
    secret: bytes
    now: Callable[[], datetime]


class Importer:
    """One run of an import.

    A run with the same `import_id` (32 bytes) resumes after the checkpoint; without an id the import cannot be resumed. After an error,
    use a new Importer. A `dry_run` reports the result that each row would have, and stores nothing. The read-only fields of an exported
    record are ignored.
    """

    def __init__(
        self,
        target: ImportTarget,
        import_id: bytes | None = None,
        *,
        dry_run: bool = False,
        principal: str | None = None,
    ) -> None:
        self._target = target
        self._principal = principal
        self._id = import_id
        self._dry_run = dry_run
        self._before: Checkpoint | None = None  # of earlier runs
        self._checked = Checkpoint(b"")  # after all checked batches are stored
        self._stored = Checkpoint(b"")  # after the last stored batch
        self._rows = 0
        self._statuses: Counter[str] = Counter()
        # Keyed: the plain digest of a short input could be found by brute force.
        self._digest = blake2b(key=derive_key(target.secret, "imports"), digest_size=32)

    @property
    def account(self) -> Account:
        """The number of rows that this run has read, in total and with each status."""
        return Account(self._statuses.total(), **self._statuses)

    async def progress(self) -> Checkpoint:
        """Return the checkpoint of this import, over all its runs."""
        await self._resume()
        return self._stored

    async def import_rows(self, rows: Sequence[Row]) -> list[RowResult]:
        """Store the next rows durably and return their results. Rows that an earlier run stored are only validated.

        Raises IdempotencyKeyConflict when the input differs from that of the earlier run, and ImportAlreadyRunning when another
        process runs the same import.
        """
        return await self._store(self._check(rows, await self._resume()))

    async def import_batches(self, batches: Iterable[Sequence[Row]]) -> AsyncIterator[list[RowResult]]:
        """Store all batches like `import_rows`; validate the next batch while the store writes the previous one."""
        before = await self._resume()
        loading: asyncio.Task[list[RowResult]] | None = None
        try:
            for batch in batches:
                checked = self._check(batch, before)
                if loading is not None:
                    yield await loading
                loading = asyncio.create_task(self._store(checked))
                await asyncio.sleep(0)  # let the task start
        except Exception:
            if loading is not None and not loading.done():  # the input is broken: keep the batch before
                yield await loading
            raise
        if loading is not None:
            yield await loading

    async def finish(self) -> None:
        """Check that the input was not shorter than that of an earlier run. Raises IdempotencyKeyConflict."""
        if self._rows < (await self._resume()).rows:
            raise IdempotencyKeyConflict

    async def _resume(self) -> Checkpoint:
        """Return the checkpoint of earlier runs."""
        if self._before is None:
            self._before = await self._target.store.read_checkpoint(self._id) if self._id else Checkpoint(b"")
            self._checked = self._stored = self._before
        return self._before

    def _check(self, rows: Sequence[Row], before: Checkpoint) -> _CheckedBatch:
        today = earliest_date(self._target.now())
        checked: list[_CheckedRow] = []
        for row in rows:
            self._count(row, before)
            checked.append(_check(row, today, is_stored=self._rows <= before.rows))
        if self._rows <= before.rows:
            return _CheckedBatch(checked, None)
        valid = sum(1 for _, person, _ in checked if isinstance(person, PersonData))
        after = Checkpoint(self._checked.operation_id, self._rows, self._checked.stored + valid, self._digest.digest())
        checkpoint, self._checked = (self._checked, after), after
        return _CheckedBatch(checked, checkpoint)

    async def _store(self, batch: _CheckedBatch) -> list[RowResult]:
        ids: Iterator[str | None] = itertools.repeat(None)
        if batch.checkpoint is not None:
            people = [person for _, person, _ in batch.checked if isinstance(person, PersonData)]
            if not self._dry_run:
                ids = iter(
                    await self._target.store.create_many(
                        people, checkpoint=batch.checkpoint if self._id else None, principal=self._principal
                    )
                )
            self._stored = batch.checkpoint[1]
        results = [
            RowResult(row, "stored", next(ids))
            if isinstance(person, PersonData)
            else RowResult(row, person, None, errors)
            for row, person, errors in batch.checked
        ]
        self._statuses.update(result.status for result in results)
        self._statuses["skipped"] += sum(
            result.row.data.rows - 1 for result in results if isinstance(result.row.data, SkippedRow)
        )
        return results

    def _count(self, row: Row, before: Checkpoint) -> None:
        self._rows += 1
        if self._id:
            is_value = not isinstance(row.data, _NO_VALUES)
            self._digest.update(strict_json.encode(row.data) if is_value else b"?")
            if self._rows == before.rows and self._digest.digest() != before.digest:
                raise IdempotencyKeyConflict


class _CheckedRow(NamedTuple):
    """A row with the person to store, or the status of a row that is not stored and its errors."""

    row: Row
    person: PersonData | Status
    errors: tuple[FieldError, ...]


class _CheckedBatch(NamedTuple):
    """Validated rows with the records to store, and the checkpoints before and after storing them."""

    checked: list[_CheckedRow]
    checkpoint: tuple[Checkpoint, Checkpoint] | None


def batches(rows: Iterable[Row], max_rows: int = BATCH_ROWS, size_limit: int = BATCH_SIZE) -> Iterator[list[Row]]:
    """Divide rows into batches of at most `max_rows` rows and about `size_limit` characters. Yield the last batch before an error."""
    batch: list[Row] = []
    size = 0
    try:
        for row in rows:
            batch.append(row)
            size += row.size
            if len(batch) >= max_rows or size >= size_limit:
                yield batch
                batch, size = [], 0
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _check(row: Row, today: date, *, is_stored: bool) -> _CheckedRow:
    if isinstance(row.data, SkippedRow):
        return _CheckedRow(row, "skipped", (FieldError("", row.data.reason),))
    person, errors = validate(row, today)
    if person is None:
        return _CheckedRow(row, "rejected", errors)
    return _CheckedRow(row, "unchanged" if is_stored else person, ())
