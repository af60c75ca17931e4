"""Many people at once: rows of an input stored batch by batch, so that an interrupted import can be run again and adds nobody twice."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from peopleinfo import strictjson
from peopleinfo.errors import FieldError, InvalidJson, InvalidPerson, KeyReused
from peopleinfo.person import SERVER_MEMBERS, Details, details_from_json
from peopleinfo.store import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date

    from peopleinfo.people import People

BATCH_ROWS: Final = 10_000
BATCH_SIZE: Final = 8 * 1024 * 1024  # of the rows' own length; bounds the memory of an import whatever the rows are


class Row(NamedTuple):
    """One row of an input: its line number (from 1), its JSON value (of `strictjson.parse`) or why it has none, and what stood there."""

    line: int
    data: Any  # or the InvalidJson
    source: bytes | list[str]

    @property
    def size(self) -> int:
        """Roughly how long the row is, in characters."""
        return len(self.source) if isinstance(self.source, bytes) else sum(map(len, self.source))


class Outcome(NamedTuple):
    """What became of a row: stored (`person_id`), stored by an earlier run (neither), or refused (`errors`)."""

    row: Row
    person_id: str | None
    errors: tuple[FieldError, ...]


class Import:
    """One import. An `import_id` (32 bytes) that comes again goes on where it stopped; None is never continued. A `dry_run` checks every row and stores nobody.

    The members that the server gives (`SERVER_MEMBERS`) are left out, so that what was exported can be imported.
    """

    def __init__(self, people: People, import_id: bytes | None = None, *, dry_run: bool = False) -> None:
        self._people = people
        self._dry_run = dry_run
        self._id = import_id
        self._done: Progress | None = None
        self._rows = 0
        self._digest = hashlib.sha256()

    async def progress(self) -> Progress:
        """Return how far this import has come, in all its runs."""
        if self._done is None:
            self._done = await self._people.store.progress(self._id) if self._id else Progress(b"")
        return self._done

    async def store(self, rows: Sequence[Row]) -> list[Outcome]:
        """Store the next rows durably and say what became of each. Rows that an earlier run has stored are only checked.

        Raises KeyReused when the input is not the one of the earlier run, ImportOverlap when the import runs somewhere else too.
        """
        done = await self.progress()
        today = self._people.today
        outcomes: list[Outcome] = []
        fresh: list[tuple[int, Details]] = []
        for row in rows:
            details, errors = _checked(row, today)
            self._count(row, done)
            if details is not None and self._rows > done.rows:
                fresh.append((len(outcomes), details))
            outcomes.append(Outcome(row, None, errors))
        if self._rows > done.rows:
            reached = Progress(done.import_id, self._rows, done.stored + len(fresh), self._digest.digest())
            step = (done, reached) if self._id else None
            if not self._dry_run:
                ids = await self._people.store.load([details for _, details in fresh], step=step)
                for (index, _), person_id in zip(fresh, ids, strict=True):
                    outcomes[index] = outcomes[index]._replace(person_id=person_id)
            self._done = reached
        return outcomes

    async def finish(self) -> None:
        """Check, at the end of the input, that it was not shorter than that of an earlier run. Raises KeyReused."""
        if self._rows < (await self.progress()).rows:
            raise KeyReused

    def _count(self, row: Row, done: Progress) -> None:
        self._rows += 1
        self._digest.update(b"?" if isinstance(row.data, InvalidJson) else strictjson.encode(row.data))
        if self._rows == done.rows and self._digest.digest() != done.digest:
            raise KeyReused


def batches(rows: Iterable[Row], most: int = BATCH_ROWS, size_limit: int = BATCH_SIZE) -> Iterator[list[Row]]:
    """Divide rows into batches of at most `most` rows and about `size_limit` characters."""
    batch: list[Row] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += row.size
        if len(batch) >= most or size >= size_limit:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _checked(row: Row, today: date) -> tuple[Details | None, tuple[FieldError, ...]]:
    if isinstance(row.data, InvalidJson):
        return None, (FieldError("", str(row.data)),)
    data = row.data
    if isinstance(data, dict) and not data.keys().isdisjoint(SERVER_MEMBERS):
        data = {name: value for name, value in data.items() if name not in SERVER_MEMBERS}
    try:
        return details_from_json(data, today=today), ()
    except InvalidPerson as refused:
        return None, refused.errors
