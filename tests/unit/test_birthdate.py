"""Partial dates: their range of days, and invalid dates."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peopleinfo.people import birthdate

RANGES = {
    "1990-02-11": (date(1990, 2, 11), date(1990, 2, 11)),
    "1990-02": (date(1990, 2, 1), date(1990, 2, 28)),
    "1992-02": (date(1992, 2, 1), date(1992, 2, 29)),
    "1990-12": (date(1990, 12, 1), date(1990, 12, 31)),
    "1990": (date(1990, 1, 1), date(1990, 12, 31)),
    "0001": (date(1, 1, 1), date(1, 12, 31)),
    "0001-01-01": (date(1, 1, 1), date(1, 1, 1)),
    "9999-12-31": (date(9999, 12, 31), date(9999, 12, 31)),
    "2000-02-29": (date(2000, 2, 29), date(2000, 2, 29)),
    "--02-11": None,
    "--02-29": None,
    "--12-31": None,
}
INVALID_DAYS = [
    "1990-02-30", "1990-02-29", "1900-02-29", "1990-13", "1990-00", "1990-01-00", "1990-04-31", "--02-30", "--13-01",
    "--00-10", "--01-00",
]  # fmt: skip
OTHER_FORMATS = [
    "", " ", "90", "199", "19900211", "1990/02/11", "1990-2-11", "11.02.1990", "1990-02-11T00:00", "1990-02-11 ",
    " 1990", "1990\n", "-1990", "+1990", "--02", "---11", "--0211", "02-11", "1990-", "1990-02-", "-02-11", "10000",
    "१९९०", "１９９０-02-11", "1990‐02‐11", "yesterday", "1990-02-1١",
]  # fmt: skip


@pytest.mark.parametrize(("text", "span"), RANGES.items())
def test_partial_date_is_a_range_of_days(text: str, span: tuple[date, date] | None) -> None:
    assert birthdate.date_range(text) == span


@pytest.mark.parametrize("text", INVALID_DAYS)
def test_day_outside_the_calendar_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="exists in the calendar"):
        birthdate.date_range(text)


@pytest.mark.parametrize("text", OTHER_FORMATS)
def test_other_date_format_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="must be a date like"):
        birthdate.date_range(text)


@pytest.mark.parametrize("text", ["0000", "0000-01", "0000-01-01"])
def test_year_zero_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="must not be in the year 0000"):
        birthdate.date_range(text)


TODAY = date(2026, 3, 1)


@pytest.mark.parametrize("text", ["2026-03-01", "2026-03", "2026", "2025-12-31", "--12-31"])
def test_date_that_has_started_is_not_in_the_future(text: str) -> None:
    birthdate.check_not_future(text, TODAY)


@pytest.mark.parametrize("text", ["2026-03-02", "2026-04", "2027", "9999"])
def test_future_date_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="must not be in the future"):
        birthdate.check_not_future(text, TODAY)


@given(st.dates())
def test_full_date_is_a_range_of_one_day(day: date) -> None:
    assert birthdate.date_range(day.isoformat()) == (day, day)


@given(st.dates(max_value=date(9999, 11, 30)))
def test_month_ends_before_the_next_one(day: date) -> None:
    span = birthdate.date_range(day.isoformat()[:7])
    assert span is not None
    assert span[0] <= day <= span[1]
    assert (span[0].day, (span[1] + timedelta(days=1)).day) == (1, 1)


@given(st.text(alphabet="0123456789-", max_size=11))
def test_any_other_text_raises_value_error(text: str) -> None:
    try:
        span = birthdate.date_range(text)
    except ValueError:
        return
    assert span is None or span[0] <= span[1]
