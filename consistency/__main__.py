"""`make consistency`: run servers under load and faults and check the history, or check a saved history again."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from time import monotonic, time_ns

from consistency.checker import violations
from consistency.history import History
from consistency.report import explain
from consistency.run import Size, check, print_summary, run
from consistency.scenarios import MODES, MUTANT_MODES, Mode
from consistency.simulation import DELIVERY, MUTANTS, Rules, World
from peopleinfo.settings import Settings
from tests import dynamodb_servers
from tests.store_kinds import store_url

SIMULATION = "simulation"
DYNAMODB = "dynamodb"
_WORLDS = 50  # with and without local caches
_OPERATIONS = 3_000  # in each world


def main() -> int:
    """Run the command line; return 1 on a violation."""
    try:
        return _main(_parse_arguments())
    finally:
        dynamodb_servers.stop_all()


def _main(arguments: argparse.Namespace) -> int:
    if arguments.replay:
        history = History.load(arguments.replay)
        return int(not check(history, MODES[history.run.mode]))
    if arguments.mutant and not arguments.mode:
        return int(not _check_mode(MUTANT_MODES[arguments.mutant], arguments))
    results = [
        _simulate(arguments.seed, arguments.mutant) if name == SIMULATION else _check_mode(MODES[name], arguments)
        for name in arguments.mode or [SIMULATION, *_available_modes()]
    ]
    return int(not all(results))


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m consistency", description=__doc__)
    about = "; ".join(f"{mode.name}: {mode.about}" for mode in MODES.values())
    modes = (SIMULATION, *MODES)
    parser.add_argument("--mode", action="append", choices=modes, help=f"repeatable (default: all modes). {about}")
    parser.add_argument("--seed", type=int, default=time_ns() % 1_000_000, help="seed of the random generators")
    parser.add_argument("--operations", type=int, default=20_000, help="operations per mode (20000)")
    parser.add_argument("--minutes", type=float, default=60.0, help="maximum duration per mode (60)")
    parser.add_argument("--servers", type=int, default=3, help="server processes (3)")
    parser.add_argument("--clients", type=int, default=12, help="concurrent clients (12)")
    parser.add_argument(
        "--store",
        default="",
        help=f"URL of an empty store, or `{DYNAMODB}` for a local DynamoDB server (default: a new SQLite store)",
    )
    parser.add_argument("--cache-ttl", type=float, default=10.0, help="TTL of cache entries in seconds (10)")
    parser.add_argument("--mutant", default="", choices=MUTANTS, help="protocol rule to disable")
    parser.add_argument("--faults", default="", help="comma-separated faults (default: all faults of the mode)")
    parser.add_argument(
        "--failures", type=Path, default=Path("consistency/failures"), help="directory for histories with violations"
    )
    parser.add_argument("--replay", type=Path, help="check a saved history")
    return parser.parse_args()


def _available_modes() -> list[str]:
    """Return the modes that the service supports."""
    has_cache = "cache_url" in Settings.__dataclass_fields__
    return [mode.name for mode in MODES.values() if has_cache or not mode.cache]


def _check_mode(mode: Mode, arguments: argparse.Namespace) -> bool:
    print(f"{mode.name}, seed {arguments.seed}: {mode.about}", flush=True)
    size = Size(
        arguments.operations,
        arguments.minutes,
        arguments.servers,
        arguments.clients,
        arguments.cache_ttl,
        _new_table(mode, arguments.seed) if arguments.store == DYNAMODB else arguments.store,
        tuple(filter(None, arguments.faults.split(","))),
    )
    start = monotonic()
    history, unexpected = asyncio.run(run(mode, arguments.seed, size, mutant=arguments.mutant))
    print(f"  {monotonic() - start:.0f} s")
    print_summary(history)
    for line in unexpected[:3]:
        print(f"  unexpected: {line}")
    if check(history, mode) and not unexpected:
        return True
    path = arguments.failures / f"{mode.name}-{arguments.seed}.jsonl.gz"
    history.save(path)
    print(f"  saved: python -m consistency --replay {path}")
    return False


def _new_table(mode: Mode, seed: int) -> str:
    """Return the URL of a new table on a local server; start the server if necessary."""
    os.environ |= dynamodb_servers.CREDENTIALS
    kind = "ministack" if dynamodb_servers.missing_requirement("dynamodb-local") else "dynamodb-local"
    return store_url(kind, Path(f"{mode.name}-{seed}"), timeout=1)


def _simulate(seed: int, mutant: str) -> bool:
    """Check simulated histories: no violation with all rules, a violation without any one of them."""
    if mutant:
        return _has_no_violation(seed, mutant, MUTANTS[mutant], verbose=True)
    correct = _has_no_violation(seed, "all rules", Rules(), verbose=True)
    detected = [not _has_no_violation(seed, name, rules, verbose=False) for name, rules in MUTANTS.items()]
    return correct and all(detected)


def _has_no_violation(seed: int, name: str, rules: Rules, *, verbose: bool) -> bool:
    for number in range(2 * _WORLDS):
        local = number % 2 == 1
        history = World(seed + number, rules, local=local).run(_OPERATIONS)
        if found := violations(history, (lambda _: DELIVERY) if local else None, first=1):
            print(f"{SIMULATION}, {name}: violation in world {number + 1}, seed {seed + number}", flush=True)
            if verbose:
                print(explain(found[0]))
            return False
    print(f"{SIMULATION}, {name}: no violation in {2 * _WORLDS} worlds", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
