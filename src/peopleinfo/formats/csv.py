"""CSV: write records and rejects."""

from __future__ import annotations

import csv
import io
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec

from peopleinfo.bulk.rows import as_cell
from peopleinfo.errors import InvalidInput
from peopleinfo.formats import excel_csv
from peopleinfo.formats.column_mapping import REJECT_LINE, REJECT_REASON
from peopleinfo.people.fields import FIELDS
from peopleinfo.people.person import decode_fields, decode_stored

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from peopleinfo.bulk.rows import RowResult

FIRST: Final = ("person_id", *FIELDS)
LAST: Final = ("version", "created_at", "updated_at")


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
    """Formats records as a table: the standard fields and the given custom fields.

    With `for_excel`, Excel shows all texts unchanged; see `excel_csv`.
    """

    def __init__(self, custom_fields: Sequence[str], *, for_excel: bool = False) -> None:
        self._columns = (*FIRST, *custom_fields, *LAST)
        self._column_set = frozenset(self._columns)
        self._for_excel = for_excel

    def header(self) -> bytes:
        """Return the header line."""
        if self._for_excel:
            return excel_csv.BYTE_ORDER_MARK + self._table([[*self._columns, excel_csv.MARK]])
        return self._table([self._columns])

    def rows(self, people: Iterable[bytes]) -> bytes:
        """Return the lines of records. A cell contains a string unchanged and any other value as JSON.

        Raises InvalidInput for a field without a column.
        """
        table = []
        for body in people:
            fields = table_fields(body, self._column_set)
            table.append([cell_text(fields.get(column)) for column in self._columns])
        if self._for_excel:
            table = [[*map(excel_csv.protect, cells), ""] for cells in table]
        return self._table(table)

    def _table(self, rows: Iterable[Sequence[str]]) -> bytes:
        text = io.StringIO(newline="")
        plain, quoted = (
            csv.writer(text, lineterminator="\n", quoting=kind) for kind in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)
        )
        for cells in rows:
            # The module does not quote a carriage return, which ends a line in other programs.
            (quoted if any("\r" in cell for cell in cells) else plain).writerow(cells)
        return text.getvalue().encode()


def table_fields(body: bytes, columns: frozenset[str]) -> dict[str, Any]:
    """Return the fields of a record. Raises InvalidInput for a field without a column: it was added after the columns were collected."""
    fields = decode_fields(body)
    if not fields.keys() <= columns:
        raise InvalidInput("a record with a new custom field was added during the export: run it again")
    return fields


def extra_fields(people: Iterable[bytes]) -> dict[str, None]:
    """Return the names of the custom fields, in order of first occurrence."""
    return {
        name: None for body in people for name in decode_stored(_names, body) if name not in FIRST and name not in LAST
    }


def reasons(result: RowResult) -> str:
    """Return the validation errors of a row in one line."""
    return "; ".join(f"{error.pointer.lstrip('/')} {error.reason}".strip() for error in result.errors)


_names = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def cell_text(value: Any) -> str:
    """Return the text of a cell, "" for an absent value."""
    return "" if value is None else as_cell(value)
