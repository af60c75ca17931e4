"""Metrics of one process, and their aggregation over workers."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from peopleinfo.telemetry import metrics
from peopleinfo.telemetry.metric_types import Counter, Gauge, Histogram, Metric, Snapshot, merge, snapshot
from peopleinfo.telemetry.multiprocess import Workers

if TYPE_CHECKING:
    from pathlib import Path

ENDED_PID = "4194305"  # above the maximum process id of Linux


def metrics_of_each_kind() -> tuple[Counter, Gauge, Histogram]:
    return Counter("c_total", "C.", "x"), Gauge("g", "G."), Histogram("h", "H.", bounds=(1.0, 2.0))


def snapshot_with(requests: int) -> Snapshot:
    counter, gauge, histogram = metrics_of_each_kind()
    counter.inc("a", by=requests)
    gauge.set(requests)
    for _ in range(requests):
        histogram.observe(1.5)
    return snapshot((counter, gauge, histogram))


def test_counter_is_exported_with_zero_before_the_first_event() -> None:
    assert Counter("c_total", "C.").values == {(): 0}
    counter = Counter("c_total", "C.", "x")
    assert counter.values == {}
    counter.init_labels("a")
    assert counter.values == {("a",): 0}
    counter.inc("a")
    counter.init_labels("a")
    assert counter.values == {("a",): 1}


def test_bucket_includes_its_bound() -> None:
    histogram = Histogram("h", "H.", bounds=(1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.5):
        histogram.observe(value)
    assert histogram.values == {(): [2, 1, 1, 5.5]}


def test_counters_of_running_and_ended_workers_are_summed() -> None:
    together = merge(metrics_of_each_kind(), [(snapshot_with(2), True), (snapshot_with(3), False)])
    assert together["c_total"] == {("a",): 5}
    assert together["h"] == {(): [0, 5, 0, 7.5]}


def test_gauge_includes_only_running_workers() -> None:
    assert merge(metrics_of_each_kind(), [(snapshot_with(2), True), (snapshot_with(3), False)])["g"] == {(): 2}


def test_gauge_defines_its_aggregation() -> None:
    up = Gauge("up", "Up.", aggregate=min)
    assert merge([up], [({"up": [((), 1)]}, True), ({"up": [((), 0)]}, True)])["up"] == {(): 0}


def test_worker_reads_the_snapshots_of_other_workers(tmp_path: Path) -> None:
    one, other = Workers(tmp_path, metrics_of_each_kind()), Workers(tmp_path, metrics_of_each_kind())
    one.publish(snapshot_with(1))
    one.publish(snapshot_with(2))
    assert other.others() == [(decoded(snapshot_with(2)), True)]
    assert one.others() == []


def test_snapshots_of_ended_workers_are_merged_into_one_file(tmp_path: Path) -> None:
    for number in range(3):
        dead = Workers(tmp_path, metrics_of_each_kind())
        dead._own_name = f"{ENDED_PID}-{number}"
        dead.publish(snapshot_with(2))
    heir = Workers(tmp_path, metrics_of_each_kind())
    assert heir.others() == [({"c_total": [(("a",), 6)], "h": [((), [0, 6, 0, 9.0])]}, False)]
    assert [file.name for file in tmp_path.glob("*.figures")] == ["ended.figures"]


def test_merged_snapshot_is_not_counted_twice(tmp_path: Path) -> None:
    dead = Workers(tmp_path, metrics_of_each_kind())
    dead._own_name = f"{ENDED_PID}-0"
    dead.publish(snapshot_with(2))
    file = tmp_path / f"{ENDED_PID}-0.figures"
    left = file.read_bytes()
    Workers(tmp_path, metrics_of_each_kind())
    file.write_bytes(left)  # as if the process had ended before removing the file
    (read,) = Workers(tmp_path, metrics_of_each_kind()).others()
    assert read[0]["c_total"] == [(("a",), 2)]


def decoded(values: Snapshot) -> Snapshot:
    return {name: [(tuple(labels), value) for labels, value in rows] for name, rows in values.items()}


def test_every_metric_has_a_unique_and_conventional_name() -> None:
    names = [figure.name for figure in metrics.ALL]
    assert len(names) == len(set(names)) > 30
    for figure in metrics.ALL:
        assert figure.name.startswith(("peopleinfo_", "process_"))
        assert figure.name.endswith("_total") == isinstance(figure, Counter)
        assert figure.documentation.endswith((".", "0."))


@pytest.mark.parametrize("figure", [figure for figure in metrics.ALL if figure.labels], ids=lambda figure: figure.name)
def test_labels_contain_no_data_of_clients(figure: Metric) -> None:
    known = {"route", "method", "status", "operation", "error", "action", "outcome", "level", "to", "kind", "reason"}
    assert set(figure.labels) <= known | {"version", "python", "id"}


def test_metrics_import_no_library() -> None:
    """Commands other than `serve` use metrics, too, and must start fast."""
    code = "import sys, peopleinfo.stores.instrumented; sys.exit('prometheus_client' in sys.modules or 'opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ, check=False).returncode == 0


def test_boolean_gauge_is_read_by_other_workers(tmp_path: Path) -> None:
    up = Gauge("up", "Up.", aggregate=min)
    up.set(False)
    Workers(tmp_path, (up,)).publish(snapshot((up,)))
    ((others, _),) = Workers(tmp_path, (up,)).others()
    assert others == {"up": [((), 0.0)]}
