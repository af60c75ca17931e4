"""The rows of an input, and the result of each after an import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from peopleinfo.errors import FieldError
from peopleinfo.people import strict_json

if TYPE_CHECKING:
    from collections.abc import Container

    from peopleinfo.matching.scoring import Grade

Status = Literal["stored", "updated", "unchanged", "conflict", "rejected", "skipped"]


class InvalidRow(NamedTuple):
    """Takes the place of a value that cannot be read, with the reason. Example: `has 4 cells, but the header has 3`."""

    reason: str

    @property
    def error(self) -> FieldError:
        """The reason in a form that a response can contain."""
        return _error(self.reason)


class SkippedRow(NamedTuple):
    """Takes the place of a value that describes no person, with the reason: blank rows or a line above the header.

    `rows` is the number of successive rows that it stands for, so that a file of blank lines has one result instead of millions.
    """

    reason: str
    rows: int = 1

    @property
    def error(self) -> FieldError:
        """The reason in a form that a response can contain."""
        return _error(self.reason)


def _error(reason: str) -> FieldError:
    """Return an error without the surrogates that replace invalid bytes of the input."""
    return FieldError("", reason.encode(errors="backslashreplace").decode())


def as_cell(value: Any) -> str:
    """Return a value as the text of a table cell: a string unchanged, any other value as JSON."""
    return value if isinstance(value, str) else strict_json.encode(value).decode()


def cell_text(value: Any) -> str:
    """Return the text of a table cell, "" for an absent value."""
    return "" if value is None else as_cell(value)


def unused_name(name: str, data: Container[str]) -> str:
    """Return a name, with a number if the data contains it."""
    number, unused = 1, name
    while unused in data:
        number += 1
        unused = f"{name}_{number}"
    return unused


def blank_row(line: int, rows: int) -> Row:
    """Return the row of `rows` successive blank rows that start at a line."""
    return Row(line, SkippedRow("the row is blank" if rows == 1 else f"{rows:,} rows are blank", rows), b"")


class Row(NamedTuple):
    """A row of an input: its line number (from 1), its JSON value (of `strict_json.parse`), and its raw form.

    `errors` are those that the reader found in single fields; a row with errors is rejected.
    """

    line: int
    data: Any  # or an InvalidRow or a SkippedRow
    raw: bytes | list[str]
    errors: tuple[FieldError, ...] = ()

    @property
    def size(self) -> int:
        """The approximate length of the row in characters."""
        return len(self.raw) if isinstance(self.raw, bytes) else sum(map(len, self.raw))


class RowDuplicate(NamedTuple):
    """The most certain person that may be the same as that of a row: a stored person, or that of an earlier row of the batch.

    The other row has the position `row_index` in the batch; its line and the id of its person are known when they are stored.
    """

    grade: Grade
    score: float
    because: tuple[str, ...]
    person_id: str | None = None
    line: int | None = None
    row_index: int | None = None


class RowResult(NamedTuple):
    """The result of a row. A stored, updated or unchanged row has a `person_id`, unless it was stored by an earlier run."""

    row: Row
    status: Status
    person_id: str | None = None
    errors: tuple[FieldError, ...] = ()
    duplicate: RowDuplicate | None = None


class Account(NamedTuple):
    """The number of rows that one run of an import read, in total (`rows`) and by status."""

    rows: int = 0
    stored: int = 0
    updated: int = 0
    unchanged: int = 0
    conflict: int = 0
    rejected: int = 0
    skipped: int = 0

    def __str__(self) -> str:
        counts = zip(self._fields[1:], self[1:], strict=True)
        return ", ".join([f"{self.rows:,} rows read", *(f"{count:,} {status}" for status, count in counts if count)])
