"""Partial birthdates: a full date, a month, a year, or a day whose year nobody knows.

Forms (ISO 8601, and `--MM-DD` as in RFC 6350): `1990-02-11`, `1990-02`, `1990`, `--02-11`.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date
from functools import lru_cache

_FORMS = re.compile(r"(?:(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?|--(\d{2})-(\d{2}))", re.ASCII)
_LEAP_YEAR = 2000  # --02-29 is a day that exists


@lru_cache(maxsize=65536)  # at most 16 MiB, as only valid texts are remembered
def date_range(text: str) -> tuple[date, date] | None:
    """Return the first and the last day that a partial date can mean, or None when its year is not known.

    Raises ValueError with the reason when `text` has none of the forms or names no day of the calendar.
    """
    match = _FORMS.fullmatch(text)
    if match is None:
        raise ValueError("must be a date like 1990-02-11, 1990-02, 1990 or --02-11")
    year, month, day, bare_month, bare_day = (int(part) if part else None for part in match.groups())
    if bare_month is not None and bare_day is not None:
        _real_day(_LEAP_YEAR, bare_month, bare_day)
        return None
    if year is None or year == 0:
        raise ValueError("there is no year 0000")
    if month is None:
        return date(year, 1, 1), date(year, 12, 31)
    if day is None:
        first = _real_day(year, month, 1)
        return first, first.replace(day=monthrange(year, month)[1])
    return (exact := _real_day(year, month, day)), exact


def check_not_future(text: str, today: date) -> None:
    """Raise ValueError with the reason unless `text` is a partial date that has begun by `today`."""
    days = date_range(text)
    if days is not None and days[0] > today:
        raise ValueError("lies in the future")


def _real_day(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        raise ValueError("there is no such day in the calendar") from None
