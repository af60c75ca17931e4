"""Birthdates of files: partial dates in the formats of an option, or in the format guessed from a whole column.

`date_cleanup` first removes the time of day and other additions from a text. `strptime_format` reads a text in a given format, and
`date_orders` reads three numbers and guesses their order. This module selects among them for each value.

An incomplete date stays incomplete, a year of two digits is never in the future, and the values that programs write for "none" are
not known. Results have the forms of `peopleinfo.people.birthdate`.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from peopleinfo.formats.date_cleanup import normal_date
from peopleinfo.formats.date_orders import ColumnOrder, read_numbers
from peopleinfo.formats.strptime_format import EXCEL, DateFormat, DateParts, in_past, month_number
from peopleinfo.people import birthdate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_BUDDHIST: Final = "may be a date of the Buddhist calendar: convert it to the Gregorian calendar"
_MAX_LENGTH: Final = 96  # characters of a date
_ISO_LENGTH: Final = 10
_MONTHS: Final = 12
_ISLAMIC_YEARS: Final = range(1300, 1450)  # of the last centuries, in the calendars of Iran and of Islam
_BUDDHIST_YEARS: Final = range(2400, 2600)
_FIRST_USUAL: Final = str(_ISLAMIC_YEARS.stop)
_FIRST_DAY: Final = date.min  # programs write this day for an unknown date
_NONE: Final = frozenset(
    (
        "", "null", "(null)", "<null>", "\\n", "nil", "none", "nan", "nat", "na", "n/a", "n.a.", "#n/a", "undefined", "unknown", "not known", "(blank)",
        "(empty)", "tbd", "tba", "tbc", "-", "--", "---", "_", "?", "??", "???", ".", "...", "x", "xx", "xxx", "*", "unbekannt", "nicht bekannt",
        "keine angabe", "k.a.", "k. a.", "inconnu", "inconnue", "non connu", "desconocido", "desconocida", "desconhecido", "sconosciuto",
        "sconosciuta", "onbekend", "okänd", "okänt", "ukendt", "ukjent", "tuntematon", "nieznany", "nieznana", "neznámý", "неизвестно", "невідомо",
        "nicht angegeben", "keine", "no data", "no date", "not provided", "not given", "not available", "not specified", "not applicable", "declined",
        "missing", "prefer not to say", "n.v.t.", "nvt", "s/d", "s.d.", "n.n.", "n.d.", "sin dato", "sin datos", "non renseigné", "non renseignée",
        "nr", "n.r.", "brak", "brak danych", "neuvedeno", "нет", "нет данных",
        "άγνωστο", "bilinmiyor", "غير معروف", "לא ידוע", "不明", "未知", "미상",
    )
)  # fmt: skip
# Only zeros and separators; the first day of the first year; the last day of all (SAP); and the zero of Excel, which it shows as a day of 1900.
_ZERO: Final = re.compile(
    r"[0\s./-]*|0{0,3}1[-/.]0?1[-/.]0?1|0?1[-/.]0?1[-/.]0{0,3}1|00010101|9999-12-31|31[/.]12[/.]9999|12/31/9999|99991231|1900-01-00|0?1/0?0/1900|0?0[/.]0?1[/.]1900",
    re.ASCII,
)
_ISO: Final = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?|--(\d{2})-?(\d{2})", re.ASCII)
_BASIC: Final = re.compile(r"(1[89]\d\d|20\d\d)(\d{2})(\d{2})", re.ASCII)
_DAY_AND_MONTH: Final = re.compile(r"(\d{1,2})\.\s*(\d{1,2})\.", re.ASCII)
_TWO_NUMBERS: Final = re.compile(r"(\d{1,2})/(\d{1,2})", re.ASCII)
_MONTH_AND_SHORT_YEAR: Final = re.compile(r"([^\W\d_]+)\.?[ -](?:3[2-9]|[4-9]\d)")
_CENTURY: Final = re.compile(r"'(?=\d\d\b)")
_MONTH_AND_YEAR: Final = re.compile(r"(\d{1,2})[-/.](\d{4})|(\d{4})[/.](\d{1,2})", re.ASCII)
_EAST_ASIAN: Final = re.compile(r"(\d{4})\s*[年년]\s*(\d{1,2})\s*[月월](?:\s*(\d{1,2})\s*[日일])?", re.ASCII)
_SERIAL: Final = re.compile(r"\d{5}(?:\.\d+)?", re.ASCII)
_WORD_FORMATS: Final = tuple(
    map(DateFormat, ("%d %b %Y", "%b %d %Y", "%Y %b %d", "%d %b %y", "%b %Y", "%Y %b", "%d %b"))
)
_SEPARATORS: Final = re.compile(r"(?:[\s,./-]|\bde\b|\bof\b|\bthe\b)+", re.IGNORECASE)
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
        usual_order: str | None = None,
        is_own: bool = False,
        today: date | None = None,
    ) -> None:
        """Guess the order from the heading or a sample of the column, else the usual one. Raises ValueError for an invalid format.

        `is_own` states that the values are dates of this service, which may have any year.
        """
        self.formats = tuple(formats)
        self._formats = [DateFormat(text) for text in formats]
        self._option = option
        self._today = today or birthdate.earliest_date(datetime.now(UTC))
        self.column = ColumnOrder(() if formats else map(normal_date, sample), self._today, heading, usual_order)
        self._is_own = is_own or bool(formats)
        self._cached = lru_cache(maxsize=16_384)(self._read)  # at most 4 MiB

    def is_usual(self, text: str) -> bool:
        """Return whether a text is a complete date of ISO 8601 that is its own result. Faster than `read`."""
        if len(text) != _ISO_LENGTH or self._formats or (text < _FIRST_USUAL and not self._is_own):
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
            found = self._parse(text)
        except UnreadableDate as error:
            return error
        if found and not self._is_own and found[:4].isdigit() and int(found[:4]) in _ISLAMIC_YEARS:
            return UnreadableDate(
                "may be a date of the Islamic or Persian calendar: convert it to the Gregorian calendar, "
                f"or set {self._option('date_format', '%Y-%m-%d')} if it is Gregorian"
            )
        return found

    def _parse(self, text: str) -> str | None:
        if text.lower() in _NONE:
            return None
        exact, text = unicodedata.normalize("NFKC", text), normal_date(text)
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
            if _TWO_NUMBERS.fullmatch(text):
                return self._day_and_month(text)
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
            if any(int(year) in _BUDDHIST_YEARS for year in re.findall(r"\d{4}", text)):
                raise UnreadableDate(_BUDDHIST)
            raise UnreadableDate("must be a day that exists in the calendar and is not in the future")
        if order in numbers.formats:
            raise UnreadableDate(f"is not in the format {numbers.formats[order]} of the other rows")
        if len(set(numbers.dates.values())) == 1:
            return next(iter(numbers.dates.values()))
        choices = " or ".join(self._option("date_format", choice) for choice in numbers.choices)
        raise UnreadableDate(f"can be read as more than one day: set {choices}")

    def _day_and_month(self, text: str) -> str | None:
        """Return a day without a year, unless its order is not known."""
        first, second = map(int, text.split("/"))
        if max(first, second) <= _MONTHS and first != second and self.column.known is None:
            choices = " or ".join(self._option("date_format", choice) for choice in ("%d/%m", "%m/%d"))
            raise UnreadableDate(f"may be a day without a year: set {choices}")
        is_day_first = first > _MONTHS or (second <= _MONTHS and self.column.known == "dmy")
        return self._checked(DateParts(0, second, first) if is_day_first else DateParts(0, first, second))

    def _checked(self, parts: DateParts) -> str | None:
        if not any(parts):
            return None
        text = parts.iso()
        if text is None:
            raise UnreadableDate("must not be a day without its month, or a month without its day and year")
        try:
            birthdate.check_not_future(text, self._today)
        except ValueError as error:
            if parts.year in _BUDDHIST_YEARS:
                raise UnreadableDate(_BUDDHIST) from None
            raise UnreadableDate(str(error)) from None
        return text


def _unambiguous(text: str, today: date) -> DateParts | None:
    """Read a date in which the parts have names, or an order of one convention only."""
    if match := _BASIC.fullmatch(text) or _EAST_ASIAN.fullmatch(text):
        return DateParts(*(int(part or 0) for part in match.groups()))
    if match := _MONTH_AND_YEAR.fullmatch(text):
        month, year, other_year, other_month = (int(part or 0) for part in match.groups())
        return DateParts(year or other_year, month or other_month, 0)
    if match := _DAY_AND_MONTH.fullmatch(text):
        return DateParts(0, int(match[2]), int(match[1]))
    text = _CENTURY.sub("", text)
    if (match := _MONTH_AND_SHORT_YEAR.fullmatch(text)) and (number := month_number(match[1])):
        return DateParts(1900 + int(text[-2:]), number, 0)
    words = _SEPARATORS.sub(" ", _ORDINAL.sub("", text)).strip()
    return next((parts for date_format in _WORD_FORMATS if (parts := date_format.read(words, today))), None)


def _number(text: str) -> int | None:
    """Return the number of a part of a date: 0 if it is not known, None if it is neither a number nor a month."""
    text = normal_date(text).removesuffix(".0")
    if text.lower() in _NONE:
        return 0
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else month_number(text)  # noqa: PLR2004
