"""`peopleinfo doctor` and `peopleinfo version`."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from peopleinfo import __version__
from peopleinfo.cli import options
from peopleinfo.cli.running import run
from peopleinfo.errors import PeopleInfoError
from peopleinfo.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOM: Final = 500 * 1024 * 1024  # bytes; an import of a million people takes about as much
_PRIVATE: Final = 0o077


def version() -> None:
    """Print the version.

    Example: peopleinfo version
    """
    print(f"peopleinfo {__version__}")


def doctor(store: options.Store = None) -> None:
    """Check the settings, the store and its file, and say what is wrong and how to mend it; ends with 1 when something is.

    Example: peopleinfo doctor --store sqlite:////var/lib/people.db
    """
    healthy = True
    for good, finding in _examine(store):
        healthy = healthy and good
        print(f"{'ok   ' if good else 'WRONG'}  {finding}")
    if not healthy:
        raise typer.Exit(1)


def _examine(store: str | None) -> Iterator[tuple[bool, str]]:
    yield True, f"peopleinfo {__version__} on Python {sys.version.split()[0]}"
    try:
        settings = Settings.load(store=store)
    except PeopleInfoError as error:
        yield False, f"settings: {error}"
        return
    yield True, f"settings: {settings.store}, to be served on {settings.place}"
    if isinstance(settings.location, Path):
        yield from _examine_file(settings.location)
    try:
        people = run(_try(settings))
    except PeopleInfoError as error:
        yield False, f"store: {error}"
    else:
        yield True, f"store: reads and writes; {people}"
    if settings.cache:
        yield run(_try_cache(settings))


def _examine_file(path: Path) -> Iterator[tuple[bool, str]]:
    folder = path.absolute().parent
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not os.access(existing, os.W_OK):
        yield False, f"{existing} is not writable by you: SQLite writes beside its file; mend its permissions"
    free = shutil.disk_usage(existing).free
    yield free > _ROOM, f"{free // 1024**2:,} MiB are free on the disk{'' if free > _ROOM else ': make room'}"
    if path.exists():
        mode = path.stat().st_mode
        if mode & _PRIVATE:
            yield False, f"{path} can be read by others than its owner: chmod 600 {path}"
        else:
            yield True, f"{path} can be read by its owner alone"


async def _try(settings: Settings) -> str:
    from peopleinfo.wiring import open_people

    is_new = isinstance(settings.location, Path) and not settings.location.exists()
    async with open_people(settings) as people:
        await people.store.ready()
        await people.store.load([])  # a durable write, of nobody
        page = await people.store.scan(after=None, limit=1)
    if is_new:
        return "it was made just now, and nobody is in it"
    return "somebody is in it" if page.people else "nobody is in it"


async def _try_cache(settings: Settings) -> tuple[bool, str]:
    from peopleinfo.cache.link import open_link
    from peopleinfo.cache.shared import SharedCache

    async with open_link(settings.cache, user=settings.cache_user, password=settings.cache_password) as link:
        if not await link.come_back():
            return False, "cache: it does not answer; the service works without it, and slower: see PEOPLEINFO_CACHE"
        problem = await SharedCache(link, bytes(32), seconds=settings.cache_seconds).eviction_problem()
        return problem is None, f"cache: {problem or 'it answers'}"
