"""Which column of a table, or member of a foreign object, is which member of a person."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from peopleinfo.errors import PeopleInfoError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

_DATE_LENGTH: Final = 64  # characters; no date is longer
REJECT_LINE: Final = "reject_line"
REJECT_REASON: Final = "reject_reason"
REJECT_TEXT: Final = "reject_text"
_REJECT_COLUMNS: Final = (REJECT_LINE, REJECT_REASON, REJECT_TEXT)

# How people head their columns, letters and digits only.
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


class InvalidInput(PeopleInfoError):
    """The input cannot be read as people at all; the message says what to tell the command.

    `unquoted` is for whoever must not be shown anything of the input: the first row of a table without a header is somebody's data.
    """

    def __init__(self, message: str, *, unquoted: str | None = None) -> None:
        self.safe_message = unquoted or message
        super().__init__(message)


class ColumnMapping:
    """A mapping from sources (columns, members) to members of a person, and how dates are written.

    `given` maps a member to its source; several sources, which are joined by spaces, are divided by commas or blanks. `date_formats`
    are tried in turn (as in strptime).
    """

    def __init__(self, given: Mapping[str, str] | None = None, date_formats: Sequence[str] = ()) -> None:
        self._given = dict(given or {})
        self._iso = _date_reader(tuple(date_formats)) if date_formats else None

    def row_mapper(self, header: Sequence[str]) -> Callable[[Sequence[str]], dict[str, str]]:
        """Return what turns the cells of a row into members, for a table with this header; empty cells are absent.

        Raises InvalidInput when the header is not clear, or lacks a column that was asked for.
        """
        names = [name.strip() for name in header]
        self._check(names)
        resolved = self.resolved(names)
        direct = {sources[0]: member for member, sources in resolved.items() if len(sources) == 1}
        joined = {
            member: [names.index(source) for source in sources]
            for member, sources in resolved.items()
            if len(sources) > 1
        }
        used = {names[index] for indices in joined.values() for index in indices} | set(_REJECT_COLUMNS)
        members = [direct.get(name) or ("" if name in used else name) for name in names]

        def read(cells: Sequence[str]) -> dict[str, str]:
            data = {member: cell for member, cell in zip(members, cells, strict=True) if cell}
            data.pop("", None)
            for member in HEADER_ALIASES:
                if member in data and data[member].isspace():
                    del data[member]
            for member, indices in joined.items():
                if text := " ".join(cell for index in indices if (cell := cells[index].strip())):
                    data[member] = text
            self._date(data)
            return data

        return read

    def map_object(self, data: Any) -> Any:
        """Return an object with its members mapped; other values as they are."""
        if not isinstance(data, dict):
            return data
        mapped = {name: value for name, value in data.items() if name not in _REJECT_COLUMNS}
        for member, source in self._given.items():
            values = [mapped.pop(name) for name in _sources(source, data) if name in mapped]
            if len(values) == 1:
                mapped[member] = values[0]
            elif values:
                mapped[member] = " ".join(str(value) for value in values if value not in (None, ""))
        self._date(mapped)
        return mapped

    def resolved(self, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Return which columns are taken for which member: what was given, then what their names suggest."""
        resolved = {member: _sources(source, names) for member, source in self._given.items()}
        used = {source for sources in resolved.values() for source in sources}
        for member, spellings in HEADER_ALIASES.items():
            if member in resolved:
                continue
            plain = {_plain(name): name for name in reversed(names) if name not in used}
            found = next((plain[spelling] for spelling in spellings if spelling in plain), None)
            if found is not None:
                resolved[member] = (found,)
                used.add(found)
        return resolved

    def _check(self, names: Sequence[str]) -> None:
        repeated = [name for name, count in Counter(names).items() if count > 1]
        if repeated:
            raise InvalidInput(
                f"the header has more than one column {', '.join(map(repr, repeated))}: rename them",
                unquoted="the header names a column more than once: rename one",
            )
        resolved = self.resolved(names)
        for member, sources in resolved.items():
            for source in sources:
                if source not in names:
                    raise InvalidInput(f"there is no column {source!r} for {member}; there are {', '.join(names)}")
        if "person_name" not in resolved and "person_surname" not in resolved:
            raise InvalidInput(
                f"no column looks like a name; there are {', '.join(names)}. Say which: --map person_surname=COLUMN",
                unquoted="no column of the header looks like a name: call one person_surname or person_name",
            )

    def _date(self, data: dict[str, Any]) -> None:
        if self._iso and isinstance(text := data.get("person_birthdate"), str):
            data["person_birthdate"] = self._iso(text)


def _sources(text: str, names: Collection[str]) -> tuple[str, ...]:
    if text in names:  # a name may have blanks in it
        return (text,)
    return tuple(name.strip() for name in (text.split(",") if "," in text else text.split()))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _date_reader(formats: tuple[str, ...]) -> Callable[[str], str]:
    def convert(text: str) -> str:
        for form in formats:
            try:
                return datetime.strptime(text.strip(), form).date().isoformat()  # noqa: DTZ007 - a date has no zone
            except ValueError:
                continue
        return text  # the rules of the record judge it

    remembered = lru_cache(maxsize=16_384)(convert)  # at most 4 MiB

    def read(text: str) -> str:
        return remembered(text) if len(text) <= _DATE_LENGTH else text

    return read
