"""Read rows from any input; detect compression, format and encoding."""

from __future__ import annotations

import gzip
import io
import itertools
import zlib
from collections import Counter
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Final, Literal, cast

from peopleinfo.bulk.rows import Row
from peopleinfo.errors import InvalidInput
from peopleinfo.formats import headings, ldif_reader, vcard_reader
from peopleinfo.formats.column_mapping import ColumnMapping, Columns
from peopleinfo.formats.csv_reader import CsvReader
from peopleinfo.formats.encodings import UTF8, Utf8Stream
from peopleinfo.formats.excel_csv import without_protection
from peopleinfo.formats.field_mapper import ObjectMapper, texts
from peopleinfo.formats.json_documents import is_document, read_documents
from peopleinfo.formats.ndjson import JsonRejects, read_lines
from peopleinfo.formats.rejects import CsvRejects, Rejects
from peopleinfo.formats.sampling import take_sample
from peopleinfo.formats.table_reader import Table
from peopleinfo.formats.unsupported_files import is_zip, unreadable_type
from peopleinfo.formats.xlsx_reader import Workbook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from peopleinfo.formats.birthdate_reader import DateReader
    from peopleinfo.formats.xlsx_package import Sheet

Format = Literal["csv", "ndjson", "json", "vcard", "xlsx", "ldif"]

# Extension of a file of rejects in each format.
EXTENSIONS: Final[dict[Format, str]] = {
    "csv": "csv",
    "ndjson": "ndjson",
    "json": "ndjson",
    "vcard": "vcf",
    "xlsx": "csv",
    "ldif": "ldif",
}

_GZIP: Final = b"\x1f\x8b"
_PEEK_SIZE: Final = 4096  # bytes
_BUFFER_SIZE: Final = 256 * 1024  # bytes
_EXAMPLES: Final = 100  # objects
_MIN_SIZE_LIMIT: Final = 16 * 1024 * 1024  # bytes; an input may always decompress to this size
_MAX_RATIO: Final = 250


class Input:
    """The rows of an input and what was detected in it.

    `header_line` and `delimiter` are None without a table, and `sheet` without a workbook. `other_sheets` are the visible sheets with text
    that are not read. `sample` has the cells of the first rows below the header. `omitted` counts
    the values that are not stored, by name, in the rows read so far.
    """

    def __init__(self, form: Format, text: Utf8Stream | None) -> None:
        self.format = form
        self._text = text
        self.rows: Iterable[Row] = ()
        self.columns = Columns((), {})
        self.dates: DateReader | None = None
        self.delimiter: str | None = None
        self.header_line: int | None = None
        self.sheet: str | None = None
        self.other_sheets: list[str] = []
        self.sample: list[list[str]] = []
        self.problem: InvalidInput | None = None
        self.omitted: Counter[str] = Counter()
        self.rejects: Callable[[IO[bytes]], Rejects] = JsonRejects

    def set_table(self, table: Table) -> None:
        """Take the rows of a table and what it found in them."""
        self.rows, self.columns, self.dates = table, table.columns, table.dates
        self.sample, self.header_line, self.problem = table.sample, table.header_line, table.problem

    @property
    def encoding(self) -> str | None:
        """The encoding of the text read so far, or None for a binary format."""
        return self._text.encoding if self._text else None

    @property
    def is_encoding_guessed(self) -> bool:
        """Whether the encoding was guessed from the letters of the text."""
        return self._text is not None and self._text.guess is not None and self.probable_encoding is None

    @property
    def probable_encoding(self) -> str | None:
        """The encoding that was guessed, if it was not certain enough to be used."""
        guess = self._text.guess if self._text else None
        return guess.encoding if guess and guess.encoding != self.encoding else None

    @property
    def is_date_format_guessed(self) -> bool:
        """Whether the options have no format of birthdates."""
        return self.dates is not None and not self.dates.formats

    @property
    def date_formats(self) -> tuple[str, ...]:
        """The formats of birthdates: those of the options, else those guessed from the column."""
        return (self.dates.formats or self.dates.column.formats) if self.dates else ()

    @property
    def date_choices(self) -> tuple[str, ...]:
        """The formats to choose from if birthdates can be read as more than one day."""
        return self.dates.column.choices if self.dates else ()


def read(
    stream: io.BufferedReader,
    mapping: ColumnMapping | None = None,
    *,
    form: Format | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    sheet: str | None = None,
    is_gzip: bool = False,
    is_preview: bool = False,
) -> Input:
    """Open an input. Decompress gzip, which is mandatory if `is_gzip`. Detect the options that are None.

    Raises InvalidInput when the input as a whole cannot be read as records. A preview has its `problem` instead if the columns are known.
    """
    source = _open(stream, mapping or ColumnMapping(), form, encoding, delimiter, sheet, is_gzip=is_gzip)
    if source.problem and not is_preview:
        raise source.problem
    return source


def _open(
    stream: io.BufferedReader,
    mapping: ColumnMapping,
    form: Format | None,
    encoding: str | None,
    delimiter: str | None,
    sheet: str | None,
    *,
    is_gzip: bool,
) -> Input:
    delimiter = "\t" if delimiter in ("\\t", "tab") else delimiter
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise InvalidInput(f"{mapping.option('delimiter', delimiter)} must be one character, but no quote or line end")
    if stream.peek(2)[:2] == _GZIP:
        stream = io.BufferedReader(_GunzipStream(stream))
    elif is_gzip:
        raise InvalidInput("is not gzip, but Content-Encoding is gzip")
    start = stream.peek(_PEEK_SIZE)[:_PEEK_SIZE]
    if is_zip(start):
        return _read_workbook(stream, mapping, sheet)
    if sheet is not None:
        raise InvalidInput(f"{mapping.option('sheet', sheet)} requires a workbook (.xlsx)")
    if description := unreadable_type(start, stream, is_text=encoding is not None):
        raise InvalidInput(f"is {description}")
    # Cards may name the encoding of each of their values. JSON is UTF-8 (RFC 8259): another encoding is named or has a mark.
    names_charsets = vcard_reader.is_vcard(start) and b"CHARSET=" in start.upper()
    is_json = (form or _format(start)) in ("json", "ndjson")
    text = Utf8Stream(stream, encoding, headings.count_known, is_detected=not names_charsets and not is_json)
    stream = io.BufferedReader(text, _BUFFER_SIZE)
    form = form or _format(stream.peek(_PEEK_SIZE)[:_PEEK_SIZE])
    if form == "xlsx":
        raise InvalidInput("is not a workbook (.xlsx)")
    source = Input(form, text)
    if form == "csv":
        _read_csv(source, stream, mapping, delimiter)
    else:
        _read_objects(source, stream, mapping, encoding)
    return source


def _read_workbook(stream: io.BufferedReader, mapping: ColumnMapping, name: str | None) -> Input:
    """Open the sheet with a name, by default the first sheet with a header of people, or else the first sheet."""
    workbook = Workbook(stream)
    sheet, table = _first_table(workbook, workbook.sheets if name is None else workbook.named(name), mapping)
    source = Input("xlsx", None)
    source.set_table(table)
    source.sheet = sheet.name
    source.other_sheets = [one.name for one in workbook.sheets if one != sheet and workbook.has_text(one)]
    source.rejects = partial(CsvRejects, header=table.header, delimiter=",")
    return source


def _first_table(workbook: Workbook, sheets: Sequence[Sheet], mapping: ColumnMapping) -> tuple[Sheet, Table]:
    if not sheets:
        raise InvalidInput(f"the workbook has no sheet with the name in {mapping.option('sheet', 'NAME')}")
    found: list[tuple[Sheet, Table]] = []
    error: InvalidInput | None = None
    for sheet in sheets:
        try:
            table = Table(without_protection(workbook.rows(sheet)), mapping)
        except InvalidInput as problem:
            error = error or problem
            continue
        found.append((sheet, table))
        if table.problem is None:
            return sheet, table
    if not found:
        raise error or InvalidInput("the workbook is empty")
    return found[0]


def _read_csv(source: Input, stream: io.BufferedReader, mapping: ColumnMapping, delimiter: str | None) -> None:
    def invalid_bytes() -> str:
        if source.encoding != UTF8:
            return f"is not valid {source.encoding}"
        probable = source.probable_encoding or "cp1252"
        return f"is not valid UTF-8, the file may be {probable}: set {mapping.option('encoding', probable)}"

    reader = CsvReader(stream, delimiter=delimiter, invalid_bytes=invalid_bytes)
    table = Table(without_protection(iter(reader)), mapping)
    source.set_table(table)
    source.delimiter = reader.delimiter
    source.rejects = partial(CsvRejects, header=table.header, delimiter=reader.delimiter)


def _read_objects(source: Input, stream: io.BufferedReader, mapping: ColumnMapping, encoding: str | None) -> None:
    if source.format == "vcard":
        rows = vcard_reader.read(stream, charset=encoding or UTF8, omitted=source.omitted)
    elif source.format == "ldif":
        rows = ldif_reader.read(stream, omitted=source.omitted)
    else:
        rows = _OBJECTS[source.format](stream)
    first, rest = take_sample(rows)
    mapper = ObjectMapper(mapping, (row.data for row in first))
    objects = [row.data for row in first if isinstance(row.data, dict)]
    if objects:
        source.columns = mapper.columns(objects[0])
        source.sample = [texts(data, source.columns.names) for data in objects[:_EXAMPLES]]
    source.dates = mapper.dates
    source.rows = (_mapped(row, mapper) for row in itertools.chain(first, rest))
    source.rejects = _REJECTS.get(source.format, JsonRejects)


def _mapped(row: Row, mapper: ObjectMapper) -> Row:
    data, errors = mapper.map(row.data)
    return Row(row.line, data, row.raw, errors)


class _GunzipStream(io.RawIOBase):
    """The decompressed content of a gzip stream. Raises InvalidInput for a corrupt stream."""

    def __init__(self, stream: io.BufferedReader) -> None:
        super().__init__()
        self._source = _CountingStream(stream)
        self._gzip = gzip.GzipFile(fileobj=cast("IO[bytes]", self._source))
        self._size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            count = self._gzip.readinto(buffer)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise InvalidInput(f"cannot be decompressed: {error}") from None
        self._size += count
        if self._size > max(_MIN_SIZE_LIMIT, _MAX_RATIO * self._source.size):
            raise InvalidInput(f"decompresses to more than {_MAX_RATIO} times its size: send it uncompressed")
        return count


class _CountingStream:
    """A stream that counts the bytes read from it."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream
        self.size = 0

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read1(size)
        self.size += len(data)
        return data


def _format(start: bytes) -> Format:
    if vcard_reader.is_vcard(start):
        return "vcard"
    if ldif_reader.is_ldif(start):
        return "ldif"
    text = start.lstrip(b"\x1e \t\r\n")  # U+001E starts each value of a JSON text sequence (RFC 7464)
    if text.startswith(b"[") or is_document(text):
        return "json"
    return "ndjson" if text.startswith(b"{") else "csv"


_OBJECTS: Final[dict[Format, Callable[[IO[bytes]], Iterator[Row]]]] = {
    "ndjson": read_lines,
    "json": read_documents,
}
_REJECTS: Final[dict[Format, Callable[[IO[bytes]], Rejects]]] = {
    "vcard": vcard_reader.VcardRejects,
    "ldif": ldif_reader.LdifRejects,
}
