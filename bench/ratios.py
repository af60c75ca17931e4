"""The ratios that have an aim, taken from the tables of other benchmarks."""

from collections.abc import Sequence
from typing import NamedTuple

from bench.markdown_tables import Table


class Bar(NamedTuple):
    """A ratio that has an aim: the starts of the titles of its table and row, its column, and the aim."""

    title: str
    table: str
    row: str
    column: str
    aim: str


_RATIO, _INSTRUCTIONS = "ours : Falcon", "instructions"
CLOUD, _EMBEDDED, _START = "µs of CPU per request on d", "µs of CPU per request on the embedded", "Start"
BARS = (
    Bar("cached read by id : bare Falcon, instructions", _INSTRUCTIONS, "read by id, cached", _RATIO, "≤ 1.0"),
    Bar("cached read by surname : bare Falcon, instructions", _INSTRUCTIONS, "read by surname, cached", _RATIO, "≤ 1.0"),
    Bar(
        "the same by id, behind a load balancer",
        _INSTRUCTIONS, "read by id, cached, behind a load balancer", _RATIO, "≤ 1.0",
    ),
    Bar("embedded read by id : bare Falcon, instructions", _INSTRUCTIONS, "read by id", _RATIO, "≤ 1.3"),
    Bar("embedded read by surname : bare Falcon, instructions", _INSTRUCTIONS, "read by surname", _RATIO, "≤ 1.3"),
    Bar("cached read : bare Falcon, CPU", "µs of CPU of a cached read", "", _RATIO, "≤ 1.1"),
    Bar("typical Python : ours, cached by id", CLOUD, "by id, cached", "Python : ours", "≥ 4.5"),
    Bar("typical Node : ours, cached by id", CLOUD, "by id, cached", "Node : ours", "≥ 2"),
    Bar("typical Node : ours, cached by surname", CLOUD, "by surname, cached", "Node : ours", "≥ 2"),
    Bar("typical Node : ours, by id, not cached", CLOUD, "by id, not cached", "Node : ours", "≥ 1.8"),
    Bar("typical Node : ours, by surname, not cached", CLOUD, "by surname, not cached", "Node : ours", "≥ 1.8"),
    Bar("typical Node : ours, create", CLOUD, "create", "Node : ours", "≥ 1.8"),
    Bar(
        "typical Node : ours, create without indexes",
        "µs of CPU of a creation", "", "Node : ours, no indexes", "≥ 1.8",
    ),
    Bar("embedded list of 100 : bare Falcon, CPU", _EMBEDDED, "list of 100", _RATIO, "≤ 2"),
    Bar("list of 100, encrypted : plain, CPU", "µs of CPU per list", "list of 100", "encrypted : plain", "≤ 2"),
    Bar("batch-get of 100 : 100 reads by id, SQLite", "µs of CPU per person", "read by id, SQLite", "batch : one by one", "≤ 0.1"),
    Bar("batch of 100 creations : one by one, SQLite", "µs of CPU per person", "create, SQLite", "batch : one by one", "≤ 0.2"),
    Bar(
        "batch of 100 creations : one by one, DynamoDB",
        "µs of CPU per person", "create, d", "batch : one by one", "≤ 0.33",
    ),
    Bar("first response of two workers, s", _START, "embedded, two workers", "first response, s", "< 0.6"),
    Bar("memory of two idle workers, MB (PSS)", _START, "embedded, two workers", "idle, MB", "< 150"),
)  # fmt: skip


def ratios(tables: Sequence[Table]) -> Table:
    """Return the measured ratios next to their aims."""
    table = Table("Ratios", "figure", "measured", "aim")
    for bar in BARS:
        if found := _figure(bar, tables):
            table.row(bar.title, found, bar.aim)
    return table


def _figure(bar: Bar, tables: Sequence[Table]) -> str:
    """Return the median that a bar names, "" if it was not measured."""
    for table in tables:
        if table.title.startswith(bar.table) and bar.column in table.columns:
            for row in table.rows:
                if row[0].startswith(bar.row):
                    return next(iter(row[table.columns.index(bar.column)].split()), "")
    return ""
