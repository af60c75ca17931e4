"""Check each response of a history by itself: its outcome, its people, their order and their times.

The registers (`consistency.person_histories`) then check what the responses together say of each person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from consistency.history import Kind, Operation, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from consistency.history import Stand

Problem = tuple[str, Operation]
_UNHEARD: Final[frozenset[Outcome]] = frozenset(("failed", "unknown"))
_OUTCOMES: Final[dict[Kind, frozenset[Outcome]]] = {
    "create": _UNHEARD | {"done", "missing"},
    "replace": _UNHEARD | {"done", "missing", "conflict"},
    "patch": _UNHEARD | {"done", "missing", "conflict"},
    "erase": _UNHEARD | {"done", "missing", "conflict"},
    "read": _UNHEARD | {"done", "missing", "unchanged"},
    "list": _UNHEARD | {"done"},
}
_CACHES: Final = ("local", "shared")


def problems(operations: Iterable[Operation]) -> Iterator[Problem]:
    """Yield what is wrong with single responses, and with the times that several responses give for one person."""
    times: dict[tuple[str, int], str] = {}
    for asked in operations:
        for why in (*_outcome(asked), *_people(asked), *_times(asked, times)):
            yield why, asked


def order(asked: Operation, births: Mapping[str, tuple[int, int]]) -> Iterator[Problem]:
    """Yield a problem if a list shows a person before an older one.

    `births` gives the call and the return of each creation. Two creations that overlap may be in either order.
    """
    latest = 0
    for stand in asked.seen:
        called, returned = births.get(stand.person, (0, asked.back))
        if returned < latest:
            yield "the list is not ordered by age, oldest first", asked
            return
        latest = max(latest, called)


def _outcome(asked: Operation) -> Iterator[str]:
    if asked.outcome not in _OUTCOMES[asked.kind]:
        yield f"{asked.kind} never has the outcome {asked.outcome}"
    if asked.fresh and asked.source in _CACHES:
        yield "a cache answered a request for a fresh response"
    if asked.kind != "list" and len(asked.seen) != _expected_people(asked):
        yield "the response shows another number of people than it should"


def _expected_people(asked: Operation) -> int:
    return int(asked.outcome == "done" and asked.kind != "erase")


def _people(asked: Operation) -> Iterator[str]:
    if asked.kind == "list":
        if len({stand.person for stand in asked.seen}) < len(asked.seen):
            yield "the list shows a person twice"
        if any(stand.surname != asked.surname for stand in asked.seen):
            yield "the list shows a person with another surname"
    if asked.kind == "create" and any(not _is_created(stand, asked) for stand in asked.seen):
        yield "the response does not show what was created"


def _is_created(stand: Stand, asked: Operation) -> bool:
    return (stand.version, stand.mark, stand.surname) == (1, asked.mark, asked.surname)


def _times(asked: Operation, known: dict[tuple[str, int], str]) -> Iterator[str]:
    """Compare the times in a response with those of earlier responses, and note them in `known`; version 0 is the creation."""
    for stand, times in zip(asked.seen, asked.times, strict=False):
        for version, time in ((0, times.created_at), (stand.version, times.updated_at)):
            if known.setdefault((stand.person, version), time) != time:
                yield f"the time of {f'version {version}' if version else 'the creation'} has changed"
