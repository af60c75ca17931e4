"""Token buckets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from peopleinfo.auth.rate_limit import TokenBuckets
from peopleinfo.errors import RateLimitExceeded

if TYPE_CHECKING:
    from tests.store_kinds import MonotonicClock


@pytest.fixture
def token_buckets(moment: MonotonicClock) -> TokenBuckets:
    return TokenBuckets(60, monotonic=moment)


def test_bucket_starts_full_and_refills(token_buckets: TokenBuckets, moment: MonotonicClock) -> None:
    assert token_buckets.consume("a", 60) == 0
    with pytest.raises(RateLimitExceeded) as caught:
        token_buckets.consume("a", 5)
    assert caught.value.retry_after == 5
    moment.now += 5
    assert token_buckets.consume("a", 5) == 0


def test_bucket_does_not_exceed_its_size(token_buckets: TokenBuckets, moment: MonotonicClock) -> None:
    token_buckets.consume("a", 60)
    moment.now += 1_000
    assert token_buckets.consume("a", 1) == 59


def test_each_client_has_a_bucket(token_buckets: TokenBuckets) -> None:
    token_buckets.consume("a", 60)
    assert token_buckets.consume("b", 60) == 0


def test_check_consumes_nothing(token_buckets: TokenBuckets) -> None:
    for _ in range(100):
        token_buckets.check("a", 1)
    token_buckets.consume("a", 60)
    with pytest.raises(RateLimitExceeded):
        token_buckets.check("a", 1)


def test_number_of_buckets_is_limited() -> None:
    token_buckets = TokenBuckets(60, max_buckets=10)
    for number in range(100):
        token_buckets.consume(str(number), 1)
    assert len(token_buckets._buckets) == 10
