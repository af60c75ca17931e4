"""Run benchmarks: all of them, or the named ones (`python -m bench embedded cloud`)."""

import importlib
import sys

BENCHMARKS = (
    "instructions",
    "embedded",
    "lists",
    "batches",
    "latency",
    "startup",
    "starts",
    "growth",
    "telemetry",
    "auth",
    "slow_clients",
    "abuse",
    "import_export",
    "cloud",
    "packages",
    "layers",
    "failover",
    "capacity",
    "encryption",
    "index_attack",
    "backup_copy",
    "search_quality",
    "matching",
    "matching.held_back",
)

for name in sys.argv[1:] or BENCHMARKS:
    module = importlib.import_module(f"bench.{name}")
    print(f"\n## {name}: {(module.__doc__ or '').splitlines()[0]}\n", flush=True)
    module.main()
