"""A repeated import resumes an interrupted one and stores no row twice."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from peopleinfo.bulk.importer import Importer, ImportTarget, batches
from peopleinfo.bulk.rows import InvalidRow, Row
from peopleinfo.errors import (
    IdempotencyKeyConflict,
    ImportAlreadyRunning,
    InvalidInput,
    InvalidJson,
    StoreUnavailable,
)
from peopleinfo.people import strict_json
from peopleinfo.people.birthdate import earliest_date
from peopleinfo.people.store import Checkpoint, Page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from peopleinfo.people.person import PersonData

IMPORT_ID = b"i" * 32
TIME = "2026-01-02T03:04:05.678Z"
RECORD = f'"person_id":"{"0" * 32}","version":7,"created_at":"{TIME}","updated_at":"{TIME}"'


class InMemoryStore:
    """The part of a store that an import needs, in memory."""

    def __init__(self) -> None:
        self.people: list[PersonData] = []
        self.imports: dict[bytes, Checkpoint] = {}
        self.is_down = False

    async def create_many(
        self,
        people: Sequence[PersonData],
        *,
        checkpoint: tuple[Checkpoint, Checkpoint] | None = None,
        offsets: Sequence[int] = (),
        principal: str | None = None,
        import_id: bytes | None = None,
    ) -> list[str]:
        assert len(offsets) == len(people)
        if self.is_down:
            raise StoreUnavailable("down")
        if checkpoint is not None:
            if await self.read_checkpoint(checkpoint[0].operation_id) != checkpoint[0]:
                raise ImportAlreadyRunning
            self.imports[checkpoint[1].operation_id] = checkpoint[1]
        self.people += people
        return [str(number) for number in range(len(self.people) - len(people), len(self.people))]

    async def scan(self, *, after: bytes | None, limit: int) -> Page:
        return Page([], None)  # an import into an empty store compares nothing

    async def read_checkpoint(self, operation_id: bytes) -> Checkpoint:
        return self.imports.get(operation_id, Checkpoint(operation_id))


@pytest.fixture
def store() -> InMemoryStore:
    return InMemoryStore()


@pytest.fixture
def target(store: InMemoryStore) -> ImportTarget:
    return ImportTarget(store, bytes(32), now=lambda: datetime(2026, 3, 1, tzinfo=UTC))  # type: ignore[arg-type]


def row(line: int, text: str) -> Row:
    source = text.encode()
    try:
        return Row(line, strict_json.parse(source), source)
    except InvalidJson as error:
        return Row(line, InvalidRow(str(error)), source)


def rows_of(*surnames: str) -> list[Row]:
    return [row(line, f'{{"person_surname":"{surname}"}}') for line, surname in enumerate(surnames, start=1)]


def surnames(store: InMemoryStore) -> list[str | None]:
    return [details.person_surname for details in store.people]


@asynccontextmanager
async def run(target: ImportTarget, import_id: bytes | None = IMPORT_ID) -> AsyncIterator[Importer]:
    """Run an import and finish it after the block."""
    importer = Importer(target, import_id)
    yield importer
    await importer.finish()


async def test_every_row_has_a_result_in_order(target: ImportTarget, store: InMemoryStore) -> None:
    rows = [*rows_of("A", "B"), row(3, "{}"), row(4, "not json"), *rows_of("C")]
    async with run(target) as importer:
        outcomes = await importer.import_rows(rows)
    assert [outcome.row for outcome in outcomes] == rows
    assert [outcome.person_id for outcome in outcomes] == ["0", "1", None, None, "2"]
    assert [[error.pointer for error in outcome.errors] for outcome in outcomes] == [[], [], [""], [""], []]
    assert surnames(store) == ["A", "B", "C"]


async def test_row_that_is_not_json_has_an_error(target: ImportTarget) -> None:
    async with run(target) as importer:
        (outcome,) = await importer.import_rows([row(1, '{"a":1,"a":2}')])
    assert [error.reason for error in outcome.errors] == [
        "an object contains a name twice: remove one of the two fields"
    ]


async def test_progress_counts_processed_and_stored_rows(target: ImportTarget) -> None:
    async with run(target) as importer:
        await importer.import_rows([*rows_of("A"), row(2, "{}")])
        await importer.import_rows(rows_of("B"))
        progress = await importer.progress()
    assert (progress.rows, progress.stored) == (3, 2)


async def test_read_only_fields_of_an_export_are_ignored(target: ImportTarget, store: InMemoryStore) -> None:
    exported = f'{{{RECORD},"person_surname":"A"}}'
    async with run(target) as importer:
        (outcome,) = await importer.import_rows([row(1, exported)])
    assert outcome.errors == ()
    assert surnames(store) == ["A"]


async def test_invalid_birthdate_of_an_export_is_accepted(target: ImportTarget, store: InMemoryStore) -> None:
    exported = f'{{{RECORD},"person_surname":"A","person_birthdate":" spring of 1911 "}}'
    typed = '{"person_surname":"B","person_birthdate":"spring of 1911"}'
    async with run(target) as importer:
        accepted, rejected = await importer.import_rows([row(1, exported), row(2, typed)])
    assert (accepted.errors, [error.pointer for error in rejected.errors]) == ((), ["/person_birthdate"])
    assert [person.person_birthdate for person in store.people] == ["spring of 1911"]


async def test_repeated_import_stores_no_row_twice(target: ImportTarget, store: InMemoryStore) -> None:
    for _ in range(2):
        async with run(target) as importer:
            outcomes = await importer.import_rows(rows_of("A", "B"))
    assert [(outcome.person_id, outcome.errors) for outcome in outcomes] == [(None, ()), (None, ())]
    assert surnames(store) == ["A", "B"]


async def test_repeated_import_rejects_an_invalid_row_again(target: ImportTarget) -> None:
    for _ in range(2):
        async with run(target) as importer:
            outcomes = await importer.import_rows([*rows_of("A"), row(2, "{}")])
    assert [bool(outcome.errors) for outcome in outcomes] == [False, True]


@pytest.mark.parametrize("batch", [1, 2, 3, 5])
@pytest.mark.parametrize("stop", [1, 2, 4, 5])
async def test_interrupted_import_is_resumed(target: ImportTarget, store: InMemoryStore, stop: int, batch: int) -> None:
    rows = rows_of("A", "B", "C", "D", "E")
    await Importer(target, IMPORT_ID).import_rows(rows[:stop])
    async with run(target) as importer:
        for begin in range(0, len(rows), batch):
            await importer.import_rows(rows[begin : begin + batch])
        progress = await importer.progress()
    assert surnames(store) == ["A", "B", "C", "D", "E"]
    assert (progress.rows, progress.stored) == (5, 5)


async def test_import_is_resumed_after_an_outage_of_the_store(target: ImportTarget, store: InMemoryStore) -> None:
    first = Importer(target, IMPORT_ID)
    await first.import_rows(rows_of("A"))
    store.is_down = True
    with pytest.raises(StoreUnavailable):
        await first.import_rows(rows_of("B"))
    store.is_down = False
    async with run(target) as importer:
        await importer.import_rows(rows_of("A", "B"))
    assert surnames(store) == ["A", "B"]


@pytest.mark.parametrize("other", [["A", "X", "C"], ["X", "B", "C"], ["B", "A", "C"]])
async def test_different_input_with_the_same_id_is_rejected(
    target: ImportTarget, store: InMemoryStore, other: list[str]
) -> None:
    await Importer(target, IMPORT_ID).import_rows(rows_of("A", "B"))
    with pytest.raises(IdempotencyKeyConflict):
        await Importer(target, IMPORT_ID).import_rows(rows_of(*other))
    assert surnames(store) == ["A", "B"]


async def test_shorter_input_with_the_same_id_is_rejected_at_its_end(target: ImportTarget) -> None:
    await Importer(target, IMPORT_ID).import_rows(rows_of("A", "B"))
    shorter = Importer(target, IMPORT_ID)
    await shorter.import_rows(rows_of("A"))
    with pytest.raises(IdempotencyKeyConflict):
        await shorter.finish()


async def test_different_number_literal_is_a_different_input(target: ImportTarget) -> None:
    await Importer(target, IMPORT_ID).import_rows([row(1, '{"person_surname":"A","n":1}')])
    with pytest.raises(IdempotencyKeyConflict):
        await Importer(target, IMPORT_ID).import_rows([row(1, '{"person_surname":"A","n":1.0}')])


async def test_whitespace_between_fields_is_not_a_different_input(target: ImportTarget, store: InMemoryStore) -> None:
    await Importer(target, IMPORT_ID).import_rows([row(1, '{"person_surname":"A","n":1}')])
    await Importer(target, IMPORT_ID).import_rows([row(1, ' { "person_surname" : "A", "n": 1 }')])
    assert surnames(store) == ["A"]


async def test_only_one_of_two_concurrent_imports_stores_rows(target: ImportTarget, store: InMemoryStore) -> None:
    one, other = Importer(target, IMPORT_ID), Importer(target, IMPORT_ID)
    await one.progress()
    await other.progress()
    await one.import_rows(rows_of("A"))
    with pytest.raises(ImportAlreadyRunning):
        await other.import_rows(rows_of("A"))
    assert surnames(store) == ["A"]


async def test_import_without_an_id_is_not_resumed(target: ImportTarget, store: InMemoryStore) -> None:
    for _ in range(2):
        async with run(target, None) as importer:
            await importer.import_rows(rows_of("A"))
            await importer.import_rows(rows_of("B"))
    assert surnames(store) == ["A", "B", "A", "B"]
    assert store.imports == {}


async def test_rows_before_damage_have_results(target: ImportTarget) -> None:
    def damaged() -> Iterator[list[Row]]:
        yield rows_of("a", "b")
        raise InvalidInput("damaged")

    results = []

    async def run_import() -> None:
        async for batch in Importer(target).import_batches(damaged()):
            results.extend(batch)

    with pytest.raises(InvalidInput):
        await run_import()
    assert [result.status for result in results] == ["stored", "stored"]


def test_batches_contain_all_rows_in_order() -> None:
    rows = rows_of(*"ABCDEFG")
    divided = list(batches(rows, 3))
    assert [len(batch) for batch in divided] == [3, 3, 1]
    assert [row for batch in divided for row in batch] == rows


def test_batches_have_a_limited_size_in_bytes() -> None:
    light: list[Any] = [Row(1, {}, ["ab", "c"]), Row(2, {}, b"abcd"), Row(3, {}, b"abc")]
    heavy = Row(4, {}, b"x" * 100)
    assert list(batches([*light, heavy, light[0]], size_limit=10)) == [light, [heavy], [light[0]]]


def test_empty_input_has_no_batch() -> None:
    assert list(batches([])) == []


def test_current_date_is_that_of_the_earliest_time_zone() -> None:
    assert earliest_date(datetime(2026, 3, 1, 10, 0, tzinfo=UTC)) == date(2026, 3, 2)
    assert earliest_date(datetime(2026, 3, 1, 9, 59, tzinfo=UTC)) == date(2026, 3, 1)
