"""How a service is set up, what is done to it, and what is promised of it then."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from consistency.faults import FORGETTING, SERVERS, UNREACHABLE, WEATHER

if TYPE_CHECKING:
    from collections.abc import Callable

    from consistency.history import History, Operation

_USUAL: Final = 2.0  # seconds by which a read may be behind while every writer reaches the cache


@dataclass(frozen=True)
class Mode:
    """One way to run the service; `bounded`: reads may be behind by a bound, else everything is linearizable."""

    name: str
    about: str
    faults: tuple[str, ...]
    settings: dict[str, str] = field(default_factory=dict)
    cache: bool = True
    fresh: float = 0.05  # share of the reads that ask the store itself; they see what the cache hides
    bounded: bool = False
    hurry: float = 1.0  # by how much faults follow each other faster than usual

    def bound(self, history: History) -> Callable[[Operation], int] | None:
        """Return by how many nanoseconds each read may be behind; None for not at all."""
        if not self.bounded:
            return None
        usual = round(_USUAL * 1e9)
        after = round(history.run.cache_ttl * 1e9) + usual
        lost = [fault for fault in history.faults if fault.kind.startswith("cache-")]

        def bound(asked: Operation) -> int:
            if asked.fresh:
                return 0
            missed = any(fault.begin < asked.back and fault.end > asked.call - after for fault in lost)
            return after if missed else usual

        return bound


MODES: Final = {
    mode.name: mode
    for mode in (
        Mode("store", "no cache: linearizable", (*WEATHER, *SERVERS), cache=False),
        Mode(
            "no-cache",
            "every read asks for a fresh answer: linearizable whatever becomes of the cache",
            (*WEATHER, *SERVERS, *FORGETTING, *UNREACHABLE),
            fresh=1.0,
        ),
        Mode(
            "shared",
            "only the cache that all servers share: linearizable while every writer reaches it",
            (*WEATHER, *SERVERS, *FORGETTING),
            # Nobody gives up a cache that is only slow, be it since this machine is busy.
            settings={"CACHE_LOCAL_SIZE": "0", "CACHE_TIMEOUT": "5"},
        ),
        Mode(
            "default",
            "both caches: behind by 2 s at most, by the life of an entry when a writer did not reach the cache",
            (*WEATHER, *SERVERS, *FORGETTING, *UNREACHABLE),
            bounded=True,
        ),
    )
}

_SHOWS: Final = replace(MODES["shared"], faults=("store-slow",), hurry=4.0)
# Where a mutant of the cache shows best: faults that bring about what the missing rule is for.
MUTANT_MODES: Final = {
    "no-lease": _SHOWS,
    "no-fence": _SHOWS,
    "one-fence-for-all": _SHOWS,
    "unknown-unfences": replace(_SHOWS, faults=("store-late",)),
    "no-quarantine": replace(_SHOWS, faults=("store-slow", "cache-restarted-empty")),
    "no-placeholder": replace(_SHOWS, faults=("answers-linger",), settings={}, bounded=True),
    "the-seed": _SHOWS,
}
