"""The checker agrees with histories of a real register and with an exhaustive search."""

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
from tests.consistency.histories import create, delete, operation, read, replace, state, unknown

if TYPE_CHECKING:
    from consistency.history import Operation

STEP = 1_000  # between two times at which an operation takes effect


def random_history(generator: random.Random, operations: int, person: str = "p") -> tuple[list[Operation], list[Value]]:
    """Run random operations on a register, extend each over its neighbors, and return them with the value after each."""
    history: list[Operation] = []
    values: list[Value] = []
    value: Value = None
    for number in range(operations):
        now = (number + 1) * STEP
        call, returned = now - generator.randrange(1, 4 * STEP), now + generator.randrange(1, 4 * STEP)
        operation, value = _random_operation(generator, number, call, returned, value)
        operation.person = person
        operation.seen = tuple(state._replace(person=person) for state in operation.seen)
        value = value and value._replace(person=person)
        history.append(operation)
        values.append(value)
    return history, values


def _random_operation(
    generator: random.Random, number: int, call: int, returned: int, value: Value
) -> tuple[Operation, Value]:
    mark = str(number)
    if number == 0:
        return create(call, returned, mark), state(1, mark)
    kind = generator.choices(("read", "replace", "unknown", "conflict", "delete"), (60, 20, 8, 6, 1))[0]
    if value is None or kind == "read":
        return read(call, returned, value), value
    if kind == "replace":
        expected = generator.choice((None, value.version))
        new = state(value.version + 1, mark)
        return replace(call, returned, new.version, mark, expected=expected), new
    if kind == "unknown":
        is_applied = generator.random() < 0.5
        return unknown("replace", call, returned, mark), state(value.version + 1, mark) if is_applied else value
    if kind == "conflict":
        rejected = operation("replace", call, returned, "conflict", mark=mark, expected=99_999, actual=value.version)
        return rejected, value
    return delete(call, returned), None


@given(st.randoms(use_true_random=False), st.integers(1, 60))
def test_history_of_a_real_register_is_accepted(generator: random.Random, operations: int) -> None:
    history, _ = random_history(generator, operations)
    assert violations(history) == []


@given(st.randoms(use_true_random=False), st.integers(10, 60))
def test_history_with_a_stale_read_is_rejected(generator: random.Random, operations: int) -> None:
    history, values = random_history(generator, operations)
    for candidate in generator.sample(history, len(history)):
        old = [state for state in values if state and _was_overwritten(state.version, candidate, history)]
        if candidate.kind == "read" and old:
            candidate.outcome, candidate.seen = "done", (generator.choice(old),)
            assert violations(history)
            return


def _was_overwritten(version: int, operation: Operation, history: list[Operation]) -> bool:
    return any(
        newer.returned < operation.call and newer.kind == "replace" and newer.seen and newer.seen[0].version > version
        for newer in history
    )


def is_linearizable(events: list[Event]) -> bool:
    """Try every order of every subset of the unknown operations."""
    completed = [event for event in events if event.returned != NEVER]
    unknown_events = [event for event in events if event.returned == NEVER]
    choices = chain.from_iterable(combinations(unknown_events, count) for count in range(len(unknown_events) + 1))
    return any(_is_valid(order) for choice in choices for order in permutations([*completed, *choice]))


def _is_valid(order: tuple[Event, ...]) -> bool:
    value: Value = None
    for position, event in enumerate(order):
        if any(later.returned < event.call for later in order[position + 1 :]):
            return False
        if not event.writes:
            if not event.matches(value):
                return False
            continue
        new = event.apply(value)
        if isinstance(new, bool):
            return False
        value = new
    return True


@st.composite
def few_events(draw: st.DrawFn) -> list[Event]:
    count = draw(st.integers(1, 5))
    events = []
    for number in range(count):
        call = draw(st.integers(1, 12))
        returned = draw(st.integers(call + 1, 14))
        version, other = draw(st.integers(1, 3)), str(draw(st.integers(0, count - 1)))
        drawn = draw(
            st.sampled_from(
                [
                    create(call, returned, str(number)),
                    replace(call, returned, version, str(number)),
                    replace(call, returned, version + 1, str(number), expected=version),
                    unknown("replace", call, returned, str(number)),
                    unknown("delete", call, returned),
                    delete(call, returned),
                    read(call, returned, None),
                    read(call, returned, state(version, other)),
                    operation("replace", call, returned, "conflict", expected=9, actual=version),
                ]
            )
        )
        end = NEVER if drawn.outcome == "unknown" else returned
        events.append(Event(call, end, drawn, drawn.seen[0] if drawn.seen else None))
    return events


@given(few_events())
def test_checker_agrees_with_an_exhaustive_search(events: list[Event]) -> None:
    assert (unexplained(events) is None) == is_linearizable(events)


@pytest.mark.parametrize("people", [400])
def test_checker_needs_at_most_100_microseconds_an_operation(people: int) -> None:
    generator = random.Random(1)
    history = list(chain.from_iterable(random_history(generator, 100, f"p{number}")[0] for number in range(people)))
    for number, recorded in enumerate(history):
        recorded.mark = f"{recorded.mark}.{number // 100}"
        recorded.seen = tuple(state._replace(mark=f"{state.mark}.{number // 100}") for state in recorded.seen)
    start = process_time()
    assert violations(history) == []
    assert process_time() - start < len(history) * 100e-6
