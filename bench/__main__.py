"""`make bench`: every question, or those that are named: python -m bench embedded cloud."""

import importlib
import sys

QUESTIONS = (
    "embedded",
    "latency",
    "start",
    "starts",
    "growth",
    "observed",
    "auth",
    "slow",
    "abuse",
    "transfer",
    "cloud",
    "layers",
    "changeover",
    "capacity",
    "encryption",
    "index_attack",
    "moving",
)

for question in sys.argv[1:] or QUESTIONS:
    module = importlib.import_module(f"bench.{question}")
    print(f"\n## {question}: {(module.__doc__ or '').splitlines()[0]}\n", flush=True)
    module.main()
