"""The trash: a deleted person leaves every search, and is restored with its id and history until it expires or is erased."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from peopleinfo.errors import IdempotentPersonDeleted, PersonNotFound, VersionConflict
from peopleinfo.people.history import HistoryLimits, Operation, Origin, update_time
from peopleinfo.people.idempotency import IdempotencyKey
from peopleinfo.people.person import split_record, timestamp
from peopleinfo.people.service import PeopleService
from peopleinfo.people.trash import Trash, TrashedPerson
from tests.store_kinds import (
    ALL_STORES,
    CACHED,
    ENCRYPTED,
    Clock,
    all_items,
    find_all,
    open_store,
    person_data,
    person_filter,
    raw_bytes,
    scan_all,
    table_location,
)
from tests.stores.test_changes import changes_since, current_position, without_times
from tests.stores.test_history import UNKNOWN, all_versions

if TYPE_CHECKING:
    from pathlib import Path

    from peopleinfo.people.person import StoredPerson
    from peopleinfo.stores.service_store import OpenedStore

STORE_KINDS = ALL_STORES
AGE = timedelta(days=30)
DELETED, RESTORED = Operation.DELETED, Operation.RESTORED


@pytest.fixture
def trash(store: OpenedStore, clock: Clock) -> Trash:
    return Trash(store.trash, age=AGE, now=clock.now)


async def everyone_in(trash: Trash, *, limit: int = 100) -> list[TrashedPerson]:
    """Return the people of all pages."""
    people: list[TrashedPerson] = []
    after: bytes | None = None
    while True:
        page = await trash.page(after=after, limit=limit)
        assert len(page.people) <= limit
        people += page.people
        if (after := page.next) is None:
            return people


async def deleted_person(store: OpenedStore, trash: Trash, surname: str = "Gone") -> StoredPerson:
    """Store a person in two versions and move it to the trash; return its last version."""
    created = await store.create(person_data(surname), principal="crm")
    changed = await store.replace(created.person_id, person_data(surname, "Anna", mail="a@example.org"), expected=1)
    await trash.add(changed.person_id, expected=None, principal="desk")
    return changed


async def test_deleted_person_is_in_no_search_and_in_the_trash(store: OpenedStore, trash: Trash, clock: Clock) -> None:
    kept = await store.create(person_data("Gone", "kept"))
    deleted = await deleted_person(store, trash)
    with pytest.raises(PersonNotFound):
        await store.get(deleted.person_id)
    with pytest.raises(PersonNotFound):
        await store.read_versions(deleted.person_id, after=0, limit=10)
    with pytest.raises(PersonNotFound):
        await store.replace(deleted.person_id, person_data("Gone"), expected=3)
    with pytest.raises(PersonNotFound):
        await store.delete(deleted.person_id)
    assert await store.get_many([deleted.person_id]) == [None]
    assert await find_all(store, person_filter(surname="Gone"), limit=10) == [kept.body]
    assert await find_all(store, person_filter(surname_prefix="Go"), limit=10) == [kept.body]
    assert await scan_all(store) == [kept.body]
    (found,) = await everyone_in(trash)
    assert (found.person_id, found.version, found.deleted_by) == (deleted.person_id, 3, "desk")
    assert found.expires_at == clock.now() + AGE
    assert update_time(found.body) == timestamp(clock.now())
    assert split_record(found.record)[0] == person_data("Gone", "Anna", mail="a@example.org")


async def test_restored_person_has_its_id_its_history_and_a_new_version(
    store: OpenedStore, trash: Trash, clock: Clock
) -> None:
    start = await current_position(store, clock)
    deleted = await deleted_person(store, trash)
    clock.advance(days=29)
    restored = await trash.restore(deleted.person_id, principal="admin-key")
    assert (restored.person_id, restored.version) == (deleted.person_id, 4)
    assert split_record(restored)[0] == split_record(deleted)[0]
    assert await store.get(deleted.person_id) == restored
    assert await find_all(store, person_filter(surname="gone"), limit=10) == [restored.body]
    assert await scan_all(store) == [restored.body]
    assert await everyone_in(trash) == []
    versions = await all_versions(store, deleted.person_id)
    assert [version.version for version in versions] == [1, 2, 3, 4]
    assert versions[1].body == deleted.body
    assert [version.origin for version in versions[2:]] == [Origin(DELETED, "desk"), Origin(RESTORED, "admin-key")]
    feed = without_times(await changes_since(store, clock, start))
    assert feed[-2:] == [(deleted.person_id, 3, DELETED), (deleted.person_id, 4, RESTORED)]
    changed = await store.replace(deleted.person_id, person_data("Other"), expected=4)
    await trash.add(deleted.person_id, expected=5)
    assert (await trash.restore(deleted.person_id)).version == 7
    assert split_record(changed)[0] == split_record(await store.get(deleted.person_id))[0]


async def test_repeated_deletion_and_repeated_restore_find_no_person(store: OpenedStore, trash: Trash) -> None:
    deleted = await deleted_person(store, trash)
    with pytest.raises(PersonNotFound):
        await trash.add(deleted.person_id, expected=None)
    await trash.restore(deleted.person_id)
    with pytest.raises(PersonNotFound):
        await trash.restore(deleted.person_id)
    with pytest.raises(PersonNotFound):
        await trash.erase(deleted.person_id)
    for person_id in (UNKNOWN, "no id"):
        with pytest.raises(PersonNotFound):
            await trash.restore(person_id)
        with pytest.raises(PersonNotFound):
            await trash.erase(person_id)


async def test_conflicting_deletion_and_restore_change_nothing(store: OpenedStore, trash: Trash) -> None:
    created = await store.create(person_data("Firm"))
    with pytest.raises(VersionConflict):
        await trash.add(created.person_id, expected=2)
    assert await store.get(created.person_id) == created
    await trash.add(created.person_id, expected=1)
    for wrong in (1, 3):
        with pytest.raises(VersionConflict):
            await store.trash.restore(created.person_id, expected=wrong)
        with pytest.raises(VersionConflict):
            await store.trash.erase(created.person_id, expected=wrong)
    assert len(await everyone_in(trash)) == 1


@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_pages_have_each_person_once_the_last_deleted_first(
    store: OpenedStore, trash: Trash, clock: Clock, limit: int
) -> None:
    created = [await store.create(person_data(f"Person{number}")) for number in range(7)]
    for number, person in enumerate(created):
        clock.advance(milliseconds=number % 2)  # some are deleted in the same millisecond
        await trash.add(person.person_id, expected=1)
    found = await everyone_in(trash, limit=limit)
    assert {person.person_id for person in found} == {person.person_id for person in created}
    assert len(found) == len(created)
    times = [update_time(person.body) for person in found]
    assert times == sorted(times, reverse=True)


async def test_erased_person_is_gone_from_the_trash(store: OpenedStore, trash: Trash, clock: Clock) -> None:
    start = await current_position(store, clock)
    deleted, other = await deleted_person(store, trash), await deleted_person(store, trash, "Other")
    await trash.erase(deleted.person_id)
    assert [person.person_id for person in await everyone_in(trash)] == [other.person_id]
    with pytest.raises(PersonNotFound):
        await trash.restore(deleted.person_id)
    feed = [change for change in await changes_since(store, clock, start) if change.person_id == deleted.person_id]
    assert without_times(feed)[-2:] == [(deleted.person_id, 3, DELETED), (deleted.person_id, 4, DELETED)]


async def test_expired_person_cannot_be_restored(store: OpenedStore, trash: Trash, clock: Clock) -> None:
    early, late = await deleted_person(store, trash), await store.create(person_data("Late"))
    clock.advance(days=1)
    await trash.add(late.person_id, expected=1)
    clock.advance(days=29)
    assert [person.person_id for person in await everyone_in(trash)] == [late.person_id]
    with pytest.raises(PersonNotFound):
        await trash.restore(early.person_id)
    assert await store.trash.expired(limit=10) == [(early.person_id, 3)]


async def test_erasure_by_id_finds_people_in_the_trash(store: OpenedStore, trash: Trash, clock: Clock) -> None:
    deleted, stored = await deleted_person(store, trash), await store.create(person_data("Stored"))
    people = PeopleService(store, secret=store.secret, now=clock.now, trash=trash)
    for person_id in (deleted.person_id, stored.person_id):
        await people.erase(person_id)
        with pytest.raises(PersonNotFound):
            await people.erase(person_id)
    assert (await everyone_in(trash), await scan_all(store)) == ([], [])


async def test_people_in_the_trash_remain_after_the_trash_is_off(store_kind: str, tmp_path: Path, clock: Clock) -> None:
    async with open_store(store_kind, tmp_path, clock) as store:
        deleted = await deleted_person(store, Trash(store.trash, age=AGE, now=clock.now))
    async with open_store(store_kind, tmp_path, clock, HistoryLimits(max_versions=0)) as store:
        trash = Trash(store.trash, age=None, now=clock.now)
        people = PeopleService(store, secret=store.secret, now=clock.now, trash=trash)
        assert [person.person_id for person in await everyone_in(trash)] == [deleted.person_id]
        restored = await trash.restore(deleted.person_id)
        await people.delete(deleted.person_id)
        assert (restored.version, await everyone_in(trash)) == (4, [])


async def test_person_from_another_store_is_restored_under_its_id(store: OpenedStore, trash: Trash) -> None:
    created = await store.create(person_data("Foreign"))
    body = created.body.replace(created.person_id.encode(), UNKNOWN.encode()).replace(b'"version":1', b'"version":7')
    await store.upsert_many([body])
    await trash.add(UNKNOWN, expected=7)
    assert [person.person_id for person in await everyone_in(trash)] == [UNKNOWN]
    assert (await trash.restore(UNKNOWN)).version == 9
    assert (await store.get(UNKNOWN)).version == 9
    await trash.add(UNKNOWN, expected=9)
    await trash.erase(UNKNOWN)
    assert await store.upsert_many([body]) == 1


async def test_copy_of_a_deleted_person_is_stored_only_if_it_is_newer(store: OpenedStore, trash: Trash) -> None:
    deleted = await deleted_person(store, trash)
    assert await store.upsert_many([deleted.body]) == 0
    assert (await scan_all(store), len(await everyone_in(trash))) == ([], 1)
    newer = deleted.body.replace(b'"version":2', b'"version":5')
    assert await store.upsert_many([newer]) == 1
    assert (await scan_all(store), await everyone_in(trash)) == ([newer], [])


async def test_idempotency_key_of_a_deleted_person_is_not_used_again(store: OpenedStore, trash: Trash) -> None:
    key = IdempotencyKey(b"k" * 32, b"c" * 32)
    created = await store.create(person_data("Once"), idempotency_key=key)
    await trash.add(created.person_id, expected=1)
    with pytest.raises(IdempotentPersonDeleted):
        await store.create(person_data("Once"), idempotency_key=key)


async def test_no_version_of_an_erased_person_remains(store_kind: str, tmp_path: Path, clock: Clock) -> None:
    async with open_store(store_kind, tmp_path, clock) as store:
        trash = Trash(store.trash, age=AGE, now=clock.now)
        key = IdempotencyKey(b"k" * 32, b"c" * 32)
        created = await store.create(person_data("Canary0", "Canary0", mail="canary0@example.org"), idempotency_key=key)
        for number in range(1, 4):
            data = person_data(f"Canary{number}", f"Canary{number}", mail=f"canary{number}@example.org")
            await store.replace(created.person_id, data, expected=number)
        await trash.add(created.person_id, expected=4)
        await trash.restore(created.person_id)
        await trash.add(created.person_id, expected=6)
        is_encrypted = store_kind.endswith("+encrypted")
        assert is_encrypted or b"canary" in (await stored_bytes(store_kind, tmp_path)).lower()
        await trash.erase(created.person_id)
        assert b"canary" not in (await stored_bytes(store_kind, tmp_path)).lower()


async def stored_bytes(kind: str, folder: Path) -> bytes:
    """Return the content of all files or items of a store."""
    if kind in ("sqlite", CACHED, ENCRYPTED):
        return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())
    location = table_location(kind.removesuffix("+encrypted"), folder)
    return raw_bytes(await all_items(location, location.table))
