"""Rejected rows in CSV, with the reasons, for correction and another import. Other formats write their rejects in their readers."""

from __future__ import annotations

import csv
import io
from typing import IO, TYPE_CHECKING, Protocol

from peopleinfo.formats.column_mapping import REJECT_LINE, REJECT_REASON

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peopleinfo.bulk.rows import RowResult


class Rejects(Protocol):
    """Writes rejected rows with the reasons, in a form that can be corrected and imported."""

    def write(self, result: RowResult) -> None:
        """Write a rejected row."""


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
        self._rows.writerow([*cells[: self._width], result.row.line, reject_reasons(result), *cells[self._width :]])


def reject_reasons(result: RowResult) -> str:
    """Return the validation errors of a row in one line."""
    return "; ".join(f"{error.pointer.lstrip('/')} {error.reason}".strip() for error in result.errors)
