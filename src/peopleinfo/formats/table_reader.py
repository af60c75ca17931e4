"""Tables: find the header of rows of cells and map each row to the fields of a person. CSV and workbooks share these rules."""

from __future__ import annotations

import itertools
import textwrap
from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.bulk.rows import InvalidRow, Row, SkippedRow, blank_row
from peopleinfo.errors import InvalidInput
from peopleinfo.formats import headings
from peopleinfo.formats.column_mapping import unique_names
from peopleinfo.formats.field_mapper import FieldMapper
from peopleinfo.formats.sampling import take_sample
from peopleinfo.formats.table_notes import SEPARATORS, no_person

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from peopleinfo.formats.column_mapping import ColumnMapping

_SHOWN_NAMES, _MAX_NAME_LENGTH = 30, 60  # in the message about a missing name
_HEADER_ROWS: Final = 50  # the header is one of the first rows


class TableRow(NamedTuple):
    """A row of a table: the number of its first line (from 1), and its cells as text, or the reason why it has none.

    A reader of a format delivers every row, also blank rows (all cells are empty) and those above the header. `raw` holds the cells
    of an invalid row as far as they are known, for the file of rejects.
    """

    line: int
    cells: list[str] | InvalidRow | SkippedRow
    raw: list[str] | None = None

    @property
    def size(self) -> int:
        """The approximate length of the row in characters."""
        return sum(map(len, self.cells if isinstance(self.cells, list) else self.raw or ())) + 1


class Table:
    """The rows of a table with a header, as rows of an import."""

    def __init__(self, rows: Iterator[TableRow], mapping: ColumnMapping) -> None:
        """Find the header: the row among the first ones whose headings assign the most fields. Raises InvalidInput.

        `problem` is the error of a mapping with which no row can be imported; a preview shows the columns nevertheless.
        """
        sample, self._rows = take_sample(rows)
        if not sample:
            next(self._rows, None)  # raises the error that ended the sample
        at = _header_index(sample[:_HEADER_ROWS], mapping)
        header = sample[at].cells
        if not isinstance(header, list):
            raise InvalidInput(f"line {sample[at].line}: {header.reason}")
        if below := _second_header(header, sample[at + 1 : at + 2]):
            header, at = below, at + 1
        self.header = header
        self.header_line = sample[at].line
        self._above, self._sample = sample[:at], sample[at + 1 :]
        names = unique_names(header)
        self.columns = mapping.columns(names)
        self.problem = self._problem(mapping)
        born = self.columns.fields.get("person_birthdate", ())
        self.dates = mapping.dates(_column(self._sample, born), names[born[0]] if len(born) == 1 else "")
        self._mapper = FieldMapper(self.columns, self.dates, mapping.on_bad_date)

    @property
    def sample(self) -> list[list[str]]:
        """The cells of the first rows below the header."""
        return [row.cells for row in self._sample if isinstance(row.cells, list)]

    def __iter__(self) -> Iterator[Row]:
        """Yield all rows but the header, also those above it."""
        yield from self._rows_above()
        width, header, map_cells = len(self.header), self.header, self._mapper.map_cells
        is_divided = self.columns.is_divided
        sample, self._sample = self._sample, []
        first = blank = 0
        for line, cells, raw in itertools.chain(sample, self._rows):
            if isinstance(cells, list) and not (cells and cells[0] and not cells[0].isspace()) and not _has_text(cells):
                first, blank = first or line, blank + 1
                continue
            if blank:
                yield blank_row(first, blank)
                first = blank = 0
            if not isinstance(cells, list):
                yield Row(line, cells, raw or [])
            elif len(cells) > width and _has_text(cells[width:]):
                yield Row(line, InvalidRow(f"has {len(cells)} cells, but the header has {width}"), cells)
            elif cells == header:
                yield Row(line, SkippedRow("the row repeats the header"), cells)
            else:
                data, errors = map_cells(cells)
                name, surname = data.get("person_name"), data.get("person_surname")
                if (name or surname) and (
                    is_divided or not name or not surname or surname[0] in SEPARATORS or name[0].isdigit()
                ):
                    yield Row(line, no_person(cells, width) or data, cells, errors)
                else:
                    yield Row(line, data, cells, errors)
        if blank:
            yield blank_row(first, blank)

    def _rows_above(self) -> Iterator[Row]:
        for line, cells, raw in self._above:
            if isinstance(cells, list):
                yield (
                    Row(line, SkippedRow("the row is above the header"), cells)
                    if _has_text(cells)
                    else blank_row(line, 1)
                )
            else:
                yield Row(line, cells, raw or [])

    def _problem(self, mapping: ColumnMapping) -> InvalidInput | None:
        """Return an error if no column has names, or two columns with the same heading claim one field."""
        names, sources = self.columns.names, self.columns.sources
        if not sources.keys() & {"person_name", "person_surname"}:
            option = mapping.option("map", "person_surname=COLUMN")
            other = "if the first row is a person, insert a row with the names of the columns"
            if len(names) == 1:
                other = f"if the table has several columns, set {mapping.option('delimiter', 'CHAR')}"
            shown = ", ".join(
                textwrap.shorten(name, _MAX_NAME_LENGTH, placeholder="…") for name in names[:_SHOWN_NAMES]
            )
            return InvalidInput(
                f"no column contains a name; columns: {shown}{', …' * (len(names) > _SHOWN_NAMES)}. Set {option}; {other}",
                safe_message=f"no column contains a name: set {option}; {other}",
            )
        texts = [" ".join(cell.split()) for cell in self.header]
        for field, indices in self.columns.fields.items():
            heading = texts[indices[0]]
            if len(indices) == 1 and not mapping.has(field) and texts.count(heading) > 1:
                option = mapping.option("map", f"{field}={names[indices[0]]}")
                return InvalidInput(
                    f"more than one column {heading!r} can be {field}: set {option}",
                    safe_message=f"more than one column can be {field}: set {mapping.option('map', f'{field}=COLUMN')}",
                )
        return None


def _header_index(rows: Sequence[TableRow], mapping: ColumnMapping) -> int:
    """Return the index of the header, or of the first row with text if no row has known headings. Raises InvalidInput."""
    counts = [mapping.count(unique_names(row.cells)) if isinstance(row.cells, list) else 0 for row in rows]
    if any(counts):
        return counts.index(max(counts))
    for index, row in enumerate(rows):
        if isinstance(row.cells, InvalidRow) or (isinstance(row.cells, list) and _has_text(row.cells)):
            return index
    raise InvalidInput("the header is missing: the first row must name the columns")


def _second_header(header: list[str], rows: Sequence[TableRow]) -> list[str] | None:
    """Return the headings of two rows: those of the second row below wider ones, `Surname` and `First name` below `Name`."""
    if not rows or not isinstance(rows[0].cells, list) or rows[0].cells == header:
        return None
    cells = rows[0].cells[: len(header)]
    if sum(map(headings.is_name, cells)) < 2:  # noqa: PLR2004 - a given name and a surname
        return None
    return [below if below.strip() else above for above, below in itertools.zip_longest(header, cells, fillvalue="")]


def _has_text(cells: Sequence[str]) -> bool:
    return any(cells) and not all(map(str.isspace, filter(None, cells)))


def _column(rows: Sequence[TableRow], indices: Sequence[int]) -> Iterator[str]:
    if len(indices) != 1:
        return
    for row in rows:
        if isinstance(row.cells, list) and len(row.cells) > indices[0]:
            yield row.cells[indices[0]]
