"""Dates in the usual notations of a query, as partial ISO dates: `1984`, `1984-11`, `1984-11-05` or `--11-05`."""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from typing import TYPE_CHECKING, Final

from peopleinfo.people import birthdate
from peopleinfo.people.folding import fold
from peopleinfo.people.month_names import QUERY_MONTHS

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIRST_YEAR, _LAST_YEAR = 1800, 2100
_CENTURIES: Final = (1900, 2000)  # of a year with two digits
_SEPARATOR: Final = r"[\s./\-]{1,3}"
_YEAR_FIRST: Final = re.compile(
    rf"(\d{{4}})(?:{_SEPARATOR}|[年년]\s?)(\d{{1,2}})(?:(?:{_SEPARATOR}|[月월]\s?)(\d{{1,2}}))?[日月일월.]?"
)
_YEAR_LAST: Final = re.compile(rf"(\d{{1,2}}){_SEPARATOR}(\d{{1,2}}){_SEPARATOR}(\d{{4}}|\d{{2}})\.?")
_MONTH_YEAR: Final = re.compile(rf"(\d{{1,2}}){_SEPARATOR}(\d{{4}})")
_DAY_MONTH: Final = re.compile(r"(\d{1,2})\.\s?(\d{1,2})\.")
_COMPACT: Final = re.compile(r"(\d{4})(\d{2})(\d{2})")
_YEAR: Final = re.compile(r"(\d{4})[年년]?")
_ERA_YEAR: Final = re.compile(r"(\w\w)(\d{1,2})(?=年)")
_YEAR_BEFORE_ERA: Final = {"明治": 1867, "大正": 1911, "昭和": 1925, "平成": 1988, "令和": 2018}
_ORDINAL: Final = r"(?:st|nd|rd|th|er|\.|º|ª)?"
_WORD: Final = r"([^\W\d_]{3,12})\.?"
_OF: Final = r"(?:\s+(?:de|of|del))?"
_DAY_NAME_YEAR: Final = re.compile(rf"(\d{{1,2}}){_ORDINAL}{_OF}[\s\-]*{_WORD}{_OF}[\s,\-]*(\d{{4}}|\d{{2}}(?!\d))")
_NAME_DAY_YEAR: Final = re.compile(rf"{_WORD}\s+(\d{{1,2}}){_ORDINAL}[\s,]+(\d{{4}})")
# Not a name before a complete date.
_NAME_YEAR: Final = re.compile(rf"{_WORD}{_OF}[\s,]+(\d{{4}})(?![-./]\d)")
_DAY_NAME: Final = re.compile(rf"(\d{{1,2}}){_ORDINAL}{_OF}[\s\-]*{_WORD}")
NAMED_DATE: Final = re.compile("|".join(re.sub(r"\((?!\?)", "(?:", form.pattern) for form in (_DAY_NAME_YEAR, _NAME_DAY_YEAR, _NAME_YEAR, _DAY_NAME)))  # fmt: skip
"""A date with the name of a month, within a text."""


def parse_dates(text: str) -> list[str]:
    """Return the partial ISO dates that a text can mean, the most likely first; empty if it is no date.

    `05/11/1984` can mean November 5 and May 11, and `05.11.84` can mean 1984 and 2084.
    """
    text = _without_era(unicodedata.normalize("NFKC", text).strip(" ,;()"))
    return list(dict.fromkeys(found for parts in _readings(text) if (found := _iso(*parts))))


def stored_dates(text: str) -> list[str]:
    """Return the readings of the birthdate of a record: partial ISO, or any text (`POST /data` accepts it)."""
    try:
        birthdate.date_range(text)
    except ValueError:
        return parse_dates(text)
    return [text]


def includes(query: str, stored: str) -> bool:
    """Return whether a date of a query, which may lack day and month or the year, includes the date of a record."""
    return stored == query or stored.startswith(f"{query}-") or (query.startswith("--") and stored[4:] == query[1:])


def _readings(text: str) -> Iterator[tuple[int | None, int | None, int | None]]:
    """Yield year, month and day of each reading."""
    if found := _YEAR_FIRST.fullmatch(text) or _COMPACT.fullmatch(text):
        yield int(found[1]), int(found[2]), int(found[3]) if found[3] else None
    if found := _YEAR_LAST.fullmatch(text):
        first, second = int(found[1]), int(found[2])
        for full in _full_years(found[3]):
            yield full, second, first
            if "." not in text:
                yield full, first, second
    if found := _MONTH_YEAR.fullmatch(text):
        yield int(found[2]), int(found[1]), None
    if found := _DAY_MONTH.fullmatch(text):
        yield None, int(found[2]), int(found[1])
    if (found := _YEAR.fullmatch(text)) and _FIRST_YEAR <= int(found[1]) <= _LAST_YEAR:
        yield int(found[1]), None, None
    yield from _named(text)


def _named(text: str) -> Iterator[tuple[int | None, int | None, int | None]]:
    if (found := _DAY_NAME_YEAR.fullmatch(text)) and (month := QUERY_MONTHS.get(fold(found[2]))):
        yield from ((year, month, int(found[1])) for year in _full_years(found[3]))
    if (found := _NAME_DAY_YEAR.fullmatch(text)) and (month := QUERY_MONTHS.get(fold(found[1]))):
        yield int(found[3]), month, int(found[2])
    if (found := _NAME_YEAR.fullmatch(text)) and (month := QUERY_MONTHS.get(fold(found[1]))):
        yield int(found[2]), month, None
    if (found := _DAY_NAME.fullmatch(text)) and (month := QUERY_MONTHS.get(fold(found[2]))):
        yield None, month, int(found[1])


def _full_years(digits: str) -> list[int]:
    return [int(digits)] if len(digits) == 4 else [century + int(digits) for century in _CENTURIES]  # noqa: PLR2004 - digits


def _without_era(text: str) -> str:
    """Return a text with the year of a Japanese era as a year of the common era, for example 1979年 for 昭和54年."""
    found = _ERA_YEAR.match(text)
    if found is None or found[1] not in _YEAR_BEFORE_ERA:
        return text
    return f"{_YEAR_BEFORE_ERA[found[1]] + int(found[2])}{text[found.end() :]}"


def _iso(year: int | None, month: int | None, day: int | None) -> str | None:
    """Return the partial date, or None unless the calendar has it."""
    try:
        date(year or 2000, month or 1, day or 1)
    except ValueError:
        return None
    parts = [f"{year:04d}" if year else "-", *(f"{part:02d}" for part in (month, day) if part)]
    return "-".join(parts)
