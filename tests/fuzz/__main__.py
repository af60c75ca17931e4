"""`python -m tests.fuzz [FILE …]`: import files that a fuzzer mutates, guided by the coverage of the readers, until a check fails.

With files, check these findings again.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

import atheris  # type: ignore[import-untyped] # only `make fuzz` installs it

with atheris.instrument_imports(include=["peopleinfo.formats", "peopleinfo.bulk"]):
    from tests.fuzz.harness import check_input, seeds

_FOLDER = Path(".cache/fuzz")


def main() -> None:
    """Run the fuzzer; the exit code is not 0 after a finding, which is stored in .cache/fuzz."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="duration (default: 600)")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="findings to check again")
    options = parser.parse_args()
    for file in options.files:
        check_input(file.read_bytes())
    if not options.files:
        _fuzz(options.seconds)


def _fuzz(seconds: int) -> None:
    corpus = _FOLDER / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in seeds():
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    limits = [f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={_FOLDER}/finding-", str(corpus)], check_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
