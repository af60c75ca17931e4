"""Any input as rows: packed or not, whatever its format and encoding."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from typing import IO, TYPE_CHECKING, Any, Final, Literal, NamedTuple, cast

from peopleinfo.formats.column_mapping import ColumnMapping, InvalidInput
from peopleinfo.formats.csv import CsvReader, CsvRejects
from peopleinfo.formats.ndjson import JsonRejects, read_array, read_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from peopleinfo.bulk.importer import Row

Format = Literal["csv", "ndjson", "json"]

_GZIP: Final = b"\x1f\x8b"
_LOOK: Final = 4096
_HARMLESS: Final = 16 * 1024 * 1024  # bytes that any input may unpack to
_MOST_TIMES: Final = 250


class Input(NamedTuple):
    """The rows of an input, its format, which columns were taken for which member, and how to write its rejects."""

    rows: Iterable[Row]
    format: Format
    taken: dict[str, tuple[str, ...]]
    rejects: Callable[[IO[bytes]], CsvRejects | JsonRejects]


def read(
    stream: io.BufferedReader,
    columns: ColumnMapping | None = None,
    *,
    form: Format | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    is_packed: bool = False,
) -> Input:
    """Open an input: unpack it when it is gzip, as it has to be if it `is_packed`; find out its format and encoding when they are not given.

    Raises InvalidInput when it cannot be read as people at all.
    """
    columns = columns or ColumnMapping()
    if stream.peek(2)[:2] == _GZIP:
        stream = io.BufferedReader(_GunzipStream(stream))
    elif is_packed:
        raise InvalidInput("is not gzip, although the sender says so")
    start = stream.peek(_LOOK)[:_LOOK]
    form = form or _format(start)
    if form == "csv":
        reader = CsvReader(stream, columns, encoding=_encoding(start, encoding), delimiter=delimiter)
        return Input(reader, form, reader.taken, lambda rejects: CsvRejects(rejects, reader))
    if start.startswith(codecs.BOM_UTF8) and form == "ndjson":
        stream.read(len(codecs.BOM_UTF8))
    rows = read_lines(stream, columns) if form == "ndjson" else read_array(stream, columns)
    return Input(rows, form, {}, JsonRejects)


class _GunzipStream(io.RawIOBase):
    """What is in a gzip stream. Raises InvalidInput where the stream is broken."""

    def __init__(self, stream: io.BufferedReader) -> None:
        super().__init__()
        self._source = _Counted(stream)
        self._packed = gzip.GzipFile(fileobj=cast("IO[bytes]", self._source))
        self._size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            count = self._packed.readinto(buffer)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise InvalidInput(f"cannot be unpacked: {error}") from None
        self._size += count
        if self._size > max(_HARMLESS, _MOST_TIMES * self._source.size):
            raise InvalidInput(f"unpacks to more than {_MOST_TIMES} times its size: send it unpacked")
        return count


class _Counted:
    """A stream that counts the bytes that are read."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream
        self.size = 0

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read1(size)
        self.size += len(data)
        return data


def _format(start: bytes) -> Format:
    text = start.removeprefix(codecs.BOM_UTF8).lstrip()
    if text.startswith(b"["):
        return "json"
    return "ndjson" if text.startswith(b"{") else "csv"


def _encoding(start: bytes, named: str | None) -> str:
    if named:
        try:
            return codecs.lookup(named).name
        except LookupError:
            raise InvalidInput(
                f"there is no encoding {named!r}: utf-8, cp1252, latin-1 and utf-16 are common"
            ) from None
    return "utf-16" if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
