"""Decide whether a history is linearizable, one register after another.

The algorithm is that of Wing and Gong in the just-in-time variant with memoization (Lowe, 2017). It processes the calls and returns of a
register in order of time. It maintains the set of possible configurations: the value of the register and the set of pending operations
that have taken effect. At the return of an operation, it keeps the configurations in which the operation has taken effect. If none is
left, the history is not linearizable. Equal configurations are merged.

A read takes effect in the first configuration that matches it, because it does not change the value. Writes that no read distinguishes
(their outcome is unknown and no response shows their mark) take effect in the order of their calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from consistency.person_histories import NEVER, Event, Value, registers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from consistency.history import Operation

_MAX_CONFIGURATIONS: Final = 200_000  # searched for one return


class Undecided(Exception):
    """The search was stopped because too many outcomes are unknown at once. The history may be linearizable or not."""


class Violation(NamedTuple):
    """A response that no order explains: the person, the operation, the possible values and all events until then."""

    person: str
    reason: str
    operation: Operation
    possible: tuple[Value, ...] = ()
    events: tuple[Event, ...] = ()


def violations(
    operations: list[Operation], bound: Callable[[Operation], int] | None = None, *, first: int = NEVER
) -> list[Violation]:
    """Return the first violation of each person, at most `first`. An empty result means that each register is linearizable.

    With `bound`, check reads for bounded staleness instead (see `registers_of`). Raises Undecided.
    """
    registers = registers_of(operations, bound)
    found = [Violation("", reason, operation) for reason, operation in registers.problems]
    for person, events in registers.events.items():
        if len(found) >= first:
            break
        if (wrong := unexplained(events)) is not None:
            until = tuple(event for event in events if event.call < wrong.returned)
            found.append(
                Violation(person, "no order explains it", wrong.operation, possible_values(until, wrong), until)
            )
    return sorted(found, key=lambda violation: violation.operation.returned)[:first]


def unexplained(events: Iterable[Event]) -> Event | None:
    """Return the first event of a register that no order of the events explains, or None. Raises Undecided."""
    events = list(events)
    search = _Search(events)
    for event, returns in by_time(events):
        if not returns:
            search.call(event)
        elif not search.complete(event):
            return event
    return None


def possible_values(events: Sequence[Event], target: Event) -> tuple[Value, ...]:
    """Return the values that the register may have held between the call and the return of the event `target`."""
    search, values = _Search(events), set[Value]()
    for event, returns in by_time(events):
        if event is target and returns:
            values |= {configuration.value for configuration in search.reachable()}
            break
        if event is target:
            values |= {configuration.value for configuration in search.configurations}
            continue
        if not returns:
            search.call(event)
        elif not search.complete(event):
            break
        if event.returned >= target.call:
            values |= {configuration.value for configuration in search.configurations}
    return tuple(sorted(values, key=lambda value: (value is not None, value)))


def by_time(events: Sequence[Event]) -> Iterator[tuple[Event, bool]]:
    """Yield calls (False) and returns (True) in order of time. At equal times calls precede returns: the operations overlap."""
    times = [(event.call, False, number) for number, event in enumerate(events)]
    times += [(event.returned, True, number) for number, event in enumerate(events) if event.returned != NEVER]
    times.sort()
    return ((events[number], returns) for _, returns, number in times)


class _Configuration(NamedTuple):
    """The value of the register and the pending events that have taken effect."""

    value: Value
    done: frozenset[int]


class _Search:
    """The possible configurations at a point in time. Events are compared by identity."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.configurations = {_Configuration(None, frozenset())}
        self._marks = {event.seen.mark for event in events if event.seen}
        self._writes: dict[int, Event] = {}
        self._reads: dict[int, Event] = {}

    def call(self, event: Event) -> None:
        """Add a pending event."""
        if event.writes:
            self._writes[id(event)] = event
            return
        matching = {configuration for configuration in self.configurations if event.matches(configuration.value)}
        if len(matching) == len(self.configurations):
            return  # every configuration already explains it
        self._reads[id(event)] = event
        self.configurations -= matching
        self.configurations |= {_Configuration(value, done | {id(event)}) for value, done in matching}

    def complete(self, event: Event) -> bool:
        """Keep the configurations that explain the return of an event. Return False, and stop the search, if there are none."""
        key = id(event)
        if key not in self._writes and key not in self._reads:
            return True
        explained = set(self._until(key))
        self.configurations = {_Configuration(value, done - {key}) for value, done in explained}
        self._writes.pop(key, None)
        self._reads.pop(key, None)
        return bool(explained)

    def reachable(self) -> Iterator[_Configuration]:
        """Yield every configuration that is possible now."""
        return self._until(None)

    def _until(self, key: int | None) -> Iterator[_Configuration]:
        """Yield the nearest configurations in which an event has taken effect (None: all reachable ones)."""
        queue, visited = list(self.configurations), set(self.configurations)
        while queue:
            configuration = queue.pop()
            if key is None or key in configuration.done:
                yield configuration
                if key is not None:
                    continue
            for successor in self._next(configuration):
                if successor not in visited:
                    visited.add(successor)
                    queue.append(successor)
            if len(visited) > _MAX_CONFIGURATIONS:
                raise Undecided

    def _next(self, configuration: _Configuration) -> Iterator[_Configuration]:
        value, done = configuration
        effects = set()
        for number, event in self._writes.items():
            if number in done or (effect := self._effect(event)) in effects:
                continue
            effects.add(effect)
            new = event.apply(value)
            if new is False or new is True:
                continue
            matching = {read for read, event in self._reads.items() if read not in done and event.matches(new)}
            yield _Configuration(new, done | {number} | matching)

    def _effect(self, event: Event) -> object:
        operation = event.operation
        mark = operation.mark if operation.mark in self._marks or operation.outcome != "unknown" else ""
        kind = operation.kind if operation.kind not in ("replace", "patch") else "change"
        return kind, event.returned, operation.expected, operation.surname, mark
