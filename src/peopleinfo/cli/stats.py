"""`peopleinfo stats`: the number, size and age of the records of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from peopleinfo.cli import options
from peopleinfo.cli.cancellation import run
from peopleinfo.cli.progress import progress_bar
from peopleinfo.settings import Settings

if TYPE_CHECKING:
    from peopleinfo.people.store import PersonReader


def stats(
    json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False, store: options.Store = None
) -> None:
    """Print the number, size and age of the records, and a digest that is equal for equal stores.

    Example: peopleinfo stats --store-url dynamodb://eu-west-1/PeopleInfo
    """
    statistics = run(_stats(Settings.load(store_url=store)))
    if json:
        import msgspec

        print(msgspec.json.encode(statistics).decode())
        return
    for name, value in statistics.items():
        print(f"{name:<16} {value:,}" if isinstance(value, int) else f"{name:<16} {value or '-'}")


async def _stats(settings: Settings) -> dict[str, Any]:
    from peopleinfo.stores.registry import open_service_store

    async with open_service_store(settings) as store:
        with progress_bar("counting", await store.people.estimate()) as advance:
            return await _collect_statistics(store.people, advance)


async def _collect_statistics(store: PersonReader, advance: Any) -> dict[str, Any]:
    from peopleinfo.bulk.checksum import SetChecksum
    from peopleinfo.bulk.copy import iter_pages
    from peopleinfo.people.person import decode_header

    checksum = SetChecksum()
    size = changed = 0
    first = last = ""
    async for bodies in iter_pages(store):
        checksum.add(bodies)
        for body in bodies:
            header = decode_header(body)
            size += len(body)
            changed += header.version > 1
            first, last = min(first or header.created_at, header.created_at), max(last, header.created_at)
        advance(len(bodies))
    return {
        "people": checksum.people,
        "bytes": size,
        "bytes_a_person": size // max(checksum.people, 1),
        "changed": changed,
        "first_created": first or None,
        "last_created": last or None,
        "digest": checksum.hex,
    }
