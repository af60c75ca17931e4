"""Birthdates of files: partial dates in the formats of an option, or in the format guessed from a whole column.

An incomplete date stays incomplete, a year of two digits is never in the future, and the values that programs write for "none" are
not known. Results have the forms of `peopleinfo.people.birthdate`.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from peopleinfo.formats.date_formats import EXCEL, DateFormat, DateParts, in_past, month_number
from peopleinfo.formats.date_orders import ColumnOrder, read_numbers
from peopleinfo.people import birthdate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_MAX_LENGTH: Final = 64  # characters of a date
_ISO_LENGTH: Final = 10
_FIRST_DAY: Final = date.min  # programs write this day for an unknown date
_NONE: Final = frozenset(
    ("", "null", "(null)", "<null>", "\\n", "nil", "none", "nan", "nat", "na", "n/a", "#n/a", "undefined", "unknown", "-", "--", "?", "??", ".")
)  # fmt: skip
# Only zeros and separators; the first day of the first year; and the zero of Excel, which it shows as a day of 1900.
_ZERO: Final = re.compile(
    r"[0\s./-]*|0{0,3}1[-/.]0?1[-/.]0?1|0?1[-/.]0?1[-/.]0{0,3}1|00010101|1900-01-00|0?1/0?0/1900|0?0[/.]0?1[/.]1900",
    re.ASCII,
)
_TIME: Final = re.compile(
    r"[T ,]\s*\d{1,2}:\d{2}(?::\d{2}(?:[.,:]\d+)?)?\s*(?:[ap]\.?m\.?)?\s*(?:Z|UTC|GMT|[+-]\d{2}:?\d{2})?(?:\s*\[[^]]*\])?",
    re.ASCII | re.IGNORECASE,
)
_ISO: Final = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?|--(\d{2})-?(\d{2})", re.ASCII)
_BASIC: Final = re.compile(r"(1[89]\d\d|20\d\d)(\d{2})(\d{2})", re.ASCII)
_MONTH_AND_YEAR: Final = re.compile(r"(\d{1,2})[-/.](\d{4})|(\d{4})[/.](\d{1,2})", re.ASCII)
_EAST_ASIAN: Final = re.compile(r"(\d{4})\s*[年년]\s*(\d{1,2})\s*[月월](?:\s*(\d{1,2})\s*[日일])?", re.ASCII)
_SERIAL: Final = re.compile(r"\d{5}(?:\.\d+)?", re.ASCII)
_WORD_FORMATS: Final = tuple(map(DateFormat, ("%d %b %Y", "%b %d %Y", "%Y %b %d", "%d %b %y", "%b %Y", "%d %b")))
_SEPARATORS: Final = re.compile(r"(?:[\s,./-]|\bde\b|\bof\b)+", re.IGNORECASE)
_ORDINAL: Final = re.compile(r"(?<=\d)(?:st|[nr]d|th|er|º|ª)\b", re.IGNORECASE)


class UnreadableDate(ValueError):
    """The text is not a birthdate, or can be more than one. The message states the reason and the remedy."""


class DateReader:
    """Reads birthdates in the given formats, else in ISO 8601, else in the order of day and month of the column.

    `option` returns how the user of an interface writes an option with its value.
    """

    def __init__(
        self,
        formats: Sequence[str],
        option: Callable[[str, str], str],
        *,
        sample: Iterable[str] = (),
        heading: str = "",
        today: date | None = None,
    ) -> None:
        """Guess the order from the heading or a sample of the column. Raises ValueError for an invalid format."""
        self.formats = tuple(formats)
        self._formats = [DateFormat(text) for text in formats]
        self._option = option
        self._today = today or birthdate.earliest_date(datetime.now(UTC))
        self.column = ColumnOrder(() if formats else map(_normal, sample), self._today, heading)
        self._cached = lru_cache(maxsize=16_384)(self._read)  # at most 4 MiB

    def is_usual(self, text: str) -> bool:
        """Return whether a text is a complete date of ISO 8601 that is its own result. Faster than `read`."""
        if len(text) != _ISO_LENGTH or self._formats:
            return False
        try:
            days = birthdate.date_range(text)
        except ValueError:
            return False
        return days is not None and _FIRST_DAY < days[0] <= self._today

    def read(self, text: str) -> str | None:
        """Return the date of a text, or None if it is not known. Raises UnreadableDate."""
        text = text.strip()
        if len(text) > _MAX_LENGTH:
            raise UnreadableDate(f"is longer than {_MAX_LENGTH} characters")
        result = self._cached(text)
        if isinstance(result, UnreadableDate):
            raise result
        return result

    def read_parts(self, year: str, month: str, day: str) -> str | None:
        """Return the date of a year, a month (a number or a name) and a day. Raises UnreadableDate."""
        numbers = [_number(text) for text in (year, month, day)]
        if None in numbers:
            raise UnreadableDate("must be a year, a month and a day as numbers")
        parts = DateParts(*(number or 0 for number in numbers))
        return self._checked(in_past(parts, self._today) if 0 < parts.year < 100 else parts)  # noqa: PLR2004

    def _read(self, text: str) -> str | UnreadableDate | None:
        try:
            return self._parse(text)
        except UnreadableDate as error:
            return error

    def _parse(self, text: str) -> str | None:
        if text.lower() in _NONE:
            return None
        exact, text = unicodedata.normalize("NFKC", text), _normal(text)
        if _ZERO.fullmatch(text):
            return None
        for date_format in self._formats:
            if parts := date_format.read(exact, self._today) or date_format.read(text, self._today):
                return self._checked(parts)
        if match := _ISO.fullmatch(text):
            year, month, day, bare_month, bare_day = (int(part or 0) for part in match.groups())
            return self._checked(DateParts(year, month or bare_month, day or bare_day))
        if self._formats:
            raise UnreadableDate(f"is not in the format {' or '.join(one.text for one in self._formats)}")
        return self._guess(text)

    def _guess(self, text: str) -> str | None:
        if parts := _unambiguous(text, self._today):
            return self._checked(parts)
        if (numbers := read_numbers(text, self._today)) is None:
            if _SERIAL.fullmatch(text):
                raise UnreadableDate(f"may be a date of Excel: set {self._option('date_format', EXCEL)}")
            example = self._option("date_format", "%d/%m/%Y")
            raise UnreadableDate(
                f"must be a date like 1990-02-11, 1990-02, 1990 or --02-11, or set its format: {example}"
            )
        order = self.column.order
        if order in numbers.dates:
            return numbers.dates[order]
        if not numbers.dates:
            raise UnreadableDate("must be a day that exists in the calendar and is not in the future")
        if order in numbers.formats:
            raise UnreadableDate(f"is not in the format {numbers.formats[order]} of the other rows")
        if len(set(numbers.dates.values())) == 1:
            return next(iter(numbers.dates.values()))
        choices = " or ".join(self._option("date_format", choice) for choice in numbers.choices)
        raise UnreadableDate(f"can be read as more than one day: set {choices}")

    def _checked(self, parts: DateParts) -> str | None:
        if not any(parts):
            return None
        text = parts.iso()
        if text is None:
            raise UnreadableDate("must not be a day without its month, or a month without its day and year")
        try:
            birthdate.check_not_future(text, self._today)
        except ValueError as error:
            raise UnreadableDate(str(error)) from None
        return text


def _normal(text: str) -> str:
    """Return a date without a time of day, with ASCII digits."""
    text = text.strip()
    if not text.isascii():
        text = "".join(str(unicodedata.digit(c, c)) for c in unicodedata.normalize("NFKC", text))
    match = _TIME.search(text) if ":" in text else None
    return text[: match.start()].rstrip() if match and match.end() == len(text) else text


def _unambiguous(text: str, today: date) -> DateParts | None:
    """Read a date whose parts have names or an order that only one convention uses."""
    if match := _BASIC.fullmatch(text) or _EAST_ASIAN.fullmatch(text):
        return DateParts(*(int(part or 0) for part in match.groups()))
    if match := _MONTH_AND_YEAR.fullmatch(text):
        month, year, other_year, other_month = (int(part or 0) for part in match.groups())
        return DateParts(year or other_year, month or other_month, 0)
    words = _SEPARATORS.sub(" ", _ORDINAL.sub("", text)).strip()
    return next((parts for date_format in _WORD_FORMATS if (parts := date_format.read(words, today))), None)


def _number(text: str) -> int | None:
    """Return the number of a part of a date: 0 if it is not known, None if it is neither a number nor a month."""
    text = _normal(text).removesuffix(".0")
    if text.lower() in _NONE:
        return 0
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else month_number(text)  # noqa: PLR2004
