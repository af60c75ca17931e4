"""How fast are import and export, and how much memory do they use?

The benchmark runs the real commands in separate processes on a file of generated people. Each batch is durable before the next.
"""

import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.markdown_tables import Table, spread
from bench.sample_people import people

ROUNDS = 3
SIZES = (100_000, 1_000_000)


def main() -> list[Table]:
    """Print rows per second and peak resident memory of both commands, for two sizes of the file."""
    table = Table("Import and export", "people", "command", "rows a second", "peak MB")
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            rows = Path(folder) / f"{size}.csv"
            _write(rows, size)
            files = {".csv": rows, ".ndjson": Path(folder) / "people.ndjson", ".xlsx": Path(folder) / "people.xlsx"}
            steps = (("import", ".csv"), ("export", ".ndjson"), ("export", ".xlsx"), ("import", ".xlsx"))
            figures: dict[str, list[tuple[float, float]]] = {f"{name} {kind}": [] for name, kind in steps}
            for number in range(ROUNDS):
                for name, kind in steps:
                    source = "-copy" if (name, kind) == ("import", ".xlsx") else ""
                    store = f"sqlite:///{folder}/{size}-{number}{source}.db"
                    command = [sys.executable, "-m", "peopleinfo", name, str(files[kind]), "--store-url", store]
                    seconds, peak = _timed(command)
                    figures[f"{name} {kind}"].append((size / seconds, peak / 1e3))
            for name, measured in figures.items():
                rates, peaks = (list(column) for column in zip(*measured, strict=True))
                table.row(f"{size:,}", name, spread(rates), spread(peaks))
    return [table]


def _write(table: Path, size: int) -> None:
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        for number, person in enumerate(people(size)):
            if number == 0:
                rows.writerow(person)
            rows.writerow(person.values())


def _timed(command: list[str]) -> tuple[float, int]:
    """Return the duration of a command in seconds, and its peak resident memory in KiB."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{command} ended with {status}")
    return time.perf_counter() - began, usage.ru_maxrss
