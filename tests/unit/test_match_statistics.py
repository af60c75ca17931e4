"""Counts of the people: the memory that they need is bounded."""

from __future__ import annotations

from collections import Counter

from peopleinfo.matching.statistics import forget_rare


def test_rarest_values_are_forgotten_until_half_of_the_limit_remains() -> None:
    counts = Counter({str(number).encode(): 2 + number % 5 for number in range(101)})
    forget_rare(counts, 100)
    assert 0 < len(counts) <= 50
    assert set(counts.values()) == {5, 6}
    known = dict(counts)
    forget_rare(counts, 100)
    assert counts == known
