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
from peopleinfo.errors import InvalidSettings
from peopleinfo.settings import Settings

if TYPE_CHECKING:
    from peopleinfo.bulk.manifest import Manifest

Location = Annotated[
    str,
    typer.Argument(
        metavar="LOCATION",
        help="Directory for this backup alone, or s3://BUCKET/PREFIX (optional: ?region=REGION&endpoint=URL).",
        show_default=False,
    ),
]
Key = Annotated[
    Path | None,
    typer.Option(
        "--key", metavar="FILE", help="File with the encryption key (32 random bytes); `backup` creates a missing one."
    ),
]


def backup(location: Location, key: Key = None, store: options.Store = None) -> None:
    """Back up all records while the service runs.

    Run the same command again to resume an interrupted backup. A record that exists during the whole backup is included, at a
    version that was current at some time during the backup. Without --key the files are not encrypted: protect them like the store.

    Example: peopleinfo backup /backups/people-2026-11-24 --key /keys/backups
    """
    settings = Settings.load(store_url=store)
    if settings.encryption and key is None:
        raise InvalidSettings("the store is encrypted and the backup would not be: set --key FILE")
    with resumable():
        manifest = run(_backup(settings, location, _read_key(key, create=True)))
    print(
        f"{manifest.people:,} records saved in {len(manifest.parts)} parts, digest {manifest.digest}", file=sys.stderr
    )


def restore(
    location: Location,
    key: Key = None,
    merge: Annotated[
        bool,
        typer.Option("--merge", help="Restore into a non-empty store: add missing records and replace older versions."),
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Verify the whole backup and store nothing.")] = False,
    store: options.Store = None,
) -> None:
    """Restore all records of a backup into a new store, with their ids, versions and timestamps.

    The store may be of another kind than the source. Each part is verified before its records are stored, and the store is compared
    with the backup at the end. Run the same command again to resume. API keys, idempotency keys and import checkpoints are not part
    of a backup.

    Example: peopleinfo restore /backups/people-2026-11-24 --store-url sqlite:///restored.db
    """
    settings = Settings.load(store_url=store)
    with resumable():
        run(_check(location, _read_key(key)) if check else _restore(settings, location, _read_key(key), merge=merge))


async def _backup(settings: Settings, location: str, key: bytes | None) -> Manifest:
    from peopleinfo.bulk.backup import Backup
    from peopleinfo.bulk.backup_storage import open_backup_storage
    from peopleinfo.people.person import utc_now
    from peopleinfo.stores.registry import open_service_store

    async with open_service_store(settings) as store:
        storage = open_backup_storage(location)
        task = Backup(store.people, store, storage, key=key, now=utc_now)
        manifest = await task.start()
        with progress_bar("saving", await store.people.estimate(), manifest.people) as advance:
            async for updated in task.run(manifest):
                advance(updated.people - manifest.people)
                manifest = updated
    return manifest


async def _check(location: str, key: bytes | None) -> None:
    from peopleinfo.bulk.backup_storage import open_backup_storage
    from peopleinfo.bulk.restore import Restore

    task = Restore(open_backup_storage(location), key=key)
    manifest = await task.manifest()
    with progress_bar("checking", manifest.people) as advance:
        async for count in task.check(manifest):
            advance(count)
    print(f"{manifest.people:,} records verified, digest {manifest.digest}", file=sys.stderr)


async def _restore(settings: Settings, location: str, key: bytes | None, *, merge: bool) -> None:
    from peopleinfo.bulk.backup_storage import open_backup_storage
    from peopleinfo.bulk.restore import Restore, checksum_of
    from peopleinfo.errors import InvalidBackup
    from peopleinfo.stores.registry import open_service_store

    task = Restore(open_backup_storage(location), key=key)
    manifest = await task.manifest()
    async with open_service_store(settings, create=not merge) as store:
        with progress_bar("restoring", manifest.people) as advance:
            async for count in task.run(manifest, store.people, store, merge=merge):
                advance(count)
        if merge:
            print(f"{manifest.people:,} records merged", file=sys.stderr)
            return
        with progress_bar("comparing", manifest.people) as advance:
            stored = await checksum_of(store.people, advance)
    if (stored.people, stored.hex) != (manifest.people, manifest.digest):
        raise InvalidBackup(
            f"the store ({stored.people:,} records) differs from the backup ({manifest.people:,} records): "
            "the store changed during the restore; restore into a new store that is not in use"
        )
    print(f"{stored.people:,} records restored, digest {stored.hex}", file=sys.stderr)


def _read_key(path: Path | None, *, create: bool = False) -> bytes | None:
    from peopleinfo.crypto.cipher import KEY_SIZE

    if path is None:
        return None
    try:
        if create and not path.exists():
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(os.urandom(KEY_SIZE))
            print(
                f"created the key {path}: the backup cannot be read without it; store a copy in another place",
                file=sys.stderr,
            )
        key = path.read_bytes()
    except OSError as error:
        raise InvalidSettings(f"--key {path}: {error.strerror}") from error
    if len(key) != KEY_SIZE:
        raise InvalidSettings(
            f"--key {path} must contain {KEY_SIZE} bytes (got {len(key)}): create one with head -c {KEY_SIZE} /dev/urandom"
        )
    return key
