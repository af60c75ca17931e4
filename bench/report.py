"""Writes docs/performance.md: everything that is compared, measured anew on this machine, with a picture."""

import platform
from datetime import UTC, datetime
from pathlib import Path

import matplotlib as mpl
import psutil
from matplotlib.figure import Figure

from bench import cloud, embedded, growth, latency, layers, start, transfer
from bench.markdown_tables import Table

PAGE = Path("docs/performance.md")
PICTURE = Path("docs/pictures/performance.svg")


def main() -> None:
    """Measure everything, and write the page and its picture."""
    moved = transfer.main()  # first: the peak of a process is not below what this one holds when it starts it
    compared, floor = cloud.main()
    others = (embedded, layers, latency, start, growth)
    tables = [compared, floor, *(table for question in others for table in question.main()), *moved]
    _draw(compared)
    system = f"{platform.system()} {platform.machine()}, {psutil.cpu_count()} CPUs, Python {platform.python_version()}"
    when = datetime.now(UTC).date().isoformat()
    figures = "\n\n".join(f"## {table.title}\n\n{table.text}" for table in tables)
    PAGE.write_text(_TEXT.format(when=when, system=system, figures=figures), encoding="utf-8")
    print(f"{PAGE} and {PICTURE} are written")


def _draw(compared: Table) -> None:
    """Draw what each contender needs for a request, on a scale on which twice as much is always as far."""
    mpl.rcParams |= {"svg.hashsalt": "peopleinfo", "svg.fonttype": "none", "font.size": 9}
    names = compared.columns[1 : 1 + len(cloud.NAMES)]
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
    axes.set_xlabel("µs of CPU a request")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(PICTURE, bbox_inches="tight", metadata={"Date": None})


_TEXT = """# What it costs, measured

Written by `make bench ARGS=report` on {when} ({system}), which measures everything anew and takes about a quarter of an hour (longer the first time: ten million people are stored). What
counts is the ratio between two columns of a row: they were measured in turn, on one machine, within one run.

The cost of a request is CPU time, user and system, of the server's processes; client, servers and what stands for DynamoDB share the machine, and
the server and its client one CPU. A figure is the median of the rounds, with the least and the greatest. Ours asks for an API key, counts what it
may do, and writes metrics and its access log; the others do nothing of that. *usual* is the usual Python answer: FastAPI, aioboto3 and redis-py
(`bench/peers/fastapi`). *no L1* is ours without the memory in the process, *no cache* without Redis too.

![µs of CPU a request, by contender](pictures/performance.svg)

{figures}
"""
