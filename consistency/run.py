"""One run: start the processes, run workload and faults, check the history and print a summary."""

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

from consistency.audit import audit
from consistency.checker import Undecided, violations
from consistency.cluster import NAIVE_CACHE, default_store, running
from consistency.faults import Faults
from consistency.history import History, Run
from consistency.report import explain
from consistency.staleness import staleness
from consistency.workload import Load, drive

if TYPE_CHECKING:
    from collections.abc import Callable

    from consistency.scenarios import Mode

FENCE_TTL: Final = (
    5.0  # seconds: longer than any injected delay of a write, shorter than the default to use the cache more
)
_MAX_EXPLAINED: Final = 3  # violations
_PROGRESS_STEP: Final = 250  # operations


@dataclass(frozen=True)
class Size:
    """The size of a run."""

    operations: int = 20_000
    minutes: float = 60.0
    servers: int = 3
    clients: int = 12
    cache_ttl: float = 10.0
    store: str = ""  # URL; "" for a new SQLite store
    faults: tuple[str, ...] = ()  # () for the faults of the mode


async def run(mode: Mode, seed: int, size: Size, *, mutant: str = "") -> tuple[History, list[str]]:
    """Return the history, and the unexpected responses and log lines."""
    load = Load(size.clients, size.operations, size.minutes * 60, mode.fresh, _progress(size.operations))
    settings = _settings(mode, size) if mutant != NAIVE_CACHE else {}
    with tempfile.TemporaryDirectory(prefix="consistency-") as folder:
        async with running(Path(folder), size.servers, settings, cache=mode.cache, mutant=mutant) as cluster:
            faults = Faults(cluster, random.Random(seed), mode.fault_speed)
            fault_task = asyncio.create_task(faults.run(size.faults or mode.faults))
            workload = asyncio.create_task(drive(cluster.servers, load, seed))
            try:
                await asyncio.wait((fault_task, workload), return_when=asyncio.FIRST_COMPLETED)
            finally:
                fault_task.cancel()
                with suppress(asyncio.CancelledError):
                    await fault_task
            operations, unexpected = await workload
            history = History(Run(mode.name, seed, size.cache_ttl, mutant), operations, faults.injected)
            unexpected += cluster.crashes()
        return history, unexpected + (await audit(size.store or default_store(Path(folder))))


def _settings(mode: Mode, size: Size) -> dict[str, str]:
    store = {"STORE_URL": size.store} if size.store else {}
    cache = (
        {"CACHE_TTL": str(size.cache_ttl), "CACHE_FENCE_TTL": str(FENCE_TTL), "CACHE_TIMEOUT": "0.25"}
        if mode.cache
        else {}
    )
    return {"TRASH": "1d", "IDENTIFIERS": "mark"} | store | cache | mode.settings


def print_summary(history: History) -> None:
    """Print the numbers of operations, outcomes, sources and faults."""
    print(f"  {_format_counts(Counter(operation.kind for operation in history.operations))}")
    print(f"  {_format_counts(Counter(operation.outcome for operation in history.operations))}")
    print(
        f"  from {_format_counts(Counter(operation.source or 'the store' for operation in history.operations if operation.seen))}"
    )
    print(f"  faults {_format_counts(Counter(fault.kind for fault in history.faults))}")


def check(history: History, mode: Mode) -> bool:
    """Check a history and print its violations. Return whether there are none."""
    start = monotonic()
    try:
        found = violations(history.operations, mode.bound(history))
    except Undecided:
        print("  undecided: too many unknown outcomes at once")
        return False
    for violation in found[:_MAX_EXPLAINED]:
        print(explain(violation))
    age = staleness(history.operations)
    summary = f"p50 {age.p50:.3f} s, p99.9 {age.p999:.3f} s, max {age.worst:.3f} s"
    print(f"  staleness of {age.reads} reads: {summary}; {age.stale} stale")
    print(f"  violations: {len(found)} (checked in {monotonic() - start:.1f} s)", flush=True)
    return not found


def _format_counts(counts: Counter[str]) -> str:
    return f"{counts.total()}: " + ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def _progress(total: int) -> Callable[[int], None]:
    if not sys.stderr.isatty():
        return lambda _: None

    def show(done: int) -> None:
        if done % _PROGRESS_STEP == 0:
            print(f"  {done} of {total}", end="\r", file=sys.stderr, flush=True)

    return show
