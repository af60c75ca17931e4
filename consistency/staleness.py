"""How old answers are: from the moment that a newer value was acknowledged to the call of the read that still showed the older one."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from consistency.person_histories import NEVER, Event, registers_of

if TYPE_CHECKING:
    from consistency.history import Operation


class Staleness(NamedTuple):
    """Seconds by which reads were behind; most are not at all. `stale` of `reads` were."""

    reads: int
    stale: int
    p50: float
    p999: float
    worst: float


def staleness(operations: list[Operation]) -> Staleness:
    """Measure every read of every person; a list is a read of each person in it and of each who should be."""
    ages: list[int] = []
    for events in registers_of(operations).events.values():
        ages += _ages(events)
    ages.sort()
    if not ages:
        return Staleness(0, 0, 0.0, 0.0, 0.0)
    p50, p999, worst = (ages[min(int(len(ages) * share), len(ages) - 1)] / 1e9 for share in (0.5, 0.999, 1))
    return Staleness(len(ages), sum(age > 0 for age in ages), p50, p999, worst)


def _ages(events: list[Event]) -> list[int]:
    """Return how many nanoseconds each read is behind; 0 when it may have been the newest at its call."""
    returned: dict[int, int] = {}  # version → when it was acknowledged
    gone, gone_asked = NEVER, NEVER
    for event in events:
        if not event.writes:
            continue
        if event.operation.kind == "erase":
            gone_asked = min(gone_asked, event.call)
            gone = min(gone, event.back)
        elif event.seen:
            returned[event.seen.version] = min(event.back, returned.get(event.seen.version, NEVER))
    # The first acknowledgement of a version or of any later one; an erasure comes after all of them.
    versions = sorted(returned)
    firsts = list(accumulate((returned[version] for version in reversed(versions)), min, initial=gone))
    newer = dict(zip(versions, reversed(firsts[:-1]), strict=True))
    first = firsts[-1]
    ages = []
    for event in events:
        if event.writes or event.operation.kind not in ("read", "list") or event.operation.outcome == "unchanged":
            continue
        if event.seen:
            ages.append(max(0, event.call - newer.get(event.seen.version, NEVER)))
        elif event.operation.kind == "read":  # nothing: not created yet, unless it may have been erased
            ages.append(max(0, event.call - first) if gone_asked > event.back else 0)
    return ages
