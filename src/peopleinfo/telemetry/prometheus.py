"""The figures as Prometheus reads them: those of this process, or of all workers of the service together."""

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
from peopleinfo.telemetry import instruments, metrics, open_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    from peopleinfo.telemetry.multiprocess import Workers

SAMPLE_INTERVAL: Final = 0.5
_STATM: Final = Path("/proc/self/statm")


class Exposition:
    """Tells the figures. `gauges` are asked for what is so now, before it is told."""

    def __init__(self, instance: str, workers: Workers | None = None) -> None:
        self._workers = workers
        self.gauges: list[Callable[[], None]] = [_look_at_process]
        metrics.WORKERS.set(1)
        metrics.BUILD.set(1, __version__, platform.python_version())
        metrics.INSTANCE.set(1, instance)
        metrics.STARTED.set(time.time())
        for level in ("warning", "error"):
            metrics.EVENTS.init_labels(level)

    @property
    def has_others(self) -> bool:
        """Whether other processes serve with this one."""
        return self._workers is not None

    def publish(self) -> None:
        """Let the other workers know the figures of this one."""
        if self._workers:
            with open_files.reported():
                self._workers.publish(instruments.snapshot(metrics.ALL))

    async def sample_loop(self) -> None:
        """Measure how late the loop is, and publish what no request publishes; never returns."""
        while True:
            due = time.monotonic() + SAMPLE_INTERVAL
            await asyncio.sleep(SAMPLE_INTERVAL)
            metrics.LOOP_LAG.observe(max(0.0, time.monotonic() - due))  # uvloop rounds to milliseconds
            open_files.probe()
            if self._workers:
                self._look()
                self.publish()

    def text(self, accepted: str) -> tuple[bytes, str]:
        """Return the figures, and their media type: Prometheus' text format, or OpenMetrics when that is accepted."""
        self._look()
        encode, content_type = exposition.choose_encoder(accepted)
        return encode(self), content_type

    def collect(self) -> Iterator[Metric]:
        """Yield what was counted, of all workers together."""
        mine = instruments.snapshot(metrics.ALL)
        others = self._workers.others() if self._workers else []
        together = instruments.merge(metrics.ALL, [(mine, True), *others])
        for figure in metrics.ALL:
            yield _family(figure, together[figure.name])

    def _look(self) -> None:
        for look in self.gauges:
            look()


def _look_at_process() -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    metrics.CPU_SECONDS.values[()] = used.ru_utime + used.ru_stime
    if _STATM.exists():  # on Linux
        with open_files.reported():
            metrics.MEMORY.set(int(_STATM.read_text().split()[1]) * resource.getpagesize())
            open_files.count()


def _family(figure: instruments.Metric, values: Mapping[instruments.Labels, Any]) -> Metric:
    """Return a figure as prometheus-client writes it down."""
    if isinstance(figure, instruments.Histogram):
        times = HistogramMetricFamily(figure.name, figure.says, labels=figure.labels)
        bounds = [*map(str, figure.bounds), "+Inf"]
        for labels, row in values.items():
            times.add_metric(labels, list(zip(bounds, accumulate(row[:-1]), strict=True)), row[-1])
        return times
    kind = CounterMetricFamily if isinstance(figure, instruments.Counter) else GaugeMetricFamily
    family = kind(figure.name, figure.says, labels=figure.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family
