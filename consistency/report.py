"""Explain a violation: the operations that overlapped, the wrong response and the possible values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consistency.checker import unexplained
from consistency.person_histories import NEVER, Event, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consistency.checker import Violation
    from consistency.history import Operation


def explain(violation: Violation) -> str:
    """Describe a violation with a minimal set of operations; times are milliseconds relative to the wrong response."""
    operation = violation.operation
    if not violation.events:
        return f"{violation.reason}:\n  {_describe(operation, operation.returned, operation)}"
    events = minimize(violation.events)
    lines = [f"person {violation.person}: {violation.reason}. Minimal history:"]
    for event in sorted(events, key=lambda event: event.call):
        mark = " <- violation" if event.operation is operation else ""
        lines.append(f"  {_describe(event.operation, operation.returned, event)}{mark}")
    possible = ", ".join(_value(value) for value in violation.possible) or "none"
    return "\n".join([*lines, f"  possible values: {possible}"])


def minimize(events: Sequence[Event]) -> list[Event]:
    """Remove events that the violation does not need: reads and old writes."""
    needed = list(events)
    if unexplained(needed) is None:
        return needed
    for event in sorted(events, key=lambda event: event.call):
        if event.writes:
            continue
        remaining = [other for other in needed if other is not event]
        if unexplained(remaining) is not None:
            needed = remaining
    return _without_old_writes(needed)


def _without_old_writes(events: list[Event]) -> list[Event]:
    """Remove writes that were overwritten before the first read."""
    reads = [event for event in events if not event.writes]
    start = min((event.call for event in reads), default=0)
    versions = [event.seen.version for event in reads if event.seen]
    completed = [event for event in events if event.writes and event.returned < start and event.seen]
    last = max((event.seen.version for event in completed if event.seen), default=0)
    first = min([last, *versions])
    return [event for event in events if not (event in completed and event.seen and event.seen.version < first)]


def _describe(operation: Operation, end: int, event: Event | Operation) -> str:
    returned = "       ..." if event.returned == NEVER else f"{(event.returned - end) / 1e6:10.1f}"
    times = f"{(operation.call - end) / 1e6:10.1f} to {returned} ms"
    words: list[str] = [operation.kind]
    if operation.expected:
        words.append(f"at version {operation.expected}")
    if operation.surname:
        words.append(f"{'of' if operation.kind == 'list' else 'as'} {operation.surname}")
    if operation.mark:
        words.append(f"mark {operation.mark}")
    if operation.source:
        words.append(f"({operation.source})")
    return f"{times}  client {operation.client:2} server {operation.server:5} {' '.join(words)}: {_result(operation, event)}"


def _result(operation: Operation, event: Event | Operation) -> str:
    if operation.outcome == "unknown":
        return "no response"
    if operation.outcome == "conflict":
        return f"conflict, at version {operation.actual}"
    if isinstance(event, Event) and operation.kind in ("read", "list") and operation.outcome == "done":
        return _value(event.seen) if event.seen or operation.kind == "read" else "not in the list"
    return f"done, {_value(operation.seen[0])}" if operation.seen and operation.kind != "list" else operation.outcome


def _value(value: Value) -> str:
    return f"version {value.version} mark {value.mark} as {value.surname}" if value else "no person"
