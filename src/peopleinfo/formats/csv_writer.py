"""Write people as CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from peopleinfo.bulk.rows import cell_text
from peopleinfo.formats import excel_csv
from peopleinfo.formats.export_columns import export_columns, table_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class CsvWriter:
    """Formats records as a table: the standard fields and the given custom fields.

    With `for_excel`, Excel shows all texts unchanged; see `excel_csv`.
    """

    def __init__(self, custom_fields: Sequence[str], *, for_excel: bool = False) -> None:
        self._columns = export_columns(custom_fields)
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
