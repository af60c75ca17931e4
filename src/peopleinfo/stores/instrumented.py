"""Metrics and traces for any store: records the duration and the errors of each operation."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from peopleinfo.errors import OutcomeUnknown, PeopleInfoError, Unavailable
from peopleinfo.telemetry import tracing
from peopleinfo.telemetry.metrics import STORE_ERRORS, STORE_SECONDS, STORE_UP

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from peopleinfo.matching.merge_store import MergeStore
    from peopleinfo.people.store import Store
    from peopleinfo.people.trash import TrashStore

P = ParamSpec("P")
T = TypeVar("T")


class InstrumentedStore:
    """Wraps a store and measures each operation. The semantics are those of the wrapped store."""

    def __init__(self, store: Store) -> None:
        self._ready = _observed("ready", store.check)
        self.get = _observed("get", store.get)
        self.get_many = _observed("get_many", store.get_many)
        self.merge_group = _observed("merge_group", store.merge_group)
        self.find = _observed("find", store.find)
        self.scan = _observed("scan", store.scan)
        self.create = _observed("create", store.create)
        self.replace = _observed("replace", store.replace)
        self.delete = _observed("delete", store.delete)
        self.create_many = _observed("create_many", store.create_many)
        self.create_each = _observed("create_each", store.create_each)
        self.replace_many = _observed("replace_many", store.replace_many)
        self.upsert_many = _observed("upsert_many", store.upsert_many)
        self.read_checkpoint = _observed("read_checkpoint", store.read_checkpoint)
        self.delete_checkpoint = _observed("delete_checkpoint", store.delete_checkpoint)
        self.acquire_lease = _observed("acquire_lease", store.acquire_lease)
        self.read_versions = _observed("read_versions", store.read_versions)
        self.read_changes = _observed("read_changes", store.read_changes)
        self.expire_history = _observed("expire_history", store.expire_history)
        self.estimate = _observed("estimate", store.estimate)
        self.reindex = _observed("reindex", store.reindex)
        self.purge = _observed("purge", store.purge)
        self.update_gauges = store.update_gauges
        self.index_value = store.index_value

    async def check(self) -> None:
        try:
            await self._ready()
        except Unavailable:
            STORE_UP.set(0)
            raise
        STORE_UP.set(1)


class InstrumentedTrash:
    """Wraps the trash of a store and measures each operation."""

    def __init__(self, trash: TrashStore) -> None:
        self.add = _observed("trash_add", trash.add)
        self.get = _observed("trash_get", trash.get)
        self.page = _observed("trash_page", trash.page)
        self.restore = _observed("trash_restore", trash.restore)
        self.erase = _observed("trash_erase", trash.erase)
        self.expired = _observed("trash_expired", trash.expired)


class InstrumentedMerges:
    """Wraps the merges of a store and measures each operation."""

    def __init__(self, merges: MergeStore) -> None:
        self.read_members = _observed("read_members", merges.read_members)
        self.read_merge = _observed("read_merge", merges.read_merge)
        self.merges_of = _observed("merges_of", merges.merges_of)
        self.merge = _observed("merge", merges.merge)
        self.undo = _observed("undo_merge", merges.undo)
        self.merge_ids = _observed("merge_ids", merges.merge_ids)
        self.read_log = _observed("read_log", merges.read_log)
        self.store_merge = _observed("store_merge", merges.store_merge)


def _observed(operation: str, method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Return a method that calls `method` and records its duration and its errors."""
    for error in ("unavailable", "outcome_unknown", "unexpected"):
        STORE_ERRORS.init_labels(operation, error)

    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        started = perf_counter()
        try:
            with tracing.span("store", operation):
                return await method(*args, **kwargs)
        except PeopleInfoError as error:  # most are regular results, for example PersonNotFound
            if isinstance(error, Unavailable):
                STORE_ERRORS.inc(operation, "outcome_unknown" if isinstance(error, OutcomeUnknown) else "unavailable")
            raise
        except Exception:
            STORE_ERRORS.inc(operation, "unexpected")
            raise
        finally:
            STORE_SECONDS.observe(perf_counter() - started, operation)

    return call
