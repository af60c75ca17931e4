"""A store that is watched: how long it takes and what it cannot do is counted, whichever store it is."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, TypeVar

from peopleinfo.errors import OutcomeUnknown, PeopleInfoError, StoreUnavailable
from peopleinfo.telemetry import tracing
from peopleinfo.telemetry.metrics import STORE_ERRORS, STORE_SECONDS, STORE_UP

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from peopleinfo.people.person import Details, Record
    from peopleinfo.people.search import Filter
    from peopleinfo.people.store import Once, Page, Progress, Purged, Reading, Rekeyed, Store

_OPERATIONS: Final = [
    "get",
    "create",
    "replace",
    "erase",
    "find",
    "scan",
    "load",
    "progress",
    "adopt",
    "rekey",
    "purge",
    "estimate",
    "ready",
]
T = TypeVar("T")


class ObservedStore:
    """A store whose every operation is timed and counted. Its promises are those of the store that it watches."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.secret = store.secret
        self.api_keys = store.api_keys
        self.ended_sessions = store.ended_sessions
        self.index = store.index
        for operation in _OPERATIONS:
            for error in ("unavailable", "outcome_unknown", "unexpected"):
                STORE_ERRORS.begin(operation, error)

    @property
    def cache_state(self) -> str | None:
        return self._store.cache_state

    def get(self, person_id: str, *, reading: Reading | None = None) -> Coroutine[Any, Any, Record]:
        return _observed("get", self._store.get(person_id, reading=reading))

    def create(self, details: Details, *, once: Once | None = None) -> Coroutine[Any, Any, Record]:
        return _observed("create", self._store.create(details, once=once))

    def replace(
        self, person_id: str, details: Details, *, expected: int, known: Record | None = None
    ) -> Coroutine[Any, Any, Record]:
        return _observed("replace", self._store.replace(person_id, details, expected=expected, known=known))

    def erase(self, person_id: str, *, expected: int | None = None) -> Coroutine[Any, Any, None]:
        return _observed("erase", self._store.erase(person_id, expected=expected))

    def find(
        self, where: Filter, *, after: bytes | None, limit: int, reading: Reading | None = None
    ) -> Coroutine[Any, Any, Page]:
        return _observed("find", self._store.find(where, after=after, limit=limit, reading=reading))

    def scan(
        self, *, after: bytes | None, limit: int, where: Filter | None = None, segment: int = 0, segments: int = 1
    ) -> Coroutine[Any, Any, Page]:
        scanned = self._store.scan(after=after, limit=limit, where=where, segment=segment, segments=segments)
        return _observed("scan", scanned)

    def load(
        self, people: Sequence[Details], *, step: tuple[Progress, Progress] | None = None
    ) -> Coroutine[Any, Any, list[str]]:
        return _observed("load", self._store.load(people, step=step))

    def progress(self, import_id: bytes) -> Coroutine[Any, Any, Progress]:
        return _observed("progress", self._store.progress(import_id))

    def adopt(
        self, people: Sequence[bytes], *, step: tuple[Progress, Progress] | None = None
    ) -> Coroutine[Any, Any, int]:
        return _observed("adopt", self._store.adopt(people, step=step))

    def rekey(self, *, after: bytes | None, limit: int) -> Coroutine[Any, Any, Rekeyed]:
        return _observed("rekey", self._store.rekey(after=after, limit=limit))

    def purge(self, *, after: bytes | None, limit: int, remove: bool = True) -> Coroutine[Any, Any, Purged]:
        return _observed("purge", self._store.purge(after=after, limit=limit, remove=remove))

    def estimate(self) -> Coroutine[Any, Any, int | None]:
        return _observed("estimate", self._store.estimate())

    def note_state(self) -> None:
        self._store.note_state()

    async def ready(self) -> None:
        try:
            await _observed("ready", self._store.ready())
        except StoreUnavailable:
            STORE_UP.set(0)
            raise
        STORE_UP.set(1)


async def _observed(operation: str, answer: Coroutine[Any, Any, T]) -> T:
    began = perf_counter()
    try:
        with tracing.span("store", operation):
            return await answer
    except PeopleInfoError as error:  # most of them are answers: that somebody is not there, say
        if isinstance(error, StoreUnavailable):
            STORE_ERRORS.add(operation, "outcome_unknown" if isinstance(error, OutcomeUnknown) else "unavailable")
        raise
    except Exception:
        STORE_ERRORS.add(operation, "unexpected")
        raise
    finally:
        STORE_SECONDS.observe(perf_counter() - began, operation)
