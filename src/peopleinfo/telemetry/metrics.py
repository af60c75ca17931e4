"""Metrics of the process, in a registry of their own."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from peopleinfo import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

# Seconds. A read takes well under a millisecond, a durable write a few; the last ones are for a store in trouble.
_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics(Collector):
    """Counts requests by route template, method and status; labels never hold what a client sent. For one thread alone."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        build = Gauge(
            "peopleinfo_build_info", "1, with the version as its label.", ("version",), registry=self.registry
        )
        build.labels(__version__).set(1)
        self._answered: dict[tuple[str, str, int], int] = {}
        self._buckets: dict[tuple[str, str], list[int]] = {}
        self._seconds: dict[tuple[str, str], float] = {}
        self.registry.register(self)

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answered request. `route` is a template, `method` one of HTTP's."""
        # Plain numbers: the library's own, safe for many threads and processes, cost more than the rest of a request's notes.
        key = route, method, status
        self._answered[key] = self._answered.get(key, 0) + 1
        buckets = self._buckets.get((route, method))
        if buckets is None:
            buckets = self._buckets[route, method] = [0] * (len(_BUCKETS) + 1)
            self._seconds[route, method] = 0.0
        buckets[bisect_left(_BUCKETS, seconds)] += 1
        self._seconds[route, method] += seconds

    def collect(self) -> Iterator[Metric]:
        """Yield the requests' metrics, as prometheus-client asks for them."""
        answered = CounterMetricFamily(
            "peopleinfo_http_requests", "Requests answered.", labels=("route", "method", "status")
        )
        for (route, method, status), count in self._answered.items():
            answered.add_metric((route, method, str(status)), count)
        yield answered
        times = HistogramMetricFamily(
            "peopleinfo_http_request_seconds",
            "Time from a request's headers to its answer.",
            labels=("route", "method"),
        )
        bounds = [*map(str, _BUCKETS), "+Inf"]
        for labels, buckets in self._buckets.items():
            times.add_metric(labels, list(zip(bounds, accumulate(buckets), strict=True)), self._seconds[labels])
        yield times
