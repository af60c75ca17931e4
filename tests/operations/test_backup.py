"""A backup that was made while people were written brings them back; a damaged, foreign or unfinished one is refused."""

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
from peopleinfo.bulk.backup_storage import BackupStorageUnavailable, DirectoryStorage, open_backup_storage
from peopleinfo.bulk.copy import TargetNotEmpty
from peopleinfo.bulk.manifest import InvalidBackup
from peopleinfo.bulk.restore import Restore, digest_of
from peopleinfo.stores.sqlite.factory import open_sqlite
from tests import dynamodb_servers
from tests.cli.commands import run, said, started
from tests.http.serving import serving
from tests.operations.conftest import bodies, digest_in, each_is_read_by_its_id, fill, killed_at_random, stats
from tests.operations.storm import storm
from tests.store_kinds import Clock, find_all, person_data, person_filter, scan_all

if TYPE_CHECKING:
    from pathlib import Path

    from peopleinfo.bulk.backup_storage import BackupStorage
    from peopleinfo.bulk.manifest import Manifest
    from peopleinfo.people.store import Store


def ignored(_: int) -> None:
    pass


async def saved(
    store: Store, depot: BackupStorage, clock: Clock, *, key: bytes | None = None, parts: int = 10**6
) -> Manifest:
    """Back a store up in parts of seven people, or so many parts of it."""
    task = Backup(store, depot, key=key, now=clock.now, part_people=7)
    manifest = await task.start()
    async for now in task.run(manifest):
        manifest = now
        parts -= 1
        if not parts:
            break
    return manifest


async def restored(depot: BackupStorage, store: Store, *, key: bytes | None = None, merge: bool = False) -> int:
    task = Restore(depot, key=key)
    return sum([count async for count in task.run(await task.manifest(), store, merge=merge)])


async def test_every_store_is_saved_and_brought_back_into_another(store: Store, tmp_path: Path, clock: Clock) -> None:
    ids = await store.create_many([person_data("Backup", str(number)) for number in range(40)])
    await store.replace(ids[3], person_data("Renamed"), expected=1)
    depot = DirectoryStorage(tmp_path / "backup")
    await saved(store, depot, clock, parts=2)
    manifest = await saved(store, depot, clock)
    assert (manifest.people, sum(part.people for part in manifest.parts)) == (40, 40)
    async with open_sqlite(tmp_path / "restored.db", now=clock.now) as target:
        assert await restored(depot, target) == 40
        assert sorted(await scan_all(target)) == sorted(await scan_all(store))
        assert (await digest_of(target, ignored)).hex == manifest.digest
        assert [await target.get(one) for one in ids] == [await store.get(one) for one in ids]
        there = await find_all(target, person_filter(surname="backup"))
    assert sorted(there) == sorted(await find_all(store, person_filter(surname="backup")))


async def test_every_store_takes_a_backup_of_another(store: Store, tmp_path: Path, clock: Clock) -> None:
    depot = DirectoryStorage(tmp_path / "backup")
    async with open_sqlite(tmp_path / "source.db", now=clock.now) as source:
        await source.create_many([person_data("Backup", str(number)) for number in range(40)])
        manifest = await saved(source, depot, clock)
    run = Restore(depot, key=None).run(manifest, store, merge=False)
    assert [await anext(run) for _ in range(3)] == [0, 7, 7]  # and then it is killed
    assert await restored(depot, store) == 40
    assert (await digest_of(store, ignored)).hex == manifest.digest


async def test_a_sealed_backup_opens_with_its_key_alone(tmp_path: Path, clock: Clock) -> None:
    key, depot = b"k" * 32, DirectoryStorage(tmp_path / "backup")
    async with open_sqlite(tmp_path / "source.db", now=clock.now) as source:
        await source.create_many([person_data("Verysecret") for _ in range(9)])
        manifest = await saved(source, depot, clock, key=key)
    assert not any(
        b"erysecret" in file.read_bytes() or b"\x1f\x8b\x08" in file.read_bytes()[:40]
        for file in (tmp_path / "backup").iterdir()
    )
    async with open_sqlite(tmp_path / "restored.db", now=clock.now) as target:
        with pytest.raises(InvalidBackup, match="--key"):
            await restored(depot, target)
        with pytest.raises(InvalidBackup, match="not written with this key"):
            await restored(depot, target, key=b"x" * 32)
        await restored(depot, target, key=key)
        assert (await digest_of(target, ignored)).hex == manifest.digest


async def test_a_manifest_that_somebody_without_the_key_has_changed_is_refused(tmp_path: Path, clock: Clock) -> None:
    key, folder = b"k" * 32, tmp_path / "backup"
    async with open_sqlite(tmp_path / "source.db", now=clock.now) as source:
        await source.create_many([person_data("Left", str(number)) for number in range(20)])
        await saved(source, DirectoryStorage(folder), clock, key=key)
    written = json.loads((folder / "manifest.json").read_text())
    fewer = {"parts": written["parts"][:-1], "people": written["people"] - written["parts"][-1]["people"]}
    async with open_sqlite(tmp_path / "target.db", now=clock.now) as target:
        for change in (fewer, {"started_at": "2020-01-01T00:00:00.000Z"}, {"mac": None}, {"mac": "0" * 64}):
            (folder / "manifest.json").write_text(json.dumps(written | change))
            with pytest.raises(InvalidBackup, match="not written with this key"):
                await restored(DirectoryStorage(folder), target, key=key)
        (folder / "manifest.json").write_text(json.dumps(written | {"sealed": False}))
        with pytest.raises(InvalidBackup, match="begun without a key"):
            await restored(DirectoryStorage(folder), target, key=key)


async def test_whatever_is_not_as_it_was_written_is_refused(tmp_path: Path, clock: Clock) -> None:
    folder = tmp_path / "backup"
    async with open_sqlite(tmp_path / "source.db", now=clock.now) as source:
        await source.create_many([person_data("Damaged", str(number)) for number in range(20)])
        await saved(source, DirectoryStorage(folder), clock, parts=1)
        async with open_sqlite(tmp_path / "target.db", now=clock.now) as target:
            with pytest.raises(InvalidBackup, match="never finished"):
                await restored(DirectoryStorage(folder), target)
            await saved(source, DirectoryStorage(folder), clock)
            with pytest.raises(InvalidBackup, match="finished here"):
                await saved(source, DirectoryStorage(folder), clock)
            part = folder / "people-000002.ndjson.gz"
            content = part.read_bytes()
            for damage in (content[:-1], content[:40] + bytes([content[40] ^ 1]) + content[41:], None):
                part.unlink() if damage is None else part.write_bytes(damage)
                with pytest.raises(InvalidBackup, match=part.name):
                    await restored(DirectoryStorage(folder), target)
            part.write_bytes(content)
            assert await restored(DirectoryStorage(folder), target) == 20
            with pytest.raises(InvalidBackup, match="no backup"):
                await restored(DirectoryStorage(tmp_path / "nothing"), target)
            (folder / "manifest.json").write_bytes(b"{}")
            with pytest.raises(InvalidBackup, match="manifest"):
                await restored(DirectoryStorage(folder), target)


async def test_a_backup_goes_on_with_its_own_store_and_key_only(tmp_path: Path, clock: Clock) -> None:
    depot = DirectoryStorage(tmp_path / "backup")
    async with (
        open_sqlite(tmp_path / "one.db", now=clock.now) as one,
        open_sqlite(tmp_path / "two.db", now=clock.now) as two,
    ):
        await one.create_many([person_data("One")] * 20)
        await saved(one, depot, clock, parts=1)
        with pytest.raises(InvalidBackup, match="another store"):
            await saved(two, depot, clock)
        with pytest.raises(InvalidBackup, match="without a key"):
            await saved(one, depot, clock, key=b"k" * 32)


async def test_nobody_is_restored_among_others_unless_that_is_asked_for(tmp_path: Path, clock: Clock) -> None:
    depot = DirectoryStorage(tmp_path / "backup")
    async with open_sqlite(tmp_path / "people.db", now=clock.now) as store:
        ids = await store.create_many([person_data("Merge", str(number)) for number in range(10)])
        old = await find_all(store, person_filter(surname="merge"))
        await saved(store, depot, clock)
        newer = await store.replace(ids[0], person_data("Merge", "newer"), expected=1)
        for lost in ids[5:]:
            await store.delete(lost)
        with pytest.raises(TargetNotEmpty, match="--merge"):
            await restored(depot, store)
        await restored(depot, store, merge=True)
        assert await find_all(store, person_filter(surname="merge")) == [newer.body, *old[1:]]


async def test_a_backup_is_its_owners_alone(tmp_path: Path, clock: Clock) -> None:
    folder = tmp_path / "backup"
    async with open_sqlite(tmp_path / "source.db", now=clock.now) as source:
        await source.create(person_data("Private"))
        await saved(source, DirectoryStorage(folder), clock)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert (stat.S_IMODE(folder.stat().st_mode), modes) == (0o700, {0o600})


async def test_a_backup_lies_in_s3_as_in_a_folder(tmp_path: Path, clock: Clock) -> None:
    import botocore.session

    endpoint = dynamodb_servers.endpoint("ministack")
    client = botocore.session.get_session().create_client("s3", endpoint_url=endpoint, region_name="eu-west-1")
    client.create_bucket(Bucket="backups", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    depot = open_backup_storage(f"s3://backups/{tmp_path.name}?endpoint={endpoint}&region=eu-west-1")
    async with open_sqlite(tmp_path / "source.db", now=clock.now) as source:
        await source.create_many([person_data("Cloud", str(number)) for number in range(20)])
        await saved(source, depot, clock, parts=1)
        manifest = await saved(source, depot, clock)
    async with open_sqlite(tmp_path / "restored.db", now=clock.now) as target:
        assert await restored(depot, target) == 20
        assert (await digest_of(target, ignored)).hex == manifest.digest
    listed = client.list_objects_v2(Bucket="backups", Prefix=tmp_path.name)["Contents"]
    assert len(listed) == 4
    client.close()


@pytest.mark.parametrize("place", ["gs://bucket/prefix", "file:///backups", "s3://", "s3://bucket/prefix?acl=public"])
def test_a_place_of_another_kind_is_no_folder(place: str) -> None:
    with pytest.raises(BackupStorageUnavailable, match="is not understood"):
        open_backup_storage(place)


def test_what_was_saved_during_a_storm_was_true_at_some_moment_of_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'people.db'}"
    fill(url, 3_000)
    with serving(tmp_path, store_url=url) as server, storm(server.url, bodies(url), seed=1) as raging:
        while raging.writes < 20:
            time.sleep(0.02)
        for attempt in count():  # until there were writes during a backup
            backup, before, begin = f"backup{attempt}", raging.writes, time.monotonic()
            told = said(run(tmp_path, "backup", backup, "--key", "key", "--store-url", url))
            end = time.monotonic()
            if raging.writes > before:
                break
    assert run(tmp_path, "restore", backup, "--key", "key", "--check").returncode == 0
    for file in tmp_path.glob("people.db*"):
        file.unlink()
    back = run(tmp_path, "restore", backup, "--key", "key", "--store-url", url)
    assert back.returncode == 0, back.stderr
    assert digest_in(said(back)) == digest_in(told) == stats(tmp_path, url)["digest"]
    there = bodies(url)
    assert there.keys() <= raging.lives.keys()
    wrong = [one for one, life in raging.lives.items() if not life.may_be(there.get(one), begin, end)]
    assert wrong == []
    assert each_is_read_by_its_id(url, there)


def test_a_backup_that_is_killed_again_and_again_is_whole_in_the_end(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'people.db'}"
    fill(url, 30_000)
    chance = random.Random(2)
    _, told = killed_at_random(tmp_path, 3, chance, "backup", "backup", "--store-url", url)
    target = f"sqlite:///{tmp_path / 'restored.db'}"
    _, back = killed_at_random(tmp_path, 3, chance, "restore", "backup", "--store-url", target)
    assert digest_in(told) == digest_in(back) == stats(tmp_path, url)["digest"] == stats(tmp_path, target)["digest"]


def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'people.db'}"
    fill(url, 60_000)
    for attempt in count():  # a backup that ended before the signal shows nothing
        backup = tmp_path / f"backup{attempt}"
        process = started(tmp_path, "backup", backup, "--store-url", url, stderr=subprocess.PIPE)
        while process.poll() is None and not (backup / "manifest.json").exists():
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate()
        if process.returncode != 0:
            break
    assert (process.returncode, b"continues where this one stopped" in told) == (130, True), told
    again = run(tmp_path, "backup", backup, "--store-url", url)
    assert said(again).startswith("60,000 people saved"), again.stderr
