"""`make bench`: every question, or those that are named: python -m bench embedded cloud."""

import importlib
import sys

QUESTIONS = (
    "embedded",
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
    "layers",
    "failover",
    "capacity",
    "encryption",
    "index_attack",
    "backup_copy",
)

for question in sys.argv[1:] or QUESTIONS:
    module = importlib.import_module(f"bench.{question}")
    print(f"\n## {question}: {(module.__doc__ or '').splitlines()[0]}\n", flush=True)
    module.main()
