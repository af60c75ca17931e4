"""`peopleinfo copy`: copy all records to another store."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from peopleinfo.cli.cancellation import run
from peopleinfo.cli.progress import progress_bar, resumable
from peopleinfo.settings import Settings

if TYPE_CHECKING:
    from peopleinfo.bulk.copy import StoreComparison, StoreCopy

EXIT_DIFFERENT = 4
_MAX_REPAIRS = 3  # a source in use always differs again


def copy(
    source: Annotated[
        str,
        typer.Argument(metavar="FROM", help="URL of the source store: sqlite:///… or dynamodb://…", show_default=False),
    ],
    target: Annotated[
        str, typer.Argument(metavar="TO", help="URL of an empty store, of either kind.", show_default=False)
    ],
    mirror: Annotated[
        bool,
        typer.Option(
            "--mirror", help="Delete records from TO that FROM no longer has. Do not use once TO is in service."
        ),
    ] = False,
    from_encryption: Annotated[
        str | None,
        typer.Option(
            "--from-encryption",
            metavar="URL",
            help="Encryption of FROM if it differs from PEOPLEINFO_ENCRYPTION; `none` for an unencrypted store.",
        ),
    ] = None,
) -> None:
    """Copy all records to another store, with their ids, versions and timestamps, while the service runs.

    The command then compares both stores and copies records that changed. It exits 0 when both stores are equal, and 4 when they
    differ, as they do while FROM is in use. Run the same command again to resume.

    To migrate: copy while the service runs, stop the service, run the command again with --mirror, start the service on TO.

    Example: peopleinfo copy sqlite:///people.db dynamodb://eu-west-1/PeopleInfo
    """
    settings = Settings.load(store_url=target)
    origin = dataclasses.replace(settings, store_url=source, cache_url="")
    if from_encryption is not None:
        origin = dataclasses.replace(origin, encryption="" if from_encryption == "none" else from_encryption)
    origin.validate()
    with resumable():
        comparison = run(_copy(origin, settings, mirror=mirror))
    counts = f"{comparison.source.people:,} records in FROM, {comparison.target.people:,} in TO"
    if comparison.is_equal:
        print(f"{counts}: equal, digest {comparison.source.hex}", file=sys.stderr)
        return
    print(f"{counts}: different; stop the service on FROM and run the command again", file=sys.stderr)
    raise typer.Exit(EXIT_DIFFERENT)


async def _copy(origin: Settings, settings: Settings, *, mirror: bool) -> StoreComparison:
    from peopleinfo.bulk.copy import StoreCopy
    from peopleinfo.stores.registry import open_service_store

    async with open_service_store(origin) as source, open_service_store(settings, create=True) as target:
        task = StoreCopy(source.people, target.people, (source, target))
        done = await task.copied_so_far()
        total = await source.people.estimate()
        with progress_bar("copying", total, done) as advance:
            async for count in task.run():
                advance(count)
        return await _repaired(task, total, mirror=mirror)


async def _repaired(task: StoreCopy, total: int | None, *, mirror: bool) -> StoreComparison:
    """Compare and repair until both stores are equal, at most `_MAX_REPAIRS` times."""
    for _ in range(_MAX_REPAIRS):
        await task.copy_supplement(delete=mirror)
        with progress_bar("comparing", total and 2 * total) as advance:
            comparison = await task.compare(advance)
        if comparison.is_equal:
            return comparison
        with progress_bar("repairing", total and 2 * total) as advance:
            result = await task.repair(comparison, advance, delete=mirror)
        if result.extra:
            print(f"{result.extra:,} records of TO are not in FROM: --mirror deletes them", file=sys.stderr)
            break
    with progress_bar("comparing", total and 2 * total) as advance:
        return await task.compare(advance)
