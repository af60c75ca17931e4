"""From requests to registers: what every request says of each single person.

A person is a register that holds either nothing or a `Stand`. A read by id is a read of one register; a list is a read of every register
that may have borne its surname: "this one stands so", or "that one does not bear the name". Linearizability is local (Herlihy & Wing), so
each register is judged by itself; that a list shows everybody at one and the same moment is not promised and not asked.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from consistency import responses
from consistency.history import WRITES, Operation, Stand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NEVER = 2**63  # when an operation returns that never does
Value = Stand | None


@dataclass(slots=True)
class Event:
    """What one request says of one person: a write, or a read that `seen` and the outcome describe."""

    call: int
    back: int
    operation: Operation
    seen: Value = None

    @property
    def writes(self) -> bool:
        """Whether it changes the person, or may."""
        asked = self.operation
        if asked.kind == "create":  # without a person: the response that the person was erased
            return self.seen is not None
        return asked.kind in WRITES and asked.outcome in ("done", "unknown")

    def fits(self, value: Value) -> bool:
        """Say whether a read could have had this answer from a register that holds `value`."""
        asked = self.operation
        if asked.outcome == "unchanged":
            return value is not None and value.version == asked.expected
        if asked.outcome == "conflict":
            if value is None or asked.expected in (None, value.version):
                return False
            return asked.actual in (None, value.version)
        if asked.kind == "list" and self.seen is None:
            return value is None or value.surname != asked.surname
        return value == self.seen

    def after(self, value: Value) -> Value | bool:
        """Return what a write makes of a register that holds `value`; False when it cannot be done there."""
        asked = self.operation
        if asked.kind == "create":
            return value is None and self.seen
        if value is None or asked.expected not in (None, value.version):
            return False
        if asked.kind == "erase":
            return None
        new = Stand(value.person, value.version + 1, asked.mark, asked.surname or value.surname)
        return new if asked.outcome == "unknown" or new == self.seen else False


@dataclass
class Registers:
    """The events of every person, and what was wrong at the first look."""

    events: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    problems: list[tuple[str, Operation]] = field(default_factory=list)


def registers_of(operations: list[Operation], bound: Callable[[Operation], int] | None = None) -> Registers:
    """Divide a history among the people in it.

    With `bound` (nanoseconds for a read) a read may be explained by any moment since so long before its call, though never before the
    return of a write that the same server had acknowledged by then.
    """
    found = Registers(problems=list(responses.problems(operations)))
    births = _creations(operations, found)
    for asked in operations:
        if asked.kind in WRITES and asked.kind != "create" and asked.outcome != "failed":
            back = NEVER if asked.outcome == "unknown" else asked.back
            seen = asked.seen[0] if asked.seen else None
            found.events[asked.person].append(Event(asked.call, back, asked, seen))
    reads = sorted((asked for asked in operations if _tells(asked)), key=lambda asked: asked.call)
    lives = _Lives(found.events)
    for asked in reads:
        found.problems += responses.order(asked, births)
        for person, seen in _reads(asked, lives):
            if seen and person not in births:
                found.problems.append((f"{person} was never created", asked))
            else:
                found.events[person].append(Event(asked.call, asked.back, asked, seen))
    if bound:
        for events in found.events.values():
            _loosen(events, bound)
    return found


def _tells(asked: Operation) -> bool:
    return asked.kind in ("read", "list") and asked.outcome not in ("failed", "unknown")


def _creations(operations: list[Operation], found: Registers) -> dict[str, tuple[int, int]]:
    """Add the events of creations, and return the call and the return of each; attempts with one idempotency key are one creation."""
    attempts: dict[str, list[Operation]] = defaultdict(list)
    for asked in operations:
        if asked.kind == "create" and asked.outcome != "failed":
            attempts[asked.mark].append(asked)
    people, erasures = _people_of(attempts, operations), _erasures(operations)
    births: dict[str, tuple[int, int]] = {}
    for mark, tried in attempts.items():
        first = min(tried, key=lambda asked: asked.call)
        back = min((asked.back for asked in tried if asked.outcome != "unknown"), default=NEVER)
        if len(people[mark]) > 1:
            found.problems.append(("one creation made several people", first))
        for person in people[mark]:
            if person in births:
                found.problems.append(("two creations made one person", first))
            births[person] = first.call, back
            found.events[person].append(Event(first.call, back, first, Stand(person, 1, mark, first.surname)))
        for asked in tried:
            if asked.outcome == "missing":
                _erased(asked, people[mark], erasures, found)
    return births


def _people_of(attempts: dict[str, list[Operation]], operations: list[Operation]) -> dict[str, set[str]]:
    """Return the ids that each creation made, by its mark: as it returned them, or as any response shows them."""
    people = {mark: {asked.person for asked in tried} - {""} for mark, tried in attempts.items()}
    for asked in operations:
        for stand in asked.seen:
            if stand.version == 1 and stand.mark in people:
                people[stand.mark].add(stand.person)
    return people


def _erasures(operations: list[Operation]) -> dict[str, int]:
    """Return when the first erasure of each person was called."""
    calls: dict[str, int] = {}
    for asked in operations:
        if asked.kind == "erase":
            calls[asked.person] = min(asked.call, calls.get(asked.person, NEVER))
    return calls


def _erased(asked: Operation, people: set[str], erasures: dict[str, int], found: Registers) -> None:
    """Add the response to a creation that reports the erasure of its person; `erasures` gives the first call of each."""
    for person in people:
        found.events[person].append(Event(asked.call, asked.back, asked))
    if all(erasures.get(person, NEVER) > asked.back for person in people):
        found.problems.append(("the response reports an erasure that no client requested", asked))


class _Lives:
    """Who may bear a surname at a time; asked for ever later times."""

    def __init__(self, events: dict[str, list[Event]]) -> None:
        self._surnames = {person: {event.operation.surname for event in own} for person, own in events.items()}
        self._births = sorted((min(event.call for event in own), person) for person, own in events.items())
        self._ends = {person: min(map(_end, own)) for person, own in events.items()}
        self._next = 0
        self._alive: set[str] = set()

    def bearers(self, asked: Operation) -> Iterator[str]:
        """Yield whoever may have borne the surname while the list was read; each call begins later than the one before."""
        while self._next < len(self._births) and self._births[self._next][0] <= asked.back:
            self._alive.add(self._births[self._next][1])
            self._next += 1
        self._alive -= {person for person in self._alive if self._ends[person] < asked.call}
        return (person for person in self._alive if asked.surname in self._surnames[person])


def _end(event: Event) -> int:
    erased = event.operation.kind == "erase" and event.operation.outcome in ("done", "missing")
    return event.back if erased else NEVER


def _reads(asked: Operation, lives: _Lives) -> Iterator[tuple[str, Value]]:
    if asked.kind == "read":
        yield asked.person, asked.seen[0] if asked.seen else None
        return
    shown = {stand.person: stand for stand in asked.seen}
    yield from shown.items()
    for person in lives.bearers(asked):
        if person not in shown:
            yield person, None


def _loosen(events: list[Event], bound: Callable[[Operation], int]) -> None:
    """Let reads begin earlier, as far as the bound and the server's own writes allow."""
    written: dict[str, list[int]] = defaultdict(list)
    for event in events:
        if event.writes and event.operation.outcome == "done":
            written[event.operation.server].append(event.back)
    for returns in written.values():
        returns.sort()
    for event in events:
        if not _tells(event.operation):
            continue
        own = written.get(event.operation.server, [])
        before = bisect_left(own, event.call)
        event.call = max(event.call - bound(event.operation), own[before - 1] + 1 if before else 0)
