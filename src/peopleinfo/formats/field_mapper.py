"""Map the cells of a row, or the values of an object, to the fields of a person."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from peopleinfo.bulk.rows import cell_text, unused_name
from peopleinfo.errors import FieldError
from peopleinfo.formats.birthdate_reader import UnreadableDate
from peopleinfo.formats.column_mapping import REJECT_COLUMNS, UNREADABLE_BIRTHDATE
from peopleinfo.formats.whole_names import divide
from peopleinfo.people.fields import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from peopleinfo.formats.birthdate_reader import DateReader
    from peopleinfo.formats.column_mapping import ColumnMapping, Columns, OnBadDate

Errors = tuple[FieldError, ...]
# Values that programs write for none, and that are no names.
_NULLS: Final = frozenset(("\\N", "(null)", "<null>", "[null]", "(NULL)", "<NULL>", "[NULL]", "#N/A"))
# Marks of the direction of writing, around a text.
_MARKS: Final = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
_BLANKS: Final = " \t\n\r\v\f\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_UNUSUAL: Final = frozenset(_BLANKS + _MARKS + "".join(text[0] for text in _NULLS) + "N")  # first characters
_MAX_LAYOUTS: Final = 256  # different sets of keys whose mapping is remembered
_BORN: Final = "person_birthdate"
_NAMES: Final = ("person_name", "person_surname")


class FieldMapper:
    """Maps the values of columns to fields. Values without a field become custom fields under the name of their column."""

    def __init__(self, columns: Columns, dates: DateReader, on_bad_date: OnBadDate) -> None:
        self._columns = columns
        self._dates = dates
        self._on_bad_date = on_bad_date
        self._joined = {field: indices for field, indices in columns.fields.items() if len(indices) > 1}
        single = {indices[0]: field for field, indices in columns.fields.items() if len(indices) == 1}
        omitted = {index for indices in self._joined.values() for index in indices} | set(columns.birth_parts or ())
        if columns.is_divided:
            omitted.add(columns.whole)
        self._names = [
            "" if index in omitted or name in REJECT_COLUMNS else single.get(index) or self._custom_name(name)
            for index, name in enumerate(columns.names)
        ]
        self._single = [field for field in FIELDS if field in single.values()]
        self._is_simple = (
            "" not in self._names and not self._joined and columns.birth_parts is None and columns.other_surname is None
        )

    def map_cells(self, cells: Sequence[str]) -> tuple[dict[str, Any], Errors]:
        """Return the fields of a row. Empty cells are omitted; a short row lacks its last cells."""
        data: dict[str, Any] = {name: cell for name, cell in zip(self._names, cells, strict=False) if cell}
        for field in self._single:
            if (text := data.get(field)) and text[0] in _UNUSUAL:
                self._clean(data, field, text)
        if self._is_simple and ("person_surname" in data or "person_name" in data):
            # Only the birthdate is left: an import reads millions of such rows.
            born = data.get(_BORN)
            if born is None or self._dates.is_usual(born):
                return data, ()
        data.pop("", None)
        return data, self._complete(data, cells)

    def _clean(self, data: dict[str, Any], field: str, text: str) -> None:
        """Remove a blank value. Of another program, also remove a value for none, and marks of direction around a text."""
        if text.isspace():
            del data[field]
        elif self._columns.is_export:
            return
        elif text in _NULLS or (text == "NULL" and field == "person_address"):
            del data[field]
        elif text[0] in _MARKS:
            data[field] = text.strip(_MARKS)

    def map_values(self, values: Sequence[Any]) -> tuple[dict[str, Any], Errors]:
        """Return the fields of an object, also empty ones: only text can be divided, joined or read as a date."""
        data = dict(zip(self._names, values, strict=True))
        data.pop("", None)
        return data, self._complete(data, [cell_text(value) for value in values])

    def _complete(self, data: dict[str, Any], cells: Sequence[str]) -> Errors:
        """Add the fields that are not the value of one column, and read the birthdate. Return the errors."""
        for field, indices in self._joined.items():
            if text := " ".join(cell for index in indices if (cell := _cell(cells, index))):
                data[field] = text
        if self._columns.whole is not None and not data.get("person_name") and not data.get("person_surname"):
            self._divide(data, _cell(cells, self._columns.whole))
        if self._columns.other_surname is not None and not data.get("person_surname"):
            self._set_surname(data, _cell(cells, self._columns.other_surname))
        try:
            if self._columns.birth_parts:
                self._set_birthdate(data, self._read_parts(cells))
            elif isinstance(born := data.get(_BORN), str):
                self._set_birthdate(data, self._dates.read(born))
            elif isinstance(born, msgspec.Raw) and _BORN not in self._columns.names:  # a number: 1990 or 19900211
                self._set_birthdate(data, self._dates.read(bytes(born).decode()))
        except UnreadableDate as error:
            return self._unreadable(data, cells, str(error))
        return ()

    def _divide(self, data: dict[str, Any], text: str) -> None:
        names = divide(text, is_family_first=self._columns.is_family_first, surname_count=self._columns.surname_count)
        data.update({field: name for field, name in zip(_NAMES, names, strict=True) if name})

    @staticmethod
    def _set_surname(data: dict[str, Any], text: str) -> None:
        """Set the surname from another column of surnames, or of whole names."""
        given = data.get("person_name")
        if given and isinstance(given, str):
            surname = text.removeprefix(f"{given} ").removesuffix(f" {given}").strip(" ,")
            data |= {"person_surname": surname} if surname and surname != given else {}

    def _read_parts(self, cells: Sequence[str]) -> str | None:
        year, month, day = ("" if index is None else _cell(cells, index) for index in self._columns.birth_parts or ())
        # `Birthday` next to `Birth Year` may be a complete date.
        return self._dates.read(day) if len(day) > 5 else self._dates.read_parts(year, month, day)  # noqa: PLR2004

    @staticmethod
    def _set_birthdate(data: dict[str, Any], text: str | None) -> None:
        if text is None:
            data.pop(_BORN, None)
        else:
            data[_BORN] = text

    def _unreadable(self, data: dict[str, Any], cells: Sequence[str], reason: str) -> Errors:
        text = data.pop(_BORN, None)
        if text is None:
            text = " ".join(
                _cell(cells, index) for index in self._columns.birth_parts or () if index is not None
            ).strip()
        if self._on_bad_date == "reject":
            return (FieldError(f"/{_BORN}", reason),)
        data[unused_name(UNREADABLE_BIRTHDATE, data)] = text
        return ()

    def _custom_name(self, name: str) -> str:
        """Return the name of a custom field, which must not be that of a field with another source."""
        return f"source_{name}" if name in FIELDS else name


class ObjectMapper:
    """Maps the keys of objects to fields. Objects may have different keys."""

    def __init__(self, mapping: ColumnMapping, sample: Iterable[Any] = ()) -> None:
        """Guess the format of birthdates from a sample of objects. Raises InvalidInput for an invalid date format."""
        self._mapping = mapping
        self._columns = lru_cache(maxsize=_MAX_LAYOUTS)(self._columns_of)
        self.dates = mapping.dates(text for data in sample if (text := self._birthdate(data)))
        self._mapper = lru_cache(maxsize=_MAX_LAYOUTS)(self._mapper_of)

    def map(self, data: Any) -> tuple[Any, Errors]:
        """Return an object with its keys mapped to fields; return any other value unchanged."""
        if not isinstance(data, dict):
            return data, ()
        return self._mapper(*_layout(data)).map_values(tuple(data.values()))

    def columns(self, data: dict[str, Any]) -> Columns:
        """Return which keys of an object give a field."""
        return self._columns(*_layout(data))

    def _columns_of(self, keys: tuple[str, ...], texts: tuple[str, ...]) -> Columns:
        return self._mapping.present(keys).columns(keys, texts)

    def _mapper_of(self, keys: tuple[str, ...], texts: tuple[str, ...]) -> FieldMapper:
        return FieldMapper(self._columns(keys, texts), self.dates, self._mapping.on_bad_date)

    def _birthdate(self, data: Any) -> str | None:
        if not isinstance(data, dict):
            return None
        columns = self.columns(data)
        indices = columns.fields.get(_BORN, ())
        text = data[columns.names[indices[0]]] if len(indices) == 1 else None
        return text if isinstance(text, str) else None


def texts(data: dict[str, Any], names: Sequence[str]) -> list[str]:
    """Return the values of keys as text."""
    return [cell_text(data.get(name)) for name in names]


def _layout(data: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the keys of an object, and those whose meaning may be guessed: only text, and only without standard names."""
    keys = tuple(data)
    if "person_surname" in data or "person_name" in data:
        return keys, FIELDS
    return keys, tuple(name for name, value in data.items() if isinstance(value, str | msgspec.Raw))


def _cell(cells: Sequence[str], index: int) -> str:
    return cells[index].strip() if index < len(cells) else ""
