"""Encryption of the embedded store: file contents, deletion, lost keys, encryption of existing records, and rotation."""

from __future__ import annotations

import asyncio
import resource
import shutil
import sqlite3
from contextlib import AbstractAsyncContextManager, closing
from typing import TYPE_CHECKING

import pytest

from peopleinfo.crypto.cipher import KEY_SIZE
from peopleinfo.crypto.keyring import generation_of
from peopleinfo.crypto.master_key import Encryption, FileMasterKey, OldOrNewMasterKey, create_file
from peopleinfo.crypto.rotation import rotate
from peopleinfo.errors import (
    IdempotentPersonDeleted,
    InvalidSearch,
    OutcomeUnknown,
    PersonNotFound,
    StoreConfigurationError,
    StoreDamaged,
    StoreUnavailable,
)
from peopleinfo.people.idempotency import IdempotencyKey
from peopleinfo.people.person import split_record
from peopleinfo.stores.sqlite import person_keys
from peopleinfo.stores.sqlite.encrypt_existing import SqliteKeyStore, encrypt_database
from peopleinfo.stores.sqlite.errors import ErrorTranslator
from peopleinfo.stores.sqlite.factory import open_sqlite
from peopleinfo.stores.sqlite.files import path_of_keys
from tests.store_kinds import (
    Clock,
    encryption,
    find_all,
    person_data,
    person_filter,
    purge_all,
    scan_all,
)

if TYPE_CHECKING:
    from pathlib import Path

    from peopleinfo.stores.sqlite.store import SqliteStore

CANARY = "Zxqkanarie"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "people.db"


def open_encrypted(path: Path, clock: Clock, *, prefixes: bool = False) -> AbstractAsyncContextManager[SqliteStore]:
    return open_sqlite(path, now=clock.now, encryption=encryption(path.parent, prefixes=prefixes))


def stored_bytes(folder: Path) -> bytes:
    """Return the bytes of all files in a directory."""
    return b"".join(file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file())


async def test_no_plaintext_is_in_any_file(path: Path, clock: Clock) -> None:
    async with open_encrypted(path, clock) as store:
        person = person_data(CANARY, f"{CANARY}name", "1990-02-11", **{f"{CANARY}member": f"{CANARY}value"})
        await store.create(person, idempotency_key=IdempotencyKey(bytes(32), bytes(32)))
        await store.create_many([person, person])
        record = await store.create(person)
        await store.replace(record.person_id, person, expected=1)
        await store.replace(record.person_id, person, expected=2)
        assert len(await find_all(store, person_filter(surname=CANARY))) == 4
        assert {file.name for file in path.parent.iterdir()} >= {"people.db-wal", "keys-of-people.db-wal"}
        written = stored_bytes(path.parent).lower()
    for value in (CANARY, "1990-02-11", "person_name"):
        assert value.lower().encode() not in written
        assert value.lower().encode() not in stored_bytes(path.parent).lower()


async def test_prefix_index_contains_surnames_only(path: Path, clock: Clock) -> None:
    async with open_encrypted(path, clock, prefixes=True) as store:
        await store.create(person_data(CANARY, f"Name{CANARY}"))
        assert len(await find_all(store, person_filter(surname_prefix=CANARY[:4]))) == 1
        written = stored_bytes(path.parent)
    assert CANARY.lower().encode() in written
    assert f"Name{CANARY}".encode() not in written


async def test_prefix_search_without_prefix_index_is_rejected_with_reason(path: Path, clock: Clock) -> None:
    async with open_encrypted(path, clock) as store:
        with pytest.raises(InvalidSearch, match=r"surname_prefix: is not supported: the surnames are encrypted"):
            await store.find(person_filter(surname_prefix="m"), after=None, limit=1)


async def test_deleted_record_cannot_be_decrypted_in_restored_backup(path: Path, clock: Clock) -> None:
    backup = path.with_name("yesterday.db")
    async with open_encrypted(path, clock) as store:
        once = IdempotencyKey(bytes(32), bytes(32))
        deleted = await store.create(person_data("Gone", "Anna"), idempotency_key=once)
        deleted = await store.replace(deleted.person_id, person_data("Gone", "Anna"), expected=1)
        kept = await store.create(person_data("Stays", "Bela"))
        with closing(sqlite3.connect(path)) as db, closing(sqlite3.connect(backup)) as copy:
            db.backup(copy)
        await store.delete(deleted.person_id)
    shutil.move(backup, path)
    async with open_encrypted(path, clock) as store:
        with pytest.raises(PersonNotFound):
            await store.get(deleted.person_id)
        assert await find_all(store, person_filter(surname="Gone")) == []
        assert await scan_all(store) == [kept.body]
        assert await store.get(kept.person_id) == kept
        assert await purge_all(store, remove=False) == (2, 1)
    # No remaining key decrypts the deleted record.
    with closing(sqlite3.connect(path)) as db, closing(person_keys.connect_to_both(path)) as keys:
        bodies = [row[0] for row in db.execute("SELECT body FROM history WHERE seq = 1 UNION SELECT answer FROM once")]
        reader = person_keys.DecryptingReader(
            keys, person_keys.load_encryption(keys, path, encryption(path.parent, prefixes=False)), ErrorTranslator()
        )
        remaining = keys.execute("SELECT seq, wrapped FROM person_keys WHERE seq > 0").fetchall()
        assert [seq for seq, _ in remaining] == [2]
        assert len(bodies) == 2
        for body in bodies:
            for seq, wrapped in remaining:
                with pytest.raises(StoreDamaged, match="cannot be decrypted"):
                    reader.decrypt(seq, 1, body, wrapped)

    async with open_encrypted(path, clock) as store:
        assert await purge_all(store) == (2, 1)
        assert await purge_all(store) == (1, 0)
        assert await scan_all(store) == [kept.body]
        with pytest.raises(IdempotentPersonDeleted):
            await store.create(person_data("Gone", "Anna"), idempotency_key=once)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT seq FROM people").fetchall() == [(2,)]
        assert db.execute("SELECT seq FROM history").fetchall() == []
        assert db.execute("SELECT answer FROM once").fetchall() == [(None,)]


async def test_key_of_deleted_record_is_in_no_file(path: Path, clock: Clock) -> None:
    async with open_encrypted(path, clock) as store:
        records = [await store.create(person_data(f"N{number}")) for number in range(300)]
        with closing(sqlite3.connect(path_of_keys(path))) as db:
            wrapped = dict(db.execute("SELECT seq, wrapped FROM person_keys WHERE seq > 0"))
        deleted = records[::2]
        for record in deleted:
            await store.delete(record.person_id)
        remaining = stored_bytes(path.parent)
        assert [seq for seq, key in wrapped.items() if (key in remaining) is (seq % 2 == 1)] == []
        assert (await store.get(records[1].person_id)).version == 1


async def test_every_file_is_synced_before_acknowledgement_and_overwrites_deleted_data(
    path: Path, clock: Clock
) -> None:
    def pragmas(db: sqlite3.Connection) -> dict[str, tuple[int, int]]:
        files = [name for _, name, file in db.execute("PRAGMA database_list").fetchall() if file]
        pragma = "PRAGMA {}.{}".format
        levels = (
            [db.execute(pragma(file, name)).fetchone()[0] for name in ("synchronous", "secure_delete")]
            for file in files
        )
        return {file: (synchronous, deletes) for file, (synchronous, deletes) in zip(files, levels, strict=True)}

    full_and_on = (2, 1)
    async with open_encrypted(path, clock) as store:
        assert await store._writer.run(pragmas) == {"main": full_and_on, "people_file": full_and_on}


@pytest.mark.parametrize("length", [10, 3_000, 30_000])
async def test_no_ciphertext_of_deleted_record_remains_in_file(path: Path, clock: Clock, length: int) -> None:
    async with open_encrypted(path, clock) as store:
        await store.create_many([person_data(f"Neighbor{number}") for number in range(200)])
        once = IdempotencyKey(bytes(32), bytes(32))
        created = await store.create(person_data("Gone", note="x" * length), idempotency_key=once)
        response = read_rows(path, "SELECT answer FROM once")[0]
        first = read_rows(path, "SELECT body FROM people ORDER BY seq DESC LIMIT 1")[0]
        await store.replace(created.person_id, person_data("Gone", note="y" * length), expected=1)
        second = read_rows(path, "SELECT body FROM people ORDER BY seq DESC LIMIT 1")[0]
        assert read_rows(path, "SELECT body FROM history") == [first]
        await store.delete(created.person_id)
        remaining = stored_bytes(path.parent)
    for body in (response, first, second):
        pieces = {
            body[start : start + 32] for start in range(0, len(body) - 31, 32)
        }  # SQLite splits a long body into pages
        assert [piece for piece in pieces if piece in remaining] == []


def read_rows(path: Path, query: str) -> list[bytes]:
    """Return the first column of each row of a query on the file of people."""
    with closing(sqlite3.connect(path)) as db:
        return [row[0] for row in db.execute(query)]


async def test_id_is_not_reused_when_backup_is_older_than_key_file(path: Path, clock: Clock) -> None:
    backup = path.with_name("yesterday.db")
    async with open_encrypted(path, clock) as store:
        await store.create(person_data("First"))
        with closing(sqlite3.connect(path)) as db, closing(sqlite3.connect(backup)) as copy:
            db.backup(copy)
        later = await store.create(person_data("Since"))
    shutil.move(backup, path)
    async with open_encrypted(path, clock) as store:
        assert (await store.create(person_data("Next"))).person_id != later.person_id


@pytest.mark.parametrize("problem", ["missing", "other key", "readable by others", "not a key"])
async def test_wrong_master_key_is_rejected_without_changes(path: Path, clock: Clock, problem: str) -> None:
    async with open_encrypted(path, clock) as store:
        record = await store.create(person_data("Doe"))
    before = stored_bytes(path.parent)
    master = path.parent / "master.key"
    good = master.read_bytes()
    master.unlink()
    if problem == "other key":
        create_file(master)
    elif problem == "readable by others":
        master.write_bytes(good)
        master.chmod(0o604)
    elif problem == "not a key":
        master.write_text("x")
        master.chmod(0o600)
    message = {
        "missing": "there is no master key at .* restore the file",
        "other key": "encrypted with another master key than .*master.key",
        "readable by others": "readable by other users",
        "not a key": "is not a master key",
    }[problem]
    with pytest.raises(StoreConfigurationError, match=message):
        async with open_sqlite(path, now=clock.now, encryption=Encryption(FileMasterKey(master))):
            pass
    master.unlink(missing_ok=True)
    master.write_bytes(good)
    master.chmod(0o600)
    assert stored_bytes(path.parent) == before
    async with open_encrypted(path, clock) as store:
        assert await store.get(record.person_id) == record


async def test_existing_key_file_is_never_overwritten(tmp_path: Path) -> None:
    create_file(tmp_path / "a.key")
    before = (tmp_path / "a.key").read_bytes()
    with pytest.raises(StoreConfigurationError, match="already exists and was not changed"):
        create_file(tmp_path / "a.key")
    assert (tmp_path / "a.key").read_bytes() == before
    assert (tmp_path / "a.key").stat().st_mode & 0o777 == 0o600


async def test_encrypted_store_is_rejected_without_encryption(path: Path, clock: Clock) -> None:
    async with open_encrypted(path, clock) as store:
        await store.create(person_data("Doe"))
    with pytest.raises(StoreConfigurationError, match="are encrypted; set PEOPLEINFO_ENCRYPTION"):
        async with open_sqlite(path, now=clock.now):
            pass


async def test_unencrypted_store_is_rejected_with_encryption(path: Path, clock: Clock) -> None:
    async with open_sqlite(path, now=clock.now) as store:
        record = await store.create(person_data("Doe"))
    with pytest.raises(StoreConfigurationError, match="run `peopleinfo encryption enable`"):
        async with open_encrypted(path, clock):
            pass
    async with open_sqlite(path, now=clock.now) as store:
        assert await store.get(record.person_id) == record


async def test_open_store_rejects_plaintext_writes_once_another_process_encrypts_it(path: Path, clock: Clock) -> None:
    async with open_sqlite(path, now=clock.now) as store:
        async with open_encrypted(path, clock):
            pass
        with pytest.raises(StoreUnavailable, match="encrypted while it was open"):
            await store.create(person_data("Doe"))


@pytest.mark.parametrize("problem", ["missing", "of another store"])
async def test_missing_or_foreign_keys_are_rejected_and_not_replaced(path: Path, clock: Clock, problem: str) -> None:
    async with open_encrypted(path, clock) as store:
        await store.create(person_data("Doe"))
    key_file = path_of_keys(path)
    key_file.unlink()
    if problem == "of another store":
        other = path.parent / "other" / "people.db"
        async with open_sqlite(other, now=clock.now, encryption=encryption(path.parent, prefixes=False)):
            pass
        shutil.move(path_of_keys(other), key_file)
    with pytest.raises(StoreConfigurationError, match="restore"):
        async with open_encrypted(path, clock):
            pass
    assert key_file.exists() is (problem == "of another store")


async def test_key_file_without_its_records_is_rejected(path: Path, clock: Clock) -> None:
    async with open_encrypted(path, clock) as store:
        await store.create(person_data("Doe"))
    path.unlink()
    with pytest.raises(StoreConfigurationError, match="contains keys of records that are missing"):
        async with open_encrypted(path, clock):
            pass


async def test_surname_index_cannot_be_changed_after_creation(path: Path, clock: Clock) -> None:
    async with open_encrypted(path, clock, prefixes=True):
        pass
    with pytest.raises(StoreConfigurationError, match=r"set \?index=prefix in PEOPLEINFO_ENCRYPTION"):
        async with open_encrypted(path, clock, prefixes=False):
            pass
    async with open_sqlite(path, now=clock.now, encryption=encryption(path.parent)._replace(prefixes=None)) as store:
        assert (await store.find(person_filter(surname_prefix="m"), after=None, limit=1)).people == []


@pytest.mark.parametrize("changed", ["body", "key", "version"])
async def test_record_is_decrypted_only_with_its_key_id_and_version(path: Path, clock: Clock, changed: str) -> None:
    async with open_encrypted(path, clock) as store:
        first, second = await store.create(person_data("First")), await store.create(person_data("Second"))
        with closing(person_keys.connect_to_both(path)) as db:
            if changed == "body":
                db.execute("UPDATE people SET body = (SELECT body FROM people WHERE seq = 1) WHERE seq = 2")
            elif changed == "key":
                db.execute(
                    "UPDATE person_keys SET wrapped = (SELECT wrapped FROM person_keys WHERE seq = 1) WHERE seq = 2"
                )
            else:
                db.execute("UPDATE people SET version = 2 WHERE seq = 2")
        with pytest.raises(StoreDamaged, match="cannot be decrypted with its key"):
            await store.get(second.person_id)
        assert await store.get(first.person_id) == first


@pytest.mark.parametrize("concurrent", [0, 5])
async def test_deletion_without_room_on_the_disk_changes_nothing(path: Path, clock: Clock, concurrent: int) -> None:
    async with open_encrypted(path, clock) as store:
        many = await store.create_many([person_data("Large", note="x" * 10_000) for _ in range(50)])
        full = path.with_name("people.db-wal").stat().st_size
        assert path.with_name("keys-of-people.db-wal").stat().st_size < full / 2
        before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        # From now on the log of the records cannot grow, but the log of the keys can.
        resource.setrlimit(resource.RLIMIT_FSIZE, (full, hard))
        try:
            neighbours = [store.create(person_data(f"N{number}", note="x" * 10_000)) for number in range(concurrent)]
            outcome, *others = await asyncio.gather(store.delete(many[0]), *neighbours, return_exceptions=True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))
        assert {type(failed) for failed in (outcome, *others)} == {StoreUnavailable}
        assert len(await scan_all(store)) == 50
        assert await store.create(person_data("Afterwards"))
        await store.delete(many[0])


async def test_interrupted_erasure_is_in_the_feed_and_its_key_is_deleted_later(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(db: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    async with open_encrypted(path, clock) as store:
        start = (await store.read_changes(since=None, limit=1)).next
        erased, kept = await store.create(person_data("Erased")), await store.create(person_data("Kept"))
        with monkeypatch.context() as patch:
            patch.setattr("peopleinfo.stores.sqlite.deletion.delete_unused_keys", fail)
            with pytest.raises(OutcomeUnknown):
                await store.delete(erased.person_id)
        with pytest.raises(PersonNotFound):
            await store.get(erased.person_id)
        changes = (await store.read_changes(since=start, limit=10)).changes
        assert [(change.person_id, change.operation) for change in changes][2:] == [(erased.person_id, "deleted")]
    assert keys_in(path) == 3
    async with open_encrypted(path, clock) as store:
        assert await scan_all(store) == [kept.body]
        assert keys_in(path) == 2


def keys_in(path: Path) -> int:
    """Return the number of keys in the key file; one of them is that of the deployment's secret."""
    with closing(person_keys.connect_to_both(path)) as db:
        return int(db.execute("SELECT count(*) FROM person_keys").fetchone()[0])


# Encryption of existing records


async def test_encryption_of_existing_store_keeps_ids_versions_and_responses(path: Path, clock: Clock) -> None:
    once = IdempotencyKey(bytes(32), bytes(32))
    async with open_sqlite(path, now=clock.now) as store:
        first = await store.create(person_data(CANARY), idempotency_key=once)
        await store.create_many([person_data(f"{CANARY} {number}") for number in range(1_200)])
        second = await store.replace(first.person_id, person_data(CANARY, "Anna"), expected=1)
        history = await store.read_versions(first.person_id, after=0, limit=10)
        everyone = sorted(await scan_all(store))
    counted: list[int] = []
    assert (
        encrypt_database(path, encryption(path.parent, prefixes=False), on_progress=counted.append)
        == sum(counted)
        == 1_201
    )
    assert CANARY.lower().encode() not in stored_bytes(path.parent).lower()
    async with open_encrypted(path, clock) as store:
        assert await store.get(first.person_id) == second
        assert await store.read_versions(first.person_id, after=0, limit=10) == history
        assert await find_all(store, person_filter(surname=CANARY)) == [second.body]
        assert sorted(await scan_all(store)) == everyone
        assert await store.create(person_data(CANARY), idempotency_key=once) == first
    assert encrypt_database(path, encryption(path.parent, prefixes=False), on_progress=counted.append) == 0


async def test_existing_store_is_not_encrypted_while_it_is_open(path: Path, clock: Clock) -> None:
    async with open_sqlite(path, now=clock.now) as store:
        record = await store.create(person_data("Doe"))
        with pytest.raises(StoreConfigurationError, match="stop the service"):
            encrypt_database(path, encryption(path.parent), on_progress=lambda _: None)
        assert await store.get(record.person_id) == record
        assert (await store.create(person_data("Another"))).version == 1


# Rotation


async def test_keys_are_rotated_while_store_is_in_use(path: Path, clock: Clock) -> None:
    master = encryption(path.parent).master
    async with open_encrypted(path, clock) as store:
        records = [await store.create(person_data(f"N{number}")) for number in range(600)]
        with closing(person_keys.open_key_db(path)) as db:
            progress: list[int] = []
            assert await rotate(SqliteKeyStore(db), master, on_progress=progress.append) == 2
            assert sum(progress) == 601  # including the secret
            wrapped = [row[0] for row in db.execute("SELECT wrapped FROM person_keys")]
            assert {generation_of(key) for key in wrapped} == {2}
            assert list(person_keys.generations(db)) == [2]
            assert await store.get(records[0].person_id) == records[0]
            added = await store.create(person_data("After"))
            assert await store.replace(added.person_id, person_data("Changed"), expected=1)
            assert {generation_of(row[0]) for row in db.execute("SELECT wrapped FROM person_keys")} == {2}
    async with open_encrypted(path, clock) as store:
        assert len(await scan_all(store)) == 601


async def test_interrupted_rotation_is_resumed(path: Path, clock: Clock) -> None:
    master = encryption(path.parent).master
    async with open_encrypted(path, clock) as store:
        await store.create_many([person_data(f"N{number}") for number in range(1_100)])

        def interrupt(_: int) -> None:
            raise KeyboardInterrupt

        with closing(person_keys.open_key_db(path)) as db:
            with pytest.raises(KeyboardInterrupt):
                await rotate(SqliteKeyStore(db), master, on_progress=interrupt)
            assert len(person_keys.generations(db)) == 2
            assert len(await scan_all(store)) == 1_100
            assert await rotate(SqliteKeyStore(db), master, on_progress=lambda _: None) == 2
            assert list(person_keys.generations(db)) == [2]
        assert len(await scan_all(store)) == 1_100


async def test_rotation_replaces_master_key(path: Path, clock: Clock) -> None:
    old = encryption(path.parent).master
    async with open_encrypted(path, clock) as store:
        record = await store.create(person_data("Doe"))
    create_file(path.parent / "new.key")
    new = FileMasterKey(path.parent / "new.key")
    with closing(person_keys.open_key_db(path)) as db:
        await rotate(SqliteKeyStore(db), OldOrNewMasterKey(new, old), on_progress=lambda _: None)
    async with open_sqlite(path, now=clock.now, encryption=Encryption(new)) as store:
        assert await store.get(record.person_id) == record
        assert split_record(record)[0].person_surname == "Doe"
    with pytest.raises(StoreConfigurationError, match="encrypted with another master key"):
        async with open_encrypted(path, clock):
            pass


def test_keys_have_256_bits() -> None:
    assert KEY_SIZE * 8 == 256
