"""Values of cells in .xlsx workbooks as text: dates by their number format, numbers, escaped characters."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Final

_ESCAPED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")
_LITERALS: Final = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]|am/pm|a/p')
_MINUTES: Final = re.compile(r"(?<=h)\W*m+|m+(?=\W*s)")
_FRACTION: Final = re.compile(r"s[.,]0+")
_PLACEHOLDER: Final = re.compile(r"[0#?]")
_ZEROS: Final = re.compile(r"00+")
_DATE_PARTS: Final = (("y", {"y", "e", "b"}), ("m", {"m"}), ("d", {"d"}))
_TEXT_FORMATS: Final = frozenset(("", "@", "standard"))
_MAX_SERIAL: Final = 2_958_466  # 10000-01-01
_LEAP_DAY: Final = 60  # the serial of 1900-02-29, a day that never existed
_DAY_SECONDS: Final = 86_400
_FIRST_TYPED_YEAR: Final = 2000  # a spreadsheet program adds the current year to 11/5, and shows 5-Nov
_MAX_EXACT: Final = 10**15  # a larger number has lost digits in the workbook

GENERAL: Final = ""
# Number formats without a code in the workbook (ECMA-376, 18.8.30), as letters of the parts that they show.
BUILT_IN: Final = {
    **dict.fromkeys((14, 15, *range(27, 32), 36, *range(50, 55), 57, 58), "ymd"),
    16: "md",
    17: "ym",
    **dict.fromkeys((18, 19, 20, 21, 32, 33, 34, 35, 45, 46, 47, 55, 56), "t"),
    22: "ymdt",
}


def parts_of(code: str) -> str:
    """Return the parts of a date that a number format shows, for example ymd or ymdt; the zeros of a format like 00000; else nothing."""
    code = _LITERALS.sub("", code.partition(";")[0].lower())
    if _ZEROS.fullmatch(code):
        return code
    code = _MINUTES.sub("t", _FRACTION.sub("s", code))
    if _PLACEHOLDER.search(code) or code.startswith("general"):
        return GENERAL
    date_parts = "".join(part for part, letters in _DATE_PARTS if letters & set(code))
    return date_parts + "t" * bool(set("hst") & set(code)) if code not in _TEXT_FORMATS else GENERAL


def unescaped(text: str) -> str:
    """Return a text without the escapes of characters that XML cannot contain, for example _x000D_."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


def number_text(text: str, shown: str, *, is_1904: bool) -> str:
    """Return a number as text: as an ISO date if its format shows parts of a date, else without a superfluous `.0`."""
    if shown and shown[0] != "0":
        return _date_text(text, shown, is_1904=is_1904)
    if not text.isdigit():
        number = float(text)
        text = str(int(number)) if number.is_integer() and abs(number) < _MAX_EXACT else repr(number)
    return text.zfill(len(shown)) if shown else text


def _date_text(text: str, shown: str, *, is_1904: bool) -> str:
    serial = float(text)
    if not 0 <= serial < _MAX_SERIAL:
        return text
    days, seconds = divmod(round(serial * _DAY_SECONDS), _DAY_SECONDS)
    if shown == "t":
        return _time_text(days * _DAY_SECONDS + seconds)
    time = f"T{_time_text(seconds)}" if seconds else ""
    if not is_1904 and days in (0, _LEAP_DAY):
        return ("1900-02-29" if days else "0000-00-00") + time
    start = date(1904, 1, 1) if is_1904 else date(1899, 12, 30 if days > _LEAP_DAY else 31)
    return _visible_parts(start + timedelta(days=days), shown) + time


def _time_text(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}"


def _visible_parts(day: date, shown: str) -> str:
    """Return a date without the parts that a program adds to an incomplete date, and that the cell does not show."""
    if shown == "md" and day.year >= _FIRST_TYPED_YEAR:
        return f"--{day:%m-%d}"
    if shown == "ym" and day.day == 1:
        return day.isoformat()[:7]
    if shown == "y" and (day.month, day.day) == (1, 1):
        return day.isoformat()[:4]
    return day.isoformat()
