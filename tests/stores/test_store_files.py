"""The files of the embedded store: removal, replacement and truncation, and the size of the write-ahead log."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from contextlib import AbstractAsyncContextManager, closing
from typing import TYPE_CHECKING, Final

import pytest

from peopleinfo.errors import OutcomeUnknown, PersonNotFound, StoreUnavailable
from peopleinfo.stores.sqlite.connection import MAX_LOG_SIZE
from peopleinfo.stores.sqlite.factory import open_sqlite
from tests.limits import HANG_TIMEOUT
from tests.store_kinds import Clock, encryption, person_data
from tests.store_process import store_process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from peopleinfo.stores.sqlite.store import SqliteStore

UNENCRYPTED: Final = ["people.db", "people.db-wal", "people.db-shm"]
ENCRYPTED: Final = [*UNENCRYPTED, *(f"keys-of-{name}" for name in UNENCRYPTED)]
FILES: Final = [(False, name) for name in UNENCRYPTED] + [(True, name) for name in ENCRYPTED]
REMOVED: Final = "was removed or replaced while it was open; restart the service"


def open_in(folder: Path, clock: Clock, *, encrypted: bool) -> AbstractAsyncContextManager[SqliteStore]:
    config = encryption(folder) if encrypted else None
    return open_sqlite(folder / "people.db", now=clock.now, encryption=config)


def remove(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    copy.replace(path)


@pytest.mark.parametrize("change", [remove, replace])
@pytest.mark.parametrize(("encrypted", "name"), FILES)
async def test_write_is_not_acknowledged_after_a_file_is_removed_or_replaced(
    tmp_path: Path, clock: Clock, encrypted: bool, name: str, change: Callable[[Path], None]
) -> None:
    async with open_in(tmp_path, clock, encrypted=encrypted) as store:
        await store.create(person_data("Before"))
        await store.check()
        change(tmp_path / name)
        with pytest.raises(StoreUnavailable, match=f"{name} {REMOVED}"):
            await store.create(person_data("After"))
        with pytest.raises(StoreUnavailable, match=f"{name} {REMOVED}"):
            await store.check()


@pytest.mark.parametrize(("encrypted", "name"), FILES)
async def test_outcome_is_unknown_when_a_file_is_removed_during_a_commit(
    tmp_path: Path, clock: Clock, encrypted: bool, name: str
) -> None:
    async with open_in(tmp_path, clock, encrypted=encrypted) as store:

        def write_and_remove(db: sqlite3.Connection) -> None:
            db.execute("UPDATE deployment SET last_seq = last_seq")
            (tmp_path / name).unlink()

        def reject(_: sqlite3.Connection) -> None:
            raise PersonNotFound("a" * 32)

        outcomes = await asyncio.gather(
            store._writer.run(write_and_remove), store._writer.run(reject), return_exceptions=True
        )
    assert [type(outcome) for outcome in outcomes] == [OutcomeUnknown, PersonNotFound]
    assert f"{name} was removed or replaced" in str(outcomes[0])


@pytest.mark.parametrize("detection", ["write", "readiness"])
@pytest.mark.parametrize(
    ("encrypted", "removed"), [(False, UNENCRYPTED[1:]), (False, UNENCRYPTED[1:2]), (True, ENCRYPTED[4:5])]
)
async def test_acknowledged_write_in_a_removed_log_is_rescued_to_the_database(
    tmp_path: Path, clock: Clock, encrypted: bool, removed: list[str], detection: str
) -> None:
    async with open_in(tmp_path, clock, encrypted=encrypted) as store:
        created = await store.create(person_data("Acknowledged"))
        for name in removed:
            (tmp_path / name).unlink()
        with pytest.raises(StoreUnavailable):
            await (store.create(person_data("Refused")) if detection == "write" else store.check())
        copied = tmp_path / "copied after a kill"
        copied.mkdir()
        for file in tmp_path.iterdir():
            if file.is_file() and not file.name.endswith("-shm"):
                shutil.copy(file, copied)
    async with open_in(copied, clock, encrypted=encrypted) as store:
        assert await store.get(created.person_id) == created


@pytest.mark.parametrize(
    ("encrypted", "name"), [(False, "people.db-wal"), (True, "people.db-wal"), (True, "keys-of-people.db-wal")]
)
async def test_write_is_not_acknowledged_after_a_log_is_truncated(
    tmp_path: Path, clock: Clock, encrypted: bool, name: str
) -> None:
    async with open_in(tmp_path, clock, encrypted=encrypted) as store:
        created = await store.create(person_data("Before"))
    async with open_in(tmp_path, clock, encrypted=encrypted) as store:
        await store.create_many([person_data("Lost") for _ in range(200)])
        os.truncate(tmp_path / name, 0)
        with pytest.raises(StoreUnavailable, match=f"{name} was truncated while it was open; restart the service"):
            await store.create(person_data("After"))
        with pytest.raises(StoreUnavailable):
            await store.check()
    async with open_in(tmp_path, clock, encrypted=encrypted) as store:
        assert await store.get(created.person_id) == created
        assert store._reader.execute("PRAGMA quick_check").fetchone() == ("ok",)


async def test_removed_log_is_not_written_to_a_replaced_database(tmp_path: Path, clock: Clock) -> None:
    async with open_in(tmp_path, clock, encrypted=False) as store:
        await store.create(person_data("Before"))
        restored = tmp_path / "restored.db"
        async with open_sqlite(restored, now=clock.now) as other:
            restored_record = await other.create(person_data("Restored"))
        (tmp_path / "people.db-wal").unlink()
        restored.replace(tmp_path / "people.db")
        content = (tmp_path / "people.db").read_bytes()
        with pytest.raises(StoreUnavailable):
            await store.create(person_data("After"))
    assert (tmp_path / "people.db").read_bytes() == content
    async with open_in(tmp_path, clock, encrypted=False) as store:
        assert await store.get(restored_record.person_id) == restored_record


async def test_write_ahead_log_of_a_removed_database_is_not_replayed_into_a_new_one(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_in(tmp_path, clock, encrypted=False) as store:
        created = await store.create(person_data("Before"))
        log = (tmp_path / "people.db-wal").read_bytes()
    (tmp_path / "people.db").unlink()
    (tmp_path / "people.db-wal").write_bytes(log)
    async with open_in(tmp_path, clock, encrypted=False) as store:
        with pytest.raises(PersonNotFound):
            await store.get(created.person_id)


async def test_short_lived_processes_do_not_trigger_the_file_check(tmp_path: Path, clock: Clock) -> None:
    path = str(tmp_path / "people.db")
    async with open_in(tmp_path, clock, encrypted=False) as store:
        with store_process() as other:
            for number in range(5):
                other.request("create", path, f"There{number}")
                await store.create(person_data(f"Here{number}"))
                with closing(sqlite3.connect(path)) as db:
                    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                await store.check()


@pytest.mark.parametrize("encrypted", [False, True])
async def test_log_shrinks_after_its_reader_ends_and_one_write(tmp_path: Path, clock: Clock, encrypted: bool) -> None:
    logs = [tmp_path / name for name in (ENCRYPTED if encrypted else UNENCRYPTED) if name.endswith("-wal")]
    async with open_in(tmp_path, clock, encrypted=encrypted) as store:
        with closing(sqlite3.connect(tmp_path / "people.db", isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM people").fetchone()
            while sum(log.stat().st_size for log in logs) <= 1.2 * MAX_LOG_SIZE:
                await store.create_many([person_data("Wal", note="x" * 2_000) for _ in range(2_000)])
        await store.create(person_data("Later"))
        await wait_until_empty(logs)


@pytest.mark.parametrize("encrypted", [False, True])
async def test_log_shrinks_while_idle(tmp_path: Path, clock: Clock, encrypted: bool) -> None:
    logs = [tmp_path / name for name in (ENCRYPTED if encrypted else UNENCRYPTED) if name.endswith("-wal")]
    async with open_in(tmp_path, clock, encrypted=encrypted) as store:
        await store.create_many([person_data("Wal", note="x" * 2_000) for _ in range(5_000)])
        await wait_until_empty(logs)


async def wait_until_empty(logs: list[Path]) -> None:
    """Wait until the logs are empty."""
    async with asyncio.timeout(HANG_TIMEOUT):
        while sum(log.stat().st_size for log in logs):
            await asyncio.sleep(0.05)


async def test_writer_does_not_wait_for_a_reader_of_a_long_log(tmp_path: Path, clock: Clock) -> None:
    async with open_in(tmp_path, clock, encrypted=False) as store:
        timeouts: list[str] = []
        with closing(sqlite3.connect(tmp_path / "people.db", isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM people").fetchone()
            while (tmp_path / "people.db-wal").stat().st_size <= MAX_LOG_SIZE:
                await store.create_many([person_data("Wal", note="x" * 2_000) for _ in range(2_000)])
            store._writer._db.set_trace_callback(timeouts.append)
            store._writer._log._retry_at = 0.0
            await store.create(person_data("Later"))
            reader.execute("ROLLBACK")
        attempts = [text for text in timeouts if "busy_timeout =" in text or "TRUNCATE" in text]
    assert attempts[:3] == [
        "PRAGMA busy_timeout = 0",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA busy_timeout = 5000",
    ]
