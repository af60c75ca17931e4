"""`make prove`: run servers under load and faults, and judge what they answered; or judge a saved history again."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path
from time import monotonic, time_ns
from typing import TYPE_CHECKING, Final

from prove.account import account
from prove.checker import Undecided, violations
from prove.driver import Load, drive
from prove.faults import Faults
from prove.history import History, Run
from prove.modes import MODES, Mode
from prove.servers import running
from prove.staleness import staleness

if TYPE_CHECKING:
    from collections.abc import Callable

_SHOWN: Final = 3  # violations told in full
_EVERY: Final = 250  # operations between two signs of life


def main() -> int:
    """Do what the command line says; 1 when something was wrong."""
    asked = _arguments()
    if asked.replay:
        history = History.load(asked.replay)
        return _judge(history, MODES[history.run.mode])
    modes = [MODES[name] for name in asked.mode or MODES]
    return max(_prove(mode, asked) for mode in modes)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m prove", description=__doc__)
    about = "; ".join(f"{mode.name}: {mode.about}" for mode in MODES.values())
    parser.add_argument("--mode", action="append", choices=MODES, help=f"again for several; all when left out. {about}")
    parser.add_argument("--seed", type=int, default=time_ns() % 1_000_000, help="for what is left to chance")
    parser.add_argument("--operations", type=int, default=20_000, help="in each mode (20000)")
    parser.add_argument("--minutes", type=float, default=60.0, help="in each mode at most (60)")
    parser.add_argument("--servers", type=int, default=3, help="server processes (3)")
    parser.add_argument("--clients", type=int, default=12, help="requests at a time (12)")
    parser.add_argument("--cache-seconds", type=float, default=10.0, help="life of an entry of the cache (10)")
    parser.add_argument("--failures", type=Path, default=Path("prove/failures"), help="where wrong histories are saved")
    parser.add_argument("--replay", type=Path, help="judge this saved history instead")
    return parser.parse_args()


def _prove(mode: Mode, asked: argparse.Namespace) -> int:
    print(f"{mode.name}, seed {asked.seed}: {mode.about}", flush=True)
    begun = monotonic()
    history, unexpected = asyncio.run(_run(mode, asked))
    seconds = monotonic() - begun
    print(f"  {_counted(Counter(operation.kind for operation in history.operations))} in {seconds:.0f} s")
    print(f"  {_counted(Counter(operation.outcome for operation in history.operations))}")
    print(f"  faults: {_counted(Counter(fault.kind for fault in history.faults))}")
    for line in unexpected[:_SHOWN]:
        print(f"  unexpected: {line}")
    wrong = max(_judge(history, mode), bool(unexpected))
    if wrong:
        path = asked.failures / f"{mode.name}-{asked.seed}.jsonl.gz"
        history.save(path)
        print(f"  saved: python -m prove --replay {path}")
    return wrong


async def _run(mode: Mode, asked: argparse.Namespace) -> tuple[History, list[str]]:
    """Start everything, let clients and faults loose, and return what happened and what should not have."""
    load = Load(asked.clients, asked.operations, asked.minutes * 60, mode.fresh, _sign_of_life(asked.operations))
    run = Run(mode.name, asked.seed, asked.cache_seconds)
    settings = mode.settings | ({"CACHE_SECONDS": str(asked.cache_seconds)} if mode.cache else {})
    with tempfile.TemporaryDirectory(prefix="prove-") as folder:
        async with running(Path(folder), asked.servers, settings, cache=mode.cache) as cluster:
            faults = Faults(cluster, random.Random(asked.seed))
            breaking = asyncio.create_task(faults.go_on(mode.faults))
            driving = asyncio.create_task(drive(cluster.servers, load, asked.seed))
            try:
                await asyncio.wait((breaking, driving), return_when=asyncio.FIRST_COMPLETED)
            finally:
                breaking.cancel()
                with suppress(asyncio.CancelledError):
                    await breaking
            operations, unexpected = await driving
            return History(run, operations, faults.injected), unexpected + cluster.crashes()


def _judge(history: History, mode: Mode) -> int:
    begun = monotonic()
    try:
        found = violations(history.operations, mode.bound(history))
    except Undecided:
        print("  undecided: too many outcomes are unknown at once")
        return 1
    for violation in found[:_SHOWN]:
        print(account(violation))
    age = staleness(history.operations)
    print(
        f"  staleness of {age.reads} reads: p50 {age.p50:.3f} s, p99.9 {age.p999:.3f} s, max {age.worst:.3f} s; {age.stale} stale"
    )
    print(f"  violations: {len(found)} (judged in {monotonic() - begun:.1f} s)", flush=True)
    return int(bool(found))


def _counted(counts: Counter[str]) -> str:
    return f"{counts.total()}: " + ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))


def _sign_of_life(all_of_them: int) -> Callable[[int], None]:
    if not sys.stderr.isatty():
        return lambda _: None

    def show(done: int) -> None:
        if done % _EVERY == 0:
            print(f"\r  {done} of {all_of_them}", end="\r", file=sys.stderr, flush=True)

    return show


if __name__ == "__main__":
    sys.exit(main())
