"""Write docs/performance.md: the ratios first, then all comparisons, measured on this machine in at most twelve minutes.

Each part runs in a process of its own, with fewer rounds than alone, and ends at its time limit. A part without time is named on the page.
"""

import importlib
import multiprocessing
import platform
import signal
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
import psutil
from matplotlib.figure import Figure

from bench.markdown_tables import Table
from bench.ratios import CLOUD, ratios

PAGE = Path("docs/performance.md")
PICTURE = Path("docs/pictures/performance.svg")
LIMIT = 11.5 * 60  # seconds of all parts together
# Each part with its time limit in seconds and its settings. The most important ones are first.
PARTS: dict[str, tuple[int, dict[str, Any]]] = {
    "cloud": (270, {"ROUNDS": 3, "OTHERS": 400, "WARM": 4_000, "STORED": 800, "LISTS": 8}),
    "instructions": (240, {"REQUESTS": 200}),
    "embedded": (70, {"ROUNDS": 3, "REQUESTS": 4_000}),
    "lists": (60, {"ROUNDS": 3, "REQUESTS": 500}),
    "batches": (60, {"ROUNDS": 3, "BATCHES": 8}),
    "startup": (45, {"ROUNDS": 3, "SETTLED": 1.0}),
    "latency": (90, {"ROUNDS": 3, "SECONDS": 2.0, "MOST": 10_000}),
    "packages": (40, {"STORED": 400}),
    "import_export": (45, {"ROUNDS": 1, "SIZES": (100_000,)}),
}


def main() -> None:
    """Measure everything, and write the page and its chart."""
    end = time.monotonic() + LIMIT
    tables: list[Table] = []
    missing: list[str] = []
    for name, (seconds, settings) in PARTS.items():
        measured, is_complete = _measured(name, min(seconds, int(end - time.monotonic())), settings)
        tables += [table for table in measured if table.rows]
        missing += [] if is_complete else [name]
    for table in tables:
        if table.title.startswith(CLOUD):
            _draw(table)
    PAGE.write_text(_page(tables, missing), encoding="utf-8")
    print(f"wrote {PAGE} and {PICTURE}")


def _measured(name: str, seconds: int, settings: dict[str, Any]) -> tuple[list[Table], bool]:
    """Run a part in a new process for at most some seconds; return its tables, and whether it was complete."""
    if seconds <= 0:
        return [], False
    print(f"\n## {name}", flush=True)
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(sender, name, seconds, settings))
    process.start()
    sender.close()
    try:
        tables, is_complete = receiver.recv()
    except EOFError:
        tables, is_complete = [], False
    process.join()
    return tables, is_complete


def _measure(sender: Any, name: str, seconds: int, settings: dict[str, Any]) -> None:
    signal.signal(signal.SIGALRM, _on_alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds, 15)  # again, as an event loop may discard an error of the handler
    is_complete = False
    try:
        module = importlib.import_module(f"bench.{name}")
        for setting, value in settings.items():
            setattr(module, setting, value)
        module.main()
        is_complete = True
    except Exception:  # noqa: BLE001 - the page names the part as incomplete
        traceback.print_exc()
    signal.setitimer(signal.ITIMER_REAL, 0)
    sender.send((Table.made, is_complete))


def _on_alarm(*_: object) -> None:
    raise TimeoutError("the part has reached its time limit")


def _page(tables: list[Table], missing: list[str]) -> str:
    figures = "\n\n".join(f"## {table.title}\n\n{table.text}" for table in (ratios(tables), *tables))
    note = f"\n\nNot complete in this run: {', '.join(missing)}." if missing else ""
    when = datetime.now(UTC).date().isoformat()
    return _TEXT.format(when=when, machine=_machine(), note=note, figures=figures)


def _machine() -> str:
    names = [line.partition(":")[2].strip() for line in _cpu_lines() if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{processor}, {psutil.cpu_count()} CPUs, {memory:.0f} GiB, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}; load before the first part {psutil.getloadavg()[2]:.1f}"
    )


def _cpu_lines() -> Iterator[str]:
    path = Path("/proc/cpuinfo")
    yield from path.read_text().splitlines() if path.exists() else ()


def _draw(compared: Table) -> None:
    """Draw the cost of a request per contender on a logarithmic scale."""
    mpl.rcParams |= {"svg.hashsalt": "peopleinfo", "svg.fonttype": "none", "font.size": 9}
    names = [name for name in compared.columns[1:] if " : " not in name]
    figure = Figure(figsize=(8, 6))
    axes = figure.subplots()
    height = 0.8 / len(names)
    for place, name in enumerate(names):
        rows = [
            (number, float(row[place + 1].split()[0].replace(",", "")))
            for number, row in enumerate(compared.rows)
            if row[place + 1]
        ]
        at = [number + height * (place - (len(names) - 1) / 2) for number, _ in rows]
        bars = axes.barh(at, [cost for _, cost in rows], height=height, label=name)
        axes.bar_label(bars, fmt="{:,.0f}", padding=2, fontsize=7)
    axes.set_xscale("log")
    axes.set_yticks(range(len(compared.rows)), [row[0] for row in compared.rows])
    axes.invert_yaxis()
    axes.set_xlabel("µs of CPU per request")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(PICTURE, bbox_inches="tight", metadata={"Date": None})


_TEXT = """# Performance

`make bench ARGS=report` wrote this page on {when} ({machine}). It takes at most twelve minutes.
Compare the columns of a row: they were measured in turn on one machine within one run.{note}

The cost of a request is the CPU time, user and system, of the server's processes. Client, servers and DynamoDB Local share the machine; a server
and its client share one CPU. A figure is the median of the rounds, with minimum and maximum. PeopleInfo (*ours*) authenticates, applies rate limits,
and writes metrics and an access log; the others do not. The *typical* services are FastAPI with aioboto3 and redis-py (`bench/peers/fastapi`), and
Fastify with the AWS SDK and ioredis (`bench/peers/node`). *No L1* is PeopleInfo without its local cache, *no cache* without Redis too.
A creation of PeopleInfo also writes the search index, the match keys and the feed of changes, which the typical services lack.
`python -m bench growth` measures ten million people, and `layers` the cost by layer.

![µs of CPU per request, by contender](pictures/performance.svg)

{figures}
"""
