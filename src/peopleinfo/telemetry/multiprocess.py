"""Metrics of several workers: each publishes its metrics in a file, and the worker that is scraped aggregates them."""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import msgspec

from peopleinfo.telemetry.metric_types import Metric, Snapshot, merge

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_ENDED: Final = "ended"


class _WorkerSnapshot(msgspec.Struct):
    """The content of a file: metrics, and the names of the ended workers that they include."""

    metrics: Snapshot
    includes: list[str] = []


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_WorkerSnapshot).decode


class Workers:
    """A directory with one file per worker. The counters of a worker survive its end, even a crash."""

    def __init__(self, directory: Path, metrics: Sequence[Metric]) -> None:
        self._directory = directory
        self._metrics = metrics
        self._own_name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._merge_ended()

    def publish(self, snapshot: Snapshot) -> None:
        """Publish the metrics of this worker."""
        self._write(self._own_name, _WorkerSnapshot(snapshot))

    def others(self) -> list[tuple[Snapshot, bool]]:
        """Return the last published metrics of the other workers, and whether each worker is alive."""
        with self._locked(fcntl.LOCK_SH):
            return [
                (worker.metrics, _is_alive(name)) for name, worker in self._read().items() if name != self._own_name
            ]

    def _merge_ended(self) -> None:
        """Merge the files of ended workers into one file, which bounds the number of files."""
        with self._locked(fcntl.LOCK_EX):
            ended = [path.stem for path in self._directory.glob("*-*.figures") if not _is_alive(path.stem)]
            if not ended:
                return
            parts = [(worker.metrics, False) for name, worker in self._read().items() if not _is_alive(name)]
            merged = merge(self._metrics, parts)
            values_by_name = {name: list(values.items()) for name, values in merged.items() if values}
            self._write(_ENDED, _WorkerSnapshot(values_by_name, includes=ended))
            for name in ended:
                (self._directory / f"{name}.figures").unlink()

    def _read(self) -> dict[str, _WorkerSnapshot]:
        snapshots = {path.stem: _decode(path.read_bytes()) for path in self._directory.glob("*.figures")}
        merged = snapshots[_ENDED].includes if _ENDED in snapshots else ()
        return {name: worker for name, worker in snapshots.items() if name not in merged}

    def _write(self, name: str, snapshot: _WorkerSnapshot) -> None:
        temporary = self._directory / f"{name}.new"
        temporary.write_bytes(_encode(snapshot))
        temporary.replace(self._directory / f"{name}.figures")

    @contextmanager
    def _locked(self, operation: int) -> Iterator[None]:
        with (self._directory / "lock").open("ab") as lock:
            fcntl.flock(lock, operation)
            yield


def _is_alive(name: str) -> bool:
    if name == _ENDED:
        return False
    try:
        os.kill(int(name.partition("-")[0]), 0)
    except ProcessLookupError:
        return False
    return True
