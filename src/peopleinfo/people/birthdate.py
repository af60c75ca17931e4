"""Partial birthdates: a full date, a month, a year, or a day of an unknown year.

Forms (ISO 8601, and `--MM-DD` as in RFC 6350): `1990-02-11`, `1990-02`, `1990`, `--02-11`.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date, datetime, timedelta
from functools import lru_cache

_FORMS = re.compile(r"(?:(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?|--(\d{2})-(\d{2}))", re.ASCII)
_EARLIEST_TIME_ZONE = timedelta(hours=14)  # UTC+14 (Kiribati), where each day starts first
_LEAP_YEAR = 2000  # makes --02-29 valid


@lru_cache(maxsize=65536)  # at most 16 MiB, because only valid dates are cached
def date_range(text: str) -> tuple[date, date] | None:
    """Return the first and last day of a partial date, for example 1990-02-01 and 1990-02-28; None if the year is unknown.

    Raises ValueError if `text` has another format or is not a calendar day.
    """
    match = _FORMS.fullmatch(text)
    if match is None:
        raise ValueError("must be a date like 1990-02-11, 1990-02, 1990 or --02-11")
    year, month, day, bare_month, bare_day = (int(part) if part else None for part in match.groups())
    if bare_month is not None and bare_day is not None:
        _calendar_day(_LEAP_YEAR, bare_month, bare_day)
        return None
    if year is None or year == 0:
        raise ValueError("must not be in the year 0000")
    if month is None:
        return date(year, 1, 1), date(year, 12, 31)
    if day is None:
        first = _calendar_day(year, month, 1)
        return first, first.replace(day=monthrange(year, month)[1])
    return (exact := _calendar_day(year, month, day)), exact


def check_not_future(text: str, today: date) -> None:
    """Raise ValueError unless `text` is a partial date that starts on or before `today`."""
    days = date_range(text)
    if days is not None and days[0] > today:
        raise ValueError("must not be in the future")


def earliest_date(now: datetime) -> date:
    """Return the current date in the earliest time zone, so that no client's current date counts as the future."""
    return (now + _EARLIEST_TIME_ZONE).date()


def _calendar_day(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        raise ValueError("must be a day that exists in the calendar") from None
