"""One run: start everything, let clients and faults loose, judge the history, and tell."""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final

from consistency.checker import Undecided, violations
from consistency.cluster import THE_SEED, running
from consistency.faults import Faults
from consistency.history import History, Run
from consistency.report import account
from consistency.staleness import staleness
from consistency.workload import Load, drive

if TYPE_CHECKING:
    from collections.abc import Callable

    from consistency.scenarios import Mode

FENCE_SECONDS: Final = (
    5.0  # longer than our faults delay any write, and shorter than in earnest: more of the time the cache is used
)
_SHOWN: Final = 3  # violations told in full
_EVERY: Final = 250  # operations between two signs of life


@dataclass(frozen=True)
class Size:
    """How much a run does, and with what."""

    operations: int = 20_000
    minutes: float = 60.0
    servers: int = 3
    clients: int = 12
    cache_ttl: float = 10.0
    store: str = ""  # a URL; "" for a new SQLite store
    faults: tuple[str, ...] = ()  # only these; () for those of the mode


async def run(mode: Mode, seed: int, size: Size, *, mutant: str = "") -> tuple[History, list[str]]:
    """Return what happened, and everything that no server of ours should ever say."""
    load = Load(size.clients, size.operations, size.minutes * 60, mode.fresh, _sign_of_life(size.operations))
    settings = _settings(mode, size) if mutant != THE_SEED else {}
    with tempfile.TemporaryDirectory(prefix="prove-") as folder:
        async with running(Path(folder), size.servers, settings, cache=mode.cache, mutant=mutant) as cluster:
            faults = Faults(cluster, random.Random(seed), mode.hurry)
            breaking = asyncio.create_task(faults.go_on(size.faults or mode.faults))
            driving = asyncio.create_task(drive(cluster.servers, load, seed))
            try:
                await asyncio.wait((breaking, driving), return_when=asyncio.FIRST_COMPLETED)
            finally:
                breaking.cancel()
                with suppress(asyncio.CancelledError):
                    await breaking
            operations, unexpected = await driving
            history = History(Run(mode.name, seed, size.cache_ttl, mutant), operations, faults.injected)
            return history, unexpected + cluster.crashes()


def _settings(mode: Mode, size: Size) -> dict[str, str]:
    store = {"STORE_URL": size.store} if size.store else {}
    cache = (
        {"CACHE_TTL": str(size.cache_ttl), "CACHE_FENCE_TTL": str(FENCE_SECONDS), "CACHE_TIMEOUT": "0.25"}
        if mode.cache
        else {}
    )
    return store | cache | mode.settings


def tell(history: History) -> None:
    """Print what was done, what came of it, and what was broken."""
    print(f"  {_counted(Counter(operation.kind for operation in history.operations))}")
    print(f"  {_counted(Counter(operation.outcome for operation in history.operations))}")
    print(
        f"  from {_counted(Counter(operation.source or 'the store' for operation in history.operations if operation.seen))}"
    )
    print(f"  faults {_counted(Counter(fault.kind for fault in history.faults))}")


def judge(history: History, mode: Mode) -> bool:
    """Say whether everything that was answered can be true, and print what cannot."""
    begun = monotonic()
    try:
        found = violations(history.operations, mode.bound(history))
    except Undecided:
        print("  undecided: too many outcomes are unknown at once")
        return False
    for violation in found[:_SHOWN]:
        print(account(violation))
    age = staleness(history.operations)
    behind = f"p50 {age.p50:.3f} s, p99.9 {age.p999:.3f} s, max {age.worst:.3f} s"
    print(f"  staleness of {age.reads} reads: {behind}; {age.stale} were behind")
    print(f"  violations: {len(found)} (judged in {monotonic() - begun:.1f} s)", flush=True)
    return not found


def _counted(counts: Counter[str]) -> str:
    return f"{counts.total()}: " + ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))


def _sign_of_life(all_of_them: int) -> Callable[[int], None]:
    if not sys.stderr.isatty():
        return lambda _: None

    def show(done: int) -> None:
        if done % _EVERY == 0:
            print(f"  {done} of {all_of_them}", end="\r", file=sys.stderr, flush=True)

    return show
