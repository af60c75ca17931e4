"""Metrics of the process, in a registry of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from peopleinfo import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

# Seconds. A cached read takes well under a millisecond, a durable write a few; the last ones are for a store in trouble.
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Counts requests by route template, method and status; labels never hold what a client sent."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        labels = ("route", "method", "status")
        self._requests = Counter("peopleinfo_http_requests", "Requests answered.", labels, registry=self.registry)
        self._seconds = Histogram(
            "peopleinfo_http_request_seconds",
            "Time from a request's headers to its answer.",
            ("route", "method"),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        Gauge(
            "peopleinfo_build_info", "1, with the version as its label.", ("version",), registry=self.registry
        ).labels(__version__).set(1)
        self._known: dict[tuple[str, str, int], tuple[Callable[[], Any], Callable[[float], Any]]] = {}

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answered request. `route` is a template, `method` one that the route has."""
        known = self._known.get((route, method, status))
        if known is None:
            counter = self._requests.labels(route, method, str(status))
            known = counter.inc, self._seconds.labels(route, method).observe
            self._known[route, method, status] = known
        count, observe = known
        count()
        observe(seconds)
