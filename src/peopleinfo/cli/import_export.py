"""`peopleinfo import` and `peopleinfo export`: many people in and out."""

from __future__ import annotations

import dataclasses
import gc
import hashlib
import os
import sys
import time
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING, Annotated, Any, Final, NamedTuple, Self

import typer

from peopleinfo.cli import options, output_files
from peopleinfo.cli.cancellation import run
from peopleinfo.cli.progress import RESUMABLE, progress_bar
from peopleinfo.errors import StoreMissing
from peopleinfo.formats.column_mapping import ColumnMapping, InvalidInput
from peopleinfo.people import strict_json
from peopleinfo.settings import InvalidSettings, Settings
from peopleinfo.signals import Terminated

if TYPE_CHECKING:
    import io
    from collections.abc import AsyncIterator, Callable, Iterator

    from peopleinfo.bulk.importer import RowResult
    from peopleinfo.formats import reader
    from peopleinfo.people.search import PersonFilter
    from peopleinfo.people.service import PeopleService

EXIT_REJECTED: Final = 3


class _Options(NamedTuple):
    """What changes the rows that an input is read as."""

    mapping: dict[str, str]
    date_formats: list[str]
    form: reader.Format | None
    encoding: str | None
    delimiter: str | None


def import_(
    files: Annotated[
        list[Path], typer.Argument(help="CSV, NDJSON or JSON files, packed with gzip or not; - is stdin.")
    ],
    store: options.Store = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="MEMBER=COLUMN",
            help="Which column is which member: person_surname=surname; several are joined: person_address='street suburb' "
            "(divided by commas when names have blanks). Usual names are known without.",
        ),
    ] = None,
    date_format: Annotated[
        list[str] | None, typer.Option(help="How birthdates are written: %d/%m/%Y, %Y%m%d; may be given several times.")
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", metavar="csv|ndjson|json", help="Instead of what the input looks like.")
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="Of a CSV file that is not UTF-8, such as cp1252.")] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="Between a CSV file's columns; else one of , ; | or tab.")
    ] = None,
    rejects: Annotated[
        Path | None,
        typer.Option(help="Where rejected rows go, with line and reason; else FILE.rejects.csv or .ndjson here."),
    ] = None,
    import_id: Annotated[
        str | None, typer.Option(help="Names an import from stdin, so that it can be run again; files need none.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Import the file again although it was imported before.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check every row and store nobody.")] = False,
) -> None:
    """Store the people of files. Good rows are stored, bad ones go to a file of rejects to be mended and imported.

    An import that was interrupted is run again with the same command: it goes on where it stopped and adds nobody twice.
    Ends with 0 when everybody is stored, and with 3 when rows were rejected.

    Example: peopleinfo import members.csv --map person_surname="Last Name" --date-format %d/%m/%Y
    """
    settings = Settings.load(store_url=store)
    if form not in (None, "csv", "ndjson", "json"):
        raise InvalidSettings(f"--format {form}: there are csv, ndjson and json")
    how = _Options(_mapping(mapping or []), date_format or [], form, encoding, delimiter)  # type: ignore[arg-type]
    if rejects:
        output_files.check(rejects, settings)
    task = _Import(settings, how, rejects=rejects, import_id=import_id, force=force, dry_run=dry_run)
    rejected = 0
    for path in files:
        try:
            rejected += run(task.run(path))
        except Terminated as ended:
            ended.add_note(RESUMABLE)
            raise
    if rejected:
        raise typer.Exit(EXIT_REJECTED)


class _Import:
    """The import of one file after the other."""

    def __init__(
        self,
        settings: Settings,
        how: _Options,
        *,
        rejects: Path | None,
        import_id: str | None,
        force: bool,
        dry_run: bool,
    ) -> None:
        self._settings = settings
        self._how = how
        self._rejects = rejects
        self._import_id = import_id
        self._force = force
        self._dry_run = dry_run

    async def run(self, path: Path) -> int:
        """Import a file, report on stderr, and return how many rows were rejected."""
        from peopleinfo.bulk.importer import Importer, batches
        from peopleinfo.formats import reader

        # Rows come and go by the ten thousand and hold no cycles: looking for some each time costs a fifth of an import.
        gc.set_threshold(2_000_000, 20, 50)
        with ExitStack() as stack:
            stream = _open(path, stack)
            identity = self._identity(path, stream)
            columns = ColumnMapping(self._how.mapping, self._how.date_formats)
            source = reader.read(
                stream, columns, form=self._how.form, encoding=self._how.encoding, delimiter=self._how.delimiter
            )
            for member, names in source.taken.items():
                print(f"{' + '.join(names)} -> {member}", file=sys.stderr)
            rejects = stack.enter_context(_Rejects(self._rejects, path, source))
            advance = stack.enter_context(_progress(path, stream))
            async with _opened(self._settings, dry_run=self._dry_run) as people:
                import_ = Importer(people, identity, dry_run=self._dry_run)
                before = (await import_.progress()).stored
                try:
                    async for outcomes in import_.import_batches(batches(source.rows)):
                        rejects.write(outcomes)
                        advance(len(outcomes))
                except InvalidInput as error:
                    raise InvalidInput(
                        f"{path}: {error}; {(await import_.progress()).stored} people before that are stored"
                    ) from error
                await import_.finish()
                stored = (await import_.progress()).stored
        self._report(path, stored, before, rejects)
        return rejects.count

    def _identity(self, path: Path, stream: IO[bytes]) -> bytes | None:
        """Return what names this import: the same content read in the same way is the same import."""
        if self._force or self._dry_run:
            return None if self._dry_run else os.urandom(32)
        digest = hashlib.sha256(strict_json.encode(self._how))
        if path == output_files.STANDARD:
            if not self._import_id:
                return None
            digest.update(self._import_id.encode())
        else:
            while piece := stream.read(1024 * 1024):
                digest.update(piece)
            stream.seek(0)
        return digest.digest()

    def _report(self, path: Path, stored: int, before: int, rejects: _Rejects) -> None:
        if self._dry_run:
            told = f"{stored:,} could be stored"
        elif before and before == stored:
            told = f"{stored:,} had been stored before, nobody was added (--force imports it again)"
        else:
            told = f"{stored - before:,} stored" + (f", after {before:,} before" if before else "")
        if rejects.count:
            told += f", {rejects.count:,} rejected: see {rejects.path}"
        print(f"{path}: {told}", file=sys.stderr)


@asynccontextmanager
async def _opened(settings: Settings, *, dry_run: bool) -> AsyncIterator[PeopleService]:
    """Open the store of an import, which makes a missing one. A dry run checks against a temporary store instead of making one."""
    from peopleinfo.app import open_people

    async with AsyncExitStack() as stack:
        try:
            people = await stack.enter_async_context(open_people(settings, create=not dry_run))
        except StoreMissing:
            folder = stack.enter_context(TemporaryDirectory(prefix="peopleinfo-"))
            empty = dataclasses.replace(settings, store_url=f"sqlite:///{folder}/empty.db", cache_url="", encryption="")
            people = await stack.enter_async_context(open_people(empty, create=True))
        yield people


class _Rejects:
    """The file of rejected rows, made (for its owner alone: people are in it) when there is the first of them."""

    def __init__(self, wanted: Path | None, path: Path, source: reader.Input) -> None:
        self.count = 0
        name = "stdin" if path == output_files.STANDARD else path.name
        suffix = "csv" if source.format == "csv" else "ndjson"
        self.path = wanted or output_files.unused(Path(f"{name}.rejects.{suffix}"))
        self._source = source
        self._stack = ExitStack()
        self._writer: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def write(self, outcomes: list[RowResult]) -> None:
        """Write those of the outcomes that are rejections."""
        for outcome in outcomes:
            if outcome.errors:
                if self._writer is None:
                    self._writer = self._source.rejects(self._stack.enter_context(output_files.private(self.path)))
                self._writer.write(outcome)
                self.count += 1


def export(
    target: Annotated[
        Path, typer.Argument(help="File to write, packed when it ends with .gz; - is stdout.")
    ] = output_files.STANDARD,
    form: Annotated[
        str | None, typer.Option("--format", metavar="ndjson|csv", help="Instead of what the file's name says.")
    ] = None,
    surname: options.Surname = None,
    prefix: options.Prefix = None,
    name: options.Name = None,
    born_from: options.BornFrom = None,
    born_to: options.BornTo = None,
    exact: options.Exact = False,
    store: options.Store = None,
) -> None:
    """Write everybody, or those who are meant, as NDJSON or CSV. The file appears when it is whole, for its owner alone.

    Values are written as they are kept: a cell of a CSV file that begins with =, +, - or @ is a formula to some spreadsheets.

    Example: peopleinfo export people.csv --surname-prefix mull
    """
    settings = Settings.load(store_url=store)
    where = options.where(surname, prefix, name, born_from, born_to, exact=exact)
    chosen = form or ("csv" if ".csv" in target.suffixes else "ndjson")
    if chosen not in ("csv", "ndjson"):
        raise InvalidSettings(f"--format {chosen}: there are ndjson and csv")
    try:
        with ExitStack() as stack:
            count = run(_export(settings, where, chosen, output_files.whole(target, settings, stack)))
    except Terminated as ended:
        ended.add_note("no file was written")
        raise
    print(f"{count:,} people exported", file=sys.stderr)


async def _export(settings: Settings, where: PersonFilter, form: str, target: IO[bytes]) -> int:
    from peopleinfo.app import open_people
    from peopleinfo.formats.export import as_csv, as_ndjson

    async with open_people(settings) as people:
        count = 0
        with progress_bar("exporting", None) as advance:
            async for number, text in (as_csv if form == "csv" else as_ndjson)(people, where):
                target.write(text)
                count += number
                advance(number)
    return count


def _mapping(options_given: list[str]) -> dict[str, str]:
    mapping = {}
    for option in options_given:
        member, equals, source = option.partition("=")
        if not (equals and member.strip() and source.strip()):
            raise InvalidSettings(f"--map {option}: write MEMBER=COLUMN, such as person_surname=surname")
        mapping[member.strip()] = source.strip()
    return mapping


def _open(path: Path, stack: ExitStack) -> io.BufferedReader:
    if path == output_files.STANDARD:
        return sys.stdin.buffer  # type: ignore[return-value] # a BufferedReader, whatever the stubs say
    try:
        return stack.enter_context(path.open("rb"))
    except OSError as error:
        raise InvalidInput(f"cannot open {path}: {error.strerror}") from None


@contextmanager
def _progress(path: Path, stream: IO[bytes]) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how far an import has come, and yield what moves it on by a number of rows."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    total = None if path == output_files.STANDARD else path.stat().st_size
    layout = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rows]}"), TimeRemainingColumn())
    with Progress(*layout, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(path.name, total=total, rows="")
        rows_done = 0
        began = time.monotonic()

        def advance(count: int) -> None:
            nonlocal rows_done
            rows_done += count
            rate = rows_done / max(time.monotonic() - began, 1e-3)
            position = stream.tell() if total is not None else 0
            progress.update(task, completed=position, rows=f"{rows_done:,} rows, {rate:,.0f}/s")

        yield advance
