"""`peopleinfo copy`, `reindex` and `stats`: whole stores gone through."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from peopleinfo.cli import options
from peopleinfo.cli.cancellation import run
from peopleinfo.cli.progress import progress_bar, resumable
from peopleinfo.settings import Settings

if TYPE_CHECKING:
    from peopleinfo.bulk.copy import Comparison, StoreCopy
    from peopleinfo.people.store import Store

EXIT_DIFFERENT = 4
_ROUNDS = 3  # while the source is changed there is always something left
_REKEYED = 1_000  # people looked at at a time


def copy(
    source: Annotated[
        str, typer.Argument(metavar="FROM", help="The store that people are in: sqlite:///…, dynamodb://…")
    ],
    target: Annotated[str, typer.Argument(metavar="TO", help="A store with nobody in it, of whichever kind.")],
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Erase from TO whom FROM no longer has. Never once TO is in use.")
    ] = False,
    from_encryption: Annotated[
        str | None,
        typer.Option(
            "--from-encryption",
            metavar="URL",
            help="What FROM is sealed with when TO is sealed otherwise: as PEOPLEINFO_ENCRYPTION, or none.",
        ),
    ] = None,
) -> None:
    """Copy everybody, with their ids, versions and times, while FROM serves; then compare the two and mend what has changed meanwhile.

    To change stores: copy while the service runs; stop it; run the same command again with --mirror, which is quick; start the service on
    TO. Ends with 0 when both hold the same, and with 4 when they do not, as they will while people are being changed. Interrupted, the
    same command goes on where it stopped.

    Example: peopleinfo copy sqlite:///people.db dynamodb://eu-west-1/PeopleInfo
    """
    settings = Settings.load(store_url=target)
    origin = dataclasses.replace(settings, store_url=source, cache_url="")
    if from_encryption is not None:
        origin = dataclasses.replace(origin, encryption="" if from_encryption == "none" else from_encryption)
    origin.validate()
    with resumable():
        comparison = run(_copy(origin, settings, mirror=mirror))
    told = f"{comparison.source.people:,} people in FROM and {comparison.target.people:,} in TO"
    if comparison.is_equal:
        print(f"{told}, digest {comparison.source.hex} of both", file=sys.stderr)
        return
    print(
        f"{told}, which differ: while FROM is changed that is to be expected. Stop the service and run this again",
        file=sys.stderr,
    )
    raise typer.Exit(EXIT_DIFFERENT)


def reindex(store: options.Store = None) -> None:
    """Give everybody the key by which this version of PeopleInfo finds surnames, while the service runs.

    Needed when the changelog says that the fold of names has changed. Until it is done, searches may miss those whose key is another one now.

    Example: peopleinfo reindex
    """
    with resumable():
        people, changed = run(_reindex(Settings.load(store_url=store)))
    print(f"{people:,} people looked at, {changed:,} have new keys", file=sys.stderr)


def stats(
    json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False, store: options.Store = None
) -> None:
    """Count everybody and say what they are like: how many, how large, how old, and the digest by which two stores are compared.

    Example: peopleinfo stats --store-url dynamodb://eu-west-1/PeopleInfo
    """
    figures = run(_stats(Settings.load(store_url=store)))
    if json:
        import msgspec

        print(msgspec.json.encode(figures).decode())
        return
    for name, value in figures.items():
        print(f"{name:<16} {value:,}" if isinstance(value, int) else f"{name:<16} {value or '-'}")


async def _copy(origin: Settings, settings: Settings, *, mirror: bool) -> Comparison:
    from peopleinfo.app import open_people
    from peopleinfo.bulk.copy import StoreCopy

    async with open_people(origin) as source, open_people(settings, create=True) as target:
        task = StoreCopy(source.store, target.store)
        begun = await task.copied_so_far()
        total = await source.store.estimate()
        with progress_bar("copying", total, begun) as advance:
            async for count in task.run():
                advance(count)
        return await _repaired(task, total, mirror=mirror)


async def _repaired(task: StoreCopy, total: int | None, *, mirror: bool) -> Comparison:
    """Compare and mend until both hold the same, or nothing more can be done."""
    for _ in range(_ROUNDS):
        with progress_bar("comparing", total and 2 * total) as advance:
            comparison = await task.compare(advance)
        if comparison.is_equal:
            return comparison
        with progress_bar("mending", total and 2 * total) as advance:
            mended = await task.repair(comparison, advance, erase=mirror)
        if mended.left:
            print(f"{mended.left:,} people of TO are not in FROM: --mirror erases them", file=sys.stderr)
            break
    with progress_bar("comparing", total and 2 * total) as advance:
        return await task.compare(advance)


async def _reindex(settings: Settings) -> tuple[int, int]:
    from peopleinfo.app import open_people

    people = changed = 0
    after: bytes | None = None
    async with open_people(settings) as opened:
        with progress_bar("looking", await opened.store.estimate()) as advance:
            while True:
                done = await opened.store.reindex(after=after, limit=_REKEYED)
                people, changed, after = people + done.people, changed + len(done.keys), done.next
                advance(done.people)
                if after is None:
                    return people, changed


async def _stats(settings: Settings) -> dict[str, Any]:
    from peopleinfo.app import open_people

    async with open_people(settings) as people:
        with progress_bar("counting", await people.store.estimate()) as advance:
            return await _counted(people.store, advance)


async def _counted(store: Store, advance: Any) -> dict[str, Any]:
    from peopleinfo.bulk.checksum import SetChecksum
    from peopleinfo.bulk.copy import iter_pages
    from peopleinfo.people.person import decode_header

    digest = SetChecksum()
    size = changed = 0
    first = last = ""
    async for bodies in iter_pages(store):
        digest.add(bodies)
        for body in bodies:
            known = decode_header(body)
            size += len(body)
            changed += known.version > 1
            first, last = min(first or known.created_at, known.created_at), max(last, known.created_at)
        advance(len(bodies))
    return {
        "people": digest.people,
        "bytes": size,
        "bytes_a_person": size // max(digest.people, 1),
        "changed": changed,
        "first_created": first or None,
        "last_created": last or None,
        "digest": digest.hex,
    }
