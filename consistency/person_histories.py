"""Convert a history of requests to one history per person.

A person is a register that holds a `PersonState` or nothing. A read by id reads one register. A list reads every register that may have
had its surname. Linearizability is local (Herlihy and Wing), so each register is checked by itself. A list need not show all persons at
one point in time: the API does not promise it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from consistency import responses
from consistency.history import BY_SURNAME, WRITES, Kind, Operation, PersonState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NEVER = 2**63  # return time of an operation that never returns
Value = PersonState | None


def is_absent(value: Value) -> bool:
    """Return whether no read shows a person: it does not exist, or it is in the trash or merged."""
    return value is None or value.version < 0


@dataclass(slots=True)
class Event:
    """An operation on one person: a write, or a read with the result `seen`."""

    call: int
    returned: int
    operation: Operation
    seen: Value = None

    @property
    def writes(self) -> bool:
        """Whether the operation changed the person, or may have."""
        operation = self.operation
        if operation.kind == "create":  # without a person: the response reports its deletion
            return self.seen is not None
        return operation.kind in WRITES and operation.outcome in ("done", "unknown")

    def matches(self, value: Value) -> bool:
        """Return whether a read of a register with this value can have this result."""
        operation = self.operation
        if operation.outcome == "unchanged":
            return value is not None and value.version == operation.expected
        if operation.outcome == "conflict":
            if value is None or operation.expected in (None, abs(value.version)):
                return False
            return operation.actual in (None, abs(value.version))
        if operation.kind == "list" and self.seen is None:
            return value is None or is_absent(value) or not operation.is_listed(value)
        return is_absent(value) if self.seen is None else value == self.seen

    def apply(self, value: Value) -> Value | bool:
        """Return the new value of a register after a write; False if the write is impossible at `value`."""
        operation = self.operation
        if operation.kind == "create":
            return value is None and self.seen
        if value is None or operation.expected not in (None, abs(value.version)):
            return False
        if operation.kind == "erase":
            return None
        if is_absent(value) != (operation.kind == "restore"):
            return False
        new = _changed(value, operation)
        return new if operation.kind == "delete" or operation.outcome == "unknown" or new == self.seen else False


def _changed(value: PersonState, operation: Operation) -> PersonState:
    """Return the state after a change, a deletion or a restore."""
    version = abs(value.version) + 1
    if operation.kind == "delete":
        return value._replace(version=-version)
    return PersonState(value.person, version, operation.mark or value.mark, operation.surname or value.surname)


@dataclass
class Registers:
    """The events of every person, and the problems of single responses."""

    events: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    problems: list[tuple[str, Operation]] = field(default_factory=list)


def registers_of(operations: list[Operation], bound: Callable[[Operation], int] | None = None) -> Registers:
    """Convert a history to one history per person.

    With `bound` (nanoseconds per read), a read may take effect that long before its call, but not before the return of an earlier write
    that the same server acknowledged.
    """
    registers = Registers(problems=list(responses.problems(operations)))
    births = _add_creations(operations, registers)
    for operation in _single_writes(operations):
        if operation.kind in WRITES and operation.kind != "create" and operation.outcome != "failed":
            returned = NEVER if operation.outcome == "unknown" else operation.returned
            seen = operation.seen[0] if operation.seen else None
            registers.events[operation.person].append(Event(operation.call, returned, operation, seen))
    reads = sorted(
        (operation for operation in operations if _is_answered_read(operation)), key=lambda operation: operation.call
    )
    lifetimes = _Lifetimes(registers.events)
    for operation in reads:
        registers.problems += responses.order(operation, births)
        for person, seen in _reads(operation, lifetimes):
            if seen and person not in births:
                registers.problems.append((f"{person} was never created", operation))
            else:
                registers.events[person].append(Event(operation.call, operation.returned, operation, seen))
    if bound:
        for events in registers.events.values():
            _extend_reads(events, bound)
    return registers


def _single_writes(operations: list[Operation]) -> Iterator[Operation]:
    """Yield the writes of one person each. A merge deletes the merged record and changes the survivor; an undo restores it.

    A response other than success states nothing about one of the two people.
    """
    for operation in operations:
        if operation.kind not in ("restore", "merge", "undo"):
            yield operation
        elif operation.outcome in ("done", "unknown"):
            seen = {state.person: (state,) for state in operation.seen}
            if operation.kind == "restore":
                yield operation
                continue
            change: Kind = "delete" if operation.kind == "merge" else "restore"
            yield msgspec.structs.replace(operation, kind="patch", mark="", seen=seen.get(operation.person, ()))
            yield msgspec.structs.replace(
                operation,
                kind=change,
                person=operation.other,
                expected=operation.other_version,
                mark="",
                seen=seen.get(operation.other, ()),
            )


def _is_answered_read(operation: Operation) -> bool:
    return operation.kind in ("read", "list") and operation.outcome not in ("failed", "unknown")


def _add_creations(operations: list[Operation], registers: Registers) -> dict[str, tuple[int, int]]:
    """Add the events of creations. Return the call and return times of each by person.

    Attempts with the same idempotency key are one creation.
    """
    attempts: dict[str, list[Operation]] = defaultdict(list)
    for operation in operations:
        if operation.kind == "create" and operation.outcome != "failed":
            attempts[operation.mark].append(operation)
    people, first_calls = _people_of(attempts, operations), _first_deletion_calls(operations)
    restored = {operation.person for operation in operations if operation.kind == "restore"}
    births: dict[str, tuple[int, int]] = {}
    for mark, creations in attempts.items():
        first = min(creations, key=lambda operation: operation.call)
        returned = min((operation.returned for operation in creations if operation.outcome != "unknown"), default=NEVER)
        if len(people[mark]) > 1:
            registers.problems.append(("one creation created several people", first))
        for person in people[mark]:
            if person in births:
                registers.problems.append(("two creations created one person", first))
            births[person] = first.call, returned
            registers.events[person].append(
                Event(first.call, returned, first, PersonState(person, 1, mark, first.surname))
            )
        for operation in creations:
            if operation.outcome == "missing" and not people[mark] & restored:  # the response is lost after a restore
                _add_deleted_response(operation, people[mark], first_calls, registers)
    return births


def _people_of(attempts: dict[str, list[Operation]], operations: list[Operation]) -> dict[str, set[str]]:
    """Return the ids of each creation by its mark, from its own responses or from any other response."""
    people = {mark: {operation.person for operation in creations} - {""} for mark, creations in attempts.items()}
    for operation in operations:
        for state in operation.seen:
            if state.version == 1 and state.mark in people:
                people[state.mark].add(state.person)
    return people


def _first_deletion_calls(operations: list[Operation]) -> dict[str, int]:
    """Return the first call of a deletion of each person."""
    calls: dict[str, int] = {}
    for operation in operations:
        if operation.is_deletion:
            calls[operation.person] = min(operation.call, calls.get(operation.person, NEVER))
    return calls


def _add_deleted_response(
    operation: Operation, people: set[str], first_calls: dict[str, int], registers: Registers
) -> None:
    """Add the response to a creation which reports that its person was deleted."""
    for person in people:
        registers.events[person].append(Event(operation.call, operation.returned, operation))
    if all(first_calls.get(person, NEVER) > operation.returned for person in people):
        registers.problems.append(("the response reports a deletion that no client requested", operation))


class _Lifetimes:
    """The persons that a list may contain at a time. Query with increasing times."""

    def __init__(self, events: dict[str, list[Event]]) -> None:
        self._surnames = {person: {event.operation.surname for event in history} for person, history in events.items()}
        self._marks = {person: {event.operation.mark for event in history} for person, history in events.items()}
        self._births = sorted((min(event.call for event in history), person) for person, history in events.items())
        self._ends = {person: _end(history) for person, history in events.items()}
        self._next = 0
        self._alive: set[str] = set()

    def of(self, operation: Operation) -> Iterator[str]:
        """Yield the persons that may have had the surname, or the mark, during a list operation."""
        while self._next < len(self._births) and self._births[self._next][0] <= operation.returned:
            self._alive.add(self._births[self._next][1])
            self._next += 1
        self._alive -= {person for person in self._alive if self._ends[person] < operation.call}
        if operation.index in BY_SURNAME:
            return (person for person in self._alive if operation.surname in self._surnames[person])
        return (person for person in self._alive if operation.mark in self._marks[person])


def _end(events: list[Event]) -> int:
    """Return the time after which a person never exists again."""
    if any(event.operation.kind == "restore" for event in events):
        return NEVER
    deletions = [event for event in events if event.operation.is_deletion]
    return min((event.returned for event in deletions if event.operation.outcome in ("done", "missing")), default=NEVER)


def _reads(operation: Operation, lifetimes: _Lifetimes) -> Iterator[tuple[str, Value]]:
    if operation.kind == "read":
        yield operation.person, operation.seen[0] if operation.seen else None
        return
    listed = {state.person: state for state in operation.seen}
    yield from listed.items()
    for person in lifetimes.of(operation):
        if person not in listed:
            yield person, None


def _extend_reads(events: list[Event], bound: Callable[[Operation], int]) -> None:
    """Move the calls of reads earlier, as far as the bound and the writes of the same server permit."""
    written: dict[str, list[int]] = defaultdict(list)
    for event in events:
        if event.writes and event.operation.outcome == "done":
            written[event.operation.server].append(event.returned)
    for returns in written.values():
        returns.sort()
    for event in events:
        if not _is_answered_read(event.operation):
            continue
        returns_of_server = written.get(event.operation.server, [])
        before = bisect_left(returns_of_server, event.call)
        event.call = max(event.call - bound(event.operation), returns_of_server[before - 1] + 1 if before else 0)
