"""People whom nobody changes are not kept for ever: whoever was changed before a moment is erased, by one process a day."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from peopleinfo import rights
from peopleinfo.audit import AuditStream
from peopleinfo.errors import StoreUnavailable
from tests.stores_under_test import Clock, everyone_scanned, named

if TYPE_CHECKING:
    from pathlib import Path

    from peopleinfo.person import Record
    from peopleinfo.store import Store

KEPT = timedelta(days=730)


async def test_a_sweep_erases_those_whom_nobody_has_changed_and_writes_it_down(
    store: Store, clock: Clock, tmp_path: Path
) -> None:
    old, renewed = await store.create(named("Old")), await store.create(named("Renewed"))
    clock.advance(days=731)
    renewed = await store.replace(renewed.person_id, named("Renewed", "again"), expected=1)
    new = await store.create(named("New"))
    audit = AuditStream(tmp_path / "audit.jsonl")
    assert await rights.sweep(store, audit, before=clock.now() - KEPT, by=rights.RETENTION) == 1
    audit.close()
    assert sorted(await everyone_scanned(store)) == sorted([renewed.body, new.body])
    line = json.loads((tmp_path / "audit.jsonl").read_text().splitlines()[0])
    assert (line["action"], line["principal"], line["people"]) == ("erasePerson", rights.RETENTION, [old.person_id])
    assert await rights.sweep(store, None, before=clock.now() - KEPT, by=rights.RETENTION) == 0


async def test_whoever_is_changed_meanwhile_is_kept(store: Store, clock: Clock) -> None:
    made = await store.create(named("Old"))
    clock.advance(days=731)
    expired = [person async for person in rights.expired(store, before=clock.now() - KEPT)]
    assert expired == [(made.person_id, 1)]
    changed: list[Record] = []

    class Racing:
        """The store, in which somebody is changed just before being erased."""

        scan = store.scan

        async def erase(self, person_id: str, *, expected: int) -> None:
            changed.append(await store.replace(person_id, named("Old", "but wanted"), expected=expected))
            await store.erase(person_id, expected=expected)

    assert await rights.sweep(Racing(), None, before=clock.now() - KEPT, by=rights.RETENTION) == 0  # type: ignore[arg-type] # as much of a store as is asked
    assert [record.body for record in changed] == await everyone_scanned(store)


async def test_one_process_sweeps_a_day(store: Store) -> None:
    assert sorted(await asyncio.gather(*(rights.begin_sweep(store, 100) for _ in range(3)))) == [False, False, True]
    assert not await rights.begin_sweep(store, 100)
    assert await rights.begin_sweep(store, 101)


async def test_while_the_audit_cannot_be_written_nobody_is_erased(store: Store, clock: Clock) -> None:
    made = await store.create(named("Old"))
    clock.advance(days=731)

    class Full:
        def require(self) -> None:
            raise StoreUnavailable("the audit cannot be written", retry_after=5)

    with pytest.raises(StoreUnavailable):
        await rights.sweep(store, Full(), before=clock.now() - KEPT, by=rights.RETENTION)  # type: ignore[arg-type] # likewise
    assert await everyone_scanned(store) == [made.body]
