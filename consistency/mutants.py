"""Mutants of the cache, each without one rule of the protocol. The checker must detect every mutant."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from peopleinfo.errors import OutcomeUnknown, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable


def no_lease() -> None:
    """Fill the cache although a write has revoked the lease."""
    rule = "if redis.pcall('GET', KEYS[3]) ~= ARGV[4] then return {'lease_lost'} end"
    shared = _module("shared")
    if rule not in shared.FILL.text:
        raise LookupError("the fill script does not contain the lease check: update this mutant")
    shared.FILL = shared.Script("fill", shared.FILL.text.replace(rule, ""))


def no_fence() -> None:
    """Set no fence before a write; still invalidate the entries after it."""

    async def fence(*_: Any) -> bool:
        return True

    _module("shared").SharedCache.fence = fence


def one_fence_for_all() -> None:
    """Share one fence among all writers; the first writer that finishes clears it."""
    cache = _module("shared").SharedCache
    fence, unfence = cache.fence, cache.unfence

    async def fence_all(self: Any, names: Iterable[str], _: bytes) -> Any:
        return await fence(self, names, b"all")

    async def unfence_all(self: Any, names: Iterable[str], _: bytes) -> Any:
        return await unfence(self, names, b"all")

    cache.fence, cache.unfence = fence_all, unfence_all


def unknown_unfences() -> None:
    """Clear the fence after a write of unknown outcome."""
    cache = _module("store").CachedStore
    fenced = cache._write_fenced  # noqa: SLF001 - contains the rule

    async def write_without_doubt(
        self: Any, names: Iterable[str], write: Callable[[], Awaitable[Any]], **more: Any
    ) -> Any:
        async def write_surely() -> Any:
            try:
                return await write()
            except OutcomeUnknown as doubt:
                raise StoreUnavailable(str(doubt)) from doubt

        return await fenced(self, names, write_surely, **more)

    cache._write_fenced = write_without_doubt  # noqa: SLF001


def no_quarantine() -> None:
    """Serve from a cache that has just lost its data."""
    shared = _module("shared")
    epoch = shared.SharedCache._epoch  # noqa: SLF001
    shared.SharedCache._epoch = lambda self: (epoch(self)[0], 0)  # noqa: SLF001


def no_placeholder() -> None:
    """Store a response in the local cache although its invalidation arrived first."""
    cache = _module("local").LocalCache
    invalidate = cache.invalidate

    def invalidate_entries_only(self: Any, keys: Iterable[str]) -> None:
        fetches = dict(self._fetches)
        invalidate(self, keys)
        self._fetches.update(fetches)

    cache.invalidate = invalidate_entries_only


MUTANTS: Final[dict[str, Callable[[], None]]] = {
    "no-lease": no_lease,
    "no-fence": no_fence,
    "one-fence-for-all": one_fence_for_all,
    "unknown-unfences": unknown_unfences,
    "no-quarantine": no_quarantine,
    "no-placeholder": no_placeholder,
}


def _module(name: str) -> Any:
    return importlib.import_module(f"peopleinfo.stores.cached.{name}")
