"""Check single responses of a history: outcome, number of people, order and timestamps.

The checker of the registers (`consistency.checker`) then compares the responses with each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from consistency.history import Kind, Operation, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from consistency.history import PersonState

Problem = tuple[str, Operation]
_WITHOUT_RESPONSE: Final[frozenset[Outcome]] = frozenset(("failed", "unknown"))
_OUTCOMES: Final[dict[Kind, frozenset[Outcome]]] = {
    "erase": _WITHOUT_RESPONSE | {"done", "missing", "conflict"},
    "restore": _WITHOUT_RESPONSE | {"done", "missing"},
    "merge": _WITHOUT_RESPONSE | {"done", "missing", "conflict"},
    "undo": _WITHOUT_RESPONSE | {"done", "missing"},
    "create": _WITHOUT_RESPONSE | {"done", "missing"},
    "replace": _WITHOUT_RESPONSE | {"done", "missing", "conflict"},
    "patch": _WITHOUT_RESPONSE | {"done", "missing", "conflict"},
    "delete": _WITHOUT_RESPONSE | {"done", "missing", "conflict"},
    "read": _WITHOUT_RESPONSE | {"done", "missing", "unchanged"},
    "list": _WITHOUT_RESPONSE | {"done"},
}
_CACHES: Final = ("local", "shared")


def problems(operations: Iterable[Operation]) -> Iterator[Problem]:
    """Yield the problems of single responses, and contradictions between the timestamps of one person."""
    times: dict[tuple[str, int], str] = {}
    for operation in operations:
        for reason in (*_outcome(operation), *_people(operation), *_times(operation, times)):
            yield reason, operation


def order(operation: Operation, births: Mapping[str, tuple[int, int]]) -> Iterator[Problem]:
    """Yield a problem if a list is not ordered by creation.

    `births` holds the call and return times of each creation. Overlapping creations may be in either order.
    """
    if operation.index:
        return
    latest = 0
    for state in operation.seen:
        called, returned = births.get(state.person, (0, operation.returned))
        if returned < latest:
            yield "the list is not ordered by creation, oldest first", operation
            return
        latest = max(latest, called)


def _outcome(operation: Operation) -> Iterator[str]:
    if operation.outcome not in _OUTCOMES[operation.kind]:
        yield f"{operation.kind} never has the outcome {operation.outcome}"
    if operation.fresh and operation.source in _CACHES:
        yield "a cache served a request for a fresh response"
    if operation.kind != "list" and len(operation.seen) != _expected_people(operation):
        yield "the response has a wrong number of people"


def _expected_people(operation: Operation) -> int:
    if operation.outcome != "done" or operation.is_deletion:
        return 0
    return 2 if operation.kind == "undo" else 1


def _people(operation: Operation) -> Iterator[str]:
    if operation.kind == "list":
        if len({state.person for state in operation.seen}) < len(operation.seen):
            yield "the list shows a person twice"
        if not all(map(operation.is_listed, operation.seen)):
            yield "the list shows a person with another surname or mark"
    if operation.kind == "create" and any(not _is_created(state, operation) for state in operation.seen):
        yield "the response differs from the created person"


def _is_created(state: PersonState, operation: Operation) -> bool:
    return (state.version, state.mark, state.surname) == (1, operation.mark, operation.surname)


def _times(operation: Operation, known: dict[tuple[str, int], str]) -> Iterator[str]:
    """Compare the timestamps of a response with those of earlier responses in `known`; version 0 is the creation."""
    for state, times in zip(operation.seen, operation.times, strict=False):
        for version, time in ((0, times.created_at), (state.version, times.updated_at)):
            if known.setdefault((state.person, version), time) != time:
                yield f"the time of {f'version {version}' if version else 'the creation'} has changed"
