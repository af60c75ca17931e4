"""People whom nobody changes are not kept for ever: whoever was changed before a moment is erased, by one process a day."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from peopleinfo.errors import AuditUnavailable, ImportAlreadyRunning
from peopleinfo.privacy import retention
from peopleinfo.privacy.audit_file import AuditLogWriter
from tests.store_kinds import Clock, person_data, scan_all

if TYPE_CHECKING:
    from pathlib import Path

    from peopleinfo.people.person import StoredPerson
    from peopleinfo.people.store import Store

KEPT = timedelta(days=730)


async def test_retention_deletes_and_audits_unmodified_records(store: Store, clock: Clock, tmp_path: Path) -> None:
    old, key_rotation = await store.create(person_data("Old")), await store.create(person_data("Renewed"))
    clock.advance(days=731)
    key_rotation = await store.replace(key_rotation.person_id, person_data("Renewed", "again"), expected=1)
    new = await store.create(person_data("New"))
    audit = AuditLogWriter(tmp_path / "audit.jsonl")
    assert await retention.delete_expired(store, audit, before=clock.now() - KEPT, by=retention.RETENTION) == 1
    audit.close()
    assert sorted(await scan_all(store)) == sorted([key_rotation.body, new.body])
    before, line, _ = map(json.loads, (tmp_path / "audit.jsonl").read_text().splitlines())
    assert (before["action"], before["intent"], before["people"]) == ("intent", "erasePerson", [old.person_id])
    assert (line["action"], line["principal"], line["people"]) == ("erasePerson", retention.RETENTION, [old.person_id])
    assert await retention.delete_expired(store, None, before=clock.now() - KEPT, by=retention.RETENTION) == 0


async def test_retention_keeps_record_that_is_modified_concurrently(store: Store, clock: Clock) -> None:
    made = await store.create(person_data("Old"))
    clock.advance(days=731)
    expired = [person async for person in retention.iter_expired(store, before=clock.now() - KEPT)]
    assert expired == [(made.person_id, 1)]
    changed: list[StoredPerson] = []

    class Racing:
        """The store, in which somebody is changed just before being erased."""

        scan = store.scan

        async def delete(self, person_id: str, *, expected: int) -> None:
            changed.append(await store.replace(person_id, person_data("Old", "but wanted"), expected=expected))
            await store.delete(person_id, expected=expected)

    assert await retention.delete_expired(Racing(), None, before=clock.now() - KEPT, by=retention.RETENTION) == 0  # type: ignore[arg-type] # as much of a store as is asked
    assert [record.body for record in changed] == await scan_all(store)


async def test_one_process_runs_retention_each_day(store: Store, clock: Clock) -> None:
    processes = [retention.RetentionLease(store, clock.now) for _ in range(3)]
    begun = await asyncio.gather(*(process.acquire() for process in processes))
    assert sorted(begun) == [False, False, True]
    await processes[begun.index(True)].finish()
    assert [await process.acquire() for process in processes] == [False, False, False]
    clock.advance(days=1)
    assert [await process.acquire() for process in processes] == [True, False, False]


async def test_interrupted_retention_is_resumed_by_another_process(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_PAGE_DELAY", 0)
    cut, other = retention.RetentionLease(store, clock.now), retention.RetentionLease(store, clock.now)
    assert await cut.acquire()
    for _ in range(3):  # as long as it is heard of it is left alone
        clock.advance(minutes=9)
        await cut.renew()
        assert not await other.acquire()
    assert await cut.acquire()
    clock.advance(minutes=11)
    assert await other.acquire()
    with pytest.raises(ImportAlreadyRunning):
        await cut.renew()
    assert not await cut.acquire()
    await other.finish()
    assert not await cut.acquire()


async def test_retention_deletes_nothing_while_audit_cannot_be_written(
    store: Store, clock: Clock, tmp_path: Path
) -> None:
    made = await store.create(person_data("Old"))
    clock.advance(days=731)

    audit = AuditLogWriter(tmp_path / "not a folder" / "audit.jsonl")
    with pytest.raises(AuditUnavailable):
        await retention.delete_expired(store, audit, before=clock.now() - KEPT, by=retention.RETENTION)
    audit.close()
    assert await scan_all(store) == [made.body]
