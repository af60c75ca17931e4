"""`peopleinfo doctor` and `peopleinfo version`."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from peopleinfo import __version__
from peopleinfo.cli import options
from peopleinfo.cli.cancellation import run
from peopleinfo.errors import PeopleInfoError, StoreConfigurationError
from peopleinfo.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from peopleinfo.people.store import Store

_STORE_ROOM: Final = 500 * 1024 * 1024  # bytes; an import of a million people takes about as much
_TEMPORARY_ROOM: Final = 64 * 1024 * 1024  # bytes
_RESTORE: Final = "stop the service and restore a backup (docs/operations.md, Damaged files)"
_PRIVATE: Final = 0o077


def version() -> None:
    """Print the version.

    Example: peopleinfo version
    """
    print(f"peopleinfo {__version__}")


def print_version(asked: bool) -> None:
    """Print the version instead of running a command, when it is asked for."""
    if asked:
        version()
        raise typer.Exit


def doctor(store: options.Store = None) -> None:
    """Check the settings, the store and its file, and say what is wrong and how to mend it; exits 1 when something is.

    Example: peopleinfo doctor --store-url sqlite:////var/lib/people.db
    """
    healthy = True
    for good, finding in _checks(store):
        healthy = healthy and good
        print(f"{'ok  ' if good else 'FAIL'}  {finding}")
    if not healthy:
        raise typer.Exit(1)


def _checks(store: str | None) -> Iterator[tuple[bool, str]]:
    yield True, f"peopleinfo {__version__} on Python {sys.version.split()[0]}"
    try:
        settings = Settings.load(store_url=store)
    except PeopleInfoError as error:
        yield False, f"settings: {error}"
        return
    yield True, f"settings: {settings.store_url}, to be served on {settings.listen_address}"
    yield _temporary_room()
    if isinstance(settings.location, Path):
        yield from _examine_files(settings, settings.location)
    yield from _examine_store(settings)
    if settings.cache_url:
        yield run(_try_cache(settings))


def _examine_files(settings: Settings, path: Path) -> Iterator[tuple[bool, str]]:
    from peopleinfo.app import check_database_files

    folder = path.absolute().parent
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not os.access(existing, os.W_OK):
        yield False, f"{existing} is not writable by you: SQLite writes beside its file; mend its permissions"
    yield _room(existing, "the store", _STORE_ROOM)
    if not path.is_file():
        return
    try:
        for file, problem in check_database_files(settings):
            yield _privacy(file)
            yield not problem, f"{file} is damaged: {problem}; {_RESTORE}" if problem else f"{file} has no damaged page"
    except StoreConfigurationError as error:
        yield False, str(error)


def _privacy(file: Path) -> tuple[bool, str]:
    if file.stat().st_mode & _PRIVATE:
        return False, f"{file} can be read by others than its owner: chmod 600 {file}"
    return True, f"{file} can be read by its owner alone"


def _temporary_room() -> tuple[bool, str]:
    try:
        return _room(Path(tempfile.gettempdir()), "temporary files", _TEMPORARY_ROOM)
    except OSError as error:
        return False, f"temporary files: {error.strerror}; set TMPDIR to a folder that you may write"


def _room(folder: Path, purpose: str, least: int) -> tuple[bool, str]:
    free = shutil.disk_usage(folder).free
    room = f"{free // 1024**2:,} MiB are free for {purpose} in {folder}"
    return free >= least, room if free >= least else f"{room}, and {least // 1024**2:,} MiB are needed: free some space"


def _examine_store(settings: Settings) -> Iterator[tuple[bool, str]]:
    try:
        people = run(_try(settings))
    except PeopleInfoError as error:
        yield False, f"store: {error}"
    else:
        yield True, f"store: reads and writes; {people}"


async def _try(settings: Settings) -> str:
    from peopleinfo.app import open_people

    async with open_people(settings) as people:
        await people.store.check()
        await people.store.create_many([])  # a durable write, of nobody
        if isinstance(settings.location, Path):
            return f"each of {await _read_everyone(people.store):,} people can be read"
        page = await people.store.scan(after=None, limit=1)
    return "somebody is in it" if page.people else "nobody is in it"


async def _read_everyone(store: Store) -> int:
    """Read every record, as a check of the files does not see a change within one. Raises StoreDamaged."""
    from peopleinfo.bulk.copy import iter_pages

    return sum([len(bodies) async for bodies in iter_pages(store)])


async def _try_cache(settings: Settings) -> tuple[bool, str]:
    from peopleinfo.stores.cached.redis_client import open_redis
    from peopleinfo.stores.cached.shared import SharedCache

    async with open_redis(settings.cache_url, user=settings.cache_user, password=settings.cache_password) as link:
        if not await link.reconnect():
            return False, f"cache: {link.last_error}; the service runs without it, but slower: see PEOPLEINFO_CACHE_URL"
        problem = await SharedCache(link, bytes(32), ttl=settings.cache_ttl).eviction_problem()
        return problem is None, f"cache: {problem or 'it answers'}"
