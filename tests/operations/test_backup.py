"""Backup and restore, also under load; damaged, foreign and incomplete backups are rejected."""

from __future__ import annotations

import json
import random
import signal
import stat
import subprocess
import time
from itertools import count
from typing import TYPE_CHECKING

import pytest

from peopleinfo.bulk.backup import Backup
from peopleinfo.bulk.backup_storage import DirectoryStorage, open_backup_storage
from peopleinfo.bulk.restore import Restore, checksum_of
from peopleinfo.errors import BackupStorageUnavailable, InvalidBackup, TargetNotEmpty
from peopleinfo.people.history import Operation, Origin
from peopleinfo.stores.sqlite.factory import open_sqlite
from tests import dynamodb_servers
from tests.cli.commands import run, started, stderr_of
from tests.http.serving import serving
from tests.operations.conftest import bodies, can_read_each_by_id, digest_in, fill, run_with_kills, stats
from tests.operations.write_load import write_load
from tests.store_kinds import Clock, find_all, person_data, person_filter, scan_all

if TYPE_CHECKING:
    from pathlib import Path

    from peopleinfo.bulk.backup_storage import BackupStorage
    from peopleinfo.bulk.manifest import Manifest
    from peopleinfo.stores.service_store import OpenedStore


def ignored(_: int) -> None:
    pass


async def back_up(
    store: OpenedStore, storage: BackupStorage, clock: Clock, *, key: bytes | None = None, parts: int = 10**6
) -> Manifest:
    """Back up a store in parts of seven records; stop after `parts` parts."""
    task = Backup(store, store, storage, key=key, now=clock.now, part_rows=7)
    manifest = await task.start()
    async for updated in task.run(manifest):
        manifest = updated
        parts -= 1
        if not parts:
            break
    return manifest


async def restore(storage: BackupStorage, store: OpenedStore, *, key: bytes | None = None, merge: bool = False) -> int:
    task = Restore(storage, key=key)
    return sum([count async for count in task.run(await task.manifest(), store, store, merge=merge)])


async def test_backup_of_every_store_can_be_restored_into_another(
    store: OpenedStore, tmp_path: Path, clock: Clock
) -> None:
    ids = await store.create_many([person_data("Backup", str(number)) for number in range(40)])
    origin = Origin(Operation.RESTORED, "desk")
    await store.replace(ids[3], person_data("Renamed"), expected=1, origin=origin)
    storage = DirectoryStorage(tmp_path / "backup")
    await back_up(store, storage, clock, parts=2)
    manifest = await back_up(store, storage, clock)
    assert (manifest.people, sum(part.people for part in manifest.parts)) == (40, 40)
    async with open_sqlite(tmp_path / "restored.db", now=clock.now) as target:
        assert await restore(storage, target) == 40
        assert sorted(await scan_all(target)) == sorted(await scan_all(store))
        assert (await checksum_of(target, ignored)).hex == manifest.digest
        assert [await target.get(one) for one in ids] == [await store.get(one) for one in ids]
        assert sorted(await target.archive.read_histories(ids)) == sorted(await store.archive.read_histories(ids))
        found = await find_all(target, person_filter(surname="backup"))
    assert sorted(found) == sorted(await find_all(store, person_filter(surname="backup")))


async def test_every_store_accepts_a_restore_from_another(store: OpenedStore, tmp_path: Path, clock: Clock) -> None:
    storage = DirectoryStorage(tmp_path / "backup")
    async with open_sqlite(tmp_path / "source.db", now=clock.now) as source:
        ids = await source.create_many([person_data("Backup", str(number)) for number in range(40)], principal="clerk")
        await source.replace(ids[3], person_data("Renamed"), expected=1, origin=Origin(Operation.UPDATED, "desk"))
        histories = sorted(await source.archive.read_histories(ids))
        manifest = await back_up(source, storage, clock)
    run = Restore(storage, key=None).run(manifest, store, store, merge=False)
    assert [await anext(run) for _ in range(3)] == [0, 7, 7]  # then it is killed
    assert await restore(storage, store) == 40
    assert (await checksum_of(store, ignored)).hex == manifest.digest
    assert sorted(await store.archive.read_histories(ids)) == histories


async def test_encrypted_backup_can_be_read_with_its_key_only(tmp_path: Path, clock: Clock) -> None:
    key, storage = b"k" * 32, DirectoryStorage(tmp_path / "backup")
    async with open_sqlite(tmp_path / "source.db", now=clock.now) as source:
        await source.create_many([person_data("Verysecret") for _ in range(9)])
        manifest = await back_up(source, storage, clock, key=key)
    assert not any(
        b"erysecret" in file.read_bytes() or b"\x1f\x8b\x08" in file.read_bytes()[:40]
        for file in (tmp_path / "backup").iterdir()
    )
    async with open_sqlite(tmp_path / "restored.db", now=clock.now) as target:
        with pytest.raises(InvalidBackup, match="--key"):
            await restore(storage, target)
        with pytest.raises(InvalidBackup, match="written with another key"):
            await restore(storage, target, key=b"x" * 32)
        await restore(storage, target, key=key)
        assert (await checksum_of(target, ignored)).hex == manifest.digest


async def test_forged_manifest_is_rejected(tmp_path: Path, clock: Clock) -> None:
    key, folder = b"k" * 32, tmp_path / "backup"
    async with open_sqlite(tmp_path / "source.db", now=clock.now) as source:
        await source.create_many([person_data("Left", str(number)) for number in range(20)])
        await back_up(source, DirectoryStorage(folder), clock, key=key)
    written = json.loads((folder / "manifest.json").read_text())
    fewer = {"parts": written["parts"][:-1], "people": written["people"] - written["parts"][-1]["people"]}
    async with open_sqlite(tmp_path / "target.db", now=clock.now) as target:
        for change in (fewer, {"started_at": "2020-01-01T00:00:00.000Z"}, {"mac": None}, {"mac": "0" * 64}):
            (folder / "manifest.json").write_text(json.dumps(written | change))
            with pytest.raises(InvalidBackup, match="written with another key"):
                await restore(DirectoryStorage(folder), target, key=key)
        (folder / "manifest.json").write_text(json.dumps(written | {"sealed": False}))
        with pytest.raises(InvalidBackup, match="not encrypted"):
            await restore(DirectoryStorage(folder), target, key=key)


async def test_incomplete_or_damaged_backup_is_rejected(tmp_path: Path, clock: Clock) -> None:
    folder = tmp_path / "backup"
    async with open_sqlite(tmp_path / "source.db", now=clock.now) as source:
        await source.create_many([person_data("Damaged", str(number)) for number in range(20)])
        await back_up(source, DirectoryStorage(folder), clock, parts=1)
        async with open_sqlite(tmp_path / "target.db", now=clock.now) as target:
            with pytest.raises(InvalidBackup, match="incomplete"):
                await restore(DirectoryStorage(folder), target)
            await back_up(source, DirectoryStorage(folder), clock)
            with pytest.raises(InvalidBackup, match="complete backup"):
                await back_up(source, DirectoryStorage(folder), clock)
            part = folder / "people-000002.ndjson.gz"
            content = part.read_bytes()
            for damage in (content[:-1], content[:40] + bytes([content[40] ^ 1]) + content[41:], None):
                part.unlink() if damage is None else part.write_bytes(damage)
                with pytest.raises(InvalidBackup, match=part.name):
                    await restore(DirectoryStorage(folder), target)
            part.write_bytes(content)
            assert await restore(DirectoryStorage(folder), target) == 20
            with pytest.raises(InvalidBackup, match="contains no backup"):
                await restore(DirectoryStorage(tmp_path / "nothing"), target)
            (folder / "manifest.json").write_bytes(b"{}")
            with pytest.raises(InvalidBackup, match="manifest"):
                await restore(DirectoryStorage(folder), target)


async def test_backup_resumes_with_the_same_store_and_key_only(tmp_path: Path, clock: Clock) -> None:
    storage = DirectoryStorage(tmp_path / "backup")
    async with (
        open_sqlite(tmp_path / "one.db", now=clock.now) as one,
        open_sqlite(tmp_path / "two.db", now=clock.now) as two,
    ):
        await one.create_many([person_data("One")] * 20)
        await back_up(one, storage, clock, parts=1)
        with pytest.raises(InvalidBackup, match="another store"):
            await back_up(two, storage, clock)
        with pytest.raises(InvalidBackup, match="not encrypted"):
            await back_up(one, storage, clock, key=b"k" * 32)


async def test_restore_into_a_non_empty_store_requires_merge(tmp_path: Path, clock: Clock) -> None:
    storage = DirectoryStorage(tmp_path / "backup")
    async with open_sqlite(tmp_path / "people.db", now=clock.now) as store:
        ids = await store.create_many([person_data("Merge", str(number)) for number in range(10)])
        old = await find_all(store, person_filter(surname="merge"))
        await back_up(store, storage, clock)
        newer = await store.replace(ids[0], person_data("Merge", "newer"), expected=1)
        for lost in ids[5:]:
            await store.delete(lost)
        with pytest.raises(TargetNotEmpty, match="--merge"):
            await restore(storage, store)
        await restore(storage, store, merge=True)
        assert await find_all(store, person_filter(surname="merge")) == [newer.body, *old[1:]]


async def test_backup_is_readable_by_its_owner_only(tmp_path: Path, clock: Clock) -> None:
    folder = tmp_path / "backup"
    async with open_sqlite(tmp_path / "source.db", now=clock.now) as source:
        await source.create(person_data("Private"))
        await back_up(source, DirectoryStorage(folder), clock)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert (stat.S_IMODE(folder.stat().st_mode), modes) == (0o700, {0o600})


async def test_backup_can_be_stored_in_s3(tmp_path: Path, clock: Clock) -> None:
    import botocore.session

    endpoint = dynamodb_servers.endpoint("ministack")
    client = botocore.session.get_session().create_client("s3", endpoint_url=endpoint, region_name="eu-west-1")
    client.create_bucket(Bucket="backups", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    storage = open_backup_storage(f"s3://backups/{tmp_path.name}?endpoint={endpoint}&region=eu-west-1")
    async with open_sqlite(tmp_path / "source.db", now=clock.now) as source:
        await source.create_many([person_data("Cloud", str(number)) for number in range(20)])
        await back_up(source, storage, clock, parts=1)
        manifest = await back_up(source, storage, clock)
    async with open_sqlite(tmp_path / "restored.db", now=clock.now) as target:
        assert await restore(storage, target) == 20
        assert (await checksum_of(target, ignored)).hex == manifest.digest
    listed = client.list_objects_v2(Bucket="backups", Prefix=tmp_path.name)["Contents"]
    assert len(listed) == 4
    client.close()


@pytest.mark.parametrize("place", ["gs://bucket/prefix", "file:///backups", "s3://", "s3://bucket/prefix?acl=public"])
def test_invalid_location_is_rejected(place: str) -> None:
    with pytest.raises(BackupStorageUnavailable, match="is invalid"):
        open_backup_storage(place)


def test_backup_under_load_contains_a_version_of_each_record_from_that_time(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'people.db'}"
    fill(url, 3_000)
    with serving(tmp_path, store_url=url) as server, write_load(server.url, bodies(url), seed=1) as load:
        while load.writes < 20:
            time.sleep(0.02)
        for attempt in count():  # until there were writes during a backup
            backup, before, start = f"backup{attempt}", load.writes, time.monotonic()
            saved = stderr_of(run(tmp_path, "backup", backup, "--key", "key", "--store-url", url))
            end = time.monotonic()
            if load.writes > before:
                break
    assert run(tmp_path, "restore", backup, "--key", "key", "--check").returncode == 0
    for file in tmp_path.glob("people.db*"):
        file.unlink()
    back = run(tmp_path, "restore", backup, "--key", "key", "--store-url", url)
    assert back.returncode == 0, back.stderr
    assert digest_in(stderr_of(back)) == digest_in(saved) == stats(tmp_path, url)["digest"]
    restored = bodies(url)
    assert restored.keys() <= load.versions.keys()
    wrong = [
        person_id
        for person_id, versions in load.versions.items()
        if not versions.may_exist(restored.get(person_id), start, end)
    ]
    assert wrong == []
    assert can_read_each_by_id(url, restored)


def test_backup_and_restore_are_complete_after_repeated_kills(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'people.db'}"
    fill(url, 30_000)
    chance = random.Random(2)
    _, saved = run_with_kills(tmp_path, 3, chance, "backup", "backup", "--store-url", url)
    target = f"sqlite:///{tmp_path / 'restored.db'}"
    _, back = run_with_kills(tmp_path, 3, chance, "restore", "backup", "--store-url", target)
    assert digest_in(saved) == digest_in(back) == stats(tmp_path, url)["digest"] == stats(tmp_path, target)["digest"]


def test_ctrl_c_prints_how_to_resume(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'people.db'}"
    fill(url, 60_000)
    for attempt in count():  # repeat while the backup completes before the signal
        backup = tmp_path / f"backup{attempt}"
        process = started(tmp_path, "backup", backup, "--store-url", url, stderr=subprocess.PIPE)
        while process.poll() is None and not (backup / "manifest.json").exists():
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
        if process.returncode != 0:
            break
    assert (process.returncode, b"run the same command again to resume" in errors) == (130, True), errors
    again = run(tmp_path, "backup", backup, "--store-url", url)
    assert stderr_of(again).startswith("60,000 records saved"), again.stderr
