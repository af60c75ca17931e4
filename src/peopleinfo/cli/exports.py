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
from peopleinfo.formats.export_formats import EXTENSIONS, FORMATS, ExportFormat, format_of
from peopleinfo.settings import Settings
from peopleinfo.signals import Terminated

if TYPE_CHECKING:
    from peopleinfo.people.person_filter import PersonFilter


def export(
    target: Annotated[
        Path,
        typer.Argument(
            metavar="[FILE]",
            help="Output file. Its extension selects the format: .ndjson, .csv, .xlsx, .vcf, .fhir.ndjson or .fhir.json; "
            "with .gz compressed. - writes NDJSON to stdout.",
        ),
    ] = output_files.STANDARD,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="|".join(FORMATS), help="Output format (default: from the file name)."),
    ] = None,
    program: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="excel",
            help="CSV that Excel shows unchanged: with a byte order mark, and with an apostrophe before a text that Excel would read as "
            "a formula, a number or a date. An import removes it.",
        ),
    ] = None,
    surname: options.Surname = None,
    prefix: options.Prefix = None,
    name: options.Name = None,
    born_from: options.BornFrom = None,
    born_to: options.BornTo = None,
    exact: options.Exact = False,
    text: Annotated[
        str | None,
        typer.Option("--query", metavar="TEXT", help="Text of a search box, instead of filters; at most 200 records."),
    ] = None,
    store: options.Store = None,
) -> None:
    """Export all records, or those that match the filters or the text of a search box.

    The file is created with mode 0600 when the export is complete. Values are exported unchanged: a spreadsheet may interpret a CSV
    cell that starts with =, +, - or @ as a formula. Export .xlsx, or CSV with --for excel, to open it in a spreadsheet.

    Example: peopleinfo export people.xlsx --surname-prefix mull
    """
    settings = Settings.load(store_url=store)
    filters = (surname, prefix, name, born_from, born_to)
    if text is not None and (any(filters) or exact):
        raise typer.BadParameter("--query cannot be combined with filters: leave out one of them")
    criteria = options.person_filter(*filters, exact=exact)
    if target != output_files.STANDARD:
        output_files.check(target, settings)
    chosen = _format(form, target)
    if program is not None and (program, chosen) != ("excel", "csv"):
        raise InvalidSettings("--for must be excel, and the format CSV")
    try:
        with ExitStack() as stack:
            file = output_files.open_atomic(target, settings, stack)
            count = run(_export(settings, criteria, text, chosen, file, for_excel=program is not None))
    except Terminated as termination:
        termination.add_note("no file was written")
        raise
    print(f"{count:,} records exported", file=sys.stderr)


def _format(name: str | None, target: Path) -> ExportFormat:
    """Return the format of the option, else of the file name. Raises InvalidSettings."""
    chosen = next((form for form in FORMATS if form == name), None) if name else format_of(target)
    if chosen is None and name:
        raise InvalidSettings(f"--format must be {', '.join(FORMATS[:-1])} or {FORMATS[-1]} (got {name})")
    if chosen is None:
        raise InvalidSettings(f"the extension of {target} must be one of {', '.join(EXTENSIONS)}; or set --format")
    return chosen


async def _export(
    settings: Settings,
    criteria: PersonFilter,
    query: str | None,
    form: ExportFormat,
    target: IO[bytes],
    *,
    for_excel: bool,
) -> int:
    from peopleinfo.app import open_people
    from peopleinfo.formats.export import Export
    from peopleinfo.people.text_query import parse

    async with open_people(settings) as people:
        count = 0
        ids = None if query is None else await people.search_ids(parse(query))
        with progress_bar("exporting", None) as advance:
            async for number, text in Export(people, criteria, person_ids=ids).chunks(form, for_excel=for_excel):
                target.write(text)
                count += number
                advance(number)
    return count
