"""`peopleinfo import`."""

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
from typing import IO, TYPE_CHECKING, Annotated, Any, Final, NamedTuple, Self, get_args

import typer

from peopleinfo.bulk.upsert_options import DuplicateMode, Mode, UpsertOptions
from peopleinfo.cli import options, output_files
from peopleinfo.cli.cancellation import run
from peopleinfo.cli.duplicates import print_duplicates
from peopleinfo.cli.progress import RESUMABLE
from peopleinfo.errors import InvalidInput, InvalidSettings, StoreMissing
from peopleinfo.formats.column_mapping import ColumnMapping, command_line_option
from peopleinfo.people import strict_json
from peopleinfo.settings import Settings
from peopleinfo.signals import Terminated

if TYPE_CHECKING:
    import io
    from collections.abc import AsyncIterator, Callable, Iterator

    from peopleinfo.bulk.importer import ImportTarget
    from peopleinfo.bulk.rows import Account, RowResult
    from peopleinfo.formats import reader
    from peopleinfo.formats.column_mapping import OnBadDate

EXIT_REJECTED: Final = 3
_MAX_SKIPPED_LINES: Final = 20
_FORMATS: Final = ("csv", "ndjson", "json", "vcard", "xlsx", "ldif")

_Files = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE...",
        help="CSV, NDJSON, JSON (also FHIR and SCIM), vCard, LDIF or .xlsx files, also gzip-compressed; - reads stdin.",
        show_default=False,
    ),
]
_Mapping = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="FIELD=COLUMN",
        help="Read a field from a column, or from several columns joined with spaces: person_surname=Family, "
        "person_address='street suburb', person_address='Street name, Suburb'. Repeatable. Common column names in many languages are recognized; person_address= maps none.",
    ),
]
_DateFormats = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FORMAT",
        help="Format of birthdates, for example %d/%m/%Y, %m/%d, %d-%m-%y or excel. Repeatable (default: guessed from the column).",
    ),
]
_InputFormat = Annotated[
    str | None, typer.Option("--format", metavar="|".join(_FORMATS), help="Input format (default: detected).")
]
_Encoding = Annotated[
    str | None, typer.Option(metavar="ENCODING", help="Encoding of the input, for example cp1252 (default: detected).")
]
_Delimiter = Annotated[
    str | None,
    typer.Option(metavar="CHAR", help="Column delimiter of CSV input (default: detected from , ; | and tab)."),
]
_Sheet = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Sheet of a workbook (default: the first visible one with a header that names people)."
    ),
]
_OnBadDate = Annotated[
    str,
    typer.Option(
        metavar="reject|keep",
        help="What to do with a row whose birthdate cannot be read: reject it, or store it with the text in the field "
        "unreadable_birthdate.",
    ),
]
_RejectsFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Write rejected rows, with line and reason, to FILE (default: INPUT.rejects.csv, .ndjson, .vcf or .ldif).",
    ),
]
_ImportId = Annotated[
    str | None, typer.Option(metavar="ID", help="Identify an import from stdin, so that it can be resumed.")
]


_Key = Annotated[
    str | None,
    typer.Option(
        metavar="person_id|IDENTIFIER",
        help="Update the record with the same id, or with the same identifier such as email (PEOPLEINFO_IDENTIFIERS), instead of adding a "
        "person. A record that has changed since the export is a conflict. A row without the key, or whose person does not exist, adds a "
        "person.",
    ),
]
_Mode = Annotated[
    str,
    typer.Option(
        metavar="merge|replace",
        help="With --key: merge changes the fields of a row, replace also removes the fields that the row lacks.",
    ),
]
_Duplicates = Annotated[
    str | None,
    typer.Option(
        metavar="report|skip|queue|refuse",
        help="Compare each new person with the stored people and the earlier rows, and print the rows with a probable duplicate as "
        "NDJSON. queue: add them to the review queue. skip, refuse: skip or reject the rows with a certain one (PEOPLEINFO_DUPLICATES_REFUSE).",
    ),
]


class _Options(NamedTuple):
    """Options that change how an input is read."""

    mapping: dict[str, str]
    date_formats: list[str]
    format: reader.Format | None
    encoding: str | None
    delimiter: str | None
    sheet: str | None
    on_bad_date: OnBadDate


def import_(
    files: _Files,
    store: options.Store = None,
    mapping: _Mapping = None,
    date_format: _DateFormats = None,
    form: _InputFormat = None,
    encoding: _Encoding = None,
    delimiter: _Delimiter = None,
    sheet: _Sheet = None,
    on_bad_date: _OnBadDate = "reject",
    rejects: _RejectsFile = None,
    import_id: _ImportId = None,
    key: _Key = None,
    mode: _Mode = "merge",
    duplicates: _Duplicates = None,
    force: Annotated[
        bool, typer.Option("--force", help="Store also the rows that equal a person from before the import.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Validate every row and store nothing.")] = False,
) -> None:
    """Import records from CSV, NDJSON, JSON (also FHIR and SCIM), vCard, LDIF or .xlsx files.

    Valid rows are stored, except those that equal a person who existed before. Invalid rows and conflicts go to a file of rejects.
    Run the same command again to resume an interrupted import; no row is stored twice. The command exits 0 when all rows are stored
    and 3 when rows were rejected.

    Example: peopleinfo import members.csv --map person_surname="Last Name" --date-format %d/%m/%Y
    """
    settings = Settings.load(store_url=store)
    if form not in (None, *_FORMATS):
        raise InvalidSettings(f"--format must be {', '.join(_FORMATS[:-1])} or {_FORMATS[-1]} (got {form})")
    if mode not in get_args(Mode):
        raise InvalidSettings(f"--mode must be {' or '.join(get_args(Mode))} (got {mode})")
    if duplicates not in (None, *get_args(DuplicateMode)):
        raise InvalidSettings(f"--duplicates must be report, skip, queue or refuse (got {duplicates})")
    if on_bad_date not in ("reject", "keep"):
        raise InvalidSettings(f"--on-bad-date must be reject or keep (got {on_bad_date})")
    input_options = _Options(_mapping(mapping or []), date_format or [], form, encoding, delimiter, sheet, on_bad_date)  # type: ignore[arg-type]
    if rejects:
        output_files.check(rejects, settings)
    upsert = UpsertOptions(key, mode, force, duplicates)  # type: ignore[arg-type] # checked above
    task = _Import(settings, input_options, upsert, rejects=rejects, import_id=import_id, dry_run=dry_run)
    rejected = 0
    for path in files:
        try:
            rejected += run(task.run(path))
        except Terminated as termination:
            termination.add_note(RESUMABLE)
            raise
    if rejected:
        raise typer.Exit(EXIT_REJECTED)


class _Import:
    """Import files one after another."""

    def __init__(
        self,
        settings: Settings,
        input_options: _Options,
        upsert: UpsertOptions,
        *,
        rejects: Path | None,
        import_id: str | None,
        dry_run: bool,
    ) -> None:
        self._settings = settings
        self._options = input_options
        self._rejects = rejects
        self._import_id = import_id
        self._upsert = upsert
        self._dry_run = dry_run

    async def run(self, path: Path) -> int:
        """Import a file, print a summary on stderr and return the number of rejected rows."""
        from peopleinfo.bulk.import_log_entry import ImportFile
        from peopleinfo.bulk.importer import Importer, batches
        from peopleinfo.formats import reader
        from peopleinfo.formats.reader_warnings import warnings
        from peopleinfo.privacy.audit import COMMAND

        # Rows contain no reference cycles: the default thresholds would cost a fifth of an import.
        gc.set_threshold(2_000_000, 20, 50)
        with ExitStack() as stack:
            stream = _open(path, stack)
            identity, digest = self._identity(path, stream)
            columns = ColumnMapping(
                self._options.mapping, self._options.date_formats, on_bad_date=self._options.on_bad_date
            )
            source = reader.read(
                stream,
                columns,
                form=self._options.format,
                encoding=self._options.encoding,
                delimiter=self._options.delimiter,
                sheet=self._options.sheet,
            )
            for field, columns_of_field in source.columns.sources.items():
                print(f"{' + '.join(columns_of_field)} -> {field}", file=sys.stderr)
            rejects = stack.enter_context(_Rejects(self._rejects, path, source))
            skipped = _SkippedLines(path)
            advance = stack.enter_context(_progress(path, stream))
            async with _open_target(self._settings, dry_run=self._dry_run) as target:
                import_ = Importer(
                    target,
                    identity,
                    options=self._upsert,
                    dry_run=self._dry_run,
                    principal=COMMAND,
                    file=ImportFile(None if path == output_files.STANDARD else path.name, digest),
                )
                try:
                    async for results in import_.import_batches(batches(source.rows)):
                        rejects.write(results)
                        print_duplicates(results)
                        skipped.add(results)
                        advance(len(results))
                        del results  # its memory serves the next batch
                except InvalidInput as error:
                    raise InvalidInput(
                        f"{path}: {error}; {(await import_.progress()).stored} records before it are stored"
                    ) from error
                await import_.finish(forget=True)
        for message in warnings(source, command_line_option):
            print(f"{path}: {message}", file=sys.stderr)
        print(f"{path}: {self._summary(import_.account, rejects)}", file=sys.stderr)
        return rejects.count

    def _identity(self, path: Path, stream: IO[bytes]) -> tuple[bytes | None, str | None]:
        """Return the id of this import, a hash of the content and the options, and the digest of the file.

        Without an id, the import cannot be resumed.
        """
        if self._dry_run:
            return None, None
        content: str | None = None
        if path != output_files.STANDARD:
            content = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type] # the stubs are imprecise
            stream.seek(0)
        if self._upsert.stores_equal_rows:
            return os.urandom(32), content
        key = content or self._import_id
        return hashlib.sha256(strict_json.encode([self._options, self._upsert, key])).digest() if key else None, content

    def _summary(self, account: Account, rejects: _Rejects) -> str:
        hints = [f"rejected rows: {rejects.path}"] if rejects.count else []
        if account.unchanged and not account.stored:
            hints.append("--force stores the unchanged rows again")
        summary = f"{account} (dry run: nothing is stored)" if self._dry_run else f"{account}"
        return "; ".join([summary, *hints])


@asynccontextmanager
async def _open_target(settings: Settings, *, dry_run: bool) -> AsyncIterator[ImportTarget]:
    """Open the store; create a missing one. A dry run uses an empty temporary store instead of a missing one."""
    from peopleinfo.app import import_target, match_service
    from peopleinfo.stores.registry import open_service_store

    async with AsyncExitStack() as stack:
        try:
            store = await stack.enter_async_context(open_service_store(settings, create=not dry_run))
        except StoreMissing:
            folder = stack.enter_context(TemporaryDirectory(prefix="peopleinfo-"))
            empty = dataclasses.replace(settings, store_url=f"sqlite:///{folder}/empty.db", cache_url="", encryption="")
            store = await stack.enter_async_context(open_service_store(empty, create=True))
        yield import_target(store, settings, match_service(store, settings))


class _SkippedLines:
    """Prints the first skipped lines that have text; the summary counts all of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._left = _MAX_SKIPPED_LINES

    def add(self, results: list[RowResult]) -> None:
        """Print the skipped lines among the results."""
        for result in results if self._left else ():
            if result.status == "skipped" and self._left and any(result.row.raw):
                self._left -= 1
                print(f"{self._path}: line {result.row.line} is skipped: {result.errors[0].reason}", file=sys.stderr)


class _Rejects:
    """The file of rejected rows, created with mode 0600 at the first reject."""

    def __init__(self, target: Path | None, path: Path, source: reader.Input) -> None:
        from peopleinfo.formats.reader import EXTENSIONS

        self.count = 0
        name = "stdin" if path == output_files.STANDARD else path.name
        suffix = EXTENSIONS[source.format]
        self.path = target or output_files.unused_path(Path(f"{name}.rejects.{suffix}"))
        self._source = source
        self._stack = ExitStack()
        self._writer: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def write(self, results: list[RowResult]) -> None:
        """Write the rejected rows and the conflicts among the results."""
        for result in results:
            if result.status in ("rejected", "conflict"):
                if self._writer is None:
                    self._writer = self._source.rejects(self._stack.enter_context(output_files.open_private(self.path)))
                self._writer.write(result)
                self.count += 1


def _mapping(values: list[str]) -> dict[str, str]:
    mapping = {}
    for value in values:
        field, equals, source = value.partition("=")
        if not (equals and field.strip()):
            raise InvalidSettings(f"--map must be FIELD=COLUMN, for example person_surname=Family (got {value})")
        mapping[field.strip()] = source.strip()
    return mapping


def _open(path: Path, stack: ExitStack) -> io.BufferedReader:
    if path == output_files.STANDARD:
        return sys.stdin.buffer  # type: ignore[return-value] # the stubs are imprecise: it is a BufferedReader
    try:
        return stack.enter_context(path.open("rb"))
    except OSError as error:
        raise InvalidInput(f"cannot open {path}: {error.strerror}") from None


@contextmanager
def _progress(path: Path, stream: IO[bytes]) -> Iterator[Callable[[int], None]]:
    """Show a progress bar if stderr is a terminal; yield a function that advances it by a number of rows."""
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
        start = time.monotonic()

        def advance(count: int) -> None:
            nonlocal rows_done
            rows_done += count
            rate = rows_done / max(time.monotonic() - start, 1e-3)
            position = stream.tell() if total is not None else 0
            progress.update(task, completed=position, rows=f"{rows_done:,} rows, {rate:,.0f}/s")

        yield advance
