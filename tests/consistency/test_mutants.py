"""The cache protocol is correct in the simulation; the checker detects the removal of any rule."""

from __future__ import annotations

import pytest

from consistency.checker import violations
from consistency.simulation import DELIVERY, MUTANTS, Rules, World

OPERATIONS = 3_000
WORLDS = 150  # in which a mutant must be detected


def has_violation(seed: int, rules: Rules, *, local: bool) -> bool:
    """Return whether the history of a world has a violation; with local caches, reads may be as old as an invalidation takes."""
    history = World(seed, rules, local=local).run(OPERATIONS)
    return bool(violations(history, (lambda _: DELIVERY) if local else None, first=1))


@pytest.mark.parametrize("local", [False, True], ids=["shared", "both"])
@pytest.mark.parametrize("seed", range(4))
def test_history_with_all_rules_has_no_violation(seed: int, local: bool) -> None:
    assert not has_violation(seed, Rules(), local=local)


@pytest.mark.parametrize("name", MUTANTS)
def test_missing_rule_is_detected(name: str) -> None:
    local = name == "no-placeholder"
    assert next((seed for seed in range(WORLDS) if has_violation(seed, MUTANTS[name], local=local)), None) is not None


def test_same_seed_gives_the_same_history() -> None:
    first, second = (World(7, Rules(), local=True).run(300) for _ in range(2))
    assert first == second
