"""Options of an import that map columns of a table, or keys of an object, to fields of a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from peopleinfo.errors import InvalidInput
from peopleinfo.formats import headings
from peopleinfo.formats.birthdate_reader import DateReader
from peopleinfo.people.fields import FIELDS, READ_ONLY_FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

REJECT_LINE: Final = "reject_line"
REJECT_REASON: Final = "reject_reason"
REJECT_TEXT: Final = "reject_text"
REJECT_COLUMNS: Final = (REJECT_LINE, REJECT_REASON, REJECT_TEXT)
UNREADABLE_BIRTHDATE: Final = "unreadable_birthdate"
"""The custom field that `on_bad_date=keep` stores instead of a birthdate."""
OnBadDate = Literal["reject", "keep"]


def command_line_option(name: str, value: str) -> str:
    """Return how a user of the command line writes an option."""
    return f"--{name.replace('_', '-')} {value}"


class Columns(NamedTuple):
    """The names of columns, each unique, and the indices of those that give a field.

    `whole` is a column of whole names: it is divided if `is_divided`, with `surname_count` surnames; otherwise it replaces missing names.
    `birth_parts` are the columns of year, month and day. `other_surname` is the column of the surname in rows without one.
    `is_export`: this service wrote the table.
    """

    names: tuple[str, ...]
    fields: dict[str, tuple[int, ...]]
    whole: int | None = None
    is_family_first: bool = False
    is_divided: bool = False
    birth_parts: tuple[int | None, int | None, int | None] | None = None
    other_surname: int | None = None
    surname_count: int = 1
    is_export: bool = False

    @property
    def sources(self) -> dict[str, tuple[str, ...]]:
        """The names of the columns of each field."""
        indices = dict(self.fields)
        if self.is_divided and self.whole is not None:
            indices |= {"person_name": (self.whole,), "person_surname": (self.whole,)}
        if self.birth_parts:
            indices["person_birthdate"] = tuple(index for index in self.birth_parts if index is not None)
        return {field: tuple(self.names[index] for index in indices[field]) for field in sorted(indices, key=_order)}


class ColumnMapping:
    """The options that map columns to fields.

    `mapping` gives the source of a field: one name, several names separated by commas or blanks, or "" for none. The values of several
    names are joined with spaces. `date_formats` are tried in order. `option` formats an option for the messages of an interface.
    """

    def __init__(
        self,
        mapping: Mapping[str, str] | None = None,
        date_formats: Sequence[str] = (),
        *,
        on_bad_date: OnBadDate = "reject",
        option: Callable[[str, str], str] = command_line_option,
    ) -> None:
        self._mapping = dict(mapping or {})
        self.date_formats = tuple(date_formats)
        self.on_bad_date = on_bad_date
        self.option = option

    def columns(self, names: Sequence[str], guessable: Collection[str] | None = None) -> Columns:
        """Assign columns to fields: those of the mapping, others by their headings (only `guessable` ones, if given).

        Raises InvalidInput for a missing column.
        """
        taken = {field: self._indices(field, source, names) for field, source in self._mapping.items()}
        if _is_export(names):
            own = {field: (names.index(field),) for field in FIELDS if field in names and field not in taken}
            return Columns(tuple(names), _used(taken) | own, is_export=True)
        guess = headings.guess([name if guessable is None or name in guessable else "" for name in names], taken)
        fields = guess.fields | _used(taken)
        whole, parts = guess.whole, guess.birth_parts
        if len(born := fields.get("person_birthdate", ())) > 1 and (
            found := headings.birth_parts([names[i] for i in born])
        ):
            year, month, day = (None if index is None else born[index] for index in found)
            parts = year, month, day
            del fields["person_birthdate"]
        is_divided = whole is not None and fields.keys().isdisjoint(("person_name", "person_surname"))
        if (name := fields.get("person_name")) and name == fields.get(
            "person_surname"
        ):  # the user confirmed the division
            is_divided, whole = True, name[0]
            del fields["person_name"], fields["person_surname"]
        is_family_first = headings.is_family_first(names, whole)
        count = 1 if whole is None else headings.surname_count(names[whole])
        return Columns(tuple(names), fields, whole, is_family_first, is_divided, parts, guess.other_surname, count)

    def dates(self, sample: Iterable[str] = (), heading: str = "") -> DateReader:
        """Return the reader of birthdates, which guesses their format from the column. Raises InvalidInput."""
        try:
            return DateReader(
                self.date_formats,
                self.option,
                sample=sample,
                heading=heading,
                usual_order=headings.usual_order(heading),
                is_own=not heading or heading in FIELDS,
            )
        except ValueError as error:
            raise InvalidInput(str(error)) from None

    def count(self, names: Sequence[str]) -> int:
        """Return how many fields the names of a possible header assign; 0 without a name of a person."""
        sources = [self._find(source, names) for source in self._mapping.values()]
        if any(None in indices for indices in sources):
            return 0
        try:
            columns = self.columns(names)
        except InvalidInput:
            return 0
        has_name = bool(columns.sources.keys() & {"person_name", "person_surname"})
        return len(columns.sources) + len(sources) if has_name else 0

    def has(self, field: str) -> bool:
        """Return whether the user assigned columns to a field."""
        return field in self._mapping

    def _indices(self, field: str, source: str, names: Sequence[str]) -> tuple[int, ...]:
        indices = self._find(source, names)
        if None in indices:
            raise InvalidInput(
                f"column {source!r} for {field} does not exist; columns: {', '.join(names)}",
                safe_message=f"a column of {self.option('map', f'{field}=…')} does not exist: name a column of the header",
            )
        return tuple(index for index in indices if index is not None)

    @staticmethod
    def _find(source: str, names: Sequence[str]) -> list[int | None]:
        return [names.index(name) if name in names else None for name in source_names(source, names)]

    def present(self, names: Sequence[str]) -> ColumnMapping:
        """Return the mapping without the fields of which an object has no source."""
        mapping = {
            field: ",".join(found)
            for field, source in self._mapping.items()
            if not source or (found := [name for name in source_names(source, names) if name in names])
        }
        return ColumnMapping(mapping, self.date_formats, on_bad_date=self.on_bad_date, option=self.option)


def source_names(text: str, names: Collection[str]) -> tuple[str, ...]:
    """Return the names of columns in the source of a field."""
    if text in names:  # a column name may contain blanks
        return (text,)
    return tuple(name.strip() for name in (text.split(",") if "," in text else text.split()))


def unique_names(header: Iterable[Any]) -> list[str]:
    """Return the names of the columns of a header: a repeated name gets a number, and an empty one that of its column."""
    names: dict[str, None] = {}
    numbers: dict[str, int] = {}  # of the last repetition of each name
    for index, cell in enumerate(header, start=1):
        name = " ".join(str(cell).split()) or f"Column {index}"
        unique, number = name, numbers.get(name, 1)
        while unique in names:
            number += 1
            unique = f"{name} {number}"
        names[unique], numbers[name] = None, number
    return list(names)


def _is_export(names: Collection[str]) -> bool:
    return all(name in names for name in READ_ONLY_FIELDS)


def _used(taken: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return {field: indices for field, indices in taken.items() if indices}


def _order(field: str) -> int:
    return FIELDS.index(field) if field in FIELDS else len(FIELDS)
