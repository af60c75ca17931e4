"""Metrics as plain numbers: counts of one process and the aggregation over processes. Not thread-safe (ADR 9)."""

from __future__ import annotations

from bisect import bisect_left
from operator import add
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Labels = tuple[str, ...]
Value = float | list[float]


class Metric:
    """A name, a help text, label names, and a value for each combination of label values."""

    survives_process = True
    """Whether the values of ended processes remain part of the aggregate."""

    def __init__(self, name: str, documentation: str, *labels: str) -> None:
        self.name = name
        self.documentation = documentation
        self.labels = labels
        self.values: dict[Labels, Any] = {}

    def merged(self, one: Any, other: Any) -> Any:
        """Return the aggregate of the values of two processes."""
        raise NotImplementedError


class Counter(Metric):
    """A value that only increases.

    Prometheus sees an increase only between two samples, so a counter needs a sample of 0 before its first event.
    """

    def __init__(self, name: str, documentation: str, *labels: str) -> None:
        super().__init__(name, documentation, *labels)
        if not labels:
            self.init_labels()

    def init_labels(self, *labels: str) -> None:
        """Export a combination of labels with the value 0; call this for every label of an error."""
        self.values.setdefault(labels, 0)

    def inc(self, *labels: str, by: float = 1) -> None:
        """Increase the value."""
        self.values[labels] = self.values.get(labels, 0) + by

    def merged(self, one: float, other: float) -> float:
        """Return the sum."""
        return one + other


class Gauge(Metric):
    """A current value; `aggregate` combines the values of two processes (default: their sum)."""

    survives_process = False

    def __init__(
        self, name: str, documentation: str, *labels: str, aggregate: Callable[[float, float], float] = add
    ) -> None:
        super().__init__(name, documentation, *labels)
        self._aggregate = aggregate

    def merged(self, one: float, other: float) -> float:
        """Return the aggregate of two values."""
        return self._aggregate(one, other)

    def set(self, value: float, *labels: str) -> None:
        """Set the value."""
        self.values[labels] = float(value)  # a bool could not be decoded by other workers

    def change(self, by: float, *labels: str) -> None:
        """Add to the value."""
        self.values[labels] = self.values.get(labels, 0) + by


class Histogram(Metric):
    """Counts of observations per bucket. A value is a list: one count per bound, the count above all bounds, and the sum."""

    def __init__(self, name: str, documentation: str, *labels: str, bounds: tuple[float, ...]) -> None:
        super().__init__(name, documentation, *labels)
        self.bounds = bounds

    def observe(self, value: float, *labels: str) -> None:
        """Record an observation."""
        self.observe_all((value,), *labels)

    def observe_all(self, values: Sequence[float], *labels: str) -> None:
        """Record several observations."""
        counts_and_sum = self.values.get(labels)
        if counts_and_sum is None:
            counts_and_sum = self.values[labels] = [0] * (len(self.bounds) + 2)
        for value in values:
            counts_and_sum[bisect_left(self.bounds, value)] += 1
        counts_and_sum[-1] += sum(values)

    def merged(self, one: list[float], other: list[float]) -> list[float]:
        """Return the sums of all counts."""
        return list(map(add, one, other))


Snapshot = dict[str, list[tuple[Labels, Value]]]


def snapshot(metrics: Iterable[Metric]) -> Snapshot:
    """Return the values of metrics by name."""
    return {metric.name: list(metric.values.items()) for metric in metrics if metric.values}


def merge(metrics: Iterable[Metric], parts: Iterable[tuple[Snapshot, bool]]) -> dict[str, dict[Labels, Any]]:
    """Return the aggregate of several processes; each part states whether its process is alive.

    Gauges of ended processes are ignored.
    """
    parts = list(parts)
    merged: dict[str, dict[Labels, Any]] = {}
    for metric in metrics:
        values = merged[metric.name] = {}
        for part, is_alive in parts:
            if metric.survives_process or is_alive:
                for labels, value in part.get(metric.name, ()):
                    values[labels] = metric.merged(values[labels], value) if labels in values else value
    return merged
