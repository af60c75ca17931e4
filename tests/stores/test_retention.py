"""Retention: one process a day deletes the records that were not modified for a given time."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING, cast

import pytest

from peopleinfo.errors import AuditUnavailable, LeaseLost
from peopleinfo.privacy import retention
from peopleinfo.privacy.audit_file import AuditLogWriter
from tests.store_kinds import Clock, person_data, scan_all

if TYPE_CHECKING:
    from pathlib import Path

    from peopleinfo.people.person import StoredPerson
    from peopleinfo.people.store import Store
    from peopleinfo.stores.service_store import OpenedStore

RETENTION_PERIOD = timedelta(days=730)


async def test_retention_deletes_and_audits_unmodified_records(store: Store, clock: Clock, tmp_path: Path) -> None:
    old, renewed = await store.create(person_data("Old")), await store.create(person_data("Renewed"))
    clock.advance(days=731)
    renewed = await store.replace(renewed.person_id, person_data("Renewed", "again"), expected=1)
    new = await store.create(person_data("New"))
    audit = AuditLogWriter(tmp_path / "audit.jsonl")
    assert (
        await retention.delete_expired(store, audit, before=clock.now() - RETENTION_PERIOD, by=retention.RETENTION) == 1
    )
    audit.close()
    assert sorted(await scan_all(store)) == sorted([renewed.body, new.body])
    before, line, _ = map(json.loads, (tmp_path / "audit.jsonl").read_text().splitlines())
    assert (before["action"], before["intent"], before["people"]) == ("intent", "erasePerson", [old.person_id])
    assert (line["action"], line["principal"], line["people"]) == ("erasePerson", retention.RETENTION, [old.person_id])
    assert (
        await retention.delete_expired(store, None, before=clock.now() - RETENTION_PERIOD, by=retention.RETENTION) == 0
    )


async def test_expired_people_in_the_trash_are_erased_and_audited(
    store: OpenedStore, clock: Clock, tmp_path: Path
) -> None:
    early, late = await store.create(person_data("Early")), await store.create(person_data("Late"))
    await store.trash.add(early.person_id, expires_at=clock.now() + timedelta(days=1))
    await store.trash.add(late.person_id, expires_at=clock.now() + timedelta(days=3))
    clock.advance(days=2)
    audit = AuditLogWriter(tmp_path / "audit.jsonl")
    assert await retention.erase_expired_trash(store.trash, audit, by=retention.RETENTION) == 1
    assert await retention.erase_expired_trash(store.trash, audit, by=retention.RETENTION) == 0
    audit.close()
    assert [person.person_id for person in (await store.trash.page(after=None, limit=9)).people] == [late.person_id]
    _, line, _ = map(json.loads, (tmp_path / "audit.jsonl").read_text().splitlines())
    assert (line["action"], line["people"]) == ("eraseDeletedPerson", [early.person_id])


async def test_retention_keeps_record_that_is_modified_concurrently(store: Store, clock: Clock) -> None:
    created = await store.create(person_data("Old"))
    clock.advance(days=731)
    expired = [person async for person in retention.iter_expired(store, before=clock.now() - RETENTION_PERIOD)]
    assert expired == [(created.person_id, 1)]
    changed: list[StoredPerson] = []

    class Racing:
        """A store in which the record changes just before its deletion."""

        scan = store.scan

        async def delete(self, person_id: str, *, expected: int) -> None:
            changed.append(await store.replace(person_id, person_data("Old", "but wanted"), expected=expected))
            await store.delete(person_id, expected=expected)

    racing = cast("Store", Racing())
    count = await retention.delete_expired(racing, None, before=clock.now() - RETENTION_PERIOD, by=retention.RETENTION)
    assert count == 0
    assert [record.body for record in changed] == await scan_all(store)


async def test_one_process_runs_retention_each_day(store: Store, clock: Clock) -> None:
    processes = [retention.RetentionLease(store, clock.now) for _ in range(3)]
    acquired = await asyncio.gather(*(process.acquire() for process in processes))
    assert sorted(acquired) == [False, False, True]
    await processes[acquired.index(True)].finish()
    assert [await process.acquire() for process in processes] == [False, False, False]
    clock.advance(days=1)
    assert [await process.acquire() for process in processes] == [True, False, False]


async def test_interrupted_retention_is_resumed_by_another_process(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_PAGE_DELAY", 0)
    interrupted, other = retention.RetentionLease(store, clock.now), retention.RetentionLease(store, clock.now)
    assert await interrupted.acquire()
    for _ in range(3):  # a renewed lease is respected
        clock.advance(minutes=9)
        await interrupted.renew()
        assert not await other.acquire()
    assert await interrupted.acquire()
    clock.advance(minutes=11)
    assert await other.acquire()
    with pytest.raises(LeaseLost):
        await interrupted.renew()
    assert not await interrupted.acquire()
    await other.finish()
    assert not await interrupted.acquire()


async def test_retention_deletes_nothing_while_audit_cannot_be_written(
    store: Store, clock: Clock, tmp_path: Path
) -> None:
    created = await store.create(person_data("Old"))
    clock.advance(days=731)

    audit = AuditLogWriter(tmp_path / "not a folder" / "audit.jsonl")
    with pytest.raises(AuditUnavailable):
        await retention.delete_expired(store, audit, before=clock.now() - RETENTION_PERIOD, by=retention.RETENTION)
    audit.close()
    assert await scan_all(store) == [created.body]
