"""Is a history linearizable? The search of Wing and Gong, just in time and with a memory (Lowe, 2017), for one register after another.

The events of a register are gone through in the order of time. What is kept are the configurations that are possible now: what the register
holds, and which operations under way have taken effect already. Only when an operation returns is it asked for what must have happened
before; when no configuration can explain its return, the history is not linearizable. Equal configurations are one: that is the memory.
A read takes effect in the first configuration that it fits, since it changes nothing and so never stands in another's way. Of writes that
nobody can tell apart (their outcome is unknown and nobody ever saw their mark) the eldest goes first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from consistency.person_histories import NEVER, Event, Value, registers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from consistency.history import Operation

_MOST: Final = 200_000  # configurations looked at for one return


class Undecided(Exception):
    """So many outcomes are unknown at once that the search was given up; it says nothing about the history."""


class Violation(NamedTuple):
    """An answer that cannot be true: whose, which request, what the person may have been meanwhile, and all events until then."""

    person: str
    why: str
    operation: Operation
    possible: tuple[Value, ...] = ()
    events: tuple[Event, ...] = ()


def violations(
    operations: list[Operation], bound: Callable[[Operation], int] | None = None, *, first: int = NEVER
) -> list[Violation]:
    """Return the first violation of each person, at most `first` of them; none: the history is linearizable, person by person.

    With `bound` the reads are held to bounded staleness instead, as `registers_of` says. Raises Undecided.
    """
    registers = registers_of(operations, bound)
    found = [Violation("", why, operation) for why, operation in registers.problems]
    for person, events in registers.events.items():
        if len(found) >= first:
            break
        if (wrong := unexplained(events)) is not None:
            until = tuple(event for event in events if event.call < wrong.back)
            found.append(Violation(person, "no order explains it", wrong.operation, answers(until, wrong), until))
    return sorted(found, key=lambda violation: violation.operation.back)[:first]


def unexplained(events: Iterable[Event]) -> Event | None:
    """Return the first event of a register whose return no order of the events explains, or None. Raises Undecided."""
    events = list(events)
    search = _Search(events)
    for event, returns in in_time(events):
        if not returns:
            search.call(event)
        elif not search.settle(event):
            return event
    return None


def answers(events: Sequence[Event], asked: Event) -> tuple[Value, ...]:
    """Return whatever the register may have held between the call and the return of an event, if that had not been asked."""
    search, held = _Search(events), set[Value]()
    for event, returns in in_time(events):
        if event is asked and returns:
            held |= {configuration.value for configuration in search.reachable()}
            break
        if event is asked:
            held |= {configuration.value for configuration in search.configurations}
            continue
        if not returns:
            search.call(event)
        elif not search.settle(event):
            break
        if event.back >= asked.call:
            held |= {configuration.value for configuration in search.configurations}
    return tuple(sorted(held, key=lambda value: (value is not None, value)))


def in_time(events: Sequence[Event]) -> Iterator[tuple[Event, bool]]:
    """Yield calls (False) and returns (True) as they came; at one moment calls first, for then the two overlapped."""
    moments = [(event.call, False, number) for number, event in enumerate(events)]
    moments += [(event.back, True, number) for number, event in enumerate(events) if event.back != NEVER]
    moments.sort()
    return ((events[number], returns) for _, returns, number in moments)


class _Configuration(NamedTuple):
    """What the register holds, and which of the events under way have taken effect."""

    value: Value
    done: frozenset[int]


class _Search:
    """The configurations that are possible at a moment. Events are told apart by their identity."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.configurations = {_Configuration(None, frozenset())}
        self._marks = {event.seen.mark for event in events if event.seen}
        self._writes: dict[int, Event] = {}
        self._reads: dict[int, Event] = {}

    def call(self, event: Event) -> None:
        """Take in an event that begins."""
        if event.writes:
            self._writes[id(event)] = event
            return
        fitting = {configuration for configuration in self.configurations if event.fits(configuration.value)}
        if len(fitting) == len(self.configurations):
            return  # it may have been read at once, however the story goes on
        self._reads[id(event)] = event
        self.configurations -= fitting
        self.configurations |= {_Configuration(value, done | {id(event)}) for value, done in fitting}

    def settle(self, event: Event) -> bool:
        """Keep what explains the return of an event; False when nothing does, and then the search is over."""
        this = id(event)
        if this not in self._writes and this not in self._reads:
            return True
        explained = set(self._until(this))
        self.configurations = {_Configuration(value, done - {this}) for value, done in explained}
        self._writes.pop(this, None)
        self._reads.pop(this, None)
        return bool(explained)

    def reachable(self) -> Iterator[_Configuration]:
        """Yield every configuration that may be by now."""
        return self._until(None)

    def _until(self, this: int | None) -> Iterator[_Configuration]:
        """Yield the nearest configurations in which an event has taken effect (None: all there are)."""
        waiting, known = list(self.configurations), set(self.configurations)
        while waiting:
            configuration = waiting.pop()
            if this is None or this in configuration.done:
                yield configuration
                if this is not None:
                    continue
            for further in self._next(configuration):
                if further not in known:
                    known.add(further)
                    waiting.append(further)
            if len(known) > _MOST:
                raise Undecided

    def _next(self, configuration: _Configuration) -> Iterator[_Configuration]:
        value, done = configuration
        alike = set()
        for number, event in self._writes.items():
            if number in done or (effect := self._effect(event)) in alike:
                continue
            alike.add(effect)
            new = event.after(value)
            if new is False or new is True:
                continue
            fitting = {read for read, event in self._reads.items() if read not in done and event.fits(new)}
            yield _Configuration(new, done | {number} | fitting)

    def _effect(self, event: Event) -> object:
        asked = event.operation
        mark = asked.mark if asked.mark in self._marks or asked.outcome != "unknown" else ""
        return asked.kind == "erase", event.back, asked.expected, asked.surname, mark
