"""CSV for Excel: an apostrophe keeps the text of a cell that Excel would change to a formula, a number or a date.

The last column of the header marks such a file, so that an import removes the apostrophes and leaves those of other files unchanged.
"""

from __future__ import annotations

import codecs
import itertools
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from peopleinfo.formats.table_reader import TableRow

BYTE_ORDER_MARK: Final = codecs.BOM_UTF8  # Excel reads the file as UTF-8
MARK: Final = "apostrophe_marks_text"
_APOSTROPHE: Final = "'"
_FORMULA: Final = "[=+\\-@\t\r\n|%\uff1d\uff0b\uff0d\uff20]"  # also the full-width signs
# A number, a date or a time, also with a currency, the name of a month, or an exponent.
_NUMBER: Final = (
    r"(?=.*\d)(?:[\d\s.,:;/()+\-\u2212%'$\u20ac\u00a3\u00a5]|[eE](?=[+-]?\d)"
    r"|\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*|[ap]\.?m\b)+$"
)
_PLAIN_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d{0,14})", re.ASCII)
_PROTECTED: Final = re.compile(f"{_APOSTROPHE}*\\s*(?:{_FORMULA}|{_NUMBER})", re.IGNORECASE)
_PREFIXED: Final = re.compile(f"{_APOSTROPHE}+\\s*(?:{_FORMULA}|{_NUMBER})", re.IGNORECASE)


def protect(cell: str) -> str:
    """Return a cell with an apostrophe if Excel would change it."""
    if cell and not _PLAIN_NUMBER.fullmatch(cell) and _PROTECTED.match(cell):
        return _APOSTROPHE + cell
    return cell


def without_protection(rows: Iterator[TableRow]) -> Iterator[TableRow]:
    """Return the rows of a table; remove the apostrophes and the last column if its header has the mark."""
    first = next(rows, None)
    if first is None:
        return iter(())
    if isinstance(first.cells, list) and first.cells and first.cells[-1] == MARK:
        width = len(first.cells) - 1
        return (_unprotected(row, width) for row in itertools.chain([first], rows))
    return itertools.chain([first], rows)


def _unprotected(row: TableRow, width: int) -> TableRow:
    if not isinstance(row.cells, list):
        return row
    cells = [cell[1:] if cell[:1] == _APOSTROPHE and _PREFIXED.match(cell) else cell for cell in row.cells]
    # Text in the column of the mark remains, and rejects the row as one with a cell too many.
    return row._replace(cells=cells if any(cells[width:]) and row.cells[-1] != MARK else cells[:width])
