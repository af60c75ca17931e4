"""Write docs/performance.md: all comparisons, measured on this machine, with a chart."""

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
    """Measure everything, and write the page and its chart."""
    moved = transfer.main()  # first: the peak memory of a child process includes that of this process at the fork
    compared, floor = cloud.main()
    others = (embedded, layers, latency, start, growth)
    tables = [compared, floor, *(table for question in others for table in question.main()), *moved]
    _draw(compared)
    system = f"{platform.system()} {platform.machine()}, {psutil.cpu_count()} CPUs, Python {platform.python_version()}"
    when = datetime.now(UTC).date().isoformat()
    figures = "\n\n".join(f"## {table.title}\n\n{table.text}" for table in tables)
    PAGE.write_text(_TEXT.format(when=when, system=system, figures=figures), encoding="utf-8")
    print(f"wrote {PAGE} and {PICTURE}")


def _draw(compared: Table) -> None:
    """Draw the cost of a request per contender on a logarithmic scale."""
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
    axes.set_xlabel("µs of CPU per request")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(PICTURE, bbox_inches="tight", metadata={"Date": None})


_TEXT = """# Performance

`make bench ARGS=report` wrote this page on {when} ({system}). It takes about a quarter of an hour, and longer the first time, because it stores ten million people.
Compare the columns of a row: they were measured in turn on one machine within one run.

The cost of a request is the CPU time, user and system, of the server's processes. Client, servers and DynamoDB Local share the machine; a server
and its client share one CPU. A figure is the median of the rounds, with minimum and maximum. PeopleInfo (*ours*) authenticates, applies rate limits,
and writes metrics and an access log; the others do not. *Typical* is a service of FastAPI, aioboto3 and redis-py
(`bench/peers/fastapi`). *No L1* is PeopleInfo without its local cache, *no cache* without Redis too.

![µs of CPU per request, by contender](pictures/performance.svg)

{figures}
"""
