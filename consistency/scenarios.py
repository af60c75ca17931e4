"""The modes: configuration, faults and guarantee of the service."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from consistency.faults import DATA_LOSS, SERVERS, STORE_FAULTS, UNREACHABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from consistency.history import History, Operation

_MAX_STALENESS: Final = 2.0  # seconds, while every writer reaches the cache


@dataclass(frozen=True)
class Mode:
    """A configuration of the service. Reads are linearizable or, if `bounded`, of bounded staleness."""

    name: str
    about: str
    faults: tuple[str, ...]
    settings: dict[str, str] = field(default_factory=dict)
    cache: bool = True
    fresh: float = 0.05  # fraction of reads that bypass the cache; they detect stale entries
    bounded: bool = False
    fault_speed: float = 1.0  # factor on the fault rate

    def bound(self, history: History) -> Callable[[Operation], int] | None:
        """Return a function of the maximum staleness of a read in nanoseconds; None if reads are linearizable."""
        if not self.bounded:
            return None
        normal = round(_MAX_STALENESS * 1e9)
        after_fault = round(history.run.cache_ttl * 1e9) + normal
        cache_faults = [fault for fault in history.faults if fault.kind.startswith("cache-")]

        def bound(operation: Operation) -> int:
            if operation.fresh or operation.index:  # read from the store
                return 0
            is_affected = any(
                fault.begin < operation.returned and fault.end > operation.call - after_fault for fault in cache_faults
            )
            return after_fault if is_affected else normal

        return bound


MODES: Final = {
    mode.name: mode
    for mode in (
        Mode("store", "no cache: linearizable", (*STORE_FAULTS, *SERVERS), cache=False),
        Mode(
            "no-cache",
            "every read requests a fresh response: linearizable under all cache faults",
            (*STORE_FAULTS, *SERVERS, *DATA_LOSS, *UNREACHABLE),
            fresh=1.0,
        ),
        Mode(
            "shared",
            "shared cache only: linearizable while every writer reaches it",
            (*STORE_FAULTS, *SERVERS, *DATA_LOSS),
            # A long timeout: a slow cache on a busy machine must not be skipped.
            settings={"CACHE_LOCAL_SIZE": "0", "CACHE_TIMEOUT": "5"},
        ),
        Mode(
            "default",
            "both caches: staleness of at most 2 s, or one TTL when a writer did not reach the cache",
            (*STORE_FAULTS, *SERVERS, *DATA_LOSS, *UNREACHABLE),
            bounded=True,
        ),
    )
}

_MUTANT_MODE: Final = replace(MODES["shared"], faults=("store-slow",), fault_speed=4.0)
# The mode that detects each mutant: its faults need the missing rule.
MUTANT_MODES: Final = {
    "no-lease": _MUTANT_MODE,
    "no-fence": _MUTANT_MODE,
    "one-fence-for-all": _MUTANT_MODE,
    "unknown-unfences": replace(_MUTANT_MODE, faults=("store-late",)),
    "no-quarantine": replace(_MUTANT_MODE, faults=("store-slow", "cache-restarted-empty")),
    "no-placeholder": replace(_MUTANT_MODE, faults=("responses-delayed",), settings={}, bounded=True),
    "naive-cache": _MUTANT_MODE,
}
