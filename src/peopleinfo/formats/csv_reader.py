"""Read CSV of any dialect as rows of cells."""

from __future__ import annotations

import csv
import itertools
import re
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

from peopleinfo.bulk.rows import InvalidRow, SkippedRow
from peopleinfo.formats import csv_lines
from peopleinfo.formats.csv_lines import MAX_LINE_LENGTH, Lines
from peopleinfo.formats.table_reader import TableRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MAX_CELL_LENGTH: Final = 256 * 1024  # characters; larger than any record
_UNUSABLE: Final = re.compile("[\0\ud800-\udfff]")
_ENDS: Final = ("\r", "\n", "")


class CsvReader:
    """Reads the rows of a UTF-8 table. A damaged row costs no other row.

    Python's csv module reads well-formed rows, in strict mode. It would join lines at damage, so `_read_record` reads that record.
    """

    def __init__(
        self, stream: IO[bytes], *, delimiter: str | None = None, invalid_bytes: Callable[[], str] | None = None
    ) -> None:
        """Detect the delimiter, unless it is given. `invalid_bytes` returns the reason to reject a row that is not UTF-8."""
        csv.field_size_limit(_MAX_CELL_LENGTH)
        self._first, self._parts = csv_lines.first_lines(csv_lines.read_lines(stream))
        self._quotes = csv_lines.quote_translation(self._first.lines)
        if self._quotes:
            parts = itertools.chain([self._first], self._parts)
            self._parts = (
                part._replace(lines=[line.translate(self._quotes[0]) for line in part.lines]) for part in parts
            )
            self._first = next(self._parts)
        self._invalid_bytes = invalid_bytes or (lambda: "is not valid UTF-8")
        lines = self._first.lines
        self._hint = csv_lines.delimiter_hint(lines[0]) if lines else None
        unwrapped = csv_lines.unwrapped(lines)
        self._is_wrapped = unwrapped is not None
        self.delimiter = delimiter or self._hint or csv_lines.detect_delimiter(unwrapped or lines)
        blank_after = csv_lines.has_blank_after_delimiter(lines[1:] or lines, self.delimiter)
        self._dialect: dict[str, Any] = {"delimiter": self.delimiter, "skipinitialspace": blank_after}
        self._blank_before_quote = re.compile(rf'(?:^|{re.escape(self.delimiter)})[ \t]+"', re.MULTILINE)

    def __iter__(self) -> Iterator[TableRow]:
        """Yield the rows of the table, each with the number of its first line."""
        return map(self._restored, self._read()) if self._quotes or self._is_wrapped else self._read()

    def _restored(self, row: TableRow) -> TableRow:
        """Return a row with the quotes of the file, and with the cells of a row that was one cell."""
        if not isinstance(row.cells, list):
            return row
        cells = row.cells
        if self._is_wrapped and len(cells) == 1:
            cells = next(csv.reader(cells, **self._dialect), cells)
        return row._replace(cells=[cell.translate(self._quotes[1]) for cell in cells] if self._quotes else cells)

    def _read(self) -> Iterator[TableRow]:
        part: Lines | None = self._first
        if self._hint:
            yield TableRow(1, SkippedRow("sets the delimiter"))
            part = Lines(2, self._first.lines[1:])
        pending: list[str] = []  # lines of a record that continues in the next part
        while part is not None:
            if part.is_overlong:
                yield from self._rows(pending, part.number - len(pending), at_end=True)[0]
                yield TableRow(part.number, InvalidRow(f"is longer than {MAX_LINE_LENGTH // 1024} KiB"))
                number, pending = part.number + 1, []
            else:
                lines = pending + part.lines
                first = part.number - len(pending)
                rows, used = self._rows(lines, first)
                yield from rows
                number, pending = first + used, lines[used:]
            part = next(self._parts, None)
        yield from self._rows(pending, number, at_end=True)[0]

    def _rows(self, lines: list[str], number: int, *, at_end: bool = False) -> tuple[list[TableRow], int]:
        """Return the rows of some lines, the first of which has a number, and how many lines they take."""
        text = "".join(lines)
        is_strict = not (' "' in text or '\t"' in text) or not self._blank_before_quote.search(text)
        rows = self._one_line_rows(lines, number) if is_strict else None
        used = len(lines)
        if rows is None:
            rows, used = self._quoted_rows(lines, number, at_end=at_end, is_strict=is_strict)
        if not text.isascii() or "\0" in text:
            rows = [self._checked(row) for row in rows] if _UNUSABLE.search(text) else rows
        return rows, used

    def _one_line_rows(self, lines: list[str], number: int) -> list[TableRow] | None:
        """Return a row per line; None if a row has several lines or is damaged."""
        try:
            cells = list(csv.reader(lines, strict=True, **self._dialect))
        except csv.Error:
            return None
        return list(map(TableRow, range(number, number + len(lines)), cells)) if len(cells) == len(lines) else None

    def _quoted_rows(
        self, lines: list[str], number: int, *, at_end: bool, is_strict: bool
    ) -> tuple[list[TableRow], int]:
        rows: list[TableRow] = []
        used = 0
        while True:
            if is_strict:
                used = self._read_strict(lines, used, number, rows)
            if used == len(lines):
                return rows, used
            record = _read_record(lines, used, self.delimiter, at_end=at_end)
            if record is None:
                return rows, used
            rows.append(self._row(record, lines, used, number))
            used = record.end

    def _read_strict(self, lines: list[str], start: int, number: int, rows: list[TableRow]) -> int:
        """Append the rows up to the first damaged record. Return the index of its first line."""
        reader = csv.reader(lines[start:], strict=True, **self._dialect)
        end = start
        try:
            for cells in reader:
                after = start + reader.line_num
                if after - end > 1 and any('"' in cell for cell in cells):
                    return end  # a quote of another row may have closed the cell
                rows.append(TableRow(number + end, cells))
                end = after
        except csv.Error:
            pass
        return end

    def _row(self, record: _Record, lines: list[str], start: int, number: int) -> TableRow:
        if record.unclosed is None:
            skip = self._dialect["skipinitialspace"]
            return TableRow(number + start, [cell.lstrip(" ") for cell in record.cells] if skip else record.cells)
        text = "".join(lines[start : record.end])
        return TableRow(
            number + start,
            InvalidRow(f"a quote opened in line {number + record.unclosed} is not closed"),
            _naive_cells(text, self.delimiter),
        )

    def _checked(self, row: TableRow) -> TableRow:
        cells = row.cells if isinstance(row.cells, list) else row.raw or []
        text = "".join(cells)
        if "\0" in text:
            return TableRow(row.line, InvalidRow("contains the character U+0000: remove it"), cells)
        return TableRow(row.line, InvalidRow(self._invalid_bytes()), cells) if _UNUSABLE.search(text) else row


class _Record(NamedTuple):
    """The cells of one record and the index of the line after it.

    `unclosed` is the index of the line with an unclosed quote; the record then ends with this line.
    """

    cells: list[str]
    end: int
    unclosed: int | None = None


def _read_record(lines: list[str], start: int, delimiter: str, *, at_end: bool) -> _Record | None:
    """Read the record that starts at a line. Return None if it continues after the last line."""
    scan = _Scanner(lines, start, delimiter)
    try:
        while scan.read_cell():
            pass
    except _Unclosed:
        return _Record([], scan.opened + 1, scan.opened)
    except IndexError:
        if at_end or scan.length > MAX_LINE_LENGTH:
            return _Record([], scan.opened + 1, scan.opened)
        return None
    if scan.line > start and scan.has_stray_quote:
        return _Record([], start + 1, start)
    return _Record(scan.cells, scan.line + 1)


class _Unclosed(Exception):
    """A closing quote is followed by text."""


class _Scanner:
    """Reads the cells of one record. Raises IndexError where it needs a line after the last one."""

    def __init__(self, lines: list[str], start: int, delimiter: str) -> None:
        self._lines = lines
        self._delimiter = delimiter
        self._text = lines[start]
        self._position = 0
        self.line = start
        self.opened = start  # the line of the last opened quote
        self.length = len(self._text)  # of the lines read, in characters
        self.has_stray_quote = False
        self.cells: list[str] = []

    def read_cell(self) -> bool:
        """Read a cell and the delimiter after it. Return whether another cell follows."""
        start = self._after_blanks()
        if self._text[start : start + 1] == '"':
            self._position = start + 1
            self.cells.append(self._quoted())
            self._position = self._after_blanks()
        else:
            self.cells.append(self._unquoted())
        if self._text.startswith(self._delimiter, self._position):
            self._position += 1
            return True
        if self._text[self._position : self._position + 1] not in _ENDS:
            raise _Unclosed
        return False

    def _after_blanks(self) -> int:
        """Return the position after blanks around a quoted cell; a tab may be the delimiter."""
        end = self._position
        while self._text[end : end + 1] in (" ", "\t") and self._text[end] != self._delimiter:
            end += 1
        return end

    def _unquoted(self) -> str:
        end = self._text.find(self._delimiter, self._position)
        cell = self._text[self._position : end] if end >= 0 else self._text[self._position :].rstrip("\r\n")
        self._position += len(cell)
        self.has_stray_quote = self.has_stray_quote or '"' in cell
        return cell

    def _quoted(self) -> str:
        """Read from an opening quote to the closing one."""
        self.opened = self.line
        parts = []
        while True:
            end = self._text.find('"', self._position)
            if end < 0:
                parts.append(self._text[self._position :])
                self._next_line()
                continue
            parts.append(self._text[self._position : end])
            self._position = end + 1
            if self._text[end + 1 : end + 2] != '"':
                return "".join(parts)
            parts.append('"')
            self._position += 1

    def _next_line(self) -> None:
        if self.length > MAX_LINE_LENGTH:
            raise IndexError
        self._text = self._lines[self.line + 1]
        self.line += 1
        self._position = 0
        self.length += len(self._text)


def _naive_cells(text: str, delimiter: str) -> list[str]:
    """Return the cells of a damaged record, without a meaning of quotes, for the file of rejects."""
    return text.rstrip("\r\n").split(delimiter)
