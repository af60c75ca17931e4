"""Markdown tables that are printed row by row and kept for docs/performance.md."""

from collections.abc import Sequence
from statistics import median
from typing import ClassVar


class Table:
    """A table with a title; each row is printed when it is added."""

    made: ClassVar[list["Table"]] = []
    """All tables of this process."""

    def __init__(self, title: str, *columns: str) -> None:
        self.title = title
        self.columns = columns
        self.rows: list[tuple[str, ...]] = []
        Table.made.append(self)
        print(f"\n{title}\n\n{self.text}", flush=True)

    def row(self, *cells: str) -> None:
        """Add a row."""
        self.rows.append(cells)
        print(_line(cells), flush=True)

    @property
    def text(self) -> str:
        """The table without its title."""
        return "\n".join((_line(self.columns), "|" + "---|" * len(self.columns), *map(_line, self.rows)))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def spread(values: list[float]) -> str:
    """Return the median, minimum and maximum as text."""
    return " ".join((_figure(median(values)), f"({_figure(min(values))}-{_figure(max(values))})"))


_WHOLE, _TENTHS = 1_000, 10  # values from which fewer digits are shown


def _figure(value: float) -> str:
    return f"{value:,.{0 if value >= _WHOLE else 1 if value >= _TENTHS else 2}f}"


def ratio(ours: list[float], theirs: list[float]) -> float:
    """Return the median ratio over all rounds."""
    return median(one / other for one, other in zip(ours, theirs, strict=True))
