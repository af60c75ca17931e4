"""The checker against histories of a real register, and against the plainest search there is."""

from __future__ import annotations

import random
from itertools import chain, combinations, permutations
from time import process_time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consistency.checker import unexplained, violations
from consistency.person_histories import NEVER, Event, Value
from tests.consistency.histories import create, erase, operation, read, replace, stand, unknown

if TYPE_CHECKING:
    from consistency.history import Operation

STEP = 1_000  # between two moments at which something takes effect


def a_life(chance: random.Random, operations: int, person: str = "p") -> tuple[list[Operation], list[Value]]:
    """Do things to a register one after the other, and stretch each over its neighbours; with what it held after each."""
    history: list[Operation] = []
    held: list[Value] = []
    value: Value = None
    for number in range(operations):
        now = (number + 1) * STEP
        call, back = now - chance.randrange(1, 4 * STEP), now + chance.randrange(1, 4 * STEP)
        asked, value = _something(chance, number, call, back, value)
        asked.person = person
        asked.seen = tuple(one._replace(person=person) for one in asked.seen)
        value = value and value._replace(person=person)
        history.append(asked)
        held.append(value)
    return history, held


def _something(chance: random.Random, number: int, call: int, back: int, value: Value) -> tuple[Operation, Value]:
    mark = str(number)
    if number == 0:
        return create(call, back, mark), stand(1, mark)
    kind = chance.choices(("read", "replace", "unknown", "conflict", "erase"), (60, 20, 8, 6, 1))[0]
    if value is None or kind == "read":
        return read(call, back, value), value
    if kind == "replace":
        expected = chance.choice((None, value.version))
        new = stand(value.version + 1, mark)
        return replace(call, back, new.version, mark, expected=expected), new
    if kind == "unknown":
        happened = chance.random() < 0.5
        return unknown("replace", call, back, mark), stand(value.version + 1, mark) if happened else value
    if kind == "conflict":
        refused = operation("replace", call, back, "conflict", mark=mark, expected=99_999, actual=value.version)
        return refused, value
    return erase(call, back), None


@given(st.randoms(use_true_random=False), st.integers(1, 60))
def test_whatever_a_real_register_answered_is_accepted(chance: random.Random, operations: int) -> None:
    history, _ = a_life(chance, operations)
    assert violations(history) == []


@given(st.randoms(use_true_random=False), st.integers(10, 60))
def test_one_read_of_a_value_that_was_overwritten_is_refused(chance: random.Random, operations: int) -> None:
    history, held = a_life(chance, operations)
    for asked in chance.sample(history, len(history)):
        old = [stand for stand in held if stand and _was_overwritten(stand.version, asked, history)]
        if asked.kind == "read" and old:
            asked.outcome, asked.seen = "done", (chance.choice(old),)
            assert violations(history)
            return


def _was_overwritten(version: int, asked: Operation, history: list[Operation]) -> bool:
    return any(
        newer.back < asked.call and newer.kind == "replace" and newer.seen and newer.seen[0].version > version
        for newer in history
    )


def plainly_linearizable(events: list[Event]) -> bool:
    """Try every order of every choice of the unknown ones, as the definition has it."""
    sure = [event for event in events if event.back != NEVER]
    unsure = [event for event in events if event.back == NEVER]
    choices = chain.from_iterable(combinations(unsure, count) for count in range(len(unsure) + 1))
    return any(_is_right(order) for choice in choices for order in permutations([*sure, *choice]))


def _is_right(order: tuple[Event, ...]) -> bool:
    value: Value = None
    for place, event in enumerate(order):
        if any(later.back < event.call for later in order[place + 1 :]):
            return False
        if not event.writes:
            if not event.fits(value):
                return False
            continue
        new = event.after(value)
        if isinstance(new, bool):
            return False
        value = new
    return True


@st.composite
def a_few_events(draw: st.DrawFn) -> list[Event]:
    count = draw(st.integers(1, 5))
    events = []
    for number in range(count):
        call = draw(st.integers(1, 12))
        back = draw(st.integers(call + 1, 14))
        version, other = draw(st.integers(1, 3)), str(draw(st.integers(0, count - 1)))
        asked = draw(
            st.sampled_from(
                [
                    create(call, back, str(number)),
                    replace(call, back, version, str(number)),
                    replace(call, back, version + 1, str(number), expected=version),
                    unknown("replace", call, back, str(number)),
                    unknown("erase", call, back),
                    erase(call, back),
                    read(call, back, None),
                    read(call, back, stand(version, other)),
                    operation("replace", call, back, "conflict", expected=9, actual=version),
                ]
            )
        )
        end = NEVER if asked.outcome == "unknown" else back
        events.append(Event(call, end, asked, asked.seen[0] if asked.seen else None))
    return events


@given(a_few_events())
def test_it_decides_as_the_plainest_search_does(events: list[Event]) -> None:
    assert (unexplained(events) is None) == plainly_linearizable(events)


@pytest.mark.parametrize("people", [400])
def test_it_is_fast(people: int) -> None:
    chance = random.Random(1)
    history = list(chain.from_iterable(a_life(chance, 100, f"p{number}")[0] for number in range(people)))
    for number, asked in enumerate(history):
        asked.mark = f"{asked.mark}.{number // 100}"
        asked.seen = tuple(one._replace(mark=f"{one.mark}.{number // 100}") for one in asked.seen)
    begun = process_time()
    assert violations(history) == []
    assert process_time() - begun < len(history) * 100e-6
