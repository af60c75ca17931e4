"""What the fuzzer checks: any bytes are imported or rejected without another exception, and the account of the rows adds up."""

from __future__ import annotations

import asyncio
import gzip
import io
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from peopleinfo.bulk.importer import Importer, ImportTarget, batches
from peopleinfo.bulk.rows import SkippedRow
from peopleinfo.errors import InvalidInput
from peopleinfo.formats import reader
from peopleinfo.formats.column_mapping import ColumnMapping
from peopleinfo.formats.import_preview import columns, preview_rows
from peopleinfo.formats.reader_warnings import warnings
from peopleinfo.formats.rejects import reject_reasons
from peopleinfo.http.import_options import query_option
from peopleinfo.people import strict_json
from peopleinfo.people.store import Page
from tests import format_cases, table_cases
from tests.workbooks import part, raw_workbook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from peopleinfo.bulk.keyed_updates import ImportStore

TODAY: Final = date(2026, 11, 27)
_NOW: Final = datetime(2026, 11, 27, tzinfo=UTC)
_ENCODINGS: Final = (None, "utf-8", "utf-16", "utf-32", "cp1252", "shift_jis", "gb18030", "utf-7")
_DELIMITERS: Final = (None, ",", ";", "\t")
_DATE_FORMATS: Final = ((), ("%d/%m/%Y",), ("%m/%d", "excel"), ("%y%m%d",))
_WRAPPERS: Final[tuple[Callable[[bytes], bytes], ...]] = (
    bytes,
    gzip.compress,
    lambda content: raw_workbook(content.decode(errors="replace")),
    lambda content: raw_workbook("<row><c t='s'><v>0</v></c></row>", strings=content.decode(errors="replace")),
)
OPTION_BYTES: Final = 2


class _Options(NamedTuple):
    """The options of an import, from the first bytes of an input of the fuzzer."""

    encoding: str | None
    delimiter: str | None
    date_formats: tuple[str, ...]
    on_bad_date: Any
    wrap: Callable[[bytes], bytes]

    @classmethod
    def parse(cls, first: int, second: int) -> _Options:
        """Return the options of two bytes; two zeros are the defaults."""
        return cls(
            _ENCODINGS[first & 7],
            _DELIMITERS[first >> 3 & 3],
            _DATE_FORMATS[first >> 5 & 3],
            ("reject", "keep")[first >> 7],
            _WRAPPERS[second & 3],
        )


class _EmptyStore:
    """The store of a dry run."""

    async def scan(self, **_: Any) -> Page:
        return Page([], None)


def seeds() -> Iterator[bytes]:
    """Yield the files of all cases as inputs of the fuzzer."""
    contents = [case.content for case in table_cases.CASES] + [case.content for case in format_cases.CASES]
    for content in contents:
        if content.startswith(b"PK"):
            sheet = part(content, "xl/worksheets/sheet1.xml")
            yield b"\0\2" + sheet.partition("<sheetData>")[2].partition("</sheetData>")[0].encode()
        yield b"\0\0" + content


def check_input(data: bytes) -> None:
    """Import and preview a file. Raises any exception but InvalidInput, and AssertionError for a wrong account."""
    if len(data) < OPTION_BYTES:
        return
    options = _Options.parse(*data[:OPTION_BYTES])
    content = options.wrap(data[OPTION_BYTES:])
    asyncio.run(_import(content, options))
    _preview(content, options)


def _preview(content: bytes, options: _Options) -> None:
    try:
        source = _open(content, options)
        rows = [(reject_reasons(result), person and person.to_dict()) for result, person in preview_rows(source, TODAY)]
    except InvalidInput as error:
        strict_json.encode(str(error))
        return
    # What a response contains must be valid in JSON.
    strict_json.encode([columns(source), rows, source.encoding, source.columns.sources, warnings(source, query_option)])


def _open(content: bytes, options: _Options) -> reader.Input:
    mapping = ColumnMapping({}, options.date_formats, on_bad_date=options.on_bad_date, option=query_option)
    return reader.read(
        io.BufferedReader(io.BytesIO(content)), mapping, encoding=options.encoding, delimiter=options.delimiter
    )


async def _import(content: bytes, options: _Options) -> None:
    target = ImportTarget(cast("ImportStore", _EmptyStore()), bytes(32), lambda: _NOW)
    importer = Importer(target, dry_run=True)
    rows = 0
    try:
        source = _open(content, options)
        rejects = source.rejects(io.BytesIO())
        async for results in importer.import_batches(batches(source.rows, max_rows=50)):
            for result in results:
                data = result.row.data
                rows += data.rows if isinstance(data, SkippedRow) else 1
                assert result.row.line > 0
                strict_json.encode(result.errors)
                if result.status == "rejected":
                    assert result.errors, "the row is rejected without a reason"
                    rejects.write(result)
    except InvalidInput as error:
        strict_json.encode(str(error))
    account = importer.account
    assert account.rows == rows == sum(account[1:]), f"{rows} rows, but the account is {account}"
