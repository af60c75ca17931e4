"""`peopleinfo match` and `peopleinfo duplicates`: detection of duplicates without a server."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from peopleinfo.cli import options
from peopleinfo.cli.cancellation import run
from peopleinfo.people import strict_json
from peopleinfo.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from peopleinfo.bulk.rows import RowResult
    from peopleinfo.matching.service import Matched, MatchService

app = typer.Typer(name="duplicates", help="Find records of one person.", no_args_is_help=True)


def match(
    name: Annotated[str | None, typer.Option("--name", help="Given names.")] = None,
    surname: Annotated[str | None, typer.Option("--surname", help="Family name.")] = None,
    born: Annotated[str | None, typer.Option("--born", help="Birthdate, for example 1980-04-03.")] = None,
    address: Annotated[str | None, typer.Option("--address", help="Postal address.")] = None,
    count: Annotated[int, typer.Option(min=1, help="Maximum number of candidates.")] = 10,
    json: Annotated[bool, typer.Option("--json", help="Print JSON on a terminal too.")] = False,
    store: options.Store = None,
) -> None:
    """Find the records that may be of a person. Print a table on a terminal, JSON in a pipe.

    Example: peopleinfo match --name Jon --surname Smyth --born 1980-04-03
    """
    given = {"person_name": name, "person_surname": surname, "person_birthdate": born, "person_address": address}
    fields = {field: value for field, value in given.items() if value is not None}
    if not fields:
        raise typer.BadParameter("no field is given: use for example --name and --surname")
    found = run(_match(Settings.load(store_url=store), fields, count))
    if json or not sys.stdout.isatty():
        from peopleinfo.matching.service import encode

        sys.stdout.buffer.write(encode(found) + b"\n")
    else:
        _print_table(found)


@app.command()
def count(store: options.Store = None) -> None:
    """Count names and common values of all records, from which the grades are computed.

    The server does it daily. Run it after a large import.

    Example: peopleinfo duplicates count
    """
    people = run(_count(Settings.load(store_url=store)))
    print(f"{people:,} records counted", file=sys.stderr)


def print_duplicates(results: Iterable[RowResult]) -> None:
    """Print the rows of an import that have a duplicate as NDJSON, without values of the records."""
    for result in results:
        if result.duplicate is not None:
            fields = {"line": result.row.line, "result": result.status, "person_id": result.person_id}
            duplicate = {name: value for name, value in result.duplicate._asdict().items() if name != "row_index"}
            line = strict_json.encode(fields | {"duplicate": duplicate})
            sys.stdout.buffer.write(line + b"\n")


async def _match(settings: Settings, fields: dict[str, str], count: int) -> Matched:
    from peopleinfo.matching.service import MatchOptions
    from peopleinfo.people.birthdate import earliest_date
    from peopleinfo.people.person import parse_person, utc_now

    data = parse_person(fields, today=earliest_date(utc_now()), require_name=False)
    async with _open(settings) as matches:
        return await matches.match(data.to_dict(), MatchOptions(count))


async def _count(settings: Settings) -> int:
    async with _open(settings) as matches:
        return (await matches.count()).people


@asynccontextmanager
async def _open(settings: Settings) -> AsyncIterator[MatchService]:
    from peopleinfo.app import match_service
    from peopleinfo.stores.registry import open_service_store

    async with open_service_store(settings) as store:
        yield match_service(store, settings)


def _print_table(found: Matched) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("grade", "score", "because", "id")
    for one in found.match.candidates:
        because = ", ".join(item.because for item in one.evidence if item.bits > 0)
        table.add_row(one.grade, f"{one.score:.3f}", because, one.person_id)
    Console().print(table)
    for rest in found.match.not_examined:
        print(f"{rest.people:,} records were not examined (same {rest.by})", file=sys.stderr)
