"""Buckets that fill at a steady rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from peopleinfo.auth import rate_limit as buckets
from peopleinfo.auth.rate_limit import TokenBuckets
from peopleinfo.errors import RateLimitExceeded

if TYPE_CHECKING:
    from tests.store_kinds import MonotonicClock


@pytest.fixture
def rates(moment: MonotonicClock) -> TokenBuckets:
    return TokenBuckets(60, monotonic=moment)


def test_a_bucket_is_full_at_first_and_then_fills_again(rates: TokenBuckets, moment: MonotonicClock) -> None:
    assert rates.consume("a", 60) == 0
    with pytest.raises(RateLimitExceeded) as refused:
        rates.consume("a", 5)
    assert refused.value.retry_after == 5
    moment.now += 5
    assert rates.consume("a", 5) == 0


def test_a_bucket_does_not_run_over(rates: TokenBuckets, moment: MonotonicClock) -> None:
    rates.consume("a", 60)
    moment.now += 1_000
    assert rates.consume("a", 1) == 59


def test_each_has_a_bucket(rates: TokenBuckets) -> None:
    rates.consume("a", 60)
    assert rates.consume("b", 60) == 0


def test_what_is_required_is_not_taken(rates: TokenBuckets) -> None:
    for _ in range(100):
        rates.check("a", 1)
    rates.consume("a", 60)
    with pytest.raises(RateLimitExceeded):
        rates.check("a", 1)


def test_what_is_kept_is_bounded(rates: TokenBuckets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "_MAX_BUCKETS", 10)
    for number in range(100):
        rates.consume(str(number), 1)
    assert len(rates._buckets) == 10
