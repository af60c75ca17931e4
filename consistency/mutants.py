"""The cache of the service with one of its rules taken out. Each has to be noticed; that is what shows that the checker looks."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from peopleinfo.errors import OutcomeUnknown, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable


def no_lease() -> None:
    """Fill the cache although a write has taken the lease away."""
    rule = "if redis.pcall('GET', KEYS[3]) ~= ARGV[4] then return {'lease_lost'} end"
    shared = _module("shared")
    if rule not in shared.FILL.text:
        raise LookupError("the script that fills the cache does not ask for the lease in these words any more")
    shared.FILL = shared.Script("fill", shared.FILL.text.replace(rule, ""))


def no_fence() -> None:
    """Put up no fence before the store is written; what was kept is still thrown away afterwards."""

    async def fence(*_: Any) -> bool:
        return True

    _module("shared").SharedCache.fence = fence


def one_fence_for_all() -> None:
    """Let all writers share one fence, which the first to be done takes down."""
    cache = _module("shared").SharedCache
    fence, unfence = cache.fence, cache.unfence

    async def fence_all(self: Any, names: Iterable[str], _: bytes) -> Any:
        return await fence(self, names, b"all")

    async def unfence_all(self: Any, names: Iterable[str], _: bytes) -> Any:
        return await unfence(self, names, b"all")

    cache.fence, cache.unfence = fence_all, unfence_all


def unknown_unfences() -> None:
    """Take the fence down although it is not known whether the store has written, or will."""
    cache = _module("store").CachedStore
    fenced = cache._write_fenced  # noqa: SLF001 - the rule is inside

    async def never_in_doubt(self: Any, names: Iterable[str], write: Callable[[], Awaitable[Any]], **more: Any) -> Any:
        async def surely() -> Any:
            try:
                return await write()
            except OutcomeUnknown as doubt:
                raise StoreUnavailable(str(doubt)) from doubt

        return await fenced(self, names, surely, **more)

    cache._write_fenced = never_in_doubt  # noqa: SLF001


def no_quarantine() -> None:
    """Trust a cache that has just lost its memory."""
    shared = _module("shared")
    epoch = shared.SharedCache._epoch  # noqa: SLF001
    shared.SharedCache._epoch = lambda self: (epoch(self)[0], 0)  # noqa: SLF001


def no_placeholder() -> None:
    """Keep an answer in the process although its invalidation came first."""
    cache = _module("local").LocalCache
    invalidate = cache.invalidate

    def invalidate_what_is_kept(self: Any, keys: Iterable[str]) -> None:
        expected = dict(self._fetches)
        invalidate(self, keys)
        self._fetches.update(expected)

    cache.invalidate = invalidate_what_is_kept


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
