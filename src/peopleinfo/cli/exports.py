"""`peopleinfo export`."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from peopleinfo.cli import options, output_files
from peopleinfo.cli.cancellation import run
from peopleinfo.cli.progress import progress_bar
from peopleinfo.errors import InvalidSettings
from peopleinfo.settings import Settings
from peopleinfo.signals import Terminated

if TYPE_CHECKING:
    from peopleinfo.people.search import PersonFilter


def export(
    target: Annotated[
        Path,
        typer.Argument(metavar="[FILE]", help="Output file, compressed if its name ends with .gz; - writes stdout."),
    ] = output_files.STANDARD,
    form: Annotated[
        str | None, typer.Option("--format", metavar="ndjson|csv", help="Output format (default: from the file name).")
    ] = None,
    surname: options.Surname = None,
    prefix: options.Prefix = None,
    name: options.Name = None,
    born_from: options.BornFrom = None,
    born_to: options.BornTo = None,
    exact: options.Exact = False,
    store: options.Store = None,
) -> None:
    """Export all records, or those that match the filters, as NDJSON or CSV.

    The file is created with mode 0600 when the export is complete. Values are exported unchanged: a spreadsheet may interpret a CSV
    cell that starts with =, +, - or @ as a formula.

    Example: peopleinfo export people.csv --surname-prefix mull
    """
    settings = Settings.load(store_url=store)
    criteria = options.person_filter(surname, prefix, name, born_from, born_to, exact=exact)
    chosen = form or ("csv" if ".csv" in target.suffixes else "ndjson")
    if chosen not in ("csv", "ndjson"):
        raise InvalidSettings(f"--format must be ndjson or csv (got {chosen})")
    try:
        with ExitStack() as stack:
            count = run(_export(settings, criteria, chosen, output_files.open_atomic(target, settings, stack)))
    except Terminated as termination:
        termination.add_note("no file was written")
        raise
    print(f"{count:,} records exported", file=sys.stderr)


async def _export(settings: Settings, criteria: PersonFilter, form: str, target: IO[bytes]) -> int:
    from peopleinfo.app import open_people
    from peopleinfo.formats.export import as_csv, as_ndjson

    async with open_people(settings) as people:
        count = 0
        with progress_bar("exporting", None) as advance:
            async for number, text in (as_csv if form == "csv" else as_ndjson)(people, criteria):
                target.write(text)
                count += number
                advance(number)
    return count
