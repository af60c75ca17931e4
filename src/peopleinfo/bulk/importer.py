"""Import rows in batches with a checkpoint: an interrupted import resumes and stores no row twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from peopleinfo.bulk.existing_records import ExistingRecords
from peopleinfo.bulk.identifier_keys import identifier_keys
from peopleinfo.bulk.import_log_entry import UNKNOWN_FILE, ImportEntryWriter, ImportFile
from peopleinfo.bulk.keyed_updates import Updates, keyed_row
from peopleinfo.bulk.row_decisions import Decision
from peopleinfo.bulk.row_duplicates import queue, row_duplicates, with_ids
from peopleinfo.bulk.row_validation import validate
from peopleinfo.bulk.rows import Account, InvalidRow, Row, RowResult, SkippedRow
from peopleinfo.bulk.unique_rows import UniqueRows
from peopleinfo.bulk.upsert_options import DEFAULT_UPSERT, UpsertOptions
from peopleinfo.crypto.person_ids import derive_key
from peopleinfo.errors import FieldError, IdempotencyKeyConflict
from peopleinfo.people import strict_json
from peopleinfo.people.birthdate import earliest_date
from peopleinfo.people.field_access import hidden_unique
from peopleinfo.people.history import Operation, Origin
from peopleinfo.people.person import PersonData, timestamp
from peopleinfo.people.store import Checkpoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
    from datetime import date, datetime

    from peopleinfo.bulk.keyed_updates import ImportStore
    from peopleinfo.matching.match_service import MatchService
    from peopleinfo.matching.review_queue import Review
    from peopleinfo.matching.scoring import Grade
    from peopleinfo.people.import_log import ImportLog
    from peopleinfo.people.search_index import SearchIndex

BATCH_ROWS: Final = 10_000  # a larger batch writes fewer pages of the store, and needs 6 KB more memory a row
BATCH_SIZE: Final = 8 * 1024 * 1024  # characters of the rows; bounds the memory of an import
_NO_VALUES: Final = (InvalidRow, SkippedRow)


class ImportTarget(NamedTuple):
    """The store of an import, its secret, and a function that returns the current time."""

    store: ImportStore
    secret: bytes
    now: Callable[[], datetime]
    log: ImportLog | None = None
    """The log of imports; None records no import."""
    matches: MatchService | None = None
    """Finds duplicates; None finds none."""
    refused: Grade = "certain"
    """The lowest grade of a duplicate for which an import skips or refuses a row."""
    people_index: SearchIndex | None = None
    """Finds people by an identifier; None if rows can update people by their ids only."""
    review: Review | None = None
    """The review queue; None adds no pairs."""


class Importer:
    """One run of an import.

    A run with the same `import_id` (32 bytes) resumes after the checkpoint; without an id the import cannot be resumed. After an error,
    use a new Importer. A `dry_run` reports the result that each row would have, and stores nothing. Without a key in the `options`, the
    read-only fields of an exported record are ignored.
    """

    def __init__(
        self,
        target: ImportTarget,
        import_id: bytes | None = None,
        *,
        options: UpsertOptions = DEFAULT_UPSERT,
        dry_run: bool = False,
        principal: str | None = None,
        file: ImportFile = UNKNOWN_FILE,
        hidden: frozenset[str] = frozenset(),
    ) -> None:
        """`principal` is the name of the principal that changes the records, for their history and the log of imports.

        Fields that are `hidden` from it are no evidence of duplicates. Raises DuplicatesDisabled, FieldAccessDenied, and InvalidSearch for an
        unknown key.
        """
        self._target = target
        self._options = options
        self._principal = principal
        self._file = file
        self._entry: ImportEntryWriter | None = None  # set by the first change
        self._updates = Updates(target.store, options.mode)
        self._existing: ExistingRecords | None = None
        self._unique: UniqueRows | None = None
        self._duplicates = row_duplicates(target.matches, options.duplicates, target.refused, hidden)
        self._keys = identifier_keys(target.people_index, options)
        self._hidden = hidden
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
                    previous, loading = loading, None
                    yield await previous
                loading = asyncio.create_task(self._store(checked))
                await asyncio.sleep(0)  # let the task start
        except Exception:
            if loading is not None:  # the input is broken: keep the batch before
                yield await loading
            raise
        if loading is not None:
            yield await loading

    async def finish(self, *, forget: bool = False, digest: str | None = None) -> None:
        """Check that the input was not shorter than that of an earlier run. Raises IdempotencyKeyConflict.

        With `forget`, the same input can be imported again: the store forgets the checkpoint. `digest` is that of the whole file.
        """
        if self._rows < (await self._resume()).rows:
            raise IdempotencyKeyConflict
        if self._entry:
            await self._entry.finish(self._file._replace(digest=digest) if digest else self._file)
        if forget and self._id and not self._dry_run:
            await self._target.store.delete_checkpoint(self._stored)

    async def _resume(self) -> Checkpoint:
        """Return the checkpoint of earlier runs."""
        if self._before is None:
            self._before = await self._target.store.read_checkpoint(self._id) if self._id else Checkpoint(b"")
            started_at = self._before.started_at or timestamp(self._target.now())
            self._stored = self._before
            self._checked = msgspec.structs.replace(self._before, started_at=started_at)
            created_before = self._before.started_at or None
            if not self._options.stores_equal_rows:
                self._existing = ExistingRecords(self._target.store, created_before=created_before)
            if (index := self._target.people_index) and index.plan.unique:
                self._unique = UniqueRows(index, created_before=created_before)
        return self._before

    def _check(self, rows: Sequence[Row], before: Checkpoint) -> _CheckedBatch:
        today = earliest_date(self._target.now())
        decisions: list[Decision] = []
        for row in rows:
            self._count(row, before)
            decisions.append(self._decide(row, today, is_stored=self._rows <= before.rows))
        return _CheckedBatch(decisions, self._rows, self._digest.digest(), today)

    def _decide(self, row: Row, today: date, *, is_stored: bool) -> Decision:
        if isinstance(row.data, SkippedRow):
            return Decision(row, "skipped", (row.data.error,))
        if self._options.key and (keyed := self._keys.keyed_row(row) if self._keys else keyed_row(row)):
            return Decision(row, keyed, is_stored=is_stored)
        person, errors = validate(row, today)
        if person and self._hidden and (errors := self._hidden_identifiers(person)):
            person = None
        return Decision(row, person or "rejected", errors, is_stored=is_stored)

    def _hidden_identifiers(self, person: PersonData) -> tuple[FieldError, ...]:
        """Return an error for each hidden field that must be unique: a conflict would reveal the value of another person."""
        index = self._target.people_index
        names = hidden_unique(person.extra, self._hidden, index.plan.unique) if index else []
        return tuple(FieldError(f"/{name}", "is hidden from this API key and unique: leave it out") for name in names)

    async def _store(self, batch: _CheckedBatch) -> list[RowResult]:
        import_id = await self._start(batch.decisions)
        origin = None if self._dry_run else Origin(Operation.UPDATED, self._principal, import_id)
        decisions = batch.decisions
        if self._keys:
            decisions = await self._keys.resolve(decisions, batch.today)
        decisions = await self._updates.apply(decisions, batch.today, origin)
        if self._existing:
            decisions = await self._existing.mark(decisions)
        if self._unique:
            decisions = await self._unique.mark(decisions)
        if self._duplicates:
            decisions = await self._duplicates.mark(decisions)
        ids = iter(await self._create(decisions, batch, import_id))
        results = [
            RowResult(one.row, "stored", next(ids), one.errors, one.duplicate) if one.creates else _result(one)
            for one in decisions
        ]
        if self._duplicates:
            results = with_ids(results)
        if self._options.duplicates == "queue" and self._target.review:
            await queue(self._target.review, results)
        self._statuses.update(result.status for result in results)
        self._statuses["skipped"] += sum(
            result.row.data.rows - 1 for result in results if isinstance(result.row.data, SkippedRow)
        )
        return results

    async def _start(self, decisions: list[Decision]) -> bytes | None:
        """Return the id of the import, None without a log. The first rows that may change people start the import."""
        log = None if self._dry_run else self._target.log
        if log and not self._entry and any(one.may_change for one in decisions):
            if self._id and self._stored == Checkpoint(self._id):
                # The time of the start identifies the import, also after an interruption of its first step.
                first = Checkpoint(self._id, started_at=self._checked.started_at)
                await self._target.store.create_many([], checkpoint=(self._stored, first))
                self._stored = first
            entry = ImportEntryWriter(log, self._target.secret, self._id, self._checked.started_at)
            await entry.start(self._file, self._principal)
            self._entry = entry
        return self._entry.import_id if self._entry else None

    async def _create(
        self, decisions: list[Decision], batch: _CheckedBatch, import_id: bytes | None
    ) -> list[str | None]:
        """Store the new people of a batch and its checkpoint; return their ids, None in a dry run."""
        new = [(index, one.action) for index, one in enumerate(decisions) if one.creates]
        people = [person for _, person in new if isinstance(person, PersonData)]
        if batch.rows <= self._stored.rows:  # stored by an earlier run
            return []
        before = self._checked
        after = msgspec.structs.replace(
            before, rows=batch.rows, stored=before.stored + len(people), digest=batch.digest
        )
        ids: list[str | None] = [None] * len(people)
        if not self._dry_run:
            first = (
                batch.rows - len(decisions) - before.rows
            )  # of the step; negative if an earlier run stored some rows
            ids[:] = await self._target.store.create_many(
                people,
                checkpoint=(self._stored, after) if self._id else None,
                offsets=[first + index for index, _ in new],
                principal=self._principal,
                import_id=import_id,
            )
        self._stored = self._checked = after
        return ids

    def _count(self, row: Row, before: Checkpoint) -> None:
        self._rows += 1
        if self._id:
            is_value = not isinstance(row.data, _NO_VALUES)
            self._digest.update(strict_json.encode(row.data) if is_value else b"?")
            if self._rows == before.rows and self._digest.digest() != before.digest:
                raise IdempotencyKeyConflict


class _CheckedBatch(NamedTuple):
    """Validated rows, and the number and the digest of all rows up to the last of them."""

    decisions: list[Decision]
    rows: int
    digest: bytes
    today: date


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


def _result(decision: Decision) -> RowResult:
    """Return the result of a row that creates no person."""
    status = decision.action if isinstance(decision.action, str) else "unchanged"  # else stored by an earlier run
    return RowResult(decision.row, status, decision.person_id, decision.errors, decision.duplicate)
