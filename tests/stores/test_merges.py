"""Merges and undos on every store: one transaction, lossless, and nothing of a merged person remains after an erasure."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from peopleinfo.errors import (
    ChangedSinceMerge,
    IdempotencyKeyConflict,
    IdentifierConflict,
    MergeNotFound,
    PersonMerged,
    PersonNotFound,
    UndoFirst,
    VersionConflict,
)
from peopleinfo.matching.merge_service import MergeRequest, MergeService
from peopleinfo.people import strict_json
from peopleinfo.people.history import HistoryLimits, Operation, Origin
from peopleinfo.people.idempotency import ClientKey
from peopleinfo.people.index_entries import IndexPlan
from peopleinfo.people.person import person_data_from_fields, split_record
from peopleinfo.people.store import Replacement
from tests.store_kinds import ALL_STORES, Clock, find_all, open_store, person_data, person_filter, scan_all
from tests.stores.test_history import all_versions

if TYPE_CHECKING:
    from pathlib import Path

    from peopleinfo.people.person import PersonData, StoredPerson
    from peopleinfo.stores.service_store import OpenedStore

STORE_KINDS = ALL_STORES
KEY = ClientKey("crm", "merge 1")
ANNA = person_data("Roth", "Anna", phone="1")
ANNE = person_data("Rot", "Anne", "1980-04-03", email="anne@example.com", nested=strict_json.parse(b'{"a": [1, 2.50]}'))


def service(store: OpenedStore, clock: Clock) -> MergeService:
    return MergeService(store.merges, secret=store.secret, now=clock.now)


def request(survivor: StoredPerson, *merged: StoredPerson, **more: Any) -> MergeRequest:
    versions = {record.person_id: record.version for record in (survivor, *merged)}
    ids = tuple(record.person_id for record in merged)
    return MergeRequest(survivor.person_id, ids, versions, more.pop("take", {}), **more)


async def fields(store: OpenedStore, person_id: str) -> dict[str, Any]:
    return fields_of(await store.get(person_id))


def fields_of(record: StoredPerson) -> dict[str, Any]:
    data, _ = split_record(record)
    return data.to_dict()


async def surnames(store: OpenedStore, surname: str) -> list[bytes]:
    return await find_all(store, person_filter(surname=surname))


async def merged_pair(store: OpenedStore, clock: Clock) -> tuple[str, StoredPerson, StoredPerson]:
    """Merge Anne into Anna and return the merge id with both records before the merge."""
    anna, anne = await store.create(ANNA, principal="crm"), await store.create(ANNE, principal="crm")
    result, applied = await service(store, clock).merge(request(anna, anne), key=KEY, principal="desk")
    assert applied
    assert result.merge_id is not None
    return result.merge_id, anna, anne


async def test_survivor_takes_missing_values_and_merged_record_leaves_all_reads(
    store: OpenedStore, clock: Clock
) -> None:
    merge_id, anna, anne = await merged_pair(store, clock)
    survivor = await store.get(anna.person_id)
    assert survivor.version == 2
    taken = {name: ANNE.to_dict()[name] for name in ("person_birthdate", "email", "nested")}
    assert fields_of(survivor) == ANNA.to_dict() | taken
    with pytest.raises(PersonMerged) as merged:
        await store.get(anne.person_id)
    assert (merged.value.merged_into, merged.value.merge_id) == (anna.person_id, merge_id)
    assert await store.get_many([anne.person_id, anna.person_id]) == [None, survivor]
    assert await surnames(store, "Rot") == []
    assert await surnames(store, "Roth") == [survivor.body]
    assert await scan_all(store) == [survivor.body]
    assert await service(store, clock).before_merge(anne.person_id) == anne


async def test_merged_record_rejects_changes(store: OpenedStore, clock: Clock) -> None:
    _, anna, anne = await merged_pair(store, clock)
    with pytest.raises(PersonMerged):
        await store.replace(anne.person_id, ANNE, expected=anne.version)
    with pytest.raises(PersonMerged):
        await store.replace(anne.person_id, ANNE, expected=anne.version, current=anne)
    third = await store.create(person_data("Third"))
    with pytest.raises(PersonMerged):
        await service(store, clock).merge(request(third, anne))
    with pytest.raises(PersonMerged):
        await service(store, clock).merge(request(anne, third))
    assert await fields(store, third.person_id) == {"person_surname": "Third"}
    with pytest.raises(VersionConflict):
        await service(store, clock).merge(request(anna, third))
    assert [await store.merge_group(each.person_id) for each in (anne, third)] == [
        [anna.person_id, anne.person_id],
        [third.person_id],
    ]


async def test_histories_of_both_records_remain_readable(store: OpenedStore, clock: Clock) -> None:
    merge_id, anna, anne = await merged_pair(store, clock)
    survivor = await all_versions(store, anna.person_id, limit=1)
    assert [(each.version, each.origin) for each in survivor] == [
        (1, Origin(Operation.CREATED, "crm")),
        (2, Origin(Operation.MERGED, "desk")),
    ]
    merged = await all_versions(store, anne.person_id)
    assert [(each.version, each.origin.operation) for each in merged] == [(1, "created"), (2, "merged")]
    assert merged[0].body == anne.body
    await service(store, clock).undo(merge_id, keep={}, principal="desk")
    for person_id in (anna.person_id, anne.person_id):
        versions = await all_versions(store, person_id)
        assert [each.origin.operation for each in versions] == ["created", "merged", "unmerged"]


async def test_undo_restores_both_records(store: OpenedStore, clock: Clock) -> None:
    merge_id, anna, anne = await merged_pair(store, clock)
    result, applied = await service(store, clock).undo(merge_id, keep={}, principal="desk")
    assert applied
    assert [record.person_id for record in result.merged] == [anne.person_id]
    assert await fields(store, anna.person_id) == ANNA.to_dict()
    assert await fields(store, anne.person_id) == ANNE.to_dict()
    assert fields_of(await store.get(anne.person_id)) == fields_of(anne)
    assert (await store.get(anne.person_id)).version == 3
    assert [len(await surnames(store, name)) for name in ("Roth", "Rot")] == [1, 1]
    assert len(await scan_all(store)) == 2
    repeated, applied = await service(store, clock).undo(merge_id, keep={})
    assert not applied
    assert repeated.merged == result.merged
    changed = await store.replace(anne.person_id, person_data("New"), expected=3)
    assert changed.version == 4


async def test_nothing_of_a_merged_record_remains_in_the_survivor_after_the_undo(
    store: OpenedStore, clock: Clock
) -> None:
    merge_id, anna, _ = await merged_pair(store, clock)
    data = person_data("Roth", "Anna", "1980-04-03", email="new@example.com", phone="1")
    await store.replace(anna.person_id, data, expected=2)
    await service(store, clock).undo(merge_id, keep={"email": "merged", "nested": "merged"})
    for version in await all_versions(store, anna.person_id):
        assert b"example.com" not in version.body
        assert b"1980" not in version.body
        assert b"nested" not in version.body
    bodies = [version.body for version in await all_versions(store, anna.person_id)]
    assert bodies[0] == anna.body


async def test_undo_after_edits_requests_a_decision(store: OpenedStore, clock: Clock) -> None:
    merge_id, anna, anne = await merged_pair(store, clock)
    data = person_data("Roth", "Anna", "1980-04-03", email="new@example.com", phone="2")
    await store.replace(anna.person_id, data, expected=2)
    with pytest.raises(ChangedSinceMerge) as changed:
        await service(store, clock).undo(merge_id, keep={})
    assert changed.value.fields == ("email", "nested")
    await service(store, clock).undo(merge_id, keep={"email": "merged", "nested": "survivor"})
    assert await fields(store, anna.person_id) == ANNA.to_dict() | {"phone": "2"}
    assert await fields(store, anne.person_id) == ANNE.to_dict() | {"email": "new@example.com"}


async def test_undo_keeps_the_changes_of_an_import_or_a_batch(store: OpenedStore, clock: Clock) -> None:
    merge_id, anna, _ = await merged_pair(store, clock)
    [current] = await store.get_many([anna.person_id])
    assert current is not None
    edited = person_data_from_fields(fields_of(current) | {"phone": "2", "person_name": "Hanna"})
    await store.replace_many([Replacement(edited, current)])
    await service(store, clock).undo(merge_id, keep={})
    assert await fields(store, anna.person_id) == ANNA.to_dict() | {"phone": "2", "person_name": "Hanna"}


async def test_repetition_returns_the_first_merge(store: OpenedStore, clock: Clock) -> None:
    merge_id, anna, anne = await merged_pair(store, clock)
    for key in (KEY, None):
        repeated, applied = await service(store, clock).merge(request(anna, anne), key=key, principal="desk")
        assert not applied
        assert (repeated.merge_id, repeated.survivor) == (merge_id, await store.get(anna.person_id))
        assert repeated.replaces == [anne.person_id]
        assert {each.field: each.taken for each in repeated.differences}["email"] == anne.person_id
    with pytest.raises(IdempotencyKeyConflict):
        await service(store, clock).merge(request(anne, anna), key=KEY)


async def test_merges_of_a_survivor_are_undone_in_any_order_and_chains_from_outside(
    store: OpenedStore, clock: Clock
) -> None:
    merges = service(store, clock)
    people = [await store.create(person_data(f"S{number}", **{f"f{number}": "x"})) for number in range(4)]
    first, _ = await merges.merge(request(people[0], people[1]))
    clock.advance(seconds=1)
    second, _ = await merges.merge(request(await store.get(people[0].person_id), people[2]))
    clock.advance(seconds=1)
    assert second.replaces == [people[1].person_id, people[2].person_id]
    outer, _ = await merges.merge(request(people[3], await store.get(people[0].person_id)))
    with pytest.raises(UndoFirst) as error:
        await merges.undo(first.merge_id or "", keep={})
    assert error.value.merge_id == outer.merge_id
    assert sorted(await store.merge_group(people[1].person_id)) == sorted(each.person_id for each in people)
    assert [each.merge_id for each in await merges.merges_of(people[0].person_id)] == [
        outer.merge_id,
        second.merge_id,
        first.merge_id,
    ]
    for merge in (outer, first, second):
        await merges.undo(merge.merge_id or "", keep={})
    for person in people:
        assert await fields(store, person.person_id) == fields_of(person)


async def test_feed_reports_merged_and_unmerged_records(store: OpenedStore, clock: Clock) -> None:
    since = (await store.read_changes(since=None, limit=10)).next
    merge_id, anna, anne = await merged_pair(store, clock)
    clock.advance(minutes=1)
    await service(store, clock).undo(merge_id, keep={})
    clock.advance(minutes=1)
    changes = (await store.read_changes(since=since, limit=10)).changes
    of_anne = [(each.version, each.operation, each.merged_into) for each in changes if each.person_id == anne.person_id]
    assert of_anne == [(1, "created", None), (2, "merged", anna.person_id), (3, "unmerged", None)]
    of_anna = [(each.version, each.operation) for each in changes if each.person_id == anna.person_id]
    assert of_anna == [(1, "created"), (2, "updated"), (3, "updated")]


@pytest.mark.parametrize("erased", [0, 1, 2])
async def test_erasure_of_one_record_erases_all_merged_ones(store: OpenedStore, clock: Clock, erased: int) -> None:
    merges = service(store, clock)
    people = [await store.create(person_data(f"S{number}")) for number in range(3)]
    inner, _ = await merges.merge(request(people[1], people[2]))
    outer, _ = await merges.merge(request(people[0], await store.get(people[1].person_id)))
    await store.delete(people[erased].person_id)
    for person in people:
        for read in (store.get(person.person_id), merges.before_merge(person.person_id)):
            with pytest.raises(PersonNotFound) as error:
                await read
            assert not isinstance(error.value, PersonMerged)
        with pytest.raises(PersonNotFound):
            await store.read_versions(person.person_id, after=0, limit=10)
    for merge in (inner, outer):
        with pytest.raises(MergeNotFound):
            await merges.get(merge.merge_id or "")


async def test_refused_erasure_of_a_survivor_erases_no_merged_record(store: OpenedStore, clock: Clock) -> None:
    merge_id, anna, anne = await merged_pair(store, clock)
    with pytest.raises(VersionConflict):
        await store.delete(anna.person_id, expected=1)
    await store.trash.add(anna.person_id, expires_at=clock.now() + timedelta(days=30))
    for person in (anna, anne):
        with pytest.raises(PersonNotFound):
            await store.delete(person.person_id)
    await store.trash.restore(anna.person_id, expected=3)
    await service(store, clock).undo(merge_id, keep={})
    assert fields_of(await store.get(anne.person_id)) == fields_of(anne)


async def test_erasure_after_an_undo_erases_one_record(store: OpenedStore, clock: Clock) -> None:
    merge_id, anna, anne = await merged_pair(store, clock)
    await service(store, clock).undo(merge_id, keep={})
    await store.delete(anne.person_id)
    assert await fields(store, anna.person_id) == ANNA.to_dict()
    with pytest.raises(PersonNotFound):
        await store.get(anne.person_id)


async def test_merge_needs_no_history(store_kind: str, tmp_path: Path, clock: Clock) -> None:
    async with open_store(store_kind, tmp_path, clock, HistoryLimits(max_versions=0)) as store:
        merge_id, anna, anne = await merged_pair(store, clock)
        for number in range(3):
            current = await store.get(anna.person_id)
            data: PersonData = person_data("Roth", f"Anna{number}", "1980-04-03", email="anne@example.com")
            await store.replace(anna.person_id, data, expected=current.version)
        await store.expire_history()
        with suppress(ChangedSinceMerge):
            await service(store, clock).undo(merge_id, keep={})
        await service(store, clock).undo(merge_id, keep={"nested": "survivor"})
        assert await fields(store, anna.person_id) == {"person_surname": "Roth", "person_name": "Anna2"}
        assert await fields(store, anne.person_id) == ANNE.to_dict()


CANARIES = (b"Zxqkanarie", b"Zxqsecond")


@pytest.mark.parametrize("undone", [False, True])
async def test_nothing_of_erased_people_remains_in_a_file(tmp_path: Path, clock: Clock, *, undone: bool) -> None:
    """Merge, edit, undo, merge again and erase on a plain file: the most places with copies."""
    folder = tmp_path / "store"
    folder.mkdir()
    async with open_store("sqlite", folder, clock) as store:
        merges = service(store, clock)
        first = await store.create(person_data("Zxqkanarie", "Zxqkanarie", note="Zxqkanarie"))
        second = await store.create(person_data("Zxqsecond", address="Zxqsecond", other="Zxqsecond"))
        result, _ = await merges.merge(request(first, second, take={"person_surname": second.person_id}))
        edited = await store.get(first.person_id)
        data = person_data("Zxqsecond", "Zxqkanarie", other="Zxqsecond", more="Zxqkanarie")
        await store.replace(first.person_id, data, expected=edited.version)
        if undone:
            keep: dict[str, Any] = dict.fromkeys(("note", "address", "other"), "merged")
            await merges.undo(result.merge_id or "", keep=keep)
            await merges.merge(request(await store.get(second.person_id), await store.get(first.person_id)))
        await store.delete(second.person_id)
        stored = b"".join(path.read_bytes() for path in folder.iterdir())
    assert [canary for canary in CANARIES if canary in stored] == []
    for database in folder.iterdir():
        assert not any(canary in database.read_bytes() for canary in CANARIES)


async def test_erasure_after_an_undo_leaves_nothing_of_the_merged_record(tmp_path: Path, clock: Clock) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    async with open_store("sqlite", folder, clock) as store:
        first = await store.create(person_data("Survivor"))
        second = await store.create(person_data("Zxqsecond", address="Zxqsecond"))
        result, _ = await service(store, clock).merge(request(first, second))
        current = await store.get(first.person_id)
        await store.replace(first.person_id, person_data("Survivor", address="Zxqsecond", note="1"), expected=2)
        assert current.version == 2
        await service(store, clock).undo(result.merge_id or "", keep={})
        await store.delete(second.person_id)
        stored = b"".join(path.read_bytes() for path in folder.iterdir())
        assert b"Survivor" in stored
    assert b"Zxqsecond" not in stored


async def test_deleted_survivor_takes_its_merged_records_to_the_trash_and_back(
    store: OpenedStore, clock: Clock
) -> None:
    merge_id, anna, anne = await merged_pair(store, clock)
    expires_at = clock.now() + timedelta(days=30)
    with pytest.raises(PersonMerged):
        await store.trash.add(anne.person_id, expires_at=expires_at)
    await store.trash.add(anna.person_id, expires_at=expires_at)
    with pytest.raises(PersonNotFound):
        await service(store, clock).undo(merge_id, keep={})
    deleted = await store.trash.get(anna.person_id)
    await store.trash.restore(anna.person_id, expected=deleted.version)
    await service(store, clock).undo(merge_id, keep={})
    assert await fields(store, anna.person_id) == ANNA.to_dict()
    assert fields_of(await store.get(anne.person_id)) == fields_of(anne)


@pytest.mark.parametrize("erased", [0, 1])
async def test_erasure_from_the_trash_erases_merged_records(store: OpenedStore, clock: Clock, erased: int) -> None:
    merge_id, *people = await merged_pair(store, clock)
    await store.trash.add(people[0].person_id, expires_at=clock.now() + timedelta(days=30))
    await store.trash.erase(people[erased].person_id)
    for person in people:
        with pytest.raises(PersonNotFound):
            await service(store, clock).before_merge(person.person_id)
    with pytest.raises(MergeNotFound):
        await service(store, clock).get(merge_id)


async def test_undo_is_refused_while_another_person_has_a_unique_identifier(
    store_kind: str, tmp_path: Path, clock: Clock
) -> None:
    plan = IndexPlan(identifiers=("email",), unique=frozenset(["email"]))
    async with open_store(store_kind, tmp_path, clock, plan=plan) as store:
        anna = await store.create(person_data("Roth", "Anna", email="anna@example.com"))
        anne = await store.create(ANNE)
        merged, _ = await service(store, clock).merge(request(anna, anne))
        assert merged.merge_id is not None
        third = await store.create(person_data("Berg", "Ida", email="anne@example.com"))
        with pytest.raises(IdentifierConflict) as refused:
            await service(store, clock).undo(merged.merge_id, keep={})
        assert refused.value.person_id == third.person_id
        assert (await store.get(anna.person_id)).version == 2
        assert len(await scan_all(store)) == 2
        await store.replace(third.person_id, person_data("Berg", "Ida"), expected=1)
        await service(store, clock).undo(merged.merge_id, keep={})
        assert await fields(store, anne.person_id) == ANNE.to_dict()
