"""What went wrong, for people to read: whose answers, which requests overlapped, and what would have been right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consistency.checker import unexplained
from consistency.person_histories import NEVER, Event, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consistency.checker import Violation
    from consistency.history import Operation


def account(violation: Violation) -> str:
    """Tell of a violation in the fewest requests that show it; times are milliseconds before the wrong answer."""
    asked = violation.operation
    if not violation.events:
        return f"{violation.why}:\n  {_told(asked, asked.back, asked)}"
    events = smallest(violation.events)
    lines = [f"person {violation.person}: {violation.why}. All that is needed to see it:"]
    for event in sorted(events, key=lambda event: event.call):
        wrong = " <- cannot be" if event.operation is asked else ""
        lines.append(f"  {_told(event.operation, asked.back, event)}{wrong}")
    right = ", ".join(_value(value) for value in violation.possible) or "no answer at all"
    return "\n".join([*lines, f"  at that time there may have been: {right}"])


def smallest(events: Sequence[Event]) -> list[Event]:
    """Leave out what is not needed for the violation: reads, and whole lives of the person from the beginning."""
    needed = list(events)
    if unexplained(needed) is None:
        return needed
    for event in sorted(events, key=lambda event: event.call):
        if event.writes:
            continue
        fewer = [one for one in needed if one is not event]
        if unexplained(fewer) is not None:
            needed = fewer
    return _recent(needed)


def _recent(events: list[Event]) -> list[Event]:
    """Leave out the writes that were over and overwritten long before the first read that matters."""
    reads = [event for event in events if not event.writes]
    begin = min((event.call for event in reads), default=0)
    versions = [event.seen.version for event in reads if event.seen]
    over = [event for event in events if event.writes and event.back < begin and event.seen]
    last = max((event.seen.version for event in over if event.seen), default=0)
    first = min([last, *versions])
    return [event for event in events if not (event in over and event.seen and event.seen.version < first)]


def _told(asked: Operation, end: int, event: Event | Operation) -> str:
    back = "       ..." if event.back == NEVER else f"{(event.back - end) / 1e6:10.1f}"
    times = f"{(asked.call - end) / 1e6:10.1f} to {back} ms"
    what: list[str] = [asked.kind]
    if asked.expected:
        what.append(f"at version {asked.expected}")
    if asked.surname:
        what.append(f"{'of' if asked.kind == 'list' else 'as'} {asked.surname}")
    if asked.mark:
        what.append(f"mark {asked.mark}")
    if asked.source:
        what.append(f"({asked.source})")
    return f"{times}  client {asked.client:2} server {asked.server:5} {' '.join(what)}: {_answer(asked, event)}"


def _answer(asked: Operation, event: Event | Operation) -> str:
    if asked.outcome == "unknown":
        return "no answer"
    if asked.outcome == "conflict":
        return f"conflict, at version {asked.actual}"
    if isinstance(event, Event) and asked.kind in ("read", "list") and asked.outcome == "done":
        return _value(event.seen) if event.seen or asked.kind == "read" else "not in the list"
    return f"done, {_value(asked.seen[0])}" if asked.seen and asked.kind != "list" else asked.outcome


def _value(value: Value) -> str:
    return f"version {value.version} mark {value.mark} as {value.surname}" if value else "nobody"
