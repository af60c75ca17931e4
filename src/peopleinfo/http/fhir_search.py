"""Search parameters of FHIR for patients: their syntax, and the comparison of a record with them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from peopleinfo.errors import FieldError, InvalidSearch
from peopleinfo.http.fhir_documents import FIELD_SYSTEM, SEARCH_PARAMETERS
from peopleinfo.http.search_params import LIMIT, MAX_LIMIT
from peopleinfo.people import birthdate, strict_json
from peopleinfo.people.fields import MAX_NAME_LENGTH
from peopleinfo.people.folding import fold
from peopleinfo.people.identifiers import is_same, keys_of, phone_digits, values_of
from peopleinfo.people.person import decode_stored
from peopleinfo.people.person_filter import PersonFilter, Search
from peopleinfo.people.text_query import Query, Term

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    Days = tuple[date, date]

_RESULT_PARAMETERS: Final = ("_count", "_format", "_pretty")
_REPEATABLE: Final = ("birthdate", "given")
# Native filters of the same fields.
_FILTERED_AS: Final = {"family": "surname", "given": "name", "birthdate": "born_from"}
_EXACT: Final = "exact"
_DATE: Final = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb)?(\d{4}(?:-\d\d(?:-\d\d)?)?)", re.ASCII)
_COUNT: Final = re.compile(r"\d{1,9}", re.ASCII)
_LIST: Final = re.compile(r"(?<!\\),")
_ESCAPED: Final = re.compile(r"\\([\\,$|])")
_MAX_PHONE: Final = 20


class Condition(NamedTuple):
    """A search parameter with its modifier and its value, for example `family:exact=Müller`."""

    name: str
    modifier: str
    value: str

    @property
    def text(self) -> str:
        """The parameter and its modifier."""
        return f"{self.name}:{self.modifier}" if self.modifier else self.name


class PatientSearch(NamedTuple):
    """A search for patients: its conditions, the size of a page and the parameters that it ignores."""

    conditions: tuple[Condition, ...]
    limit: int
    ignored: tuple[str, ...] = ()

    @property
    def filters(self) -> list[str]:
        """The native filters that reveal the same fields."""
        return [_FILTERED_AS[one.name] for one in self.conditions if one.name in _FILTERED_AS]

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The parameters of the search in the form of a query."""
        return [*((one.text, one.value) for one in self.conditions), ("_count", str(self.limit))]

    def one(self, name: str) -> Condition | None:
        """Return the condition of a parameter that occurs once."""
        return next((one for one in self.conditions if one.name == name), None)


def parse_search(params: Iterable[tuple[str, str]], *, strict: bool) -> PatientSearch:
    """Parse the parameters of a search. With `strict`, unknown parameters are errors. Raises InvalidSearch with all errors."""
    errors: list[FieldError] = []
    conditions: list[Condition] = []
    ignored: list[str] = []
    limit = LIMIT
    for text, value in params:
        name, _, modifier = text.partition(":")
        if text == "_count":
            limit = _count(value, errors)
        elif name in SEARCH_PARAMETERS:
            conditions.append(Condition(name, modifier, value))
        elif text not in _RESULT_PARAMETERS:
            ignored.append(text)
    if strict:
        known = ", ".join((*SEARCH_PARAMETERS, *_RESULT_PARAMETERS))
        errors += [FieldError(name, f"is not supported; known parameters are {known}") for name in ignored]
    errors += [error for one in conditions for error in _condition_errors(one)]
    names = [one.name for one in conditions if one.name not in _REPEATABLE]
    errors += [FieldError(name, "must be given once") for name in dict.fromkeys(names) if names.count(name) > 1]
    if errors:
        raise InvalidSearch(errors)
    unescaped = (one._replace(value=_ESCAPED.sub(r"\1", one.value)) for one in conditions)
    return PatientSearch(tuple(unescaped), limit, tuple(ignored))


def _count(value: str, errors: list[FieldError]) -> int:
    if not _COUNT.fullmatch(value) or not int(value):
        errors.append(FieldError("_count", f"must be a whole number from 1 to {MAX_LIMIT}"))
        return LIMIT
    return min(int(value), MAX_LIMIT)


def _condition_errors(one: Condition) -> list[FieldError]:
    is_text = SEARCH_PARAMETERS[one.name] == "string"
    if one.modifier and not (is_text and one.modifier == _EXACT):
        return [FieldError(one.text, f"has the modifier {one.modifier}, which is not supported")]
    if not one.value.strip():
        return [FieldError(one.text, "must not be empty")]
    if len(one.value) > MAX_NAME_LENGTH:
        return [FieldError(one.text, f"must not be longer than {MAX_NAME_LENGTH} characters")]
    if _LIST.search(one.value):
        return [FieldError(one.text, r"must have one value: alternatives are not supported; send a comma as \,")]
    if one.name == "birthdate" and _days(one.value) is None:
        return [
            FieldError(
                one.text, "must be a date like 1990-02-11, 1990-02 or 1990, with eq, ne, gt, lt, ge, le, sa or eb"
            )
        ]
    return []


def _days(value: str) -> tuple[str, Days] | None:
    """Return the comparison and the days of a date parameter, None if it is invalid."""
    found = _DATE.fullmatch(value)
    try:
        days = birthdate.date_range(found[2]) if found else None
    except ValueError:
        return None
    return (found[1] or "eq", days) if found and days else None


class _Compared(msgspec.Struct):
    person_name: str | None = None
    person_surname: str | None = None
    person_birthdate: str | None = None


_decode: Final = msgspec.json.Decoder(_Compared).decode
Check = Callable[[_Compared], bool]


class PatientFilter(PersonFilter):
    """The comparison of a record with a search. `finds_prefixes`: the store can find the start of a surname."""

    def __init__(self, search: PatientSearch, *, finds_prefixes: bool) -> None:
        """Raise InvalidSearch for an invalid name."""
        family = search.one("family")
        is_exact = bool(family and family.modifier)
        surname = family.value if family else None
        is_whole = is_exact or not finds_prefixes
        super().__init__(Search(surname=surname) if is_whole else Search(surname_prefix=surname))
        self.needs_row_check = bool(search.conditions)
        self._conditions = search
        self._finds_prefixes = finds_prefixes
        self._checks = [_CHECKS[one.name](one) for one in search.conditions if one.name in _CHECKS]

    @property
    def fingerprint(self) -> bytes:
        """Bytes that are unique to this search."""
        return strict_json.encode(["fhir", self._finds_prefixes, self._conditions.conditions])

    def matches(self, body: bytes) -> bool:
        """Return whether a record matches the search. Raises StoreDamaged."""
        person = decode_stored(_decode, body)
        return all(check(person) for check in self._checks)


def _family_check(one: Condition) -> Check:
    is_text = _text_check(one)
    return lambda person: is_text([person.person_surname or ""])


def _given_check(one: Condition) -> Check:
    is_text = _text_check(one)
    return lambda person: is_text([name := person.person_name or "", *name.split()])


def _text_check(one: Condition) -> Callable[[Iterable[str]], bool]:
    if one.modifier == _EXACT:
        return lambda values: one.value in values
    key = fold(one.value)
    return lambda values: any(fold(value).startswith(key) for value in values)


def _birthdate_check(one: Condition) -> Check:
    compared = _days(one.value)

    def check(person: _Compared) -> bool:
        try:
            born = birthdate.date_range(person.person_birthdate or "")
        except ValueError:  # no birthdate, or text of POST /data
            return False
        return bool(compared and born and _COMPARISONS[compared[0]](compared[1], born))

    return check


def _contains(value: Days, born: Days) -> bool:
    return value[0] <= born[0] and born[1] <= value[1]


# FHIR R4, "search", prefixes of ordered values: the range of the parameter, then that of the record.
_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "eq": _contains,
    "ne": lambda value, born: not _contains(value, born),
    "gt": lambda value, born: born[1] > value[1],
    "lt": lambda value, born: born[0] < value[0],
    "ge": lambda value, born: born[1] > value[1] or _contains(value, born),
    "le": lambda value, born: born[0] < value[0] or _contains(value, born),
    "sa": lambda value, born: born[0] > value[1],
    "eb": lambda value, born: born[1] < value[0],
}
_CHECKS: Final[dict[str, Callable[[Condition], Check]]] = {
    "family": _family_check,
    "given": _given_check,
    "birthdate": _birthdate_check,
}


class Identifier(NamedTuple):
    """A value of an identifier to search for, and the custom fields that may contain it."""

    value: str
    fields: tuple[str, ...]

    @property
    def query(self) -> Query:
        """The search in the index of identifiers."""
        phone = phone_digits(self.value) if len(self.value) <= _MAX_PHONE else ""
        keys = dict.fromkeys(key for name in self.fields for key in keys_of(name, self.value))
        return Query((Term((), phone=phone, identifiers=tuple(keys)),))

    def is_of(self, fields: Mapping[str, Any]) -> bool:
        """Return whether a record has the identifier."""
        return any(is_same(name, self.value, value) for name, value in values_of(fields, self.fields))


def parse_identifier(token: str, known: Sequence[str]) -> Identifier:
    """Parse `system|value`, `|value` or `value`; a system names one of the `known` custom fields, or none."""
    system, has_system, value = token.rpartition("|")
    if not has_system:
        return Identifier(value, tuple(known))
    return Identifier(value, tuple(name for name in known if system == FIELD_SYSTEM + name))
