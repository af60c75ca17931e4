"""Date formats in the notation of strptime, for dates that may lack the day or the year."""

from __future__ import annotations

import re
import unicodedata
from datetime import date, timedelta
from typing import Final, NamedTuple

from peopleinfo.people.month_names import FILE_MONTHS

EXCEL: Final = "excel"
_EXCEL_EPOCH: Final = date(1899, 12, 30)  # of all days after 1900-02-29, which Excel counts although it did not exist
_EXCEL_LEAP_DAY: Final = 60
_SERIAL: Final = re.compile(
    r"(?!\d{1,2}[.,]\d{3}$)(\d{1,7})(?:[.,]\d+)?", re.ASCII
)  # not 32.874, a number with a separator
_ABBREVIATIONS: Final = {"%-": "%", "%#": "%", "%F": "%Y-%m-%d", "%T": "%H:%M:%S", "%R": "%H:%M", "%e": "%d"}
_WORD: Final = r"[^\W\d_]+\.?"
_ONE_OR_TWO, _TWO = r"\d{1,2}", r"\d{2}"
_DIRECTIVES: Final = {
    "d": _ONE_OR_TWO, "m": _ONE_OR_TWO, "Y": r"\d{4}", "y": _TWO, "b": _WORD, "B": _WORD, "a": _WORD, "A": _WORD, "H": _ONE_OR_TWO,
    "I": _ONE_OR_TWO, "M": _ONE_OR_TWO, "S": _ONE_OR_TWO, "f": r"\d{1,6}", "p": r"[ap]\.?m\.?", "z": r"[+-]\d{2}:?\d{2}|Z", "Z": r"[A-Z]{1,5}",
}  # fmt: skip
_NUMERIC: Final = frozenset("dmYyHIMSf")
_PARTS: Final = {"d": "day", "m": "month", "b": "month", "B": "month", "Y": "year", "y": "year"}
_COMPLETE: Final = ({"year", "month", "day"}, {"year", "month"}, {"year"}, {"month", "day"})
_MIN_MONTH_LENGTH: Final = 3  # letters of an abbreviated month


class DateParts(NamedTuple):
    """A year, month and day; 0 is not known. The year may have two digits."""

    year: int
    month: int
    day: int

    def iso(self) -> str | None:
        """Return the partial date in ISO 8601; None if a part between two others, or around one, is missing."""
        year, month, day = self
        if year and not (day and not month):
            return f"{year:04}" + (f"-{month:02}" if month else "") + (f"-{day:02}" if day else "")
        return f"--{month:02}-{day:02}" if month and day else None


def in_past(parts: DateParts, today: date) -> DateParts:
    """Complete a year of two digits: the latest one that is not in the future."""
    recent = parts._replace(year=2000 + parts.year)
    return recent if recent <= (today.year, today.month, today.day) else parts._replace(year=1900 + parts.year)


class DateFormat:
    """A format such as `%d/%m/%Y`, `%m/%Y`, `%d %B` or `excel`. Raises ValueError if it cannot describe a partial date.

    Without separators, a number has exactly its digits: `%Y%m%d` reads eight digits.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._is_excel = text.lower() == EXCEL
        self._pattern = _compile(text) if not self._is_excel else _SERIAL
        self._is_short = "%y" in text

    def read(self, text: str, today: date) -> DateParts | None:
        """Return the parts of a date in this format, not yet checked against the calendar; None for other text."""
        match = self._pattern.fullmatch(text)
        if match is None:
            return None
        if self._is_excel:
            return _from_serial(int(match[1]))
        groups = match.groupdict()
        month = groups.get("month") or "0"
        number = int(month) if month.isdigit() else month_number(month)
        if number is None:
            return None
        parts = DateParts(int(groups.get("year") or 0), number, int(groups.get("day") or 0))
        return in_past(parts, today) if self._is_short and any(parts) else parts


def month_number(name: str) -> int | None:
    """Return the number of a month from its name or an unambiguous abbreviation, in the languages of `FILE_MONTHS`."""
    letters = _letters(name).rstrip(".")
    if letters in _MONTHS:
        return _MONTHS[letters]
    found = {number for full, number in _MONTHS.items() if full.startswith(letters)}
    return found.pop() if len(letters) >= _MIN_MONTH_LENGTH and len(found) == 1 else None


def _letters(name: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(c))


_MONTHS: Final = {_letters(name): number for name, number in FILE_MONTHS.items()}


def _compile(text: str) -> re.Pattern[str]:
    expanded = text
    for short, long in _ABBREVIATIONS.items():
        expanded = expanded.replace(short, long)
    tokens = re.findall(r"%.|\s+|[^%\s]|%", expanded, re.DOTALL)
    named: set[str] = set()
    pattern = ""
    for index, token in enumerate(tokens):
        neighbours = (tokens[index - 1] if index else "", *tokens[index + 1 : index + 2])
        pattern += _token_pattern(token, named, is_adjacent=any(map(_is_numeric, neighbours)))
    if "%" not in text:
        raise ValueError(f"date format {text!r} must have directives, for example %d/%m/%Y for dd/mm/yyyy")
    if named not in _COMPLETE:
        raise ValueError(
            f"date format {text!r} must contain a year, a year and a month, a full date, or a month and a day"
        )
    return re.compile(
        pattern, re.IGNORECASE | re.ASCII if pattern.isascii() and _WORD not in pattern else re.IGNORECASE
    )


def _token_pattern(token: str, named: set[str], *, is_adjacent: bool) -> str:
    if token.isspace():
        return r"\s+"
    if not token.startswith("%") or token[1:] == "%":
        return re.escape(token[-1])
    directive = token[1:]
    if directive not in _DIRECTIVES:
        raise ValueError(f"date format has the unknown directive {token!r}: use %d, %m, %b, %Y, %y, or {EXCEL}")
    pattern = _TWO if is_adjacent and _DIRECTIVES[directive] == _ONE_OR_TWO else _DIRECTIVES[directive]
    part = _PARTS.get(directive)
    if part in named:
        raise ValueError(f"date format contains the {part} twice")
    if part:
        named.add(part)
    return f"(?P<{part}>{pattern})" if part else f"(?:{pattern})"


def _is_numeric(token: str) -> bool:
    return token.startswith("%") and token[1:] in _NUMERIC


def _from_serial(number: int) -> DateParts | None:
    if number == _EXCEL_LEAP_DAY:
        return None
    try:
        day = _EXCEL_EPOCH + timedelta(number + (number < _EXCEL_LEAP_DAY))
    except OverflowError:
        return None
    return DateParts(day.year, day.month, day.day)
