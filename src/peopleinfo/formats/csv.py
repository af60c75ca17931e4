"""CSV: rows in, of any dialect; people out; rejects."""

from __future__ import annotations

import csv
import io
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec

from peopleinfo.bulk.importer import Row, RowResult
from peopleinfo.errors import InvalidJson
from peopleinfo.formats.column_mapping import REJECT_LINE, REJECT_REASON, InvalidInput
from peopleinfo.people import strict_json
from peopleinfo.people.person import decode_fields, decode_stored

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from peopleinfo.formats.column_mapping import ColumnMapping

_DELIMITERS: Final = ",;\t|"
_CELL: Final = 256 * 1024  # characters; well above the largest record
_LINE: Final = (
    1024 * 1024
)  # characters of a line, and of a row, which may go on for several; what bounds the memory when it does not end
FIRST: Final = ("person_id", "person_name", "person_surname", "person_birthdate", "person_address")
LAST: Final = ("version", "created_at", "updated_at")


class CsvReader:
    """Reads the rows of a table whose first row is its header. Bytes that are not of the encoding spoil their row alone."""

    def __init__(
        self, stream: IO[bytes], columns: ColumnMapping, *, encoding: str, delimiter: str | None = None
    ) -> None:
        """Read the header. Raises InvalidInput."""
        csv.field_size_limit(_CELL)
        text = io.TextIOWrapper(stream, encoding, errors="surrogateescape", newline="")
        first = _read_line(text, 1)
        if not first.strip():
            raise InvalidInput("there is no header: the first line has to name the columns")
        self.delimiter = delimiter or max(_DELIMITERS, key=first.count)
        self._encoding = encoding
        # A quoted name in the header may go on in the next line, so the reader gets the first line back.
        self._lines = _Lines(first, text)
        blank_after = len(names := first.split(self.delimiter)) > 1 and all(name[:1] == " " for name in names[1:])
        self._rows = csv.reader(self._lines, delimiter=self.delimiter, skipinitialspace=blank_after)
        try:
            self.header = next(self._rows)
        except csv.Error as error:
            raise InvalidInput(f"the header cannot be read as CSV: {error}") from None
        self.taken = columns.resolved([name.strip() for name in self.header])
        self._read = columns.row_mapper(self.header)

    def __iter__(self) -> Iterator[Row]:
        """Yield a row for each line, or lines, of the table; line numbers are where a row begins."""
        lines, rows, width, read = self._lines, self._rows, len(self.header), self._read
        while True:
            line = lines.number + 1
            lines.begin_row()
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield Row(line, InvalidJson(f"cannot be read as CSV: {error}"), [])
                continue
            if not any(cells):
                continue  # a blank line, or what a spreadsheet makes of an empty one
            if len(cells) == width:
                yield Row(
                    line, read(cells) if all(map(str.isascii, cells)) or _is_text(cells) else self._foreign, cells
                )
            else:
                yield Row(line, InvalidJson(f"has {len(cells)} cells, and the header {width}"), cells)

    @property
    def _foreign(self) -> InvalidJson:
        return InvalidJson(f"is not {self._encoding}: say --encoding cp1252, say")


class CsvRejects:
    """Writes rejected rows as they were, with their line and the reasons, to be mended and imported again."""

    def __init__(self, stream: IO[bytes], reader: CsvReader) -> None:
        text = io.TextIOWrapper(stream, "utf-8", errors="surrogateescape", newline="", write_through=True)
        self._rows = csv.writer(text, delimiter=reader.delimiter)
        self._width = len(reader.header)
        self._rows.writerow([*reader.header, REJECT_LINE, REJECT_REASON])

    def write(self, outcome: RowResult) -> None:
        """Write a rejected row."""
        cells = list(outcome.row.raw)
        cells += [""] * (self._width - len(cells))
        # Cells that the header knows nothing of stand at the end, so that they are not lost and the others in their columns.
        self._rows.writerow([*cells[: self._width], outcome.row.line, reasons(outcome), *cells[self._width :]])


class CsvWriter:
    """Makes a table of people: the members that everybody may have, and the given further ones."""

    def __init__(self, further: Sequence[str]) -> None:
        self._columns = (*FIRST, *further, *LAST)
        self._known = frozenset(self._columns)

    def header(self) -> bytes:
        """Return the first line."""
        return self._table([self._columns])

    def rows(self, people: Iterable[bytes]) -> bytes:
        """Return lines for people; a cell holds a text as it is, and any other value as JSON.

        Raises InvalidInput for a member that has no column: it came with a person added since the columns were collected.
        """
        table = []
        for body in people:
            members = decode_fields(body)
            if not members.keys() <= self._known:
                raise InvalidInput("somebody with further members was added during the export: run it again")
            table.append([_cell(members.get(column)) for column in self._columns])
        return self._table(table)

    def _table(self, rows: Iterable[Sequence[str]]) -> bytes:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(rows)
        return text.getvalue().encode()


def extra_fields(people: Iterable[bytes]) -> dict[str, None]:
    """Return the names of the members beyond those that everybody may have, in the order in which they are met."""
    return {
        name: None for body in people for name in decode_stored(_names, body) if name not in FIRST and name not in LAST
    }


def reasons(outcome: RowResult) -> str:
    """Return why a row was rejected, in one line."""
    return "; ".join(f"{error.pointer.lstrip('/')} {error.reason}".strip() for error in outcome.errors)


_names = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class _Lines:
    """The lines of a text, of which the first has been read already. A line or a row longer than `_LINE` ends in csv.Error."""

    def __init__(self, first: str, rest: io.TextIOWrapper) -> None:
        self._first = first
        self._rest = rest
        self.number = 0  # of the line that was last given out, from 1
        self._row = 0  # characters of the row before the line that is read next

    def begin_row(self) -> None:
        """Begin a row with the next line."""
        self._row = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._read() if self.number else self._first
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) == _LINE and not line.endswith(_ENDS):
            while (rest := self._read()) and not rest.endswith(_ENDS):
                pass
            raise csv.Error(f"a line is longer than {_LINE // 1024} KiB")
        self._row += len(line)
        if self._row > _LINE:
            raise csv.Error(f"a row is longer than {_LINE // 1024} KiB: is a quote not closed?")
        return line

    def _read(self) -> str:
        return _read_line(self._rest, self.number + 1)


def _read_line(text: io.TextIOWrapper, number: int) -> str:
    """Return the next line, or a part of a long one. Raises InvalidInput for bytes that the encoding cannot even escape (UTF-16)."""
    try:
        return text.readline(_LINE)
    except UnicodeError:
        raise InvalidInput(f"line {number} or after it: not {text.encoding}") from None


_ENDS: Final = ("\n", "\r")


def _is_text(cells: Sequence[str]) -> bool:
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:  # what "surrogateescape" made of a byte that is no text
        return False
    return True


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else strict_json.encode(value).decode()
