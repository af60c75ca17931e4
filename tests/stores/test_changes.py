"""The feed of changes: a reader that continues from its position sees every change, each person's changes by version."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from peopleinfo.errors import ChangesExpired, VersionConflict
from peopleinfo.people.history import Change, HistoryLimits, Operation, Origin, update_time
from tests.store_kinds import ALL_STORES, Clock, open_store, person_data

if TYPE_CHECKING:
    from pathlib import Path

    from peopleinfo.stores.service_store import OpenedStore

STORE_KINDS = ALL_STORES
UNKNOWN = "0123456789abcdef0123456789abcdef"
HOLD_BACK = 10  # seconds after which every store shows a change
CREATED, UPDATED, DELETED = Operation.CREATED, Operation.UPDATED, Operation.DELETED


async def current_position(store: OpenedStore, clock: Clock) -> bytes:
    clock.advance(seconds=HOLD_BACK)
    page = await store.read_changes(since=None, limit=1)
    assert (page.changes, page.more) == ([], False)
    return page.next


async def changes_since(store: OpenedStore, clock: Clock, position: bytes, *, limit: int = 1_000) -> list[Change]:
    """Return the changes of all pages, once the store shows all changes up to now."""
    clock.advance(seconds=HOLD_BACK)
    changes: list[Change] = []
    while True:
        page = await store.read_changes(since=position, limit=limit)
        assert len(page.changes) <= limit
        changes += page.changes
        position = page.next
        if not page.more:
            return changes


def without_times(changes: list[Change]) -> list[tuple[str, int, Operation]]:
    return [change[:3] for change in changes]


async def test_feed_has_each_change_with_its_time(store: OpenedStore, clock: Clock) -> None:
    start = await current_position(store, clock)
    first = await store.create(person_data("Fed"))
    person_id = first.person_id
    clock.advance(milliseconds=1_500)
    second = await store.replace(person_id, person_data("Fed", "again"), expected=1)
    third = await store.replace(person_id, person_data("Fed"), expected=2, origin=Origin(Operation.RESTORED, "desk"))
    await store.delete(person_id)
    changes = await changes_since(store, clock, start)
    assert without_times(changes) == [
        (person_id, 1, CREATED),
        (person_id, 2, UPDATED),
        (person_id, 3, Operation.RESTORED),
        (person_id, 4, DELETED),
    ]
    assert [change.at for change in changes[:3]] == [update_time(record.body) for record in (first, second, third)]
    assert changes[3].at == changes[2].at


async def test_feed_starts_after_its_position(store: OpenedStore, clock: Clock) -> None:
    await store.create(person_data("Earlier"))
    start = await current_position(store, clock)
    assert await changes_since(store, clock, start) == []
    later = await store.create(person_data("Later"))
    assert without_times(await changes_since(store, clock, start)) == [(later.person_id, 1, CREATED)]


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
async def test_pages_have_each_change_once(store: OpenedStore, clock: Clock, limit: int) -> None:
    start = await current_position(store, clock)
    people = [await store.create(person_data(f"Page{number}")) for number in range(6)]
    changed = [await store.replace(record.person_id, person_data("Page"), expected=1) for record in people]
    expected = [(record.person_id, 1, CREATED) for record in people]
    expected += [(record.person_id, 2, UPDATED) for record in changed]
    assert sorted(without_times(await changes_since(store, clock, start, limit=limit))) == sorted(expected)


async def test_bulk_operations_are_in_the_feed(store: OpenedStore, clock: Clock) -> None:
    start = await current_position(store, clock)
    ids = await store.create_many([person_data(f"Bulk{number}") for number in range(1_203)])
    body = (await store.get(ids[0])).body
    foreign = body.replace(ids[0].encode(), UNKNOWN.encode()).replace(b'"version":1', b'"version":7')
    newer = body.replace(b'"version":1', b'"version":5')
    await store.upsert_many([foreign, newer, (await store.get(ids[1])).body])
    changes = without_times(await changes_since(store, clock, start, limit=500))
    expected = [*((person_id, 1, CREATED) for person_id in ids), (UNKNOWN, 7, CREATED), (ids[0], 5, UPDATED)]
    assert sorted(changes) == sorted(expected)


async def test_rejected_change_is_not_in_the_feed(store: OpenedStore, clock: Clock) -> None:
    record = await store.create(person_data("Firm"))
    await store.replace(record.person_id, person_data("Firm", "two"), expected=1)
    start = await current_position(store, clock)
    with pytest.raises(VersionConflict):
        await store.replace(record.person_id, person_data("Soft"), expected=1)
    with pytest.raises(VersionConflict):
        await store.delete(record.person_id, expected=1)
    assert await changes_since(store, clock, start) == []


async def test_concurrent_writes_are_all_in_the_feed(store: OpenedStore, clock: Clock) -> None:
    start = await current_position(store, clock)

    async def write(number: int) -> str:
        record = await store.create(person_data(f"Many{number}"))
        for _ in range(3):
            record = await store.replace(record.person_id, person_data("Many"), expected=record.version)
        await store.delete(record.person_id)
        return record.person_id

    ids = await asyncio.gather(*(write(number) for number in range(20)))
    changes = await changes_since(store, clock, start, limit=7)
    for person_id in ids:
        own = [change[1:3] for change in changes if change.person_id == person_id]
        assert own == [(1, CREATED), (2, UPDATED), (3, UPDATED), (4, UPDATED), (5, DELETED)]
    assert len(changes) == 5 * len(ids)


async def test_position_remains_valid_after_reopening(store_kind: str, tmp_path: Path, clock: Clock) -> None:
    async with open_store(store_kind, tmp_path, clock) as store:
        await store.create(person_data("Earlier"))
        start = await current_position(store, clock)
    async with open_store(store_kind, tmp_path, clock) as store:
        later = await store.create(person_data("Later"))
        assert without_times(await changes_since(store, clock, start)) == [(later.person_id, 1, CREATED)]


async def test_position_before_expired_changes_is_rejected(store_kind: str, tmp_path: Path, clock: Clock) -> None:
    async with open_store(store_kind, tmp_path, clock, HistoryLimits(changes_age=timedelta(days=5))) as store:
        start = await current_position(store, clock)
        await store.create(person_data("Earlier"))
        after_first = await current_position(store, clock)
        clock.advance(days=6)
        await store.create(person_data("Later"))
        last = await current_position(store, clock)
        while await store.expire_history():
            pass
        for position in (start, after_first):
            with pytest.raises(ChangesExpired):
                await store.read_changes(since=position, limit=10)
        assert await changes_since(store, clock, last) == []
        newest = await store.create(person_data("Newest"))
        assert without_times(await changes_since(store, clock, last)) == [(newest.person_id, 1, CREATED)]
