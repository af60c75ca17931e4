"""The database file of the embedded store: permissions, migrations, locks, full disks, deletion and group commits."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from peopleinfo.errors import IdempotencyKeyConflict, PersonNotFound, StoreConfigurationError, StoreUnavailable
from peopleinfo.people.folding import FOLD_VERSION
from peopleinfo.people.history import HistoryLimits, Operation, Origin, PersonVersion
from peopleinfo.people.idempotency import IdempotencyKey
from peopleinfo.people.store import Checkpoint
from peopleinfo.stores.sqlite import schema
from peopleinfo.stores.sqlite.factory import open_sqlite
from peopleinfo.stores.sqlite.writer import CHANGE_OVERHEAD_SIZE, GroupCommitWriter
from tests.conftest import leaked_resources
from tests.limits import HANG_TIMEOUT
from tests.store_kinds import Clock, find_all, person_data, person_filter, scan_all
from tests.store_process import store_process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from peopleinfo.people.person import StoredPerson
    from peopleinfo.stores.sqlite.store import SqliteStore

NEXT_MIGRATION = "ALTER TABLE deployment ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue';"
NEWER = len(schema.MIGRATIONS) + 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "people.db"


@pytest.fixture
async def sqlite(path: Path, clock: Clock) -> AsyncIterator[SqliteStore]:
    async with open_sqlite(path, now=clock.now) as store:
        yield store
    assert leaked_resources(path.parent) == []


async def make_file(path: Path, clock: Clock) -> StoredPerson:
    """Create a database with one record."""
    async with open_sqlite(path, now=clock.now) as store:
        return await store.create(person_data("Keeper"))


def connect(path: Path) -> AbstractContextManager[sqlite3.Connection]:
    return closing(sqlite3.connect(path, isolation_level=None, timeout=0))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Lock the database, as another program may."""
    with connect(path) as db:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("ROLLBACK")


async def test_only_the_owner_can_read_the_database_files(sqlite: SqliteStore, path: Path) -> None:
    await sqlite.create(person_data("Private"))
    files = list(path.parent.iterdir())
    assert {file.name for file in files} == {"people.db", "people.db-wal", "people.db-shm"}
    assert {oct(file.stat().st_mode & 0o777) for file in files} == {"0o600"}


async def test_missing_directory_is_created(path: Path, clock: Clock) -> None:
    deep = path.parent / "not" / "yet" / "there.db"
    assert (await make_file(deep, clock)).version == 1
    assert deep.is_file()


async def test_one_file_remains_after_closing(path: Path, clock: Clock) -> None:
    await make_file(path, clock)
    assert [file.name for file in path.parent.iterdir()] == ["people.db"]


async def test_directory_in_place_of_the_file_is_rejected(tmp_path: Path, clock: Clock) -> None:
    with pytest.raises(StoreConfigurationError, match=r"is a directory; PEOPLEINFO_STORE_URL must name a file"):
        await make_file(tmp_path, clock)


async def test_uncreatable_directory_is_rejected_with_reason(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreConfigurationError, match=r"cannot open .*: (File exists|Not a directory)"):
        await make_file(tmp_path / "file" / "people.db", clock)


async def test_file_that_is_no_database_is_rejected_and_unchanged(path: Path, clock: Clock) -> None:
    path.write_text("dear diary\n" * 1_000)
    with pytest.raises(StoreConfigurationError, match="file is not a database"):
        await make_file(path, clock)
    assert path.read_text() == "dear diary\n" * 1_000


async def test_database_of_another_program_is_rejected_and_unchanged(path: Path, clock: Clock) -> None:
    with connect(path) as db:
        db.execute("CREATE TABLE recipes (name TEXT)")
    before = path.read_bytes()
    with pytest.raises(StoreConfigurationError, match="is a database of another program"):
        await make_file(path, clock)
    assert path.read_bytes() == before


async def test_newer_schema_is_rejected_with_reason(path: Path, clock: Clock) -> None:
    await make_file(path, clock)
    with connect(path) as db:
        schema.migrate(db, path, [*schema.MIGRATIONS, NEXT_MIGRATION])
    with pytest.raises(
        StoreConfigurationError,
        match=rf"written by a newer PeopleInfo \(schema version {NEWER}, supported: {NEWER - 1}\)",
    ):
        await make_file(path, clock)
    assert leaked_resources(path.parent) == []


async def test_older_schema_is_migrated_after_a_backup(path: Path, clock: Clock) -> None:
    created = await make_file(path, clock)
    with connect(path) as db:
        schema.migrate(db, path, [*schema.MIGRATIONS, NEXT_MIGRATION])
        assert db.execute("SELECT colour FROM deployment").fetchall() == [("blue",)]
        assert schema.schema_version(db, path, NEWER) == NEWER
        assert db.execute("SELECT body FROM people").fetchall() == [(created.body,)]
    copy = path.with_name(f"people.db.v{NEWER - 1}.bak")
    assert copy.stat().st_mode & 0o777 == 0o600
    async with open_sqlite(copy, now=clock.now) as store:
        assert await store.get(created.person_id) == created


async def test_checkpoints_of_schema_4_are_read_after_the_migration(path: Path, clock: Clock) -> None:
    digests = {b"import": b"d" * 32, b"copy": b"position", b"finished": b"", b"restore": b"restore"}
    with connect(path) as db:
        schema.migrate(db, path, schema.MIGRATIONS[:4])
        for name, digest in digests.items():
            db.execute("INSERT INTO imports VALUES (?, 3, 2, ?)", (name.ljust(32), digest))
        db.execute(
            "INSERT INTO imports VALUES (?, 738000, 0, ?)", (sha256(b"peopleinfo retention").digest(), b"x" * 16)
        )
    expected = [
        Checkpoint(b"import".ljust(32), rows=3, stored=2, digest=b"d" * 32),
        Checkpoint(b"copy".ljust(32), rows=3, stored=2, position=b"position"),
        Checkpoint(b"finished".ljust(32), rows=3, stored=2, finished=True),
        Checkpoint(b"restore".ljust(32), rows=3, stored=2),
    ]
    async with open_sqlite(path, now=clock.now) as store:
        assert [await store.read_checkpoint(one.operation_id) for one in expected] == expected
    with connect(path) as db:
        assert db.execute("SELECT count(*) FROM checkpoints").fetchone() == (4,)


async def test_failed_migration_leaves_the_file_unchanged(path: Path, clock: Clock) -> None:
    created = await make_file(path, clock)
    with connect(path) as db, pytest.raises(sqlite3.OperationalError):
        schema.migrate(db, path, [*schema.MIGRATIONS, f"{NEXT_MIGRATION}\nCREATE TABLE people (twice TEXT);"])
    async with open_sqlite(path, now=clock.now) as store:
        assert await store.get(created.person_id) == created


async def test_one_of_many_concurrent_migrations_runs_and_backs_up_the_older_schema(path: Path, clock: Clock) -> None:
    await make_file(path, clock)
    barrier = threading.Barrier(4)

    def migrate() -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            assert schema.schema_version(db, path, NEWER) == NEWER - 1
            barrier.wait(timeout=HANG_TIMEOUT)
            schema.migrate(db, path, [*schema.MIGRATIONS, NEXT_MIGRATION])

    await asyncio.gather(*(asyncio.to_thread(migrate) for _ in range(4)))
    with connect(path) as db, connect(path.with_name(f"people.db.v{NEWER - 1}.bak")) as copy:
        assert (schema.schema_version(db, path, NEWER), schema.schema_version(copy, path, NEWER)) == (NEWER, NEWER - 1)


async def test_file_without_a_write_ahead_log_gets_one(path: Path, clock: Clock) -> None:
    created = await make_file(path, clock)
    with connect(path) as db:
        db.execute("PRAGMA journal_mode = DELETE")
    async with open_sqlite(path, now=clock.now) as store:
        assert await store.get(created.person_id) == created
        with connect(path) as db:
            assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_processes_see_acknowledged_writes_of_each_other(sqlite: SqliteStore, path: Path) -> None:
    with store_process() as other:
        here = await sqlite.create(person_data("Shared"))
        there = other.request("create", str(path), "Shared")
        found = other.request("find", str(path), "Shared")
        assert found == [body.decode() for body in await find_all(sqlite, person_filter(surname="shared"))]
        assert [here.body, (await sqlite.get(there)).body] == [body.encode() for body in found]
        assert other.request("delete", str(path), here.person_id) == "deleted"
        with pytest.raises(PersonNotFound):
            await sqlite.get(here.person_id)


def test_several_processes_can_open_a_new_file_at_once(tmp_path: Path) -> None:
    with ExitStack() as stack:
        processes = [stack.enter_context(store_process()) for _ in range(4)]
        for attempt in range(30):
            for process in processes:
                process.send("open", str(tmp_path / f"{attempt}.db"))
            responses = {process.receive() for process in processes}
            assert len(responses) == 1, responses
            assert len(bytes.fromhex(responses.pop())) == 32


async def test_write_blocked_by_another_process_fails_and_the_next_one_succeeds(
    sqlite: SqliteStore, path: Path
) -> None:
    sqlite._writer._db.execute("PRAGMA busy_timeout = 1")
    with locked(path), pytest.raises(StoreUnavailable, match="another process holds the database"):
        await sqlite.create(person_data("Late"))
    created = await sqlite.create(person_data("Later"))
    assert await scan_all(sqlite) == [created.body]


async def test_reads_continue_while_another_process_writes(sqlite: SqliteStore, path: Path) -> None:
    created = await sqlite.create(person_data("Reader"))
    with locked(path):
        assert await sqlite.get(created.person_id) == created
        assert await find_all(sqlite, person_filter(surname="reader", name="x")) == []


async def test_blocked_writes_share_one_timeout(sqlite: SqliteStore, path: Path) -> None:
    statements: list[str] = []
    sqlite._writer._db.execute("PRAGMA busy_timeout = 1")
    sqlite._writer._db.set_trace_callback(statements.append)
    with locked(path):
        writes = [sqlite.create(person_data("Queue")) for _ in range(100)]
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
    assert len({id(outcome) for outcome in outcomes}) == 100
    assert statements.count("BEGIN IMMEDIATE") <= 3


async def test_store_is_ready_again_after_a_write_failure(sqlite: SqliteStore, path: Path) -> None:
    sqlite._writer._db.execute("PRAGMA busy_timeout = 1")
    with locked(path):
        with pytest.raises(StoreUnavailable):
            await sqlite.create(person_data("Late"))
        with pytest.raises(StoreUnavailable, match="another process holds the database"):
            await sqlite.check()
    await sqlite.check()


async def test_full_disk_is_reported_and_writes_resume_when_space_is_free(sqlite: SqliteStore) -> None:
    existing = await sqlite.create(person_data("Kept"))
    pages = "PRAGMA max_page_count = {}"
    sqlite._writer._db.execute(pages.format(1))  # SQLite raises the limit to the current size
    writes = [sqlite.create(person_data("Large", note="x" * 30_000)) for _ in range(5)]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["the disk is full"] * 5
    assert await sqlite.get(existing.person_id) == existing
    with pytest.raises(PersonNotFound):
        await sqlite.delete("a" * 26)
    sqlite._writer._db.execute(pages.format(2**30))
    created = await sqlite.create(person_data("Large", note="x" * 30_000))
    await sqlite.check()
    assert sorted(await scan_all(sqlite)) == sorted([existing.body, created.body])


async def test_records_can_be_deleted_on_a_full_disk(sqlite: SqliteStore) -> None:
    deleted = await sqlite.create(person_data("Large", note="x" * 30_000))
    sqlite._writer._db.execute("PRAGMA max_page_count = 1")
    with pytest.raises(StoreUnavailable):
        await sqlite.create(person_data("Large", note="x" * 30_000))
    await sqlite.delete(deleted.person_id)
    assert await scan_all(sqlite) == []


async def test_store_is_not_ready_after_its_file_is_removed(sqlite: SqliteStore, path: Path) -> None:
    await sqlite.check()
    path.unlink()
    with pytest.raises(StoreUnavailable, match="was removed or replaced while it was open"):
        await sqlite.check()


async def test_write_to_a_removed_file_is_not_acknowledged(sqlite: SqliteStore, path: Path) -> None:
    path.unlink()
    with pytest.raises(StoreUnavailable, match="was removed or replaced while it was open"):
        await sqlite.create(person_data("Gone"))


async def test_store_is_not_ready_after_its_file_is_replaced(sqlite: SqliteStore, path: Path) -> None:
    path.with_name("other").write_bytes(path.read_bytes())
    path.with_name("other").replace(path)
    with pytest.raises(StoreUnavailable, match="was removed or replaced while it was open"):
        await sqlite.check()


@pytest.mark.parametrize("length", [10, 3_000, 30_000])
async def test_no_data_of_deleted_record_remains_in_file(sqlite: SqliteStore, path: Path, length: int) -> None:
    await sqlite.create_many([person_data(f"Neighbour{number}") for number in range(200)])
    details = person_data("Wachowiczowa", note="tell-tale" * (length // 9))
    deleted = await sqlite.create(details, idempotency_key=IdempotencyKey(b"k" * 32, b"c" * 32))
    changed = await sqlite.replace(deleted.person_id, person_data("Wachowicz", note="new tell-tale"), expected=1)
    changed = await sqlite.replace(deleted.person_id, person_data("Wachowicz", note="last tell-tale"), expected=2)
    assert b"wachowicz" in checkpointed(path)
    await sqlite.delete(changed.person_id)
    assert b"tell-tale" not in stored_bytes(path)
    contents = checkpointed(path)
    assert b"wachowicz" not in contents.lower()
    assert b"tell-tale" not in contents
    assert b"neighbour150" in contents


async def test_no_data_of_replaced_version_remains_in_file_without_history(path: Path, clock: Clock) -> None:
    async with open_sqlite(path, now=clock.now, limits=HistoryLimits(max_versions=0)) as sqlite:
        created = await sqlite.create(person_data("Former", note="a secret" * 1_000))
        await sqlite.replace(created.person_id, person_data("Latter"), expected=1)
        contents = checkpointed(path)
    assert b"latter" in contents
    assert b"former" not in contents.lower()
    assert b"a secret" not in contents


async def test_no_data_of_expired_version_remains_in_file(path: Path, clock: Clock) -> None:
    async with open_sqlite(path, now=clock.now, limits=HistoryLimits(max_age=timedelta(days=30))) as sqlite:
        created = await sqlite.create(person_data("Former", note="a secret" * 1_000))
        await sqlite.replace(created.person_id, person_data("Latter"), expected=1)
        assert b"a secret" in checkpointed(path)
        clock.advance(days=31)
        assert not await sqlite.expire_history()
        assert b"a secret" not in stored_bytes(path)


async def test_file_of_an_earlier_release_gets_an_empty_history(path: Path, clock: Clock) -> None:
    path.touch()
    with connect(path) as db:
        schema.migrate(db, path, schema.MIGRATIONS[:5])
    created = b'{"person_id":"%b","person_surname":"Early","version":3,"created_at":"%b","updated_at":"%b"}'
    async with open_sqlite(path, now=clock.now) as sqlite:
        person_id = sqlite._seqs.id_of(1)
    at = b"2026-11-24T09:00:00.000Z"
    with connect(path) as db:
        row = ("early", 1, FOLD_VERSION, 3, created % (person_id.encode(), at, at))
        db.execute("INSERT INTO people (surname_key, seq, fold, version, body) VALUES (?, ?, ?, ?, ?)", row)
    async with open_sqlite(path, now=clock.now) as sqlite:
        changed = await sqlite.replace(person_id, person_data("Late"), expected=3)
        page = await sqlite.read_versions(person_id, after=0, limit=10)
    assert page.versions == [
        PersonVersion(3, Origin(Operation.UPDATED), row[-1]),
        PersonVersion(4, Origin(Operation.UPDATED), changed.body),
    ]


def stored_bytes(path: Path) -> bytes:
    """Return the bytes of the file and of its log, without a checkpoint."""
    return b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))


def checkpointed(path: Path) -> bytes:
    """Return the bytes of the file after a checkpoint."""
    with connect(path) as db:
        (busy, *_) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert not busy
    return path.read_bytes()


async def test_failing_change_does_not_affect_others_in_its_group(path: Path, clock: Clock) -> None:
    await make_file(path, clock)
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as db:
        writer = GroupCommitWriter(db)
        blocked = asyncio.ensure_future(writer.run(wait_until_released := WaitUntilReleased()))

        def count(step: int) -> int:
            return int(
                db.execute("UPDATE deployment SET last_seq = last_seq + ? RETURNING last_seq", (step,)).fetchone()[0]
            )

        def raise_after_write(db: sqlite3.Connection) -> None:
            count(1_000)
            raise ZeroDivisionError

        def reject(db: sqlite3.Connection) -> None:
            raise IdempotencyKeyConflict

        def violate_constraint(db: sqlite3.Connection) -> None:
            count(1_000)
            db.execute("INSERT INTO deployment VALUES (2, x'00', 0)")

        changes = [
            lambda _: count(1),
            raise_after_write,
            lambda _: count(1),
            reject,
            violate_constraint,
            lambda _: count(1),
        ]
        group = [asyncio.ensure_future(writer.run(change)) for change in changes]
        await asyncio.sleep(0)  # all changes are queued behind the blocked one
        wait_until_released.release.set()
        outcomes = await asyncio.gather(blocked, *group, return_exceptions=True)
        await writer.close()
    assert [outcome if isinstance(outcome, int | None) else type(outcome) for outcome in outcomes] == [
        None,
        2,
        ZeroDivisionError,
        3,
        IdempotencyKeyConflict,
        StoreUnavailable,
        4,
    ]


class WaitUntilReleased:
    """A change that blocks the writer."""

    def __init__(self) -> None:
        self.release = threading.Event()

    def __call__(self, db: sqlite3.Connection) -> None:
        assert self.release.wait(timeout=HANG_TIMEOUT)


async def test_queued_writes_are_done_when_the_store_closes(path: Path, clock: Clock) -> None:
    async with open_sqlite(path, now=clock.now) as store:
        writes = [asyncio.ensure_future(store.create(person_data("Last", str(number)))) for number in range(600)]
        await asyncio.sleep(0)
    created = await asyncio.gather(*writes)
    async with open_sqlite(path, now=clock.now) as store:
        assert len(await find_all(store, person_filter(surname="last"), limit=1_000)) == len(created) == 600


async def test_write_after_closing_is_rejected(path: Path, clock: Clock) -> None:
    async with open_sqlite(path, now=clock.now) as store:
        pass
    with pytest.raises(StoreUnavailable, match="the store is closing"):
        await store.create(person_data("Late"))


@pytest.mark.parametrize(("pad", "accepted"), [("", 25), ("x" * 60_000, 1)])
async def test_size_of_queued_writes_is_limited(
    sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch, pad: str, accepted: int
) -> None:
    monkeypatch.setattr("peopleinfo.stores.sqlite.writer.MAX_PENDING_SIZE", 26 * CHANGE_OVERHEAD_SIZE)
    blocked = asyncio.ensure_future(sqlite._writer.run(wait_until_released := WaitUntilReleased()))
    details = person_data("Queue", pad=pad) if pad else person_data("Queue")
    writes = [asyncio.ensure_future(sqlite.create(details)) for _ in range(40)]
    await asyncio.sleep(0)
    wait_until_released.release.set()
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    await blocked
    rejected = [outcome for outcome in outcomes if isinstance(outcome, StoreUnavailable)]
    assert len(rejected) == 40 - accepted
    assert sqlite._writer._size_in_progress == 0
    assert {str(error) for error in rejected} == {"too many writes are queued; retry later"}


async def test_write_is_synced_before_acknowledgement(sqlite: SqliteStore) -> None:
    level = await sqlite._writer.run(lambda db: db.execute("PRAGMA synchronous").fetchone())
    assert level == (2,)  # FULL


async def test_reads_do_not_block_checkpoints(sqlite: SqliteStore, path: Path) -> None:
    created = await sqlite.create_many([person_data("Walker", "Stays") for _ in range(50)])
    await sqlite.get(created[0])
    for search in ({"surname": "Walker"}, {"surname_prefix": "Walk"}, {"surname": "Walker", "name": "Stays"}):
        await sqlite.find(person_filter(**search), after=None, limit=3)
    await sqlite.scan(after=None, limit=3)
    await sqlite.read_checkpoint(b"i" * 32)
    checkpointed(path)


async def test_deleted_data_is_in_no_file_after_acknowledgement(sqlite: SqliteStore, path: Path) -> None:
    records = [await sqlite.create(person_data(f"Zxqerased{number}x")) for number in range(200)]
    for record in records[::2]:
        await sqlite.delete(record.person_id)
    contents = b"".join(file.read_bytes() for file in path.parent.iterdir())
    remaining = {number for number in range(200) if f"Zxqerased{number}x".encode() in contents}
    assert remaining == set(range(1, 200, 2))


async def test_data_deleted_during_a_read_is_soon_in_no_file(sqlite: SqliteStore, path: Path) -> None:
    record = await sqlite.create(person_data("Zxqerased"))
    log = path.with_name("people.db-wal")
    with connect(path) as db:
        db.execute("BEGIN")
        db.execute("SELECT * FROM people").fetchall()
        await sqlite.delete(record.person_id)
        assert b"Zxqerased" in log.read_bytes()
    async with asyncio.timeout(HANG_TIMEOUT):
        while b"Zxqerased" in log.read_bytes():
            await asyncio.sleep(0.05)
    assert b"Zxqerased" not in path.read_bytes()
