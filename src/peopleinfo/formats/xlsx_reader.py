"""Workbooks (.xlsx): read the rows of a sheet as a stream, in bounded memory."""

from __future__ import annotations

import itertools
import tempfile
from functools import lru_cache
from typing import IO, TYPE_CHECKING, Final

from peopleinfo.bulk.rows import InvalidRow
from peopleinfo.errors import InvalidInput, temporary_folder_full
from peopleinfo.formats.table_reader import TableRow
from peopleinfo.formats.xlsx_cells import GENERAL, number_text, unescaped
from peopleinfo.formats.xlsx_package import (
    Attributes,
    Package,
    Sheet,
    check_length,
    local_name,
    parsed,
    reporting_damage,
    xml_parser,
)

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

_MAX_FILE_SIZE: Final = 512 * 1024 * 1024  # bytes of an upload in the temporary folder
_EXAMINED_ROWS: Final = 100
_MAX_COLUMNS: Final = 16_384
_ERRORS: Final = frozenset(
    (
        "#NULL!",
        "#DIV/0!",
        "#VALUE!",
        "#REF!",
        "#NAME?",
        "#NUM!",
        "#N/A",
        "#GETTING_DATA",
        "#SPILL!",
        "#CALC!",
        "#FIELD!",
    )
)
_BOOLEANS: Final = {"0": "false", "1": "true"}


class Workbook:
    """A workbook whose sheets are read one row at a time."""

    def __init__(self, stream: io.BufferedReader) -> None:
        """Open a workbook. Raises InvalidInput."""
        self._package = Package(_seekable(stream))
        visible = [sheet for sheet in self._package.sheets if not sheet.is_hidden]
        self.sheets = visible or self._package.sheets
        """The visible sheets, or all sheets if none is visible."""
        if not self.sheets:
            raise InvalidInput("the workbook has no sheet with cells")

    def named(self, name: str) -> list[Sheet]:
        """Return the sheets with a name, which may be hidden."""
        return [sheet for sheet in self._package.sheets if sheet.name == name]

    def has_text(self, sheet: Sheet) -> bool:
        """Return whether a sheet has text in its first rows, or is damaged."""
        try:
            rows = itertools.islice(self.rows(sheet), _EXAMINED_ROWS)
            return any(isinstance(row.cells, InvalidRow) or any(row.cells) for row in rows)
        except InvalidInput:
            return True

    def rows(self, sheet: Sheet) -> Iterator[TableRow]:
        """Yield the rows of a sheet. Raises InvalidInput where it is damaged."""
        parser = _SheetParser(self._package)
        with reporting_damage(f" in sheet {sheet.name!r}"):
            for _ in parsed(
                xml_parser(parser.start, parser.end, parser.texts.append), self._package.chunks(sheet.path)
            ):
                yield from parser.take_rows()


def _seekable(stream: io.BufferedReader) -> IO[bytes]:
    """Return a stream with random access, which an archive needs; copy an upload to a temporary file."""
    if stream.seekable():
        return stream
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with its last reference, when the import ends
    size = 0
    while chunk := stream.read(256 * 1024):
        size += len(chunk)
        if size > _MAX_FILE_SIZE:
            raise InvalidInput(f"the workbook is larger than {_MAX_FILE_SIZE // 1024**2} MiB: send it as CSV")
        try:
            file.write(chunk)
        except OSError as error:
            raise temporary_folder_full("workbook", error) from error
    return file


class _SheetParser:
    """Handlers of a parser that collect the rows of a sheet."""

    def __init__(self, package: Package) -> None:
        self.texts: list[str] = []  # of the current cell
        self._strings = package.strings
        self._formats = package.formats
        self._is_1904 = package.is_1904
        self._rows: list[TableRow] = []
        self._line = 0
        self._cells: list[str] = []
        self._next_column = 0
        self._problem = ""  # of the current row
        self._cell: Attributes = {}
        self._value: str | None = None
        self._is_ignored = False  # a phonetic text

    def take_rows(self) -> list[TableRow]:
        """Return the rows since the last call."""
        if self._value is None and not self._cell:
            self.texts.clear()
        check_length(self.texts)
        rows, self._rows = self._rows, []
        return rows

    def start(self, name: str, attributes: Attributes) -> None:
        """Handle the start of an element."""
        if ":" in name:
            name = local_name(name)
        if name == "c":
            self._cell, self._value, self._is_ignored = attributes, None, False
        elif name in ("v", "t"):
            self.texts.clear()
        elif name == "row":
            self._line = int(attributes.get("r") or self._line + 1)
            self._cells, self._next_column, self._problem = [], 0, ""
        elif name == "rPh":
            self._is_ignored = True
        elif name == "is":
            self._value = None  # some programs write the value too
        elif name == "f":
            self._cell["f"] = ""

    def end(self, name: str) -> None:
        """Handle the end of an element."""
        if ":" in name:
            name = local_name(name)
        if name == "c":
            self._end_cell(self._cell, self._value)
            self._cell, self._value = {}, None
        elif name == "v":
            self._value = "".join(self.texts)
        elif name == "t":
            if not self._is_ignored:
                self._value = (self._value or "") + "".join(self.texts)
        elif name == "row":
            self._end_row()
        elif name == "rPh":
            self._is_ignored = False

    def _end_row(self) -> None:
        cells = self._cells
        while cells and not cells[-1]:  # only formatted
            cells.pop()
        if self._problem:
            self._rows.append(TableRow(self._line, InvalidRow(self._problem), cells))
        else:
            self._rows.append(TableRow(self._line, cells))

    def _end_cell(self, cell: Attributes, value: str | None) -> None:
        cells = self._cells
        reference = cell.get("r")
        column = column_index(reference.rstrip("0123456789")) if reference else self._next_column
        self._next_column = column + 1
        if value is None and "f" not in cell:
            return
        if column >= _MAX_COLUMNS:
            raise InvalidInput(f"the workbook has more than {_MAX_COLUMNS} columns")
        try:
            text = "" if value is None else self._text(cell, value)
            problem = (
                "a formula without a value: open and save the workbook in a spreadsheet program"
                if value is None
                else ""
            )
        except (ValueError, IndexError):
            text, problem = "", "an invalid value"
        except _CellError as error:
            text, problem = str(error), f"the error {error}"
        if problem and not self._problem:
            self._problem = f"cell {reference or f'{column + 1} of the row'} contains {problem}"
        if column == len(cells):
            cells.append(text)
        else:
            cells.extend([""] * (column + 1 - len(cells)))
            cells[column] = text

    def _text(self, cell: Attributes, value: str) -> str:
        kind = cell.get("t", "n")
        if kind == "s":
            return self._strings[int(value)]
        if kind == "n":
            style = cell.get("s")
            shown = self._formats[int(style)] if style and self._formats else GENERAL
            return number_text(value, shown, is_1904=self._is_1904) if value else ""
        if kind == "b":
            return _BOOLEANS.get(value, value)
        if kind == "e":
            raise _CellError(value if value in _ERRORS else "of an unknown kind")
        return value.removesuffix("T00:00:00") if kind == "d" else unescaped(value)


class _CellError(Exception):
    """A cell contains an error, for example #N/A."""


@lru_cache(maxsize=2_048)
def column_index(letters: str) -> int:
    """Return the index of a column, from 0: 27 for AB."""
    index = 0
    for letter in letters.upper():
        if not "A" <= letter <= "Z":
            raise ValueError("is not a column")
        index = index * 26 + ord(letter) - ord("A") + 1
    return index - 1
