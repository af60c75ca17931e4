"""Failed changes of the embedded store are rolled back, whichever statement fails."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import sqlite3
import threading
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from peopleinfo.auth.api_keys import create_key, revoke
from peopleinfo.auth.api_keys import rotate as rotate_key
from peopleinfo.auth.principal import Scope
from peopleinfo.bulk.backup import Backup
from peopleinfo.bulk.backup_storage import DirectoryStorage
from peopleinfo.bulk.copy import StoreCopy
from peopleinfo.bulk.importer import Importer, ImportTarget
from peopleinfo.bulk.restore import Restore
from peopleinfo.bulk.rows import Row
from peopleinfo.crypto.master_key import Encryption, FileMasterKey, OldOrNewMasterKey, create_file
from peopleinfo.crypto.rotation import rotate
from peopleinfo.errors import (
    IdempotencyKeyConflict,
    OutcomeUnknown,
    PeopleInfoError,
    StoreConfigurationError,
    StoreUnavailable,
)
from peopleinfo.people.idempotency import IdempotencyKey
from peopleinfo.people.person import encode_person, timestamp
from peopleinfo.people.store import Checkpoint
from peopleinfo.stores.sqlite import person_keys
from peopleinfo.stores.sqlite.encrypt_existing import SqliteKeyStore
from peopleinfo.stores.sqlite.factory import open_sqlite
from tests.failing_sqlite import FailingConnection, Nth, make_writer_fail
from tests.limits import HANG_TIMEOUT
from tests.store_kinds import ENCRYPTED, Clock, encryption, person_data, scan_all

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from peopleinfo.stores.sqlite.store import SqliteStore

ERRORS: dict[str, Callable[[], Exception]] = {
    "sqlite": partial(sqlite3.OperationalError, "disk I/O error"),
    "domain": partial(StoreConfigurationError, "x"),
    "bug": ZeroDivisionError,
}
each_moment = pytest.mark.parametrize("moment", ["before", "after"])
each_error = pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "people.db"


@pytest.fixture(params=["sqlite", ENCRYPTED])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Encryption | None:
    return encryption(tmp_path) if request.param == ENCRYPTED else None


@pytest.fixture
async def store(path: Path, clock: Clock, config: Encryption | None) -> AsyncIterator[SqliteStore]:
    async with open_sqlite(path, now=clock.now, encryption=config) as store:
        for file in ("main", "people_file") if config else ("main",):
            store._writer._db.execute(f"PRAGMA {file}.synchronous = OFF")  # no power failures here
        yield store


class WaitUntilReleased:
    """A change that blocks the writer, so that the queued changes form one group."""

    def __init__(self) -> None:
        self.release = threading.Event()

    def __call__(self, db: sqlite3.Connection) -> None:
        assert self.release.wait(timeout=HANG_TIMEOUT)


async def in_one_group(store: SqliteStore, *changes: Awaitable[Any]) -> list[Any]:
    """Run the changes in one transaction; return their results and errors."""
    blocked = asyncio.ensure_future(store._writer.run(wait_until_released := WaitUntilReleased()))
    group = [asyncio.ensure_future(change) for change in changes]
    await asyncio.sleep(0)  # all changes are queued
    wait_until_released.release.set()
    _, *outcomes = await asyncio.gather(blocked, *group, return_exceptions=True)
    return outcomes


async def import_file(store: SqliteStore, clock: Clock, name: str) -> None:
    """Import four rows in two batches, with an import id of their own."""
    rows = [Row(line, {"person_name": f"{name}-{line}"}, b"") for line in range(4)]
    import_ = Importer(ImportTarget(store, store.secret, clock.now), import_id(name))
    await import_.import_rows(rows[:2])
    await import_.import_rows(rows[2:])
    await import_.finish()


def import_id(name: str) -> bytes:
    return name.encode().ljust(32, b".")


def expected_names(name: str) -> list[str]:
    return [f"{name}-{line}" for line in range(4)]


async def stored_names(store: SqliteStore) -> list[str]:
    return sorted(msgspec.json.decode(body)["person_name"] for body in await scan_all(store))


async def fail_once(
    connection: FailingConnection, moment: str, fault: Nth, action: Callable[[], Awaitable[Any]]
) -> bool:
    """Run the action while one statement fails; return whether the error was raised."""
    setattr(connection, moment, fault)
    with suppress(PeopleInfoError, ZeroDivisionError):
        await action()
    connection.clear()
    return fault.was_raised


@each_error
@each_moment
async def test_repeated_import_stores_each_row_once_after_any_failed_statement(
    store: SqliteStore, clock: Clock, error: Callable[[], Exception], moment: str
) -> None:
    connection = make_writer_fail(store)
    expected: list[str] = []
    for number in itertools.count():
        name = f"file{number:03}"
        reached = await fail_once(connection, moment, Nth(number, error), partial(import_file, store, clock, name))
        stored = len(await stored_names(store)) - len(expected)
        assert stored == (await store.read_checkpoint(import_id(name))).stored, (
            f"after the failure of statement {number}"
        )
        await import_file(store, clock, name)
        expected += expected_names(name)
        assert await stored_names(store) == expected, f"after the failure of statement {number}"
        if not reached:
            break
    assert len(expected) > 4 * 10


async def copy(source: SqliteStore, target: SqliteStore, folder: Path) -> None:
    async for _ in StoreCopy(source, target, (source, target)).run():
        pass


async def restore(source: SqliteStore, target: SqliteStore, folder: Path) -> None:
    storage = DirectoryStorage(folder)
    if not folder.exists():
        backup = Backup(source, source, storage, key=None, now=lambda: datetime.now(UTC))
        async for _ in backup.run(await backup.start()):
            pass
    task = Restore(storage, key=None)
    async for _ in task.run(await task.manifest(), target, target, merge=True):
        pass


@each_moment
@pytest.mark.parametrize("move", [copy, restore])
async def test_repeated_copy_or_restore_stores_each_record_once_after_any_failed_statement(
    store: SqliteStore,
    tmp_path: Path,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
    move: Callable[[SqliteStore, SqliteStore, Path], Awaitable[None]],
) -> None:
    monkeypatch.setattr("peopleinfo.bulk.copy.PAGE_SIZE", 2)
    monkeypatch.setattr("peopleinfo.bulk.restore._BATCH_ROWS", 2)
    monkeypatch.setattr("peopleinfo.bulk.copy.RETRY_TIMEOUT", 0)
    connection = make_writer_fail(store)
    expected: list[str] = []
    for number in itertools.count():
        async with open_sqlite(tmp_path / f"source{number}.db", now=clock.now) as source:
            await source.create_many([person_data("Copied", f"{number:03}-{line}") for line in range(4)])
            action = partial(move, source, store, tmp_path / f"backup{number}")
            reached = await fail_once(connection, moment, Nth(number, ERRORS["domain"]), action)
            await action()
        expected += expected_names(f"{number:03}")
        assert await stored_names(store) == expected, f"after the failure of statement {number}"
        if not reached:
            break
    assert len(expected) > 4 * 10


# Names that each kind of change leaves: if acknowledged, and if failed.
EFFECTS = [("created", ""), ("once", ""), ("bulk", ""), ("upserted", ""), ("changed", "unchanged"), ("", "deleted")]


async def change_in_one_group(store: SqliteStore, name: str, *, inject: Callable[[], None]) -> list[Any]:
    """Call `inject`, run a change of each kind in one group, and return the outcomes."""
    changed, deleted = [
        await store.create(person_data("Group", f"{name}-{state}")) for state in ("unchanged", "deleted")
    ]
    now = timestamp(datetime.now(UTC))
    upserted = encode_person(
        secrets.token_hex(16), 1, person_data("Group", f"{name}-upserted"), created_at=now, updated_at=now
    )
    key = name.encode().ljust(32)
    inject()
    return await in_one_group(
        store,
        store.create(person_data("Group", f"{name}-created")),
        store.create(person_data("Group", f"{name}-once"), idempotency_key=IdempotencyKey(key, key)),
        store.create_many(
            [person_data("Group", f"{name}-bulk")], checkpoint=(Checkpoint(key), Checkpoint(key, rows=1, stored=1))
        ),
        store.upsert_many([upserted.body]),
        store.replace(changed.person_id, person_data("Group", f"{name}-changed"), expected=1),
        store.delete(deleted.person_id),
    )


def has_failed(outcome: Any) -> bool:
    """Return whether a change failed; only the deletion of a key may fail after its person is erased."""
    return isinstance(outcome, Exception) and not isinstance(outcome, OutcomeUnknown)


@each_error
@each_moment
async def test_change_in_a_group_is_stored_if_and_only_if_acknowledged(
    store: SqliteStore, error: Callable[[], Exception], moment: str
) -> None:
    connection = make_writer_fail(store)
    statements: dict[str, None] = {}

    def trace() -> None:
        connection.before = statements.setdefault

    await change_in_one_group(store, "traced", inject=trace)
    connection.clear()
    assert len(statements) > 10
    for number, statement in enumerate(statements):
        fault = partial(setattr, connection, moment, lambda run, at=statement: error() if run == at else None)
        outcomes = await change_in_one_group(store, f"{number:03}", inject=fault)
        connection.clear()
        effects = [EFFECTS[position][has_failed(outcome)] for position, outcome in enumerate(outcomes)]
        expected = sorted(f"{number:03}-{effect}" for effect in effects if effect)
        found = [name for name in await stored_names(store) if name.startswith(f"{number:03}")]
        assert found == expected, f"while this statement failed: {statement}"


async def test_change_that_raises_after_writing_is_rolled_back_alone(store: SqliteStore) -> None:
    def count(db: sqlite3.Connection) -> int:
        statement = "UPDATE deployment SET last_seq = last_seq + 1 RETURNING last_seq"
        return int(db.execute(statement).fetchone()[0])

    def raise_after_write(db: sqlite3.Connection) -> None:
        count(db)
        raise IdempotencyKeyConflict

    run = store._writer.run
    first, rejected, second = await in_one_group(store, run(count), run(raise_after_write), run(count))
    assert isinstance(rejected, IdempotencyKeyConflict)
    assert second == first + 1
    with pytest.raises(IdempotencyKeyConflict):
        await run(raise_after_write)
    assert await run(count) == first + 2


@each_error
@each_moment
async def test_failed_rotation_or_revocation_of_api_keys_changes_nothing(
    store: SqliteStore, clock: Clock, error: Callable[[], Exception], moment: str
) -> None:
    connection, keys, now = make_writer_fail(store), store.api_keys, clock.now()
    _, old = await create_key(keys, name="ci", scopes=[Scope.READ], lifetime=None, now=now)
    for action in (
        partial(rotate_key, keys, "ci", overlap=timedelta(days=1), now=now),
        partial(revoke, keys, "ci", now=now),
    ):
        before = await keys.all()
        for number in itertools.count():
            if not await fail_once(connection, moment, Nth(number, error), action):
                break
            assert await keys.all() == before
    new, former = sorted(await keys.all(), key=lambda key: key.key_hash == old.key_hash)
    assert former.expires_at == now + timedelta(days=1)
    assert {key.state(now) for key in (new, former)} == {"revoked"}


async def test_import_with_a_replaced_record_key_stores_nothing_and_fails(path: Path, clock: Clock) -> None:
    config = encryption(path.parent)
    create_file(path.with_name("new.key"))
    new = FileMasterKey(path.with_name("new.key"))
    async with open_sqlite(path, now=clock.now, encryption=config) as store:
        with closing(person_keys.open_key_db(path)) as db:
            await rotate(SqliteKeyStore(db), OldOrNewMasterKey(new, config.master), on_progress=lambda _: None)
        with pytest.raises(StoreUnavailable):
            await import_file(store, clock, "file")
        assert (await store.read_checkpoint(import_id("file"))).rows == 0
    async with open_sqlite(path, now=clock.now, encryption=Encryption(new)) as store:
        await import_file(store, clock, "file")
        assert await stored_names(store) == expected_names("file")
