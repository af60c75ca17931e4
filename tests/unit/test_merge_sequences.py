"""Random sequences of create, edit, merge, undo, erase and decide match a model. `make bench ARGS=matching` plays 10,000."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.merge_sequences import play


@given(st.randoms(use_true_random=False))
def test_random_sequence_matches_the_model(chance: Random) -> None:
    play(chance)


def test_three_hundred_sequences_match_the_model_and_contain_every_operation() -> None:
    done = sum((play(Random(seed)) for seed in range(300)), start=play(Random("first")))
    assert {"create", "edit", "merge", "undo", "undo with decision", "erase", "decide"} <= done.keys()
    assert {"rejected edit", "rejected undo"} <= done.keys()


@pytest.mark.parametrize("seed", range(3))
def test_long_sequence_matches_the_model(seed: int) -> None:
    play(Random(seed), steps=120)
