"""CSV: read rows of any dialect, write records and rejects."""

from __future__ import annotations

import csv
import io
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec

from peopleinfo.bulk.rows import InvalidRow, RowResult
from peopleinfo.errors import InvalidInput
from peopleinfo.formats.column_mapping import REJECT_LINE, REJECT_REASON
from peopleinfo.formats.tables import TableRow
from peopleinfo.people import strict_json
from peopleinfo.people.person import decode_fields, decode_stored

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_DELIMITERS: Final = ",;\t|"
_MAX_CELL_LENGTH: Final = 256 * 1024  # characters; larger than any record
_MAX_LINE_LENGTH: Final = 1024 * 1024  # characters of a line and of a row; bounds the memory
FIRST: Final = ("person_id", "person_name", "person_surname", "person_birthdate", "person_address")
LAST: Final = ("version", "created_at", "updated_at")


class CsvReader:
    """Reads the rows of a table. Bytes that are invalid in the encoding affect only their row."""

    def __init__(self, stream: IO[bytes], *, encoding: str, delimiter: str | None = None) -> None:
        csv.field_size_limit(_MAX_CELL_LENGTH)
        text = io.TextIOWrapper(stream, encoding, errors="surrogateescape", newline="")
        first = _read_line(text, 1)
        self.delimiter = delimiter or max(_DELIMITERS, key=first.count)
        self._encoding = encoding
        # The reader gets the first line again: a quoted name in the header may continue on the next line.
        self._lines = _Lines(first, text)
        space_after = len(names := first.split(self.delimiter)) > 1 and all(name[:1] == " " for name in names[1:])
        self._rows = csv.reader(self._lines, delimiter=self.delimiter, skipinitialspace=space_after)

    def __iter__(self) -> Iterator[TableRow]:
        """Yield the rows of the table, each with the number of its first line."""
        lines, rows = self._lines, self._rows
        while True:
            line = lines.number + 1
            lines.start_row()
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield TableRow(line, InvalidRow(f"is not valid CSV: {error}"))
                continue
            is_valid = all(map(str.isascii, cells)) or _is_text(cells)
            yield TableRow(line, cells) if is_valid else TableRow(line, self._invalid_encoding, cells)

    @property
    def _invalid_encoding(self) -> InvalidRow:
        return InvalidRow(f"is not valid {self._encoding}: set --encoding, for example to cp1252")


class CsvRejects:
    """Writes rejected rows unchanged, with line number and reasons, for correction and another import."""

    def __init__(self, stream: IO[bytes], header: Sequence[str], delimiter: str) -> None:
        text = io.TextIOWrapper(stream, "utf-8", errors="surrogateescape", newline="", write_through=True)
        self._rows = csv.writer(text, delimiter=delimiter)
        self._width = len(header)
        self._rows.writerow([*header, REJECT_LINE, REJECT_REASON])

    def write(self, result: RowResult) -> None:
        """Write a rejected row."""
        cells = list(result.row.raw)
        cells += [""] * (self._width - len(cells))
        # Surplus cells go to the end: the others stay in their columns.
        self._rows.writerow([*cells[: self._width], result.row.line, reasons(result), *cells[self._width :]])


class CsvWriter:
    """Formats records as a table: the standard fields and the given custom fields."""

    def __init__(self, custom_fields: Sequence[str]) -> None:
        self._columns = (*FIRST, *custom_fields, *LAST)
        self._column_set = frozenset(self._columns)

    def header(self) -> bytes:
        """Return the header line."""
        return self._table([self._columns])

    def rows(self, people: Iterable[bytes]) -> bytes:
        """Return the lines of records. A cell contains a string unchanged and any other value as JSON.

        Raises InvalidInput for a field without a column: the record was added after the columns were collected.
        """
        table = []
        for body in people:
            fields = decode_fields(body)
            if not fields.keys() <= self._column_set:
                raise InvalidInput("a record with a new custom field was added during the export: run it again")
            table.append([_cell(fields.get(column)) for column in self._columns])
        return self._table(table)

    def _table(self, rows: Iterable[Sequence[str]]) -> bytes:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(rows)
        return text.getvalue().encode()


def extra_fields(people: Iterable[bytes]) -> dict[str, None]:
    """Return the names of the custom fields, in order of first occurrence."""
    return {
        name: None for body in people for name in decode_stored(_names, body) if name not in FIRST and name not in LAST
    }


def reasons(result: RowResult) -> str:
    """Return the validation errors of a row in one line."""
    return "; ".join(f"{error.pointer.lstrip('/')} {error.reason}".strip() for error in result.errors)


_names = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class _Lines:
    """The lines of a text after its first line was read. Raises csv.Error for a line or row over `_MAX_LINE_LENGTH`."""

    def __init__(self, first: str, rest: io.TextIOWrapper) -> None:
        self._first = first
        self._rest = rest
        self.number = 0  # of the line returned last, from 1
        self._row = 0  # characters of the current row so far

    def start_row(self) -> None:
        """Start a row at the next line."""
        self._row = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._read() if self.number else self._first
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) == _MAX_LINE_LENGTH and not line.endswith(_ENDS):
            while (rest := self._read()) and not rest.endswith(_ENDS):
                pass
            raise csv.Error(f"a line is longer than {_MAX_LINE_LENGTH // 1024} KiB")
        self._row += len(line)
        if self._row > _MAX_LINE_LENGTH:
            raise csv.Error(f"a row is longer than {_MAX_LINE_LENGTH // 1024} KiB: a quote may be unclosed")
        return line

    def _read(self) -> str:
        return _read_line(self._rest, self.number + 1)


def _read_line(text: io.TextIOWrapper, number: int) -> str:
    """Return the next line, or part of a long one. Raises InvalidInput for bytes that surrogateescape cannot represent (UTF-16)."""
    try:
        return text.readline(_MAX_LINE_LENGTH)
    except UnicodeError:
        raise InvalidInput(f"line {number} or later: invalid {text.encoding}") from None


_ENDS: Final = ("\n", "\r")


def _is_text(cells: Sequence[str]) -> bool:
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:  # a surrogate from "surrogateescape": an invalid byte
        return False
    return True


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else strict_json.encode(value).decode()
