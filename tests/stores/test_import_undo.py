"""Undo of an import: on every store, the people are as before, except those that changed since."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from peopleinfo.bulk.import_history import ImportHistory
from peopleinfo.bulk.import_log_entry import ImportFile
from peopleinfo.bulk.importer import Importer, ImportTarget
from peopleinfo.bulk.upsert_options import UpsertOptions
from peopleinfo.errors import ImportNotFound, ImportUndone, StoreUnavailable
from peopleinfo.matching.merge_service import MergeRequest, MergeService
from peopleinfo.people.history import HistoryLimits
from peopleinfo.people.history_service import HistoryService
from peopleinfo.people.import_log import ImportCounts, ImportState, LeftPerson, LeftReason
from peopleinfo.people.service import PeopleService
from tests.store_kinds import ALL_STORES, Clock, open_store, person_data, scan_all
from tests.stores.test_repeated_import import object_rows

if TYPE_CHECKING:
    from pathlib import Path

    from peopleinfo.bulk.import_history import ImportSummary
    from peopleinfo.people.person import StoredPerson
    from peopleinfo.stores.service_store import OpenedStore

STORE_KINDS = ALL_STORES
MERGE = UpsertOptions(key="person_id", stores_equal_rows=True)


def import_history(store: OpenedStore, clock: Clock) -> ImportHistory:
    people = PeopleService(store, secret=store.secret, now=clock.now)
    return ImportHistory(store.imports, store.secret, people, HistoryService(store), store)


def importer(store: OpenedStore, clock: Clock, import_id: bytes | None = None) -> Importer:
    target = ImportTarget(store, store.secret, clock.now, store.imports)
    return Importer(target, import_id, options=MERGE, principal="clerk", file=ImportFile("members.csv", "ab" * 32))


async def run_import(store: OpenedStore, clock: Clock, rows: list[dict[str, Any]], key: bytes | None = None) -> None:
    clock.advance(seconds=1)
    importing = importer(store, clock, key)
    await importing.import_rows(object_rows(rows))
    await importing.finish(forget=True)


async def newest(store: OpenedStore, clock: Clock) -> ImportSummary:
    imports, _ = await import_history(store, clock).list(before=None, limit=1)
    return imports[0]


async def undo(store: OpenedStore, clock: Clock) -> list[LeftPerson]:
    """Undo the newest import; return the people that are left unchanged."""
    import_id = bytes.fromhex((await newest(store, clock)).import_id)
    history = import_history(store, clock)
    async for _ in history.undo(import_id, principal="admin"):
        pass
    return [person async for person in history.left(import_id)]


async def fields_by_id(store: OpenedStore) -> dict[str, dict[str, Any]]:
    """Return the fields of all people without version and times."""
    people = [msgspec.json.decode(body) for body in await scan_all(store)]
    return {
        one["person_id"]: {name: value for name, value in one.items() if name not in ("version", "updated_at")}
        for one in people
    }


async def id_of(store: OpenedStore, surname: str) -> str:
    people = await fields_by_id(store)
    return next(person_id for person_id, fields in people.items() if fields["person_surname"] == surname)


def update_of(record: StoredPerson, surname: str) -> dict[str, Any]:
    return {"person_id": record.person_id, "person_surname": surname}


async def test_undo_deletes_created_people_and_restores_updated_people(store: OpenedStore, clock: Clock) -> None:
    records = [await store.create(person_data("Before", f"N{number}")) for number in range(3)]
    before = await fields_by_id(store)
    rows = [
        *({"person_surname": "Created", "n": number} for number in range(3)),
        *(update_of(one, "After") for one in records),
    ]
    await run_import(store, clock, rows)

    found = await newest(store, clock)
    assert (found.principal, found.file, found.state) == (
        "clerk",
        ImportFile("members.csv", "ab" * 32),
        ImportState.FINISHED,
    )
    assert found.counts == ImportCounts(created=3, updated=3)
    assert await undo(store, clock) == []
    assert await fields_by_id(store) == before
    assert await undo(store, clock) == []  # the second time it changes nothing
    found = await newest(store, clock)
    assert (found.state, found.counts) == (ImportState.UNDONE, ImportCounts(3, 3, 3, 3, 0))
    assert (await store.get(records[0].person_id)).version == 3


async def test_undo_lists_people_that_changed_since_and_leaves_them(store: OpenedStore, clock: Clock) -> None:
    changed, deleted, same = [await store.create(person_data("Before", name)) for name in ("A", "B", "C")]
    rows = [{"person_surname": "Created", "n": 1}, *(update_of(one, "After") for one in (changed, deleted, same))]
    await run_import(store, clock, rows)
    created = await id_of(store, "Created")
    await store.replace(created, person_data("Edited"), expected=1)
    await store.replace(changed.person_id, person_data("Edited"), expected=2)
    await store.delete(deleted.person_id)

    left = await undo(store, clock)
    assert set(left) == {
        (created, LeftReason.CHANGED), (changed.person_id, LeftReason.CHANGED), (deleted.person_id, LeftReason.DELETED)
    }  # fmt: skip
    assert {one["person_surname"] for one in (await fields_by_id(store)).values()} == {"Edited", "Before"}
    assert (await newest(store, clock)).counts == ImportCounts(1, 3, 0, 1, 3)


async def test_undo_leaves_people_that_were_merged_since(store: OpenedStore, clock: Clock) -> None:
    older = await store.create(person_data("Roth", "Anna"))
    await run_import(store, clock, [{"person_surname": "Roth", "person_name": "Anna"}, {"person_surname": "Berg"}])
    people = await fields_by_id(store)
    created = next(one for one, fields in people.items() if one != older.person_id and "person_name" in fields)
    merges = MergeService(store.merges, secret=store.secret, now=clock.now)
    versions = {created: 1, older.person_id: 1}
    merged, _ = await merges.merge(MergeRequest(created, (older.person_id,), versions, {}))
    assert merged.merge_id is not None
    assert await undo(store, clock) == [LeftPerson(created, LeftReason.CHANGED)]
    await merges.undo(merged.merge_id, keep={})
    assert set(await fields_by_id(store)) == {created, older.person_id}


async def test_imports_are_undone_in_reverse_order_and_repeated_updates_together(
    store: OpenedStore, clock: Clock
) -> None:
    record = await store.create(person_data("Zero"))
    importing = importer(store, clock)
    for surname in ("One", "Two"):  # two batches of one import
        await importing.import_rows(object_rows([update_of(record, surname)]))
    await importing.finish()
    await run_import(store, clock, [update_of(record, "Three"), {"person_surname": "New"}])
    new = await store.get(await id_of(store, "New"))
    await run_import(store, clock, [update_of(new, "Newer")])

    surnames = []
    history = import_history(store, clock)
    imports, end = await history.list(before=None, limit=10)
    assert end is None
    for one in imports:
        async for _ in history.undo(bytes.fromhex(one.import_id), principal=None):
            pass
        surnames.append(sorted(one["person_surname"] for one in (await fields_by_id(store)).values()))
    assert surnames == [["New", "Three"], ["Two"], ["Zero"]]


async def test_interrupted_import_is_one_import_and_cannot_continue_after_its_undo(
    store: OpenedStore, clock: Clock
) -> None:
    key = b"k" * 32
    first, second = object_rows([{"person_surname": "A"}]), object_rows([{"person_surname": "B"}])
    await importer(store, clock, key).import_rows(first)
    clock.advance(seconds=5)
    resumed = importer(store, clock, key)
    await resumed.import_rows(first)
    await resumed.import_rows(second)
    imports, _ = await import_history(store, clock).list(before=None, limit=10)
    assert [(one.state, one.counts.created) for one in imports] == [(ImportState.STARTED, 2)]

    await undo(store, clock)
    with pytest.raises(ImportUndone):
        await resumed.import_rows(object_rows([{"person_surname": "C"}]))
    assert await scan_all(store) == []
    clock.advance(seconds=5)
    await run_import(store, clock, [{"person_surname": "A"}], key)  # starts again
    assert len(await scan_all(store)) == 1


async def test_interrupted_undo_resumes_and_two_at_once_do_no_harm(store: OpenedStore, clock: Clock) -> None:
    record = await store.create(person_data("Before"))
    before = await fields_by_id(store)
    importing = importer(store, clock)
    for surname in ("A", "B"):
        await importing.import_rows(object_rows([{"person_surname": surname}]))
    await importing.import_rows(object_rows([update_of(record, "After")]))
    history = import_history(store, clock)
    import_id = bytes.fromhex((await newest(store, clock)).import_id)
    interrupted = history.undo(import_id, principal=None)
    await anext(interrupted)
    await interrupted.aclose()  # type: ignore[attr-defined] # an async generator
    assert (await newest(store, clock)).state is ImportState.UNDOING

    one, other = history.undo(import_id, principal=None), history.undo(import_id, principal=None)
    for step in (one, other, one, other):
        await anext(step, None)
    assert await undo(store, clock) == []
    assert await fields_by_id(store) == before


async def test_lost_outcome_of_a_step_does_not_change_the_result(
    store: OpenedStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = await store.create(person_data("Before"))
    await run_import(store, clock, [{"person_surname": "New"}, update_of(record, "After")])

    async def lost(*_: object) -> None:
        raise StoreUnavailable("lost")

    with monkeypatch.context() as patched:
        patched.setattr(store.imports, "save_outcome", lost)
        with pytest.raises(StoreUnavailable):
            await undo(store, clock)
    assert await undo(store, clock) == []
    assert (await newest(store, clock)).counts == ImportCounts(1, 1, 1, 1, 0)
    assert [one["person_surname"] for one in (await fields_by_id(store)).values()] == ["Before"]


async def test_dry_run_and_import_without_changes_have_no_entry(store: OpenedStore, clock: Clock) -> None:
    record = await store.create(person_data("Same"))
    target = ImportTarget(store, store.secret, clock.now, store.imports)
    dry = Importer(target, dry_run=True)
    await dry.import_rows(object_rows([{"person_surname": "A"}]))
    await dry.finish()
    await run_import(store, clock, [update_of(record, "Same")])
    assert await import_history(store, clock).list(before=None, limit=10) == ([], None)
    with pytest.raises(ImportNotFound):
        await import_history(store, clock).get(bytes(16))


async def test_list_has_pages_and_can_be_limited_to_a_principal(store: OpenedStore, clock: Clock) -> None:
    for surname in ("A", "B", "C"):
        await run_import(store, clock, [{"person_surname": surname}])
    history = import_history(store, clock)
    first, position = await history.list(before=None, limit=2)
    rest, end = await history.list(before=position, limit=2)
    ids = [one.import_id for one in (*first, *rest)]
    assert (len(first), len(rest), end) == (2, 1, None)
    assert ids == sorted(ids, reverse=True)
    assert await history.list(before=None, limit=2, principal="other") == ([], None)


@pytest.mark.parametrize("kind", ["sqlite", "ministack"])
async def test_updates_without_history_are_left(kind: str, tmp_path: Path, clock: Clock) -> None:
    async with open_store(kind, tmp_path, clock, HistoryLimits(max_versions=0)) as store:
        record = await store.create(person_data("Before"))
        await run_import(store, clock, [{"person_surname": "New"}, update_of(record, "After")])
        assert await undo(store, clock) == [(record.person_id, LeftReason.NO_HISTORY)]
        assert [one["person_surname"] for one in (await fields_by_id(store)).values()] == ["After"]
