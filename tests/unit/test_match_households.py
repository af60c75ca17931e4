"""No two different people of generated households are certain duplicates: twins, spouses, parents and children, in many spellings."""

from __future__ import annotations

from random import Random

import pytest
from bench.matching.evaluation import find, grade, judge, people_set
from bench.matching.households import Names, rows
from bench.sample_people import surname

from peopleinfo.matching.blocking_keys import Hasher

FAMILIES = 150
NAMES = Names(
    [surname(rank * 7)[:6] for rank in range(400)], [surname(int(1_000 * Random(i).random() ** 2)) for i in range(400)]
)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("relatives", "identifiers"), [(0.05, ()), (1.5, ()), (0.05, ("phone",))])
def test_relatives_in_households_are_never_certain(seed: int, relatives: float, identifiers: tuple[str, ...]) -> None:
    people = people_set("households", rows(seed, FAMILIES, NAMES), identifiers)
    judged = judge(people, list(find(people, Hasher(b"0" * 32)).kinds))
    families = int((relatives * (len(people.records) + 1_000) - 1_500) / 2)
    counts = judged.frequencies.counts._replace(relatives=families)
    result = grade(people, judged._replace(frequencies=judged.frequencies._replace(counts=counts)))
    assert result.relatives > 100
    assert (result.relatives_at["certain"], result.grades["certain"].wrong) == (0, 0)
    assert result.grades["certain"].recall > 0.5
