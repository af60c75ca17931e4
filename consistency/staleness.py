"""Measure staleness: the time from the acknowledgement of a newer value to the call of a read that returned an older one."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from consistency.person_histories import NEVER, Event, registers_of

if TYPE_CHECKING:
    from consistency.history import Operation


class Staleness(NamedTuple):
    """The staleness of `reads` in seconds; `stale` of them returned an older value."""

    reads: int
    stale: int
    p50: float
    p999: float
    worst: float


def staleness(operations: list[Operation]) -> Staleness:
    """Measure every read of every person. A list reads each person that it contains or should contain."""
    ages: list[int] = []
    for events in registers_of(operations).events.values():
        ages += _ages(events)
    ages.sort()
    if not ages:
        return Staleness(0, 0, 0.0, 0.0, 0.0)
    p50, p999, worst = (ages[min(int(len(ages) * share), len(ages) - 1)] / 1e9 for share in (0.5, 0.999, 1))
    return Staleness(len(ages), sum(age > 0 for age in ages), p50, p999, worst)


def _ages(events: list[Event]) -> list[int]:
    """Return the staleness of each read in nanoseconds; 0 if its value may have been current at the call."""
    acknowledged: dict[int, int] = {}  # time by version
    deleted, delete_called = NEVER, NEVER
    for event in events:
        if not event.writes:
            continue
        if event.operation.is_deletion:
            delete_called = min(delete_called, event.call)
            deleted = min(deleted, event.returned)
        elif event.seen:
            acknowledged[event.seen.version] = min(event.returned, acknowledged.get(event.seen.version, NEVER))
    if any(event.operation.kind == "restore" for event in events):  # a later version may follow the deletion
        deleted, delete_called = NEVER, 0
    # The first acknowledgement of a version or a later one; a deletion follows all versions.
    versions = sorted(acknowledged)
    firsts = list(accumulate((acknowledged[version] for version in reversed(versions)), min, initial=deleted))
    newer = dict(zip(versions, reversed(firsts[:-1]), strict=True))
    first = firsts[-1]
    ages = []
    for event in events:
        if event.writes or event.operation.kind not in ("read", "list") or event.operation.outcome == "unchanged":
            continue
        if event.seen:
            ages.append(max(0, event.call - newer.get(event.seen.version, NEVER)))
        elif event.operation.kind == "read":  # no value: stale if created, unless possibly deleted
            ages.append(max(0, event.call - first) if delete_called > event.returned else 0)
    return ages
