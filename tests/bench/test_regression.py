"""The performance check detects a slower service, and its baseline covers every kind of request."""

from __future__ import annotations

import shutil
from itertools import islice

import pytest
from bench.instructions import Cost, costs
from bench.regression import baseline, compare

needs_valgrind = pytest.mark.skipif(shutil.which("valgrind") is None, reason="needs valgrind: apt-get install valgrind")


@needs_valgrind
def test_slower_request_is_reported() -> None:
    (fast,) = islice(costs(count=20), 1)
    (slow,) = islice(costs(count=20, module="tests.bench.slowed"), 1)
    assert compare(dict([fast]), dict([slow])) == ["read by id"]
    assert compare(dict([slow]), dict([fast])) == []


def test_cost_is_compared_relative_to_the_bare_handler() -> None:
    before = {"read": Cost(200, 100), "create": Cost(600, 100)}
    assert compare(before, {"read": Cost(220, 110), "create": Cost(600, 90)}) == ["create"]


def test_baseline_has_a_cost_for_each_kind_of_request() -> None:
    costs_of_kinds = baseline()
    assert costs_of_kinds
    assert all(cost.ours > 0 < cost.bare for cost in costs_of_kinds.values())
