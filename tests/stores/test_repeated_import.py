"""A repeated import changes only what differs: updates by key, and rows that equal existing records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from peopleinfo.bulk.importer import Importer, ImportTarget
from peopleinfo.bulk.rows import Row, RowResult
from peopleinfo.bulk.upsert_options import DEFAULT_UPSERT, UpsertOptions
from peopleinfo.people import strict_json
from peopleinfo.people.person import decode_fields
from tests.store_kinds import ALL_STORES, person_data, scan_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peopleinfo.people.person import StoredPerson
    from peopleinfo.people.store import Store
    from peopleinfo.stores.service_store import OpenedStore
    from tests.store_kinds import Clock

STORE_KINDS = ALL_STORES
MERGE = UpsertOptions(key="person_id")
REPLACE = UpsertOptions(key="person_id", mode="replace")
TWO: list[dict[str, Any]] = [
    {"person_surname": "Ahn", "person_name": "Bo"},
    {"person_surname": "Berg", "person_name": "Cy", "n": 7},
]


def object_rows(values: Sequence[dict[str, Any]]) -> list[Row]:
    """Return rows of NDJSON."""
    lines = [msgspec.json.encode(value) for value in values]
    return [Row(number, strict_json.parse(line), line) for number, line in enumerate(lines, start=1)]


def table_rows(values: Sequence[dict[str, Any]]) -> list[Row]:
    """Return rows of a table: each value is text, and empty cells are omitted."""
    texts = [
        {name: value if isinstance(value, str) else msgspec.json.encode(value).decode() for name, value in one.items()}
        for one in values
    ]
    return [Row(number, text, list(text.values())) for number, text in enumerate(texts, start=2)]


async def run(
    store: OpenedStore,
    clock: Clock,
    *batches: list[Row],
    options: UpsertOptions = DEFAULT_UPSERT,
    import_id: bytes | None = None,
    dry_run: bool = False,
) -> list[RowResult]:
    """Import batches of rows and return their results."""
    clock.advance(seconds=1)
    importer = Importer(
        ImportTarget(store, store.secret, clock.now), import_id, options=options, dry_run=dry_run, principal="clerk"
    )
    results = [result for batch in batches for result in await importer.import_rows(batch)]
    await importer.finish(forget=True)
    return results


def statuses(results: Sequence[RowResult]) -> list[str]:
    return [result.status for result in results]


def exported(record: StoredPerson, **changes: Any) -> dict[str, Any]:
    """Return the row that an export has for a record, with edited values."""
    fields: dict[str, Any] = msgspec.json.decode(record.body)
    return fields | changes


async def fields_of(store: Store, person_id: str) -> dict[str, Any]:
    return exported(await store.get(person_id))


@pytest.mark.parametrize("rows", [object_rows, table_rows])
async def test_file_that_has_grown_by_a_row_adds_one_person(store: OpenedStore, clock: Clock, rows: Any) -> None:
    assert statuses(await run(store, clock, rows(TWO))) == ["stored", "stored"]
    third = {"person_surname": "Ahn", "person_name": "Di"}
    assert statuses(await run(store, clock, rows([*TWO, third]))) == ["unchanged", "unchanged", "stored"]
    assert len(await scan_all(store)) == 3


async def test_table_equals_records_with_other_types(store: OpenedStore, clock: Clock) -> None:
    await run(store, clock, object_rows(TWO))
    assert statuses(await run(store, clock, table_rows(TWO))) == ["unchanged", "unchanged"]


async def test_each_record_matches_one_row(store: OpenedStore, clock: Clock) -> None:
    row = {"person_surname": "Twin"}
    assert statuses(await run(store, clock, object_rows([row, row]))) == ["stored", "stored"]
    results = await run(store, clock, object_rows([row, row]), object_rows([row]))
    assert statuses(results) == ["unchanged", "unchanged", "stored"]
    assert len(await scan_all(store)) == 3


async def test_row_that_differs_in_any_field_is_stored(store: OpenedStore, clock: Clock) -> None:
    await run(store, clock, object_rows(TWO))
    different = [{**TWO[0], "note": "x"}, {**TWO[1], "n": 8}, {"person_surname": "Ahn"}]
    assert statuses(await run(store, clock, object_rows(different))) == ["stored"] * 3


async def test_erased_people_are_stored_again(store: OpenedStore, clock: Clock) -> None:
    first = await run(store, clock, object_rows(TWO), import_id=b"f" * 32)
    for result in first:
        await store.delete(str(result.person_id))
    assert statuses(await run(store, clock, object_rows(TWO), import_id=b"f" * 32)) == ["stored", "stored"]
    assert len(await scan_all(store)) == 2


async def test_option_stores_equal_rows_again(store: OpenedStore, clock: Clock) -> None:
    for _ in range(2):
        results = await run(store, clock, object_rows(TWO), options=UpsertOptions(stores_equal_rows=True))
        assert statuses(results) == ["stored", "stored"]
    assert len(await scan_all(store)) == 4


@pytest.mark.parametrize("stop", [1, 2, 3])
async def test_interrupted_import_resumes_and_stores_nothing_twice(store: OpenedStore, clock: Clock, stop: int) -> None:
    await run(store, clock, object_rows(TWO[:1]))
    rows = object_rows([TWO[0], TWO[0], TWO[1], TWO[1]])  # one of them is stored already
    clock.advance(seconds=1)
    target = ImportTarget(store, store.secret, clock.now)
    await Importer(target, b"r" * 32).import_rows(rows[:stop])
    results = await run(store, clock, rows, import_id=b"r" * 32)
    assert len(await scan_all(store)) == 4
    assert statuses(results).count("stored") == 4 - stop


async def test_dry_run_reports_what_an_import_would_do(store: OpenedStore, clock: Clock) -> None:
    (stored,) = await run(store, clock, object_rows(TWO[:1]))
    record = await store.get(str(stored.person_id))
    results = await run(store, clock, object_rows(TWO), dry_run=True)
    assert statuses(results) == ["unchanged", "stored"]
    edited = object_rows([exported(record, note="new"), {"person_surname": "New"}])
    assert statuses(await run(store, clock, edited, options=MERGE, dry_run=True)) == ["updated", "stored"]
    assert await scan_all(store) == [record.body]


@pytest.mark.parametrize("rows", [object_rows, table_rows])
async def test_edited_export_changes_only_the_edited_values(store: OpenedStore, clock: Clock, rows: Any) -> None:
    data = person_data("Ahn", "Bo", "1990", n=5, flags=[True, {"a": 1}], mail="old@example.org")
    records = [await store.create(data) for _ in range(3)]
    edited = rows([exported(records[0]), exported(records[1], mail="new@example.org"), exported(records[2])])
    results = await run(store, clock, edited, options=MERGE)
    assert statuses(results) == ["unchanged", "updated", "unchanged"]
    assert [result.person_id for result in results] == [record.person_id for record in records]
    changed = await fields_of(store, records[1].person_id)
    assert changed == exported(records[1], mail="new@example.org", version=2, updated_at=changed["updated_at"])
    assert [body.count(b"flags") for body in await scan_all(store)] == [1, 1, 1]
    assert statuses(await run(store, clock, edited, options=MERGE)) == ["unchanged"] * 3
    assert len(await scan_all(store)) == 3


async def test_record_that_changed_since_the_export_is_a_conflict(store: OpenedStore, clock: Clock) -> None:
    record = await store.create(person_data("Ahn", "Bo"))
    current = await store.replace(record.person_id, person_data("Ahn", "Changed"), expected=1)
    (result,) = await run(store, clock, object_rows([exported(record, note="edited")]), options=MERGE)
    assert (result.status, result.person_id) == ("conflict", record.person_id)
    assert "now at version 2" in result.errors[0].reason
    assert await store.get(record.person_id) == current
    without_version = exported(record, note="edited")
    del without_version["version"], without_version["created_at"], without_version["updated_at"]
    assert statuses(await run(store, clock, object_rows([without_version]), options=MERGE)) == ["updated"]


async def test_mode_decides_about_fields_that_a_row_lacks(store: OpenedStore, clock: Clock) -> None:
    merged, replaced = [await store.create(person_data("Ahn", "Bo", note="kept")) for _ in range(2)]
    for record, options in ((merged, MERGE), (replaced, REPLACE)):
        row = {"person_id": record.person_id, "person_surname": "New"}
        assert statuses(await run(store, clock, object_rows([row]), options=options)) == ["updated"]
    assert decode_fields((await store.get(merged.person_id)).body).keys() >= {"person_name", "note"}
    assert (await fields_of(store, replaced.person_id)).keys().isdisjoint({"person_name", "note"})


async def test_row_of_an_erased_person_is_stored_with_a_report(store: OpenedStore, clock: Clock) -> None:
    record = await store.create(person_data("Erased"))
    await store.delete(record.person_id)
    (result,) = await run(store, clock, object_rows([exported(record)]), options=MERGE)
    assert (result.status, [error.pointer for error in result.errors]) == ("stored", ["/person_id"])
    assert result.person_id not in (None, record.person_id)
    assert statuses(await run(store, clock, object_rows([exported(record)]), options=MERGE)) == ["unchanged"]


async def test_two_rows_may_change_the_same_person(store: OpenedStore, clock: Clock) -> None:
    record = await store.create(person_data("Ahn"))
    rows = [exported(record, a="1"), exported(record, b="2"), exported(record, a="1")]
    assert statuses(await run(store, clock, object_rows(rows), options=MERGE)) == ["updated", "updated", "unchanged"]
    changed = await fields_of(store, record.person_id)
    assert (changed["a"], changed["b"], changed["version"]) == ("1", "2", 2)


async def test_invalid_update_is_rejected_and_others_are_stored(store: OpenedStore, clock: Clock) -> None:
    first, second = [await store.create(person_data("Ahn")) for _ in range(2)]
    rows = [exported(first, person_birthdate="yesterday"), exported(second, note="x"), {"person_id": "7"}]
    results = await run(store, clock, object_rows(rows), options=MERGE)
    assert statuses(results) == ["rejected", "updated", "rejected"]
    assert await store.get(first.person_id) == first


async def test_id_of_another_system_is_no_key(store: OpenedStore, clock: Clock) -> None:
    (result,) = await run(store, clock, table_rows([{"person_id": "7", "person_surname": "Ahn"}]), options=MERGE)
    assert result.status == "stored"
    assert (await fields_of(store, str(result.person_id)))["source_person_id"] == "7"
