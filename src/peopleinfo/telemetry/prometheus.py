"""Exposition of metrics in the formats of Prometheus, aggregated over all workers."""

from __future__ import annotations

import asyncio
import platform
import resource
import time
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import exposition
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from peopleinfo import __version__
from peopleinfo.telemetry import metric_types, metrics, open_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from prometheus_client.metrics_core import Metric

    from peopleinfo.telemetry.multiprocess import Workers

SAMPLE_INTERVAL: Final = 0.5
_STATM: Final = Path("/proc/self/statm")


class Exposition:
    """Exposes the metrics. Each function in `gauges` updates current values before a scrape."""

    def __init__(
        self, instance: str, workers: Workers | None = None, *, gauges: Sequence[Callable[[], None]] = ()
    ) -> None:
        self._workers = workers
        self._gauges = (_update_process_gauges, *gauges)
        metrics.WORKERS.set(1)
        metrics.BUILD.set(1, __version__, platform.python_version())
        metrics.INSTANCE.set(1, instance)
        metrics.STARTED.set(time.time())
        for level in ("warning", "error"):
            metrics.EVENTS.init_labels(level)

    @property
    def has_others(self) -> bool:
        """Whether the service has other workers."""
        return self._workers is not None

    def publish(self) -> None:
        """Publish the metrics of this worker to the others."""
        if self._workers:
            with open_files.reported():
                self._workers.publish(metric_types.snapshot(metrics.ALL))

    async def sample_loop(self) -> None:
        """Measure the lag of the event loop and publish the metrics periodically; never returns."""
        while True:
            due = time.monotonic() + SAMPLE_INTERVAL
            await asyncio.sleep(SAMPLE_INTERVAL)
            metrics.LOOP_LAG.observe(max(0.0, time.monotonic() - due))  # uvloop rounds to milliseconds
            open_files.probe()
            if self._workers:
                self._update_gauges()
                self.publish()

    def text(self, accepted: str) -> tuple[bytes, str]:
        """Return the metrics and their media type: OpenMetrics if accepted, else the text format of Prometheus."""
        self._update_gauges()
        encode, content_type = exposition.choose_encoder(accepted)
        return encode(self), content_type

    def collect(self) -> Iterator[Metric]:
        """Yield the aggregated metrics of all workers."""
        own = metric_types.snapshot(metrics.ALL)
        others = self._workers.others() if self._workers else []
        merged = metric_types.merge(metrics.ALL, [(own, True), *others])
        for metric in metrics.ALL:
            yield _family(metric, merged[metric.name])

    def _update_gauges(self) -> None:
        for update in self._gauges:
            update()


def _update_process_gauges() -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    metrics.CPU_SECONDS.values[()] = usage.ru_utime + usage.ru_stime
    if _STATM.exists():  # on Linux
        with open_files.reported():
            metrics.MEMORY.set(int(_STATM.read_text().split()[1]) * resource.getpagesize())
            open_files.count()


def _family(metric: metric_types.Metric, values: Mapping[metric_types.Labels, Any]) -> Metric:
    """Convert a metric for prometheus_client."""
    if isinstance(metric, metric_types.Histogram):
        histogram = HistogramMetricFamily(metric.name, metric.documentation, labels=metric.labels)
        bounds = [*map(str, metric.bounds), "+Inf"]
        for labels, counts_and_sum in values.items():
            histogram.add_metric(
                labels, list(zip(bounds, accumulate(counts_and_sum[:-1]), strict=True)), counts_and_sum[-1]
            )
        return histogram
    kind = CounterMetricFamily if isinstance(metric, metric_types.Counter) else GaugeMetricFamily
    family = kind(metric.name, metric.documentation, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family
