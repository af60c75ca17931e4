"""`make consistency`: run servers under load and faults, and judge what they answered; or judge a saved history again."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from time import monotonic, time_ns

from consistency.checker import violations
from consistency.history import History
from consistency.report import account
from consistency.run import Size, judge, run, tell
from consistency.scenarios import MODES, MUTANT_MODES, Mode
from consistency.simulation import DELIVERY, MUTANTS, Rules, World
from peopleinfo.settings import Settings
from tests import dynamodb_servers
from tests.store_kinds import store_url

SIMULATION = "simulation"
DYNAMODB = "dynamodb"
_WORLDS = 50
_OPERATIONS = 3_000  # in each world


def main() -> int:
    """Do what the command line says; 1 when something was wrong."""
    try:
        return _main(_arguments())
    finally:
        dynamodb_servers.stop_all()


def _main(asked: argparse.Namespace) -> int:
    if asked.replay:
        history = History.load(asked.replay)
        return int(not judge(history, MODES[history.run.mode]))
    if asked.mutant and not asked.mode:
        return int(not _prove(MUTANT_MODES[asked.mutant], asked))
    right = [
        _simulate(asked.seed, asked.mutant) if name == SIMULATION else _prove(MODES[name], asked)
        for name in asked.mode or [SIMULATION, *_possible()]
    ]
    return int(not all(right))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m consistency", description=__doc__)
    about = "; ".join(f"{mode.name}: {mode.about}" for mode in MODES.values())
    modes = (SIMULATION, *MODES)
    parser.add_argument("--mode", action="append", choices=modes, help=f"may be repeated; all when left out. {about}")
    parser.add_argument("--seed", type=int, default=time_ns() % 1_000_000, help="for what is left to chance")
    parser.add_argument("--operations", type=int, default=20_000, help="in each mode (20000)")
    parser.add_argument("--minutes", type=float, default=60.0, help="in each mode at most (60)")
    parser.add_argument("--servers", type=int, default=3, help="server processes (3)")
    parser.add_argument("--clients", type=int, default=12, help="requests at a time (12)")
    parser.add_argument(
        "--store",
        default="",
        help=f"URL of an empty store, or `{DYNAMODB}` for a DynamoDB server on this machine; a new SQLite store when left out",
    )
    parser.add_argument("--cache-ttl", type=float, default=10.0, help="life of an entry of the cache (10)")
    parser.add_argument("--mutant", default="", choices=MUTANTS, help="a rule to take out")
    parser.add_argument("--faults", default="", help="only these, with commas between; all of the mode when left out")
    parser.add_argument(
        "--failures", type=Path, default=Path("consistency/failures"), help="where wrong histories are saved"
    )
    parser.add_argument("--replay", type=Path, help="judge this saved history instead")
    return parser.parse_args()


def _possible() -> list[str]:
    """Return the modes that this service has: one without a cache cannot show what it does."""
    has_cache = "cache_url" in Settings.__dataclass_fields__
    return [mode.name for mode in MODES.values() if has_cache or not mode.cache]


def _prove(mode: Mode, asked: argparse.Namespace) -> bool:
    print(f"{mode.name}, seed {asked.seed}: {mode.about}", flush=True)
    size = Size(
        asked.operations,
        asked.minutes,
        asked.servers,
        asked.clients,
        asked.cache_ttl,
        _new_table(mode, asked.seed) if asked.store == DYNAMODB else asked.store,
        tuple(filter(None, asked.faults.split(","))),
    )
    begun = monotonic()
    history, unexpected = asyncio.run(run(mode, asked.seed, size, mutant=asked.mutant))
    print(f"  {monotonic() - begun:.0f} s")
    tell(history)
    for line in unexpected[:3]:
        print(f"  unexpected: {line}")
    if judge(history, mode) and not unexpected:
        return True
    path = asked.failures / f"{mode.name}-{asked.seed}.jsonl.gz"
    history.save(path)
    print(f"  saved: python -m consistency --replay {path}")
    return False


def _new_table(mode: Mode, seed: int) -> str:
    """Return the URL of a new table on a server of this machine, which is started unless it runs."""
    os.environ |= dynamodb_servers.CREDENTIALS
    kind = "ministack" if dynamodb_servers.missing_requirement("dynamodb-local") else "dynamodb-local"
    return store_url(kind, Path(f"{mode.name}-{seed}"), timeout=1)


def _simulate(seed: int, mutant: str) -> bool:
    """Look for a wrong answer in simulated worlds: there must be none by the rules, and some without any one of them."""
    if mutant:
        return _is_right(seed, mutant, MUTANTS[mutant], told=True)
    right = _is_right(seed, "all rules", Rules(), told=True)
    noticed = [not _is_right(seed, name, rules, told=False) for name, rules in MUTANTS.items()]
    return right and all(noticed)


def _is_right(seed: int, name: str, rules: Rules, *, told: bool) -> bool:
    for number in range(2 * _WORLDS):
        local = number % 2 == 1
        history = World(seed + number, rules, local=local).run(_OPERATIONS)
        if found := violations(history, (lambda _: DELIVERY) if local else None, first=1):
            print(f"{SIMULATION}, {name}: noticed in world {number + 1}, seed {seed + number}", flush=True)
            if told:
                print(account(found[0]))
            return False
    print(f"{SIMULATION}, {name}: nothing wrong in {2 * _WORLDS} worlds", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
