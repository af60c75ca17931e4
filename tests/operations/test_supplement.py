"""The supplement of a store: backups and copies of every store contain merges, the trash, reviewed pairs and imports."""

from __future__ import annotations

import hmac
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from peopleinfo.bulk.backup import Backup
from peopleinfo.bulk.backup_storage import DirectoryStorage
from peopleinfo.bulk.copy import StoreCopy
from peopleinfo.bulk.import_log_entry import iter_batches
from peopleinfo.bulk.manifest import MANIFEST_NAME, read_manifest
from peopleinfo.bulk.restore import Restore, checksum_of
from peopleinfo.crypto.master_key import FileMasterKey, OldOrNewMasterKey, create_file
from peopleinfo.crypto.person_ids import derive_key
from peopleinfo.crypto.rotation import rotate
from peopleinfo.errors import PersonMerged
from peopleinfo.matching.duplicate_links import Link
from peopleinfo.matching.reviewer_notes import EncryptedNotes, note_cipher
from peopleinfo.people.history import Operation, Origin
from peopleinfo.people.idempotency import ClientKey
from peopleinfo.people.index_entries import IndexPlan
from peopleinfo.people.person import person_data_from_fields
from peopleinfo.privacy.subject_export import PersonalDataExport
from peopleinfo.stores.dynamodb.factory import open_table
from peopleinfo.stores.dynamodb.key_table import DynamoDBKeyStore
from peopleinfo.stores.sqlite import person_keys
from peopleinfo.stores.sqlite.encrypt_existing import SqliteKeyStore, encrypt_database
from tests.store_kinds import (
    ENCRYPTED,
    ENCRYPTED_TABLE,
    Clock,
    encryption,
    find_all,
    open_store,
    person_data,
    person_filter,
    scan_all,
    table_location,
)
from tests.stores.test_changes import changes_since, current_position
from tests.stores.test_import_undo import import_history, run_import, undo
from tests.stores.test_merges import fields, fields_of, request, service

if TYPE_CHECKING:
    from pathlib import Path

    from peopleinfo.people.person import StoredPerson
    from peopleinfo.stores.service_store import OpenedStore

STORE_KINDS = ["sqlite", ENCRYPTED, "ministack", ENCRYPTED_TABLE]
OTHERS = {"sqlite": "ministack", ENCRYPTED: ENCRYPTED_TABLE, "ministack": ENCRYPTED, ENCRYPTED_TABLE: "sqlite"}
EXPIRY = timedelta(days=30)


def ignored(_: int) -> None:
    pass


class People:
    """People of each kind in a store."""

    def __init__(self, store: OpenedStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.ids: list[str] = []
        self.merges: list[str] = []

    async def add(self) -> None:
        """Add people in the trash, merged people, an undone merge, a reviewed pair and an import."""
        created = [await self._create(str(number)) for number in range(9)]
        changed = await self.store.replace(
            created[0].person_id, person_data("Changed"), expected=1, origin=Origin(Operation.UPDATED, "desk")
        )
        self.clock.advance(seconds=5)
        await self.store.trash.add(changed.person_id, expires_at=self.clock.now() + EXPIRY, principal="desk")
        inner = await self._merge(created[1], created[2])
        outer = await self._merge(created[3], inner)
        edited = person_data_from_fields(fields_of(outer) | {"email": "after@example.org"})
        await self.store.replace(outer.person_id, edited, expected=2)
        undone = await self._merge(created[4], created[5])
        await service(self.store, self.clock).undo(self.merges[-1], keep={})
        trashed = await self._merge(created[6], created[7])
        assert undone.version == trashed.version == 2
        await self.store.trash.add(trashed.person_id, expires_at=self.clock.now() + EXPIRY)
        await links_of(self.store).put(_decided(created[4].person_id, created[8].person_id))
        updated = {"person_id": created[8].person_id, "person_surname": "Imported"}
        await run_import(self.store, self.clock, [updated, {"person_surname": "New"}])

    async def _create(self, name: str) -> StoredPerson:
        self.clock.advance(seconds=1)
        record = await self.store.create(person_data("Many", name, **{f"field{name}": name}), principal="clerk")
        self.ids.append(record.person_id)
        return record

    async def _merge(self, survivor: StoredPerson, merged: StoredPerson) -> StoredPerson:
        self.clock.advance(seconds=1)
        key = ClientKey("desk", f"merge {len(self.merges)}")
        result, _ = await service(self.store, self.clock).merge(request(survivor, merged), key=key, principal="desk")
        assert result.merge_id is not None
        self.merges.append(result.merge_id)
        return await self.store.get(survivor.person_id)


def links_of(store: OpenedStore) -> EncryptedNotes:
    """Return the reviewed pairs of a store as a reviewer reads them."""
    assert store.matches is not None
    return EncryptedNotes(store.matches.links, note_cipher(store.secret))


def _decided(first: str, second: str) -> Link:
    first, second = sorted((first, second))
    return Link(
        first=first,
        second=second,
        state="different",
        grade="probable",
        score=0.95,
        relatives=0.1,
        evidence=(),
        by="desk",
        at="2126-03-01T00:00:00.000Z",
        note="twins",
    )


async def contents(store: OpenedStore, people: People) -> dict[str, Any]:
    """Return everything that a backup contains, in a form that does not depend on the store."""
    trash = (await store.trash.page(after=None, limit=100)).people
    imports, _ = await import_history(store, people.clock).list(before=None, limit=9)
    batches = [
        (one.people.created, one.people.updated, one.outcome)
        for each in imports
        async for one in iter_batches(store.imports, bytes.fromhex(each.import_id))
    ]
    links = [
        (one.pair, one.state, one.by, one.note) for each in people.ids for one in await links_of(store).of_person(each)
    ]
    return {
        "people": sorted(await scan_all(store)),
        "trash": sorted(trash),
        "histories": sorted(await store.archive.read_histories(people.ids)),
        "merges": [await store.merges.read_merge(each) for each in people.merges],
        "merges_of": [await store.merges.merges_of(each) for each in people.ids],
        "members": await store.merges.read_members(people.ids),
        "logs": [await store.merges.read_log(each) for each in people.ids],
        "imports": imports,
        "batches": sorted(batches),
        "links": links,
    }


async def back_up(store: OpenedStore, storage: DirectoryStorage, clock: Clock, key: bytes | None = None) -> int:
    task = Backup(store, store, storage, key=key, now=clock.now, part_rows=4)
    async for manifest in task.run(await task.start()):
        people = manifest.people
    return people


async def restore(
    storage: DirectoryStorage, store: OpenedStore, key: bytes | None = None, *, merge: bool = False
) -> None:
    task = Restore(storage, key=key)
    manifest = await task.manifest()
    assert sum([count async for count in task.check(manifest)]) == (manifest.saved or (manifest.people,))[0]
    async for _ in task.run(manifest, store, store, merge=merge):
        pass


async def test_restored_store_has_the_whole_supplement(
    store: OpenedStore, store_kind: str, tmp_path: Path, clock: Clock
) -> None:
    people = People(store, clock)
    await people.add()
    storage = DirectoryStorage(tmp_path / "backup")
    assert await back_up(store, storage, clock, b"k" * 32) == 5
    expected = await contents(store, people)
    (tmp_path / "target").mkdir()
    async with open_store(OTHERS[store_kind], tmp_path / "target", clock) as target:
        position = await current_position(target, clock)
        await restore(storage, target, b"k" * 32)
        assert await contents(target, people) == expected
        await restore_entries_again(storage, target)
        assert await contents(target, people) == expected
        await check_feed(target, clock, position)
        await check_undos(target, people)


async def restore_entries_again(storage: DirectoryStorage, target: OpenedStore) -> None:
    """Restore the backup as another one."""
    manifest = read_manifest(storage, b"k" * 32)
    assert manifest is not None
    task = Restore(storage, key=b"k" * 32)
    async for _ in task.run(msgspec.structs.replace(manifest, parts=manifest.parts[-1:]), target, target, merge=True):
        pass


async def check_feed(store: OpenedStore, clock: Clock, position: bytes) -> None:
    """Check that the feed leads to the people of the store."""
    last = {change.person_id: change for change in await changes_since(store, clock, position)}
    gone = (Operation.DELETED, Operation.MERGED)
    current = {person_id: change.version for person_id, change in last.items() if change.operation not in gone}
    bodies = [msgspec.json.decode(body) for body in await scan_all(store)]
    assert current == {one["person_id"]: one["version"] for one in bodies}


async def check_undos(store: OpenedStore, people: People) -> None:
    """Undo the import, the deletions and the merges in another store."""
    assert await undo(store, people.clock) == []
    assert (await fields(store, people.ids[8]))["person_surname"] == "Many"
    for number in (0, 6):
        deleted = await store.trash.get(people.ids[number])
        await store.trash.restore(people.ids[number], expected=deleted.version)
    merging = service(store, people.clock)
    for number in (1, 0, 3):
        await merging.undo(people.merges[number], keep={})
    assert (await fields(store, people.ids[3]))["email"] == "after@example.org"
    for number in (1, 2, 6, 7):
        assert (
            fields_of(await store.get(people.ids[number]))
            == person_data("Many", str(number), **{f"field{number}": str(number)}).to_dict()
        )


async def test_copy_to_another_store_and_back_has_the_whole_supplement(
    store: OpenedStore, store_kind: str, tmp_path: Path, clock: Clock
) -> None:
    people = People(store, clock)
    await people.add()
    (tmp_path / "target").mkdir()
    (tmp_path / "back").mkdir()
    async with (
        open_store(OTHERS[store_kind], tmp_path / "target", clock) as target,
        open_store(store_kind, tmp_path / "back", clock) as back,
    ):
        for one, other in ((store, target), (target, back)):
            await copy(one, other)
        assert await contents(back, people) == await contents(store, people)
        # A second run follows an undo, a restore and an erasure.
        await service(store, clock).undo(people.merges[1], keep={})
        deleted = await store.trash.get(people.ids[6])
        await store.trash.restore(people.ids[6], expected=deleted.version)
        await store.trash.erase(people.ids[0])
        await undo(store, clock)
        await copy(store, target)
        found, expected = await contents(target, people), await contents(store, people)
        for name in ("people", "trash", "merges", "imports", "batches", "links"):
            assert found[name] == expected[name], name


async def test_rotation_and_reindex_keep_the_supplement_usable(store_kind: str, tmp_path: Path, clock: Clock) -> None:
    plan = IndexPlan(identifiers=("email",))
    async with open_store(store_kind, tmp_path, clock) as store:
        people = People(store, clock)
        await people.add()
        expected = await contents(store, people)
        if "encrypted" in store_kind:
            await rotate_keys(store_kind, tmp_path)
    async with open_store(store_kind, tmp_path, clock, plan=plan) as store:
        assert await contents(store, people) == expected
        after: bytes | None = None
        while (after := (await store.reindex(after=after, limit=4)).next) is not None:
            pass
        assert await contents(store, people) == expected
        people.store = store
        await check_undos(store, people)
        assert len(await find_all(store, person_filter(surname="many"))) == 8


async def rotate_keys(kind: str, folder: Path) -> None:
    """Rotate the keys of a store to a new master key, which replaces the old one."""
    old = encryption(folder).master
    create_file(folder / "new.key")
    both = OldOrNewMasterKey(FileMasterKey(folder / "new.key"), old)
    if kind == ENCRYPTED:
        with closing(person_keys.open_key_db(folder / "people.db")) as db:
            await rotate(SqliteKeyStore(db), both, on_progress=ignored)
    else:
        location = table_location(kind.removesuffix("+encrypted"), folder)
        async with open_table(location) as table:
            await rotate(DynamoDBKeyStore(table.for_table(location.key_table)), both, on_progress=ignored)
    (folder / "new.key").replace(folder / "master.key")


async def test_encryption_of_a_file_encrypts_the_supplement(tmp_path: Path, clock: Clock) -> None:
    async with open_store("sqlite", tmp_path, clock) as store:
        people = People(store, clock)
        await people.add()
        expected = await contents(store, people)
    encrypt_database(tmp_path / "people.db", encryption(tmp_path), on_progress=ignored)
    assert b"Many" not in (tmp_path / "people.db").read_bytes()
    async with open_store(ENCRYPTED, tmp_path, clock) as store:
        assert await contents(store, people) == expected
        people.store = store
        await check_undos(store, people)


async def test_export_of_a_person_has_the_trash_and_the_merged_records(store: OpenedStore, clock: Clock) -> None:
    people = People(store, clock)
    await people.add()
    export = PersonalDataExport(store, store.archive, store.trash, None)
    deleted = msgspec.json.decode(await export.document(people.ids[0]))
    assert [one["version"] for one in deleted["history"]] == [1, 2]
    assert (deleted["person"]["version"], deleted["deleted"]["by"]) == (3, "desk")
    survivor = msgspec.json.decode(await export.document(people.ids[3]))
    assert "deleted" not in survivor
    merged = {
        one["person"]["person_id"]: [each["person"]["version"] for each in one["history"]] for one in survivor["merged"]
    }
    assert merged == {people.ids[1]: [1, 2], people.ids[2]: [1]}
    with_merged = msgspec.json.decode(await export.document(people.ids[6]))
    assert [one["person"]["field7"] for one in with_merged["merged"]] == ["7"]
    with pytest.raises(PersonMerged):
        await export.document(people.ids[2])


async def copy(source: OpenedStore, target: OpenedStore) -> None:
    """Copy a store like the command with --mirror."""
    task = StoreCopy(source, target, (source, target))
    async for _ in task.run():
        pass
    await task.copy_supplement(delete=True)
    if not (comparison := await task.compare(ignored)).is_equal:
        await task.repair(comparison, ignored, delete=True)
        await task.copy_supplement(delete=True)
        assert (await task.compare(ignored)).is_equal


async def test_backup_in_use_has_the_digest_of_the_restored_store(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "target").mkdir()
    storage = DirectoryStorage(tmp_path / "backup")
    async with (
        open_store("sqlite", tmp_path, clock) as store,
        open_store("sqlite", tmp_path / "target", clock) as target,
    ):
        created = [await store.create(person_data("Busy", str(number))) for number in range(7)]
        task = Backup(store, store, storage, key=None, now=clock.now, part_rows=6)
        steps = task.run(await task.start())
        await anext(steps)  # six people are saved
        clock.advance(seconds=5)
        await store.trash.add(created[0].person_id, expires_at=clock.now() + EXPIRY)
        await service(store, clock).merge(request(created[1], created[2]), key=ClientKey("desk", "1"), principal=None)
        await store.replace(created[3].person_id, person_data("Changed"), expected=1)
        async for manifest in steps:
            last = manifest
        await restore(storage, target)
        found = await checksum_of(target, ignored)
        assert (last.people, last.digest) == (found.people, found.hex)
        assert found.people == 5
        assert (await target.trash.get(created[0].person_id)).version == 2
        with pytest.raises(PersonMerged):
            await target.get(created[2].person_id)
        assert await target.get(created[1].person_id) == await store.get(created[1].person_id)


async def test_backup_of_an_earlier_release_can_be_restored(tmp_path: Path, clock: Clock) -> None:
    storage, key = DirectoryStorage(tmp_path / "backup"), b"k" * 32
    async with open_store("sqlite", tmp_path, clock) as store:
        ids = await store.create_many([person_data("Old", str(number)) for number in range(6)])
        assert await back_up(store, storage, clock, key) == 6
    manifest = read_manifest(storage, key)
    assert manifest is not None
    write_earlier_manifest(storage, msgspec.to_builtins(manifest), key)
    (tmp_path / "target").mkdir()
    async with open_store("sqlite", tmp_path / "target", clock) as target:
        await restore(storage, target, key)
        assert [(await target.get(each)).version for each in ids] == [1] * 6


def write_earlier_manifest(storage: DirectoryStorage, manifest: dict[str, Any], key: bytes) -> None:
    """Store a manifest as an earlier release wrote it: without later fields, and with the MAC of its own fields."""
    del manifest["saved"]
    for part in manifest["parts"]:
        del part["entries"]
    manifest |= {"format": 2, "mac": None}
    text = msgspec.json.encode(manifest)
    manifest["mac"] = hmac.digest(derive_key(key, "backup manifest"), text, "sha256").hex()
    storage.write(MANIFEST_NAME, msgspec.json.encode(manifest))
