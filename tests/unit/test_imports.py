"""An interrupted import that is run again goes on where it stopped and adds nobody twice."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from peopleinfo.bulk.importer import Importer, Row, batches
from peopleinfo.errors import IdempotencyKeyConflict, ImportAlreadyRunning, InvalidJson, StoreUnavailable
from peopleinfo.people import strict_json
from peopleinfo.people.service import PeopleService
from peopleinfo.people.store import Checkpoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from peopleinfo.people.person import PersonData

IMPORT_ID = b"i" * 32


class Shelf:
    """As much of a store as an import needs: it keeps who was loaded and how far each import has come."""

    secret = bytes(32)

    def __init__(self) -> None:
        self.people: list[PersonData] = []
        self.imports: dict[bytes, Checkpoint] = {}
        self.is_away = False

    async def create_many(
        self, people: Sequence[PersonData], *, checkpoint: tuple[Checkpoint, Checkpoint] | None = None
    ) -> list[str]:
        if self.is_away:
            raise StoreUnavailable("away")
        if checkpoint is not None:
            if await self.progress(checkpoint[0].import_id) != checkpoint[0]:
                raise ImportAlreadyRunning
            self.imports[checkpoint[1].import_id] = checkpoint[1]
        self.people += people
        return [str(number) for number in range(len(self.people) - len(people), len(self.people))]

    async def progress(self, import_id: bytes) -> Checkpoint:
        return self.imports.get(import_id, Checkpoint(import_id))


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def people(shelf: Shelf) -> PeopleService:
    return PeopleService(shelf, now=lambda: datetime(2026, 3, 1, tzinfo=UTC))  # type: ignore[arg-type]


def row(line: int, text: str) -> Row:
    source = text.encode()
    try:
        return Row(line, strict_json.parse(source), source)
    except InvalidJson as error:
        return Row(line, error, source)


def named(*surnames: str) -> list[Row]:
    return [row(line, f'{{"person_surname":"{surname}"}}') for line, surname in enumerate(surnames, start=1)]


def surnames(shelf: Shelf) -> list[str | None]:
    return [details.person_surname for details in shelf.people]


@asynccontextmanager
async def run(people: PeopleService, import_id: bytes | None = IMPORT_ID) -> AsyncIterator[Importer]:
    """Run an import to the end of its input."""
    whole = Importer(people, import_id)
    yield whole
    await whole.finish()


async def test_every_row_is_answered_in_order(people: PeopleService, shelf: Shelf) -> None:
    rows = [*named("A", "B"), row(3, "{}"), row(4, "not json"), *named("C")]
    async with run(people) as whole:
        outcomes = await whole.import_rows(rows)
    assert [outcome.row for outcome in outcomes] == rows
    assert [outcome.person_id for outcome in outcomes] == ["0", "1", None, None, "2"]
    assert [[error.pointer for error in outcome.errors] for outcome in outcomes] == [[], [], [""], [""], []]
    assert surnames(shelf) == ["A", "B", "C"]


async def test_a_row_that_is_not_json_says_why(people: PeopleService) -> None:
    async with run(people) as whole:
        (outcome,) = await whole.import_rows([row(1, '{"a":1,"a":2}')])
    assert [error.reason for error in outcome.errors] == [
        "an object contains a name twice: remove one of the two fields"
    ]


async def test_progress_counts_rows_and_those_stored(people: PeopleService) -> None:
    async with run(people) as whole:
        await whole.import_rows([*named("A"), row(2, "{}")])
        await whole.import_rows(named("B"))
        progress = await whole.progress()
    assert (progress.rows, progress.stored) == (3, 2)


async def test_what_the_server_gave_is_left_out_of_what_was_exported(people: PeopleService, shelf: Shelf) -> None:
    exported = '{"person_id":"x","person_surname":"A","version":7,"created_at":"then","updated_at":"now"}'
    async with run(people) as whole:
        (outcome,) = await whole.import_rows([row(1, exported)])
    assert outcome.errors == ()
    assert surnames(shelf) == ["A"]


async def test_an_exported_birthdate_that_is_no_date_is_kept(people: PeopleService, shelf: Shelf) -> None:
    exported = '{"person_id":"x","person_surname":"A","person_birthdate":" spring of 1911 ","version":7}'
    typed = '{"person_surname":"B","person_birthdate":"spring of 1911"}'
    async with run(people) as whole:
        kept, refused = await whole.import_rows([row(1, exported), row(2, typed)])
    assert (kept.errors, [error.pointer for error in refused.errors]) == ((), ["/person_birthdate"])
    assert [person.person_birthdate for person in shelf.people] == ["spring of 1911"]


async def test_an_import_run_again_stores_nobody_again(people: PeopleService, shelf: Shelf) -> None:
    for _ in range(2):
        async with run(people) as whole:
            outcomes = await whole.import_rows(named("A", "B"))
    assert [(outcome.person_id, outcome.errors) for outcome in outcomes] == [(None, ()), (None, ())]
    assert surnames(shelf) == ["A", "B"]


async def test_a_row_refused_in_the_first_run_is_refused_again(people: PeopleService) -> None:
    for _ in range(2):
        async with run(people) as whole:
            outcomes = await whole.import_rows([*named("A"), row(2, "{}")])
    assert [bool(outcome.errors) for outcome in outcomes] == [False, True]


@pytest.mark.parametrize("batch", [1, 2, 3, 5])
@pytest.mark.parametrize("stop", [1, 2, 4, 5])
async def test_an_interrupted_import_goes_on_where_it_stopped(
    people: PeopleService, shelf: Shelf, stop: int, batch: int
) -> None:
    rows = named("A", "B", "C", "D", "E")
    await Importer(people, IMPORT_ID).import_rows(rows[:stop])
    async with run(people) as whole:
        for begin in range(0, len(rows), batch):
            await whole.import_rows(rows[begin : begin + batch])
        progress = await whole.progress()
    assert surnames(shelf) == ["A", "B", "C", "D", "E"]
    assert (progress.rows, progress.stored) == (5, 5)


async def test_an_import_goes_on_after_the_store_was_away(people: PeopleService, shelf: Shelf) -> None:
    first = Importer(people, IMPORT_ID)
    await first.import_rows(named("A"))
    shelf.is_away = True
    with pytest.raises(StoreUnavailable):
        await first.import_rows(named("B"))
    shelf.is_away = False
    async with run(people) as whole:
        await whole.import_rows(named("A", "B"))
    assert surnames(shelf) == ["A", "B"]


@pytest.mark.parametrize("other", [["A", "X", "C"], ["X", "B", "C"], ["B", "A", "C"]])
async def test_another_input_under_the_same_id_is_refused(
    people: PeopleService, shelf: Shelf, other: list[str]
) -> None:
    await Importer(people, IMPORT_ID).import_rows(named("A", "B"))
    with pytest.raises(IdempotencyKeyConflict):
        await Importer(people, IMPORT_ID).import_rows(named(*other))
    assert surnames(shelf) == ["A", "B"]


async def test_a_shorter_input_under_the_same_id_is_refused_at_its_end(people: PeopleService) -> None:
    await Importer(people, IMPORT_ID).import_rows(named("A", "B"))
    shorter = Importer(people, IMPORT_ID)
    await shorter.import_rows(named("A"))
    with pytest.raises(IdempotencyKeyConflict):
        await shorter.finish()


async def test_a_number_written_differently_is_another_input(people: PeopleService) -> None:
    await Importer(people, IMPORT_ID).import_rows([row(1, '{"person_surname":"A","n":1}')])
    with pytest.raises(IdempotencyKeyConflict):
        await Importer(people, IMPORT_ID).import_rows([row(1, '{"person_surname":"A","n":1.0}')])


async def test_blanks_between_the_members_do_not_make_another_input(people: PeopleService, shelf: Shelf) -> None:
    await Importer(people, IMPORT_ID).import_rows([row(1, '{"person_surname":"A","n":1}')])
    await Importer(people, IMPORT_ID).import_rows([row(1, ' { "person_surname" : "A", "n": 1 }')])
    assert surnames(shelf) == ["A"]


async def test_two_runs_at_once_do_not_both_store(people: PeopleService, shelf: Shelf) -> None:
    one, other = Importer(people, IMPORT_ID), Importer(people, IMPORT_ID)
    await one.progress()
    await other.progress()
    await one.import_rows(named("A"))
    with pytest.raises(ImportAlreadyRunning):
        await other.import_rows(named("A"))
    assert surnames(shelf) == ["A"]


async def test_an_import_without_an_id_is_never_continued(people: PeopleService, shelf: Shelf) -> None:
    for _ in range(2):
        async with run(people, None) as whole:
            await whole.import_rows(named("A"))
            await whole.import_rows(named("B"))
    assert surnames(shelf) == ["A", "B", "A", "B"]
    assert shelf.imports == {}


def test_batches_hold_all_rows_in_order() -> None:
    rows = named(*"ABCDEFG")
    divided = list(batches(rows, 3))
    assert [len(batch) for batch in divided] == [3, 3, 1]
    assert [row for batch in divided for row in batch] == rows


def test_batches_are_bounded_by_what_their_rows_weigh() -> None:
    light: list[Any] = [Row(1, {}, ["ab", "c"]), Row(2, {}, b"abcd"), Row(3, {}, b"abc")]
    heavy = Row(4, {}, b"x" * 100)
    assert list(batches([*light, heavy, light[0]], size_limit=10)) == [light, [heavy], [light[0]]]


def test_no_rows_make_no_batch() -> None:
    assert list(batches([])) == []


def test_today_is_the_latest_date_on_earth(shelf: Shelf) -> None:
    late = PeopleService(shelf, now=lambda: datetime(2026, 3, 1, 10, 0, tzinfo=UTC))  # type: ignore[arg-type]
    assert late.today == date(2026, 3, 2)
    early = PeopleService(shelf, now=lambda: datetime(2026, 3, 1, 9, 59, tzinfo=UTC))  # type: ignore[arg-type]
    assert early.today == date(2026, 3, 1)
