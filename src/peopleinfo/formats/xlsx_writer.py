"""Write people as a workbook (.xlsx), one row at a time."""

from __future__ import annotations

import re
import tempfile
from datetime import date
from typing import IO, TYPE_CHECKING, Any, Final, Self

import msgspec
from xlsxwriter import Workbook

from peopleinfo.bulk.rows import cell_text
from peopleinfo.errors import InvalidInput
from peopleinfo.formats.export_columns import export_columns, table_fields
from peopleinfo.formats.xlsx_cells import GENERAL, number_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_PEOPLE: Final = 1_048_575  # rows of a sheet without the header
_MAX_COLUMNS: Final = 16_384
_MAX_TEXT_LENGTH: Final = 32_767  # of a cell, in UTF-16 code units
_FIRST_DAY: Final = "1900-03-01"  # Excel counts the days before it wrongly, or not at all
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_OPTIONS: Final = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}


class XlsxWriter:
    """Writes records as rows of a sheet: the standard fields and the given custom fields."""

    def __init__(self, custom_fields: Sequence[str]) -> None:
        """Write the header. Raises InvalidInput for more columns than a sheet can have."""
        self._columns = export_columns(custom_fields)
        self._column_set = frozenset(self._columns)
        if len(self._columns) > _MAX_COLUMNS:
            raise InvalidInput(f"a workbook holds at most {_MAX_COLUMNS:,} columns: export CSV")
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the writer
        self._folder = tempfile.TemporaryDirectory(prefix="peopleinfo-")
        self._book = Workbook(self._file, _OPTIONS | {"tmpdir": self._folder.name})
        self._sheet = self._book.add_worksheet("People")
        self._date_format = self._book.add_format({"num_format": "yyyy-mm-dd"})
        self._sheet.freeze_panes(1, 0)
        self._row = 0
        for column, name in enumerate(self._columns):
            self._write_text(column, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._folder.cleanup()

    def write(self, people: Iterable[bytes]) -> None:
        """Write records. Raises InvalidInput for a record that the sheet cannot hold."""
        for body in people:
            fields = table_fields(body, self._column_set)
            self._row += 1
            check_count(self._row)
            for column, name in enumerate(self._columns):
                if (value := fields.get(name)) is not None:
                    self._write_value(column, name, value)

    def finish(self) -> IO[bytes]:
        """Complete the workbook and return the file at its start."""
        self._book.close()
        self._file.seek(0)
        return self._file

    def _write_value(self, column: int, name: str, value: Any) -> None:
        if name == "person_birthdate" and (day := _day(value)):
            self._sheet.write_datetime(self._row, column, day, self._date_format)
        elif isinstance(value, bool):
            self._sheet.write_boolean(self._row, column, value)
        elif isinstance(value, msgspec.Raw) and _is_exact(text := bytes(value).decode()):
            self._sheet.write_number(self._row, column, float(text))
        else:
            self._write_text(column, cell_text(value))

    def _write_text(self, column: int, text: str) -> None:
        if len(text) > _MAX_TEXT_LENGTH // 2 and len(text.encode("utf-16-le")) > 2 * _MAX_TEXT_LENGTH:
            raise InvalidInput(
                f"a cell of a workbook holds at most {_MAX_TEXT_LENGTH:,} characters, "
                f"and the field {self._columns[column]!r} of a person is longer: export CSV",
                safe_message=f"a cell of a workbook holds at most {_MAX_TEXT_LENGTH:,} characters: export CSV",
            )
        if text:
            self._sheet.write_string(self._row, column, text)


def check_count(count: int) -> None:
    """Raise InvalidInput for more people than a sheet can have."""
    if count > MAX_PEOPLE:
        raise InvalidInput(f"a workbook holds at most {MAX_PEOPLE:,} people: set a filter, or export CSV")


def _day(text: str) -> date | None:
    """Return a complete date that Excel can hold, else None."""
    if _DAY.fullmatch(text) is None or text < _FIRST_DAY:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:  # a record of the first API
        return None


def _is_exact(text: str) -> bool:
    """Return whether a cell holds a number so that an import reads the same text."""
    return number_text(f"{float(text):.16G}", GENERAL, is_1904=False) == text
