"""The protocol holds in the simulated world; with any rule taken out the checker notices."""

from __future__ import annotations

import pytest

from consistency.checker import violations
from consistency.simulation import DELIVERY, MUTANTS, Rules, World

OPERATIONS = 3_000
WORLDS = 150  # in which a mutant has to be noticed


def wrong(seed: int, rules: Rules, *, local: bool) -> bool:
    """Say whether the answers of a world cannot be true; with a memory in each server they may be as old as an invalidation takes."""
    history = World(seed, rules, local=local).run(OPERATIONS)
    return bool(violations(history, (lambda _: DELIVERY) if local else None, first=1))


@pytest.mark.parametrize("local", [False, True], ids=["shared", "both"])
@pytest.mark.parametrize("seed", range(4))
def test_with_all_rules_every_answer_can_be_true(seed: int, local: bool) -> None:
    assert not wrong(seed, Rules(), local=local)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_missing_rule_is_noticed(name: str) -> None:
    local = name == "no-placeholder"
    assert next((seed for seed in range(WORLDS) if wrong(seed, MUTANTS[name], local=local)), None) is not None


def test_the_same_seed_gives_the_same_history() -> None:
    first, second = (World(7, Rules(), local=True).run(300) for _ in range(2))
    assert first == second
