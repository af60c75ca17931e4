"""How fast are many people imported and exported, and in how much memory?

The real command in a process of its own, with a CSV file of made-up people; durable at the end of each batch.
"""

import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.people import people

SIZES = (100_000, 1_000_000)


def main() -> None:
    """Print rows a second and peak resident memory, for two lengths of the file."""
    print(f"{'people':>10} {'command':8} {'rows/s':>10} {'peak MB':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            table = Path(folder) / f"{size}.csv"
            _write(table, size)
            store = f"sqlite:///{folder}/{size}.db"
            for name, arguments in (
                ("import", ["import", str(table)]),
                ("export", ["export", f"{folder}/{size}.ndjson"]),
            ):
                seconds, peak = _timed([sys.executable, "-m", "peopleinfo", *arguments, "--store", store])
                print(f"{size:10,} {name:8} {size / seconds:10,.0f} {peak / 1024:8.0f}", flush=True)


def _write(table: Path, size: int) -> None:
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        for number, person in enumerate(people(size)):
            if number == 0:
                rows.writerow(person)
            rows.writerow(person.values())


def _timed(command: list[str]) -> tuple[float, int]:
    """Return the seconds that a command took, and its peak resident memory in KiB."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{command} ended with {status}")
    return time.perf_counter() - began, usage.ru_maxrss
