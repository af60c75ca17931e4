"""Dates of three numbers, with a guess of the order of day, month and year."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.formats.strptime_format import DateParts, in_past
from peopleinfo.people import birthdate

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

_NUMBERS: Final = re.compile(r"(\d{1,4})\s*([-/. ])\s*(\d{1,2})\s*\2\s*(\d{1,4})\.?", re.ASCII)
_TWO_NUMBERS: Final = re.compile(r"(\d{1,2})/(\d{1,2})", re.ASCII)
_MONTHS: Final = 12
_FORMATS: Final = {"dmy": "%d{0}%m{0}{1}", "mdy": "%m{0}%d{0}{1}", "ymd": "{1}{0}%m{0}%d"}


# Day, month and year as letters of many languages: DD/MM/YYYY, TT.MM.JJJJ, GG/AA/YYYY. Each part repeats one letter.
_LETTER: Final = "[dtjgmyavkpräåéhnдмгрηµμε]"  # noqa: RUF001
NOTATION: Final = re.compile(
    rf"(?<![^\W\d_])({_LETTER})\1{{0,3}}([-/. ])({_LETTER})\3{{0,3}}\2({_LETTER})\4{{0,3}}(?![^\W\d_])", re.IGNORECASE
)
_MONTH_LETTERS: Final = frozenset("mмμµk")


class Numbers(NamedTuple):
    """A date of three numbers: the valid date for each order in which it can be read, and the format of each order."""

    dates: dict[str, str]
    formats: dict[str, str]

    @property
    def choices(self) -> list[str]:
        """The formats that give a valid date."""
        return [self.formats[order] for order in self.dates]


def read_numbers(text: str, today: date) -> Numbers | None:
    """Return the dates that three numbers can denote; None for other text."""
    match = _NUMBERS.fullmatch(text)
    if match is None:
        return None
    first, separator, second, third = match.groups()
    one, two, three = int(first), int(second), int(third)
    is_long = max(len(first), len(third)) > 2  # noqa: PLR2004
    parts = {"dmy": DateParts(three, two, one), "mdy": DateParts(three, one, two), "ymd": DateParts(one, two, three)}
    orders = _orders(first, separator, is_long=is_long)
    formats = {order: _FORMATS[order].format(separator, "%Y" if is_long else "%y") for order in orders}
    dates = {order: day for order in orders if (day := _valid(parts[order], today, has_century=is_long))}
    return Numbers(dates, formats)


def _order_without_year(text: str) -> str | None:
    """Return the order of a day and a month such as 25/12, or None if both can be the month."""
    match = _TWO_NUMBERS.fullmatch(text)
    if match is None:
        return None
    first, second = int(match[1]), int(match[2])
    if (first > _MONTHS) == (second > _MONTHS):
        return None
    return "dmy" if first > _MONTHS else "mdy"


def _orders(first: str, separator: str, *, is_long: bool) -> tuple[str, ...]:
    if len(first) > 2:  # noqa: PLR2004
        return ("ymd",)
    if separator == ".":  # with periods, only the order day, month, year is in use
        return ("dmy",)
    return ("dmy", "mdy") if is_long else ("dmy", "mdy", "ymd")


def _valid(parts: DateParts, today: date, *, has_century: bool) -> str | None:
    text = (parts if has_century else in_past(parts, today)).iso()
    try:
        if text:
            birthdate.check_not_future(text, today)
    except ValueError:
        return None
    return text


def order_of(heading: str) -> str | None:
    """Return the order that a heading such as `Birthdate (MM/DD/YYYY)` or `Geburtsdatum TT/MM/JJJJ` states, or None."""
    match = NOTATION.search(heading)
    if match is None:
        return None
    first, second, third = match[0].lower().split(match[2])
    if first.startswith("y") or len(first) > len(third):
        return "ymd"
    first, second = first[0], second[0]
    # The Turkish day and month are gg and aa.
    if second in _MONTH_LETTERS or (first, second) == ("g", "a"):
        return "dmy"
    return "mdy" if first in _MONTH_LETTERS else None


class ColumnOrder:
    """The order of a column: that of its heading, else that of the values which can be read in one order only, if they agree.

    Without such values, `known` is None and the order is the usual one; `is_assumed` is true if a value needs it. `formats` describes
    the dates of numbers in the column. `choices` is not empty if the order is needed but not known.
    """

    def __init__(self, sample: Iterable[str], today: date, heading: str = "", usual: str | None = None) -> None:
        texts = list(sample)
        found = [numbers for text in texts if (numbers := read_numbers(text, today))]
        evidence = {order for one in found if len(one.formats) > 1 and len(one.dates) == 1 for order in one.dates}
        evidence |= {order for text in texts if (order := _order_without_year(text))}
        self.known = order_of(heading) or (next(iter(evidence)) if len(evidence) == 1 else None)
        self.order = self.known or (None if evidence else usual)
        formats = Counter(text for one in found if (text := self._format(one)))
        ambiguous = Counter(tuple(one.choices) for one in found if len(set(one.dates.values())) > 1)
        self.formats = tuple(text for text, _ in formats.most_common())
        self.is_assumed = bool(ambiguous) and self.known is None and self.order is not None
        self.choices = ambiguous.most_common(1)[0][0] if ambiguous and self.order is None else ()

    def _format(self, numbers: Numbers) -> str | None:
        if len(numbers.dates) == 1:
            return numbers.choices[0]
        return numbers.formats.get(self.order or "")
