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

    from peopleinfo.people.store import PersonReader

_MIN_FREE_BYTES_OF_STORE: Final = 500 * 1024 * 1024  # about an import of a million records
_MIN_FREE_BYTES_OF_TEMPORARY_FILES: Final = 64 * 1024 * 1024
_RESTORE: Final = "stop the service and restore a backup (docs/operations.md, Damaged files)"
_OTHERS_MODE: Final = 0o077  # permissions of the group and of other users


def version() -> None:
    """Print the version.

    Example: peopleinfo version
    """
    print(f"peopleinfo {__version__}")


def print_version(requested: bool) -> None:
    """Print the version and exit if the option `--version` is present."""
    if requested:
        version()
        raise typer.Exit


def doctor(store: options.Store = None) -> None:
    """Check the settings, the store, its files and the cache. Exit 1 if a check fails.

    Each failed check prints the problem and the remedy.

    Example: peopleinfo doctor --store-url sqlite:////var/lib/people.db
    """
    healthy = True
    for passed, finding in _checks(store):
        healthy = healthy and passed
        print(f"{'ok  ' if passed else 'FAIL'}  {finding}")
    if not healthy:
        raise typer.Exit(1)


def _checks(store: str | None) -> Iterator[tuple[bool, str]]:
    yield True, f"peopleinfo {__version__} on Python {sys.version.split()[0]}"
    try:
        settings = Settings.load(store_url=store)
    except PeopleInfoError as error:
        yield False, f"settings: {error}"
        return
    yield True, f"settings: {settings.store_url}, address {settings.listen_address}"
    yield _check_temporary_files()
    if isinstance(settings.location, Path):
        yield from _check_files(settings, settings.location)
    yield from _check_store(settings)
    if settings.cache_url:
        yield _check_cache(settings)


def _check_files(settings: Settings, path: Path) -> Iterator[tuple[bool, str]]:
    from peopleinfo.stores.registry import check_database_files

    folder = path.absolute().parent
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not os.access(existing, os.W_OK):
        yield (
            False,
            f"{existing} is not writable, and SQLite creates files next to the database: change its permissions",
        )
    yield _check_free_space(existing, "the store", _MIN_FREE_BYTES_OF_STORE)
    if not path.is_file():
        return
    try:
        for file, problem in check_database_files(settings):
            yield _check_permissions(file)
            yield not problem, f"{file} is damaged: {problem}; {_RESTORE}" if problem else f"{file} has no damaged page"
    except StoreConfigurationError as error:
        yield False, str(error)


def _check_permissions(file: Path) -> tuple[bool, str]:
    if file.stat().st_mode & _OTHERS_MODE:
        return False, f"{file} is readable by other users: chmod 600 {file}"
    return True, f"{file} is readable by its owner only"


def _check_temporary_files() -> tuple[bool, str]:
    try:
        return _check_free_space(Path(tempfile.gettempdir()), "temporary files", _MIN_FREE_BYTES_OF_TEMPORARY_FILES)
    except OSError as error:
        return False, f"temporary files: {error.strerror}; set TMPDIR to a writable directory"


def _check_free_space(folder: Path, purpose: str, minimum: int) -> tuple[bool, str]:
    free = shutil.disk_usage(folder).free
    finding = f"{free // 1024**2:,} MiB free for {purpose} in {folder}"
    if free >= minimum:
        return True, finding
    return False, f"{finding}, at least {minimum // 1024**2:,} MiB needed: free some space"


def _check_store(settings: Settings) -> Iterator[tuple[bool, str]]:
    try:
        contents = run(_test_store(settings))
    except PeopleInfoError as error:
        yield False, f"store: {error}"
    else:
        yield True, f"store: reads and writes; {contents}"


async def _test_store(settings: Settings) -> str:
    from peopleinfo.stores.registry import open_service_store

    async with open_service_store(settings) as store:
        await store.people.check()
        await store.people.create_many([])  # a durable write of no records
        if isinstance(settings.location, Path):
            return f"all {await _read_all(store.people):,} records are readable"
        page = await store.people.scan(after=None, limit=1)
    return "it holds records" if page.people else "it is empty"


async def _read_all(store: PersonReader) -> int:
    """Read every record and return their number: a check of the pages does not detect damage within one. Raises StoreDamaged."""
    from peopleinfo.bulk.copy import iter_pages

    return sum([len(bodies) async for bodies in iter_pages(store)])


def _check_cache(settings: Settings) -> tuple[bool, str]:
    from peopleinfo.stores.registry import check_cache

    problem = run(check_cache(settings))
    return problem is None, f"cache: {problem or 'it responds'}"
