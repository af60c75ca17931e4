"""Reads of the embedded store that end before they would wait."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar

from peopleinfo.errors import PeopleInfoError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from peopleinfo.people.person import StoredPerson
    from peopleinfo.people.person_filter import PersonFilter
    from peopleinfo.people.store import Page, PersonReader

T = TypeVar("T")


class EmbeddedReader:
    """Implements `peopleinfo.people.store.ImmediateReader` for a store whose short reads run in the event loop (ADR 3)."""

    source = None

    def __init__(self, store: PersonReader) -> None:
        self._store = store

    def get_now(self, person_id: str) -> StoredPerson | None:
        """Implement `ImmediateReader.get_now`."""
        return _run_now(self._store.get(person_id))

    def find_now(self, person_filter: PersonFilter, limit: int) -> Page | None:
        """Implement `ImmediateReader.find_now`."""
        if person_filter.surname_key is None or person_filter.needs_row_check:
            return None
        return _run_now(self._store.find(person_filter, after=None, limit=limit))


def _run_now(read: Coroutine[Any, Any, T]) -> T | None:
    """Return the result of a read, None if it would wait or fails; the caller then repeats the read."""
    with closing(read):
        try:
            read.send(None)
        except StopIteration as ended:
            result: T = ended.value
            return result
        except PeopleInfoError:
            return None
    return None
