"""Figures as plain numbers: what one process counts, and how those of several are one service's. For one thread alone (ADR 9)."""

from __future__ import annotations

from bisect import bisect_left
from operator import add
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Labels = tuple[str, ...]
Value = float | list[float]


class Metric:
    """A name, what it says, its labels, and a value for each combination of them that was met."""

    counts = True
    """Whether what a process that has ended had counted still counts."""

    def __init__(self, name: str, says: str, *labels: str) -> None:
        self.name = name
        self.says = says
        self.labels = labels
        self.values: dict[Labels, Any] = {}

    def merged(self, one: Any, other: Any) -> Any:
        """Return the value of two processes together."""
        raise NotImplementedError


class Counter(Metric):
    """What only grows. Who scrapes it sees growth between two samples: a first sample of 100 is no growth, so one of 0 comes before it."""

    def __init__(self, name: str, says: str, *labels: str) -> None:
        super().__init__(name, says, *labels)
        if not labels:
            self.init_labels()

    def init_labels(self, *labels: str) -> None:
        """Tell of a combination of labels before anything of it is counted: of each that means trouble."""
        self.values.setdefault(labels, 0)

    def inc(self, *labels: str, by: float = 1) -> None:
        """Count something."""
        self.values[labels] = self.values.get(labels, 0) + by

    def merged(self, one: float, other: float) -> float:
        """Return the sum."""
        return one + other


class Gauge(Metric):
    """What is so now; that of several processes is their sum, or what `together` makes of two."""

    counts = False

    def __init__(self, name: str, says: str, *labels: str, together: Callable[[float, float], float] = add) -> None:
        super().__init__(name, says, *labels)
        self._together = together

    def merged(self, one: float, other: float) -> float:
        """Return what is made of two."""
        return self._together(one, other)

    def set(self, value: float, *labels: str) -> None:
        """Say how it is now."""
        self.values[labels] = float(value)  # also a bool, which other workers could not read

    def change(self, by: float, *labels: str) -> None:
        """Say how it changed."""
        self.values[labels] = self.values.get(labels, 0) + by


class Histogram(Metric):
    """How often it was at most so much; the last two numbers of a value are those above every bound, and the sum."""

    def __init__(self, name: str, says: str, *labels: str, bounds: tuple[float, ...]) -> None:
        super().__init__(name, says, *labels)
        self.bounds = bounds

    def observe(self, value: float, *labels: str) -> None:
        """Count a value."""
        row = self.values.get(labels)
        if row is None:
            row = self.values[labels] = [0] * (len(self.bounds) + 2)
        row[bisect_left(self.bounds, value)] += 1
        row[-1] += value

    def merged(self, one: list[float], other: list[float]) -> list[float]:
        """Return the sums."""
        return list(map(add, one, other))


Snapshot = dict[str, list[tuple[Labels, Value]]]


def snapshot(figures: Iterable[Metric]) -> Snapshot:
    """Return the values of figures by their names."""
    return {figure.name: list(figure.values.items()) for figure in figures if figure.values}


def merge(figures: Iterable[Metric], parts: Iterable[tuple[Snapshot, bool]]) -> dict[str, dict[Labels, Any]]:
    """Return the values of several processes together; each comes with whether it is alive: only then it has anything now."""
    parts = list(parts)
    aggregate: dict[str, dict[Labels, Any]] = {}
    for figure in figures:
        values = aggregate[figure.name] = {}
        for part, is_alive in parts:
            if figure.counts or is_alive:
                for labels, value in part.get(figure.name, ()):
                    values[labels] = figure.merged(values[labels], value) if labels in values else value
    return aggregate
