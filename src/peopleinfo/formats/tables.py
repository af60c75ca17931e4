"""Tables: find the header of rows of cells and map each row to the fields of a person. CSV and workbooks share these rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from peopleinfo.bulk.rows import InvalidRow, Row, SkippedRow
from peopleinfo.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from peopleinfo.formats.column_mapping import ColumnMapping


class TableRow(NamedTuple):
    """A row of a table: the number of its first line (from 1), and its cells as text or the reason why they cannot be read.

    A reader of a format delivers every row, also blank rows (all cells are empty) and those above the header. `raw` holds the cells
    of an invalid row as far as they are known, for the file of rejects.
    """

    line: int
    cells: list[str] | InvalidRow
    raw: list[str] | None = None


class Table:
    """The rows of a table with a header, as rows of an import."""

    def __init__(self, rows: Iterator[TableRow], columns: ColumnMapping) -> None:
        """Read the header. Raises InvalidInput."""
        first = next(rows, None)
        if first is None or isinstance(first.cells, InvalidRow) or not any(map(str.strip, first.cells)):
            raise InvalidInput("the header is missing: the first line must name the columns")
        self._rows = rows
        self.header = first.cells
        self.header_line = first.line
        self.columns = columns.resolved([name.strip() for name in self.header])
        self._map_row = columns.row_mapper(self.header)

    def __iter__(self) -> Iterator[Row]:
        """Yield all rows below the header."""
        width = len(self.header)
        for line, cells, raw in self._rows:
            if isinstance(cells, InvalidRow):
                yield Row(line, cells, raw or [])
            elif not any(cells):
                yield Row(line, SkippedRow("the row is blank"), cells)
            elif len(cells) > width:
                yield Row(line, InvalidRow(f"has {len(cells)} cells, but the header has {width}"), cells)
            else:
                yield Row(line, self._map_row(cells), cells)
