"""Versions of records: each store returns every stored version until its record is deleted or the version expires."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from peopleinfo.errors import PersonNotFound, VersionConflict
from peopleinfo.people.history import HistoryLimits, Operation, Origin, PersonVersion
from peopleinfo.people.history_service import HistoryService
from peopleinfo.people.store import PAGE_SIZE
from tests.store_kinds import ALL_STORES, Clock, open_store, person_data, scan_all

if TYPE_CHECKING:
    from pathlib import Path

    from peopleinfo.people.person import StoredPerson
    from peopleinfo.stores.service_store import OpenedStore

STORE_KINDS = ALL_STORES
UNKNOWN = "0123456789abcdef0123456789abcdef"


async def all_versions(store: OpenedStore, person_id: str, *, limit: int = 1_000) -> list[PersonVersion]:
    """Return the versions of all pages."""
    versions: list[PersonVersion] = []
    while True:
        page = await store.read_versions(person_id, after=versions[-1].version if versions else 0, limit=limit)
        assert len(page.versions) <= limit
        versions += page.versions
        if not page.more:
            return versions


async def stored_bodies(store: OpenedStore, person_id: str) -> list[bytes]:
    return [version.body for version in await all_versions(store, person_id)]


async def change(store: OpenedStore, record: StoredPerson, count: int) -> list[bytes]:
    """Change a record repeatedly and return its versions, starting with the given one."""
    bodies = [record.body]
    for number in range(count):
        data = person_data("Many", f"Name{number}")
        record = await store.replace(record.person_id, data, expected=record.version)
        bodies.append(record.body)
    return bodies


async def test_history_has_each_version_with_its_origin(store: OpenedStore) -> None:
    first = await store.create(person_data("First"), principal="crm")
    second = await store.replace(
        first.person_id, person_data("Second"), expected=1, origin=Origin(Operation.UPDATED, "desk")
    )
    third = await store.replace(
        first.person_id, person_data("First"), expected=2, origin=Origin(Operation.RESTORED, "admin-key")
    )
    assert await all_versions(store, first.person_id) == [
        PersonVersion(1, Origin(Operation.CREATED, "crm"), first.body),
        PersonVersion(2, Origin(Operation.UPDATED, "desk"), second.body),
        PersonVersion(3, Origin(Operation.RESTORED, "admin-key"), third.body),
    ]


async def test_history_of_a_new_record_is_its_first_version(store: OpenedStore) -> None:
    created = await store.create(person_data("New"))
    (person_id,) = await store.create_many([person_data("Bulk")], principal="crm")
    assert await all_versions(store, created.person_id) == [PersonVersion(1, Origin(Operation.CREATED), created.body)]
    bulk = await store.get(person_id)
    assert await all_versions(store, person_id) == [PersonVersion(1, Origin(Operation.CREATED, "crm"), bulk.body)]


async def test_rejected_change_leaves_no_version(store: OpenedStore) -> None:
    created = await store.create(person_data("Firm"))
    bodies = await change(store, created, 1)
    with pytest.raises(VersionConflict):
        await store.replace(created.person_id, person_data("Soft"), expected=1)
    assert await stored_bodies(store, created.person_id) == bodies


@pytest.mark.parametrize("limit", [1, 2, 7, 100])
async def test_pages_have_each_version_once(store: OpenedStore, limit: int) -> None:
    created = await store.create(person_data("Many"))
    bodies = await change(store, created, 13)
    found = await all_versions(store, created.person_id, limit=limit)
    assert [version.body for version in found] == bodies
    page = await store.read_versions(created.person_id, after=14, limit=limit)
    assert (page.versions, page.more) == ([], False)


async def test_pages_list_a_thousand_versions(tmp_path: Path, clock: Clock) -> None:
    async with open_store("sqlite", tmp_path, clock) as store:
        store._writer._db.execute("PRAGMA synchronous = OFF")  # type: ignore[attr-defined] # no power failures here
        record = await store.create(person_data("Often"))
        for number in range(999):
            record = await store.replace(record.person_id, person_data("Often", str(number)), expected=number + 1)
        history = HistoryService(store)
        found: list[tuple[int, list[str] | None]] = []
        after: int | None = 0
        while after is not None:
            page, after = await history.summaries(record.person_id, after=after, limit=300)
            found += [(one.version, one.fields) for one in page]
    assert [version for version, _ in found] == list(range(1, 1_001))
    assert {tuple(fields or ()) for _, fields in found[1:]} == {("person_name",)}


async def test_page_ends_with_the_version_that_fills_it(store: OpenedStore) -> None:
    record = await store.create(person_data("Large", note="x" * 60_000))
    for number in range(40):
        data = person_data("Large", f"Name{number}", note="x" * 60_000)
        record = await store.replace(record.person_id, data, expected=record.version)
    page = await store.read_versions(record.person_id, after=0, limit=1_000)
    size = sum(len(version.body) for version in page.versions)
    assert page.more
    assert size - len(page.versions[-1].body) < PAGE_SIZE <= size
    found = await all_versions(store, record.person_id)
    assert [version.version for version in found] == list(range(1, 42))


async def test_versions_remain_when_the_surname_changes(store: OpenedStore) -> None:
    record = await store.create(person_data("Aaa"))
    bodies = [record.body]
    for surname in ("Bbb", "Aaa", "Ccc"):
        record = await store.replace(record.person_id, person_data(surname), expected=record.version)
        bodies.append(record.body)
    assert await stored_bodies(store, record.person_id) == bodies


async def test_unknown_person_has_no_history(store: OpenedStore) -> None:
    for person_id in (UNKNOWN, "no id"):
        with pytest.raises(PersonNotFound):
            await store.read_versions(person_id, after=0, limit=10)


async def test_deleted_person_has_no_history(store: OpenedStore) -> None:
    created = await store.create(person_data("Gone"))
    await change(store, created, 3)
    await store.delete(created.person_id)
    with pytest.raises(PersonNotFound):
        await store.read_versions(created.person_id, after=0, limit=10)


async def test_upsert_keeps_the_replaced_version(store: OpenedStore) -> None:
    created = await store.create(person_data("Copied"), principal="crm")
    newer = created.body.replace(b'"version":1', b'"version":4').replace(b"Copied", b"Newer!")
    await store.upsert_many([newer])
    assert await all_versions(store, created.person_id) == [
        PersonVersion(1, Origin(Operation.CREATED, "crm"), created.body),
        PersonVersion(4, Origin(Operation.UPDATED), newer),
    ]


async def test_history_of_a_record_from_another_store_starts_at_its_version(store: OpenedStore) -> None:
    created = await store.create(person_data("Foreign"))
    body = created.body.replace(created.person_id.encode(), UNKNOWN.encode()).replace(b'"version":1', b'"version":7')
    await store.upsert_many([body])
    changed = await store.replace(UNKNOWN, person_data("Foreign", "changed"), expected=7)
    assert await all_versions(store, UNKNOWN) == [
        PersonVersion(7, Origin(Operation.UPDATED), body),
        PersonVersion(8, Origin(Operation.UPDATED), changed.body),
    ]


async def test_history_is_limited_to_a_number_of_earlier_versions(
    store_kind: str, tmp_path: Path, clock: Clock
) -> None:
    limits = HistoryLimits(max_versions=3, max_age=None)
    async with open_store(store_kind, tmp_path, clock, limits) as store:
        created = await store.create(person_data("Many"))
        bodies = await change(store, created, 9)
        assert await stored_bodies(store, created.person_id) == bodies[-4:]


async def test_lower_number_applies_to_existing_versions(store_kind: str, tmp_path: Path, clock: Clock) -> None:
    async with open_store(store_kind, tmp_path, clock) as store:
        created = await store.create(person_data("Many"))
        bodies = await change(store, created, 5)
    for versions in (2, 0):
        limits = HistoryLimits(max_versions=versions, max_age=None)
        async with open_store(store_kind, tmp_path, clock, limits) as store:
            assert await stored_bodies(store, created.person_id) == bodies[-versions - 1 :]


async def test_version_expires_after_its_replacement(store_kind: str, tmp_path: Path, clock: Clock) -> None:
    limits = HistoryLimits(max_age=timedelta(days=30))
    async with open_store(store_kind, tmp_path, clock, limits) as store:
        record = await store.create(person_data("Aging"))
        clock.advance(days=100)
        changed = await store.replace(record.person_id, person_data("Changed"), expected=1)
        clock.advance(days=29)
        assert await stored_bodies(store, record.person_id) == [record.body, changed.body]
        clock.advance(days=1)
        assert await stored_bodies(store, record.person_id) == [changed.body]


async def test_history_that_is_off_stores_no_version(store_kind: str, tmp_path: Path, clock: Clock) -> None:
    async with open_store(store_kind, tmp_path, clock, HistoryLimits(max_versions=0)) as store:
        created = await store.create(person_data("Many"))
        bodies = await change(store, created, 3)
    async with open_store(store_kind, tmp_path, clock) as store:
        assert await stored_bodies(store, created.person_id) == bodies[-1:]


async def test_expiry_deletes_expired_versions_only(store_kind: str, tmp_path: Path, clock: Clock) -> None:
    limits = HistoryLimits(max_age=timedelta(days=30))
    async with open_store(store_kind, tmp_path, clock, limits) as store:
        created = await store.create(person_data("Many"))
        await change(store, created, 3)
        clock.advance(days=31)
        bodies = await change(store, await store.get(created.person_id), 2)
        assert not await store.expire_history()
    async with open_store(store_kind, tmp_path, clock) as store:  # with longer limits
        assert await stored_bodies(store, created.person_id) == bodies
        assert await scan_all(store) == bodies[-1:]
