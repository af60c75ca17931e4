"""Figures as plain numbers, alone and added up over workers."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from peopleinfo.telemetry import metrics
from peopleinfo.telemetry.instruments import Counter, Gauge, Histogram, Metric, Snapshot, merge, snapshot
from peopleinfo.telemetry.multiprocess import Workers

if TYPE_CHECKING:
    from pathlib import Path

GONE = "4194305"  # no process has this number: Linux stops before it


def figures() -> tuple[Counter, Gauge, Histogram]:
    return Counter("c_total", "C.", "x"), Gauge("g", "G."), Histogram("h", "H.", bounds=(1.0, 2.0))


def counted(requests: int) -> Snapshot:
    counter, gauge, histogram = figures()
    counter.inc("a", by=requests)
    gauge.set(requests)
    for _ in range(requests):
        histogram.observe(1.5)
    return snapshot((counter, gauge, histogram))


def test_a_counter_is_told_before_anything_is_counted_so_that_the_first_time_is_growth() -> None:
    assert Counter("c_total", "C.").values == {(): 0}
    counter = Counter("c_total", "C.", "x")
    assert counter.values == {}
    counter.init_labels("a")
    assert counter.values == {("a",): 0}
    counter.inc("a")
    counter.init_labels("a")
    assert counter.values == {("a",): 1}


def test_a_value_at_a_bound_is_within_it() -> None:
    histogram = Histogram("h", "H.", bounds=(1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.5):
        histogram.observe(value)
    assert histogram.values == {(): [2, 1, 1, 5.5]}


def test_counters_of_the_living_and_the_dead_are_added_up() -> None:
    together = merge(figures(), [(counted(2), True), (counted(3), False)])
    assert together["c_total"] == {("a",): 5}
    assert together["h"] == {(): [0, 5, 0, 7.5]}


def test_what_is_so_now_is_so_of_the_living_alone() -> None:
    assert merge(figures(), [(counted(2), True), (counted(3), False)])["g"] == {(): 2}


def test_a_gauge_says_how_several_processes_are_one() -> None:
    up = Gauge("up", "Up.", aggregate=min)
    assert merge([up], [({"up": [((), 1)]}, True), ({"up": [((), 0)]}, True)])["up"] == {(): 0}


def test_a_worker_reads_what_the_others_published(tmp_path: Path) -> None:
    one, other = Workers(tmp_path, figures()), Workers(tmp_path, figures())
    one.publish(counted(1))
    one.publish(counted(2))
    assert other.others() == [(as_read(counted(2)), True)]
    assert one.others() == []


def test_what_the_dead_had_counted_is_taken_into_one_file(tmp_path: Path) -> None:
    for number in range(3):
        dead = Workers(tmp_path, figures())
        dead._own_name = f"{GONE}-{number}"
        dead.publish(counted(2))
    heir = Workers(tmp_path, figures())
    assert heir.others() == [({"c_total": [(("a",), 6)], "h": [((), [0, 6, 0, 9.0])]}, False)]
    assert [file.name for file in tmp_path.glob("*.figures")] == ["ended.figures"]


def test_what_was_taken_in_but_not_yet_removed_is_not_counted_twice(tmp_path: Path) -> None:
    dead = Workers(tmp_path, figures())
    dead._own_name = f"{GONE}-0"
    dead.publish(counted(2))
    file = tmp_path / f"{GONE}-0.figures"
    left = file.read_bytes()
    Workers(tmp_path, figures())
    file.write_bytes(left)  # as if the process had ended before it removed the file
    (read,) = Workers(tmp_path, figures()).others()
    assert read[0]["c_total"] == [(("a",), 2)]


def as_read(values: Snapshot) -> Snapshot:
    return {name: [(tuple(labels), value) for labels, value in rows] for name, rows in values.items()}


def test_every_figure_has_a_name_of_its_own_that_says_what_it_is() -> None:
    names = [figure.name for figure in metrics.ALL]
    assert len(names) == len(set(names)) > 30
    for figure in metrics.ALL:
        assert figure.name.startswith(("peopleinfo_", "process_"))
        assert figure.name.endswith("_total") == isinstance(figure, Counter)
        assert figure.documentation.endswith((".", "0."))


@pytest.mark.parametrize("figure", [figure for figure in metrics.ALL if figure.labels], ids=lambda figure: figure.name)
def test_no_label_is_named_after_anything_a_client_sends(figure: Metric) -> None:
    known = {"route", "method", "status", "operation", "error", "action", "outcome", "level", "to", "kind", "reason"}
    assert set(figure.labels) <= known | {"version", "python", "id"}


def test_to_count_needs_no_library() -> None:
    """Commands that do not serve count too, and start fast."""
    code = "import sys, peopleinfo.stores.instrumented; sys.exit('prometheus_client' in sys.modules or 'opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ, check=False).returncode == 0


def test_state_that_is_set_as_a_bool_is_read_by_other_workers(tmp_path: Path) -> None:
    up = Gauge("up", "Up.", aggregate=min)
    up.set(False)
    Workers(tmp_path, (up,)).publish(snapshot((up,)))
    ((others, _),) = Workers(tmp_path, (up,)).others()
    assert others == {"up": [((), 0.0)]}
