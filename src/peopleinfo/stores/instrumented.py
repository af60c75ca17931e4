"""Metrics and traces for any store: records the duration and the errors of each operation."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, TypeVar

from peopleinfo.errors import OutcomeUnknown, PeopleInfoError, StoreUnavailable
from peopleinfo.telemetry import tracing
from peopleinfo.telemetry.metrics import STORE_ERRORS, STORE_SECONDS, STORE_UP

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from peopleinfo.people.person import PersonData, StoredPerson
    from peopleinfo.people.search import PersonFilter
    from peopleinfo.people.store import Checkpoint, IdempotencyKey, Page, PurgeResult, ReadOptions, ReindexResult
    from peopleinfo.stores.service_store import ServiceStore

_OPERATIONS: Final = [
    "get",
    "create",
    "replace",
    "delete",
    "find",
    "scan",
    "create_many",
    "progress",
    "upsert_many",
    "reindex",
    "purge",
    "estimate",
    "ready",
]
T = TypeVar("T")


class InstrumentedStore:
    """Wraps a store and measures each operation. The semantics are those of the wrapped store."""

    def __init__(self, store: ServiceStore) -> None:
        self._store = store
        self.secret = store.secret
        self.api_keys = store.api_keys
        self.ended_sessions = store.ended_sessions
        self.index_value = store.index_value
        for operation in _OPERATIONS:
            for error in ("unavailable", "outcome_unknown", "unexpected"):
                STORE_ERRORS.init_labels(operation, error)

    @property
    def cache_state(self) -> str | None:
        return self._store.cache_state

    def get(self, person_id: str, *, options: ReadOptions | None = None) -> Coroutine[Any, Any, StoredPerson]:
        return _observe("get", self._store.get(person_id, options=options))

    def create(
        self, details: PersonData, *, idempotency_key: IdempotencyKey | None = None
    ) -> Coroutine[Any, Any, StoredPerson]:
        return _observe("create", self._store.create(details, idempotency_key=idempotency_key))

    def replace(
        self, person_id: str, details: PersonData, *, expected: int, current: StoredPerson | None = None
    ) -> Coroutine[Any, Any, StoredPerson]:
        return _observe("replace", self._store.replace(person_id, details, expected=expected, current=current))

    def delete(self, person_id: str, *, expected: int | None = None) -> Coroutine[Any, Any, None]:
        return _observe("delete", self._store.delete(person_id, expected=expected))

    def find(
        self, person_filter: PersonFilter, *, after: bytes | None, limit: int, options: ReadOptions | None = None
    ) -> Coroutine[Any, Any, Page]:
        return _observe("find", self._store.find(person_filter, after=after, limit=limit, options=options))

    def scan(
        self,
        *,
        after: bytes | None,
        limit: int,
        person_filter: PersonFilter | None = None,
        segment: int = 0,
        segments: int = 1,
    ) -> Coroutine[Any, Any, Page]:
        scanned = self._store.scan(
            after=after, limit=limit, person_filter=person_filter, segment=segment, segments=segments
        )
        return _observe("scan", scanned)

    def create_many(
        self, people: Sequence[PersonData], *, checkpoint: tuple[Checkpoint, Checkpoint] | None = None
    ) -> Coroutine[Any, Any, list[str]]:
        return _observe("create_many", self._store.create_many(people, checkpoint=checkpoint))

    def progress(self, import_id: bytes) -> Coroutine[Any, Any, Checkpoint]:
        return _observe("progress", self._store.progress(import_id))

    def upsert_many(
        self, people: Sequence[bytes], *, checkpoint: tuple[Checkpoint, Checkpoint] | None = None
    ) -> Coroutine[Any, Any, int]:
        return _observe("upsert_many", self._store.upsert_many(people, checkpoint=checkpoint))

    def reindex(self, *, after: bytes | None, limit: int) -> Coroutine[Any, Any, ReindexResult]:
        return _observe("reindex", self._store.reindex(after=after, limit=limit))

    def purge(self, *, after: bytes | None, limit: int, remove: bool = True) -> Coroutine[Any, Any, PurgeResult]:
        return _observe("purge", self._store.purge(after=after, limit=limit, remove=remove))

    def estimate(self) -> Coroutine[Any, Any, int | None]:
        return _observe("estimate", self._store.estimate())

    def update_gauges(self) -> None:
        self._store.update_gauges()

    async def check(self) -> None:
        try:
            await _observe("ready", self._store.check())
        except StoreUnavailable:
            STORE_UP.set(0)
            raise
        STORE_UP.set(1)


async def _observe(operation: str, call: Coroutine[Any, Any, T]) -> T:
    started = perf_counter()
    try:
        with tracing.span("store", operation):
            return await call
    except PeopleInfoError as error:  # most are regular results, for example PersonNotFound
        if isinstance(error, StoreUnavailable):
            STORE_ERRORS.inc(operation, "outcome_unknown" if isinstance(error, OutcomeUnknown) else "unavailable")
        raise
    except Exception:
        STORE_ERRORS.inc(operation, "unexpected")
        raise
    finally:
        STORE_SECONDS.observe(perf_counter() - started, operation)
