"""Many people at once: rows of an input stored batch by batch, so that an interrupted import can be run again and adds nobody twice."""

from __future__ import annotations

import asyncio
import itertools
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from peopleinfo.crypto.ids import derive_key
from peopleinfo.errors import FieldError, IdempotencyKeyConflict, InvalidJson, InvalidPerson
from peopleinfo.people import strict_json
from peopleinfo.people.fields import READ_ONLY_FIELDS
from peopleinfo.people.person import PersonData, normalize, parse_person
from peopleinfo.people.store import Checkpoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
    from datetime import date

    from peopleinfo.people.service import PeopleService

BATCH_ROWS: Final = 50_000  # the more, the less often a page of the store is written: 20,000 took a fifth longer
BATCH_SIZE: Final = 8 * 1024 * 1024  # of the rows' own length; bounds the memory of an import whatever the rows are


class Row(NamedTuple):
    """One row of an input: its line number (from 1), its JSON value (of `strictjson.parse`) or why it has none, and what stood there."""

    line: int
    data: Any  # or the InvalidJson
    raw: bytes | list[str]

    @property
    def size(self) -> int:
        """Roughly how long the row is, in characters."""
        return len(self.raw) if isinstance(self.raw, bytes) else sum(map(len, self.raw))


class RowResult(NamedTuple):
    """What became of a row: stored (`person_id`), stored by an earlier run (neither), or refused (`errors`)."""

    row: Row
    person_id: str | None
    errors: tuple[FieldError, ...]


class Importer:
    """One run of an import.

    An `import_id` (32 bytes) that comes again goes on where it stopped; None is never continued. After an error it is a new `Import` that
    goes on. A `dry_run` checks every row and stores nobody. The members that the server gives (`SERVER_MEMBERS`) are left out, so that
    what was exported can be imported.
    """

    def __init__(self, people: PeopleService, import_id: bytes | None = None, *, dry_run: bool = False) -> None:
        self._people = people
        self._id = import_id
        self._dry_run = dry_run
        self._before: Checkpoint | None = None  # what earlier runs have done
        self._checked = Checkpoint(b"")  # what will be done when all that is checked is stored
        self._loaded = Checkpoint(b"")  # what is done
        self._rows = 0
        # Keyed: a bare digest of a short input can be found by trying.
        self._digest = blake2b(key=derive_key(people.store.secret, "imports"), digest_size=32)

    async def progress(self) -> Checkpoint:
        """Return how far this import has come, in all its runs."""
        await self._resume()
        return self._loaded

    async def import_rows(self, rows: Sequence[Row]) -> list[RowResult]:
        """Store the next rows durably and say what became of each. Rows that an earlier run has stored are only checked.

        Raises KeyReused when the input is not the one of the earlier run, ImportOverlap when the import runs somewhere else too.
        """
        return await self._load(self._check(rows, await self._resume()))

    async def import_batches(self, parts: Iterable[Sequence[Row]]) -> AsyncIterator[list[RowResult]]:
        """Store all the rows, checking a part of them while the store is busy with the part before; otherwise as `store`."""
        before = await self._resume()
        loading: asyncio.Task[list[RowResult]] | None = None
        try:
            for part in parts:
                checked = self._check(part, before)
                if loading is not None:
                    yield await loading
                loading = asyncio.create_task(self._load(checked))
                await asyncio.sleep(0)  # lets the store begin
        except Exception:
            if loading is not None and not loading.done():  # the input has broken off: what was read of it counts
                yield await loading
            raise
        if loading is not None:
            yield await loading

    async def finish(self) -> None:
        """Check, at the end of the input, that it was not shorter than that of an earlier run. Raises KeyReused."""
        if self._rows < (await self._resume()).rows:
            raise IdempotencyKeyConflict

    async def _resume(self) -> Checkpoint:
        """Return how far earlier runs of this import have come."""
        if self._before is None:
            self._before = await self._people.store.progress(self._id) if self._id else Checkpoint(b"")
            self._checked = self._loaded = self._before
        return self._before

    def _check(self, rows: Sequence[Row], before: Checkpoint) -> _CheckedBatch:
        today = self._people.today
        checked: list[tuple[Row, PersonData | None, tuple[FieldError, ...]]] = []
        for row in rows:
            self._count(row, before)
            details, errors = _details(row, today)
            checked.append((row, details if self._rows > before.rows else None, errors))
        if self._rows <= before.rows:
            return _CheckedBatch(checked, None)
        fresh = sum(1 for _, details, _ in checked if details is not None)
        after = Checkpoint(self._checked.import_id, self._rows, self._checked.stored + fresh, self._digest.digest())
        step, self._checked = (self._checked, after), after
        return _CheckedBatch(checked, step)

    async def _load(self, part: _CheckedBatch) -> list[RowResult]:
        ids: Iterator[str | None] = itertools.repeat(None)
        if part.step is not None:
            fresh = [details for _, details, _ in part.checked if details is not None]
            if not self._dry_run:
                ids = iter(await self._people.store.create_many(fresh, checkpoint=part.step if self._id else None))
            self._loaded = part.step[1]
        return [
            RowResult(row, next(ids) if details is not None else None, errors) for row, details, errors in part.checked
        ]

    def _count(self, row: Row, before: Checkpoint) -> None:
        self._rows += 1
        if self._id:
            self._digest.update(b"?" if isinstance(row.data, InvalidJson) else strict_json.encode(row.data))
            if self._rows == before.rows and self._digest.digest() != before.digest:
                raise IdempotencyKeyConflict


class _CheckedBatch(NamedTuple):
    """Checked rows with the details of those to be stored, and how the import's progress moves on when they are."""

    checked: list[tuple[Row, PersonData | None, tuple[FieldError, ...]]]
    step: tuple[Checkpoint, Checkpoint] | None


def batches(rows: Iterable[Row], most: int = BATCH_ROWS, size_limit: int = BATCH_SIZE) -> Iterator[list[Row]]:
    """Divide rows into batches of at most `most` rows and about `size_limit` characters; what is read before an error is a batch too."""
    batch: list[Row] = []
    size = 0
    try:
        for row in rows:
            batch.append(row)
            size += row.size
            if len(batch) >= most or size >= size_limit:
                yield batch
                batch, size = [], 0
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _details(row: Row, today: date) -> tuple[PersonData | None, tuple[FieldError, ...]]:
    if isinstance(row.data, InvalidJson):
        return None, (FieldError("", str(row.data)),)
    data, known_birthdate = row.data, None
    if isinstance(data, dict) and not data.keys().isdisjoint(READ_ONLY_FIELDS):
        # An exported person: its birthdate may have come in through POST /data, which takes any text.
        born = data.get("person_birthdate") if "person_id" in data else None
        known_birthdate = normalize(born) if isinstance(born, str) else None
        data = {name: value for name, value in data.items() if name not in READ_ONLY_FIELDS}
    try:
        return parse_person(data, today=today, current_birthdate=known_birthdate), ()
    except InvalidPerson as refused:
        return None, refused.errors
