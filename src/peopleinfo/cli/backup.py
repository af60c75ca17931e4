"""`peopleinfo backup` and `peopleinfo restore`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from peopleinfo.cli import options
from peopleinfo.cli.cancellation import run
from peopleinfo.cli.progress import progress_bar, resumable
from peopleinfo.settings import InvalidSettings, Settings

if TYPE_CHECKING:
    from peopleinfo.bulk.manifest import Manifest

Place = Annotated[
    str,
    typer.Argument(metavar="PLACE", help="A folder of the backup's own, or s3://BUCKET/PREFIX (?region=, ?endpoint=)."),
]
Key = Annotated[
    Path | None, typer.Option("--key", help="File of 32 random bytes that seals the backup; made if it is not there.")
]


def backup(place: Place, key: Key = None, store: options.Store = None) -> None:
    """Save everybody while the service runs. Interrupted, the same command goes on where it stopped.

    Each person who is there throughout is saved, at a version that was current at some moment of the backup. Without --key the files hold
    people as plain JSON, packed: keep them like the store itself.

    Example: peopleinfo backup /backups/people-2026-11-24 --key /keys/backups
    """
    settings = Settings.load(store_url=store)
    if settings.encryption and key is None:
        raise InvalidSettings("people are sealed in this store, and a backup without --key would hold them plain")
    with resumable():
        manifest = run(_backup(settings, place, _key(key, make=True)))
    print(f"{manifest.people:,} people saved in {len(manifest.parts)} parts, digest {manifest.digest}", file=sys.stderr)


def restore(
    place: Place,
    key: Key = None,
    merge: Annotated[
        bool,
        typer.Option(
            "--merge", help="Into a store with people in it: adds who is missing or there at an earlier version."
        ),
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Read and check the whole backup, and store nobody.")] = False,
    store: options.Store = None,
) -> None:
    """Bring back everybody of a backup, with their ids, versions and times, into a new store, of whichever kind.

    Every part is checked before anybody of it is stored, and the store is compared with the backup in the end. Interrupted, the same
    command goes on where it stopped. Keys of the API, idempotency keys and the progress of imports are not in a backup.

    Example: peopleinfo restore /backups/people-2026-11-24 --store-url sqlite:///restored.db
    """
    settings = Settings.load(store_url=store)
    with resumable():
        run(_check(place, _key(key)) if check else _restore(settings, place, _key(key), merge=merge))


async def _backup(settings: Settings, place: str, key: bytes | None) -> Manifest:
    from peopleinfo.app import open_people, utc_now
    from peopleinfo.bulk.backup import Backup
    from peopleinfo.bulk.backup_storage import open_backup_storage

    async with open_people(settings) as people:
        task = Backup(people.store, open_backup_storage(place), key=key, now=utc_now)
        manifest = await task.start()
        with progress_bar("saving", await people.store.estimate(), manifest.people) as advance:
            async for now in task.run(manifest):
                advance(now.people - manifest.people)
                manifest = now
    return manifest


async def _check(place: str, key: bytes | None) -> None:
    from peopleinfo.bulk.backup_storage import open_backup_storage
    from peopleinfo.bulk.restore import Restore

    task = Restore(open_backup_storage(place), key=key)
    manifest = await task.manifest()
    with progress_bar("checking", manifest.people) as advance:
        async for count in task.check(manifest):
            advance(count)
    print(f"{manifest.people:,} people are as they were saved, digest {manifest.digest}", file=sys.stderr)


async def _restore(settings: Settings, place: str, key: bytes | None, *, merge: bool) -> None:
    from peopleinfo.app import open_people
    from peopleinfo.bulk.backup_storage import open_backup_storage
    from peopleinfo.bulk.manifest import InvalidBackup
    from peopleinfo.bulk.restore import Restore, digest_of

    task = Restore(open_backup_storage(place), key=key)
    manifest = await task.manifest()
    async with open_people(settings, create=not merge) as people:
        with progress_bar("restoring", manifest.people) as advance:
            async for count in task.run(manifest, people.store, merge=merge):
                advance(count)
        if merge:
            print(f"{manifest.people:,} people of the backup are there, or newer", file=sys.stderr)
            return
        with progress_bar("comparing", manifest.people) as advance:
            there = await digest_of(people.store, advance)
    if (there.people, there.hex) != (manifest.people, manifest.digest):
        raise InvalidBackup(
            f"{there.people:,} people are in the store and {manifest.people:,} in the backup, and they differ: somebody has changed the store meanwhile"
        )
    print(f"{there.people:,} people restored, digest {there.hex} as saved", file=sys.stderr)


def _key(path: Path | None, *, make: bool = False) -> bytes | None:
    from peopleinfo.bulk.manifest import KEY

    if path is None:
        return None
    try:
        if make and not path.exists():
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(os.urandom(KEY))
            print(f"made the key {path}: without it the backup cannot be read; keep it somewhere else", file=sys.stderr)
        key = path.read_bytes()
    except OSError as error:
        raise InvalidSettings(f"--key {path}: {error.strerror}") from error
    if len(key) != KEY:
        raise InvalidSettings(
            f"--key {path}: holds {len(key)} bytes, and a key has {KEY}: head -c {KEY} /dev/urandom makes one"
        )
    return key
