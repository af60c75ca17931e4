"""Read rows from any input; detect compression, format and encoding."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol, cast

from peopleinfo.errors import InvalidInput
from peopleinfo.formats import ldif, vcard
from peopleinfo.formats.column_mapping import ColumnMapping
from peopleinfo.formats.csv import CsvReader, CsvRejects
from peopleinfo.formats.file_types import is_zip, unreadable_type
from peopleinfo.formats.json_documents import is_document, read_documents
from peopleinfo.formats.ndjson import JsonRejects, read_lines
from peopleinfo.formats.tables import Table
from peopleinfo.formats.xlsx import Workbook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from peopleinfo.bulk.rows import Row, RowResult

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
_MIN_SIZE_LIMIT: Final = 16 * 1024 * 1024  # bytes; an input may always decompress to this size
_MAX_RATIO: Final = 250


class Rejects(Protocol):
    """Writes rejected rows with the reasons, in a form that can be corrected and imported."""

    def write(self, result: RowResult) -> None:
        """Write a rejected row."""


class Input(NamedTuple):
    """The rows of an input, its format, the source columns of each field, and a factory of the writer of rejects."""

    rows: Iterable[Row]
    format: Format
    columns: dict[str, tuple[str, ...]]
    rejects: Callable[[IO[bytes]], Rejects]


def read(
    stream: io.BufferedReader,
    mapping: ColumnMapping | None = None,
    *,
    form: Format | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    is_gzip: bool = False,
) -> Input:
    """Open an input. Decompress gzip, which is mandatory if `is_gzip`. Detect the format and encoding if they are None.

    Raises InvalidInput when the input as a whole cannot be read as records.
    """
    mapping = mapping or ColumnMapping()
    if stream.peek(2)[:2] == _GZIP:
        stream = io.BufferedReader(_GunzipStream(stream))
    elif is_gzip:
        raise InvalidInput("is not gzip, but Content-Encoding is gzip")
    start = stream.peek(_PEEK_SIZE)[:_PEEK_SIZE]
    if is_zip(start):
        return _read_workbook(stream, mapping)
    if description := unreadable_type(start, stream):
        raise InvalidInput(f"is {description}")
    form = form or _format(start)
    if form == "xlsx":
        raise InvalidInput("is not a workbook (.xlsx)")
    if form == "csv":
        reader = CsvReader(stream, encoding=_encoding(start, encoding), delimiter=delimiter)
        table = Table(iter(reader), mapping)
        return Input(table, form, table.columns, lambda rejects: CsvRejects(rejects, table.header, reader.delimiter))
    if form == "vcard":
        return Input(vcard.read(stream, mapping, encoding=_encoding(start, encoding)), form, {}, vcard.VcardRejects)
    if form == "ldif":
        return Input(ldif.read(stream, mapping), form, {}, ldif.LdifRejects)
    if start.startswith(codecs.BOM_UTF8) and form == "ndjson":
        stream.read(len(codecs.BOM_UTF8))
    rows = read_lines(stream, mapping) if form == "ndjson" else read_documents(stream, mapping)
    return Input(rows, form, {}, JsonRejects)


def _read_workbook(stream: io.BufferedReader, mapping: ColumnMapping) -> Input:
    """Open the first sheet with a header of people."""
    workbook = Workbook(stream)
    problem = InvalidInput("the workbook is empty")
    for sheet in workbook.sheets:
        try:
            table = Table(workbook.rows(sheet), mapping)
        except InvalidInput as error:
            problem = error if sheet == workbook.sheets[0] else problem
        else:
            return Input(table, "xlsx", table.columns, partial(CsvRejects, header=table.header, delimiter=","))
    raise problem


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
    if vcard.is_vcard(start):
        return "vcard"
    if ldif.is_ldif(start):
        return "ldif"
    text = start.removeprefix(codecs.BOM_UTF8).lstrip()
    if text.startswith(b"[") or is_document(text):
        return "json"
    return "ndjson" if text.startswith(b"{") else "csv"


def _encoding(start: bytes, name: str | None) -> str:
    if name:
        try:
            return codecs.lookup(name).name
        except LookupError:
            raise InvalidInput(f"unknown encoding {name!r}: use for example utf-8, cp1252, latin-1 or utf-16") from None
    return "utf-16" if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
