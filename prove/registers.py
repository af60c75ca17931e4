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

from prove.history import WRITES, Operation, Stand

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
        return asked.kind == "create" or (asked.kind in WRITES and asked.outcome in ("done", "unknown"))

    def fits(self, value: Value) -> bool:
        """Say whether a read could have had this answer from a register that holds `value`."""
        asked = self.operation
        if asked.outcome == "unchanged":
            return value is not None and value.version == asked.expected
        if asked.outcome == "conflict":
            return value is not None and value.version != asked.expected and asked.actual in (None, value.version)
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
    found = Registers()
    births = _creations(operations, found)
    for asked in operations:
        if asked.kind in WRITES and asked.kind != "create" and asked.outcome != "failed":
            back = NEVER if asked.outcome == "unknown" else asked.back
            seen = asked.seen[0] if asked.seen else None
            found.events[asked.person].append(Event(asked.call, back, asked, seen))
    reads = sorted((asked for asked in operations if _tells(asked)), key=lambda asked: asked.call)
    lives = _Lives(found.events)
    for asked in reads:
        for person, seen in _reads(asked, lives, found):
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


def _creations(operations: list[Operation], found: Registers) -> set[str]:
    """Add the events of creations; one that was sent again under the same idempotency key is one creation."""
    attempts: dict[str, list[Operation]] = defaultdict(list)
    people: dict[str, set[str]] = defaultdict(set)
    for asked in operations:
        if asked.kind == "create" and asked.outcome != "failed":
            attempts[asked.mark].append(asked)
            people[asked.mark] |= {asked.person} - {""}
        for stand in asked.seen:
            if stand.version == 1:
                people[stand.mark].add(stand.person)
    for mark, asked_for in attempts.items():
        first = min(asked_for, key=lambda asked: asked.call)
        back = min((asked.back for asked in asked_for if asked.outcome != "unknown"), default=NEVER)
        if len(people[mark]) > 1:
            found.problems.append(("one creation made several people", first))
        if any(asked.seen and asked.seen[0].mark != mark for asked in asked_for):
            found.problems.append(("the answer is not what was created", first))
        for person in people[mark]:
            found.events[person].append(Event(first.call, back, first, Stand(person, 1, mark, first.surname)))
    return set(found.events)


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


def _reads(asked: Operation, lives: _Lives, found: Registers) -> Iterator[tuple[str, Value]]:
    if asked.kind == "read":
        yield asked.person, asked.seen[0] if asked.seen else None
        return
    shown = {stand.person: stand for stand in asked.seen}
    if len(shown) < len(asked.seen):
        found.problems.append(("the list shows somebody twice", asked))
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
