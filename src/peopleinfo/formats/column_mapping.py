"""Map columns of a table, or keys of a JSON object, to fields of a person."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from peopleinfo.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

_MAX_DATE_LENGTH: Final = 64  # characters
REJECT_LINE: Final = "reject_line"
REJECT_REASON: Final = "reject_reason"
REJECT_TEXT: Final = "reject_text"
_REJECT_COLUMNS: Final = (REJECT_LINE, REJECT_REASON, REJECT_TEXT)

# Common column names, reduced to lower-case letters and digits.
HEADER_ALIASES: Final = {
    "person_name": (
        "personname",
        "firstname",
        "firstnames",
        "givenname",
        "givennames",
        "forename",
        "forenames",
        "name",
    ),
    "person_surname": ("personsurname", "surname", "lastname", "familyname"),
    "person_birthdate": ("personbirthdate", "birthdate", "dateofbirth", "dob", "birthday", "birthdaydate", "born"),
    "person_address": ("personaddress", "address", "postaladdress", "streetaddress", "homeaddress"),
}


class ColumnMapping:
    """Maps source columns to fields of a person and converts birthdates.

    `mapping` gives the source of a field: one name, or several names separated by commas or blanks. The values of several names are joined with
    spaces. `date_formats` (of strptime) are tried in order.
    """

    def __init__(self, mapping: Mapping[str, str] | None = None, date_formats: Sequence[str] = ()) -> None:
        self._mapping = dict(mapping or {})
        self._to_iso = _date_converter(tuple(date_formats)) if date_formats else None

    def row_mapper(self, header: Sequence[str]) -> Callable[[Sequence[str]], dict[str, str]]:
        """Return a function that maps the cells of a row to fields, for a table with this header.

        Empty cells are omitted. A short row lacks its last cells.

        Raises InvalidInput when the header is ambiguous or lacks a mapped column.
        """
        names = [name.strip() for name in header]
        self._check(names)
        resolved = self.resolved(names)
        direct = {sources[0]: field for field, sources in resolved.items() if len(sources) == 1}
        joined = {
            field: [names.index(source) for source in sources]
            for field, sources in resolved.items()
            if len(sources) > 1
        }
        omitted = {names[index] for indices in joined.values() for index in indices} | set(_REJECT_COLUMNS)
        fields = [direct.get(name) or ("" if name in omitted else name) for name in names]

        def map_row(cells: Sequence[str]) -> dict[str, str]:
            data = {field: cell for field, cell in zip(fields, cells, strict=False) if cell}
            data.pop("", None)
            for field in HEADER_ALIASES:
                if field in data and data[field].isspace():
                    del data[field]
            for field, indices in joined.items():
                if text := " ".join(cell for index in indices if index < len(cells) and (cell := cells[index].strip())):
                    data[field] = text
            self._convert_birthdate(data)
            return data

        return map_row

    def map_object(self, data: Any) -> Any:
        """Return a JSON object with its keys mapped to fields; return any other value unchanged."""
        if not isinstance(data, dict):
            return data
        mapped = {name: value for name, value in data.items() if name not in _REJECT_COLUMNS}
        for field, source in self._mapping.items():
            values = [mapped.pop(name) for name in _sources(source, data) if name in mapped]
            if len(values) == 1:
                mapped[field] = values[0]
            elif values:
                mapped[field] = " ".join(str(value) for value in values if value not in (None, ""))
        self._convert_birthdate(mapped)
        return mapped

    def resolved(self, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Return the source columns of each field: from the mapping, else from `HEADER_ALIASES`."""
        resolved = {field: _sources(source, names) for field, source in self._mapping.items()}
        used = {source for sources in resolved.values() for source in sources}
        for field, aliases in HEADER_ALIASES.items():
            if field in resolved:
                continue
            unused = {_normalize(name): name for name in reversed(names) if name not in used}
            column = next((unused[alias] for alias in aliases if alias in unused), None)
            if column is not None:
                resolved[field] = (column,)
                used.add(column)
        return resolved

    def _check(self, names: Sequence[str]) -> None:
        repeated = [name for name, count in Counter(names).items() if count > 1]
        if repeated:
            raise InvalidInput(
                f"the header repeats a column ({', '.join(map(repr, repeated))}): rename one of them",
                safe_message="the header repeats a column: rename one of them",
            )
        resolved = self.resolved(names)
        for field, sources in resolved.items():
            for source in sources:
                if source not in names:
                    raise InvalidInput(f"column {source!r} for {field} does not exist; columns: {', '.join(names)}")
        if "person_name" not in resolved and "person_surname" not in resolved:
            raise InvalidInput(
                f"no column contains a name; columns: {', '.join(names)}. Use --map person_surname=COLUMN",
                safe_message="no column contains a name: rename one to person_surname or person_name",
            )

    def _convert_birthdate(self, data: dict[str, Any]) -> None:
        if self._to_iso and isinstance(text := data.get("person_birthdate"), str):
            data["person_birthdate"] = self._to_iso(text)


def _sources(text: str, names: Collection[str]) -> tuple[str, ...]:
    if text in names:  # a column name may contain blanks
        return (text,)
    return tuple(name.strip() for name in (text.split(",") if "," in text else text.split()))


def _normalize(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _date_converter(formats: tuple[str, ...]) -> Callable[[str], str]:
    def convert(text: str) -> str:
        for date_format in formats:
            try:
                return datetime.strptime(text.strip(), date_format).date().isoformat()  # noqa: DTZ007 - a date has no zone
            except ValueError:
                continue
        return text  # validated with the record

    cached = lru_cache(maxsize=16_384)(convert)  # at most 4 MiB

    def convert_short(text: str) -> str:
        return cached(text) if len(text) <= _MAX_DATE_LENGTH else text

    return convert_short
