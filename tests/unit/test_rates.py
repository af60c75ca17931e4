"""Buckets that fill at a steady rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from peopleinfo.auth import rate_limit as buckets
from peopleinfo.auth.rate_limit import Rates
from peopleinfo.errors import RateExceeded

if TYPE_CHECKING:
    from tests.stores_under_test import Seconds


@pytest.fixture
def rates(moment: Seconds) -> Rates:
    return Rates(60, monotonic=moment)


def test_a_bucket_is_full_at_first_and_then_fills_again(rates: Rates, moment: Seconds) -> None:
    assert rates.take("a", 60) == 0
    with pytest.raises(RateExceeded) as refused:
        rates.take("a", 5)
    assert refused.value.retry_after == 5
    moment.now += 5
    assert rates.take("a", 5) == 0


def test_a_bucket_does_not_run_over(rates: Rates, moment: Seconds) -> None:
    rates.take("a", 60)
    moment.now += 1_000
    assert rates.take("a", 1) == 59


def test_each_has_a_bucket(rates: Rates) -> None:
    rates.take("a", 60)
    assert rates.take("b", 60) == 0


def test_what_is_required_is_not_taken(rates: Rates) -> None:
    for _ in range(100):
        rates.require("a", 1)
    rates.take("a", 60)
    with pytest.raises(RateExceeded):
        rates.require("a", 1)


def test_what_is_kept_is_bounded(rates: Rates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "_BUCKETS", 10)
    for number in range(100):
        rates.take(str(number), 1)
    assert len(rates._buckets) == 10
