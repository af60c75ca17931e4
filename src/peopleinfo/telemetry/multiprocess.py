"""The figures of several workers: each leaves its own in a file, and whoever is asked for them adds them up."""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import msgspec

from peopleinfo.telemetry.instruments import Metric, Snapshot, merge

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_ENDED: Final = "ended"


class _WorkerSnapshot(msgspec.Struct):
    """What a file holds: figures, and the names of the files that are in them already."""

    figures: Snapshot
    taken_in: list[str] = []


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_WorkerSnapshot).decode


class Workers:
    """A folder with a file for each worker, named after its process. What a worker had counted is kept when it ends, however it ends."""

    def __init__(self, folder: Path, figures: Sequence[Metric]) -> None:
        self._folder = folder
        self._figures = figures
        self._mine = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._take_in_the_ended()

    def publish(self, mine: Snapshot) -> None:
        """Leave the figures of this worker for the others."""
        self._write(self._mine, _WorkerSnapshot(mine))

    def others(self) -> list[tuple[Snapshot, bool]]:
        """Return the figures of the other workers, and whether each is alive; as they were when each published them last."""
        with self._locked(fcntl.LOCK_SH):
            return [(left.figures, _is_alive(name)) for name, left in self._read().items() if name != self._mine]

    def _take_in_the_ended(self) -> None:
        """Make one file of those of workers that have ended, so that there are never more than a few."""
        with self._locked(fcntl.LOCK_EX):
            ended = [path.stem for path in self._folder.glob("*-*.figures") if not _is_alive(path.stem)]
            if not ended:
                return
            left = [(one.figures, False) for name, one in self._read().items() if not _is_alive(name)]
            together = merge(self._figures, left)
            kept = {name: list(values.items()) for name, values in together.items() if values}
            self._write(_ENDED, _WorkerSnapshot(kept, taken_in=ended))
            for name in ended:
                (self._folder / f"{name}.figures").unlink()

    def _read(self) -> dict[str, _WorkerSnapshot]:
        left = {path.stem: _decode(path.read_bytes()) for path in self._folder.glob("*.figures")}
        taken_in = left[_ENDED].taken_in if _ENDED in left else ()
        return {name: one for name, one in left.items() if name not in taken_in}

    def _write(self, name: str, left: _WorkerSnapshot) -> None:
        new = self._folder / f"{name}.new"
        new.write_bytes(_encode(left))
        new.replace(self._folder / f"{name}.figures")

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        with (self._folder / "lock").open("ab") as lock:
            fcntl.flock(lock, how)
            yield


def _is_alive(name: str) -> bool:
    if name == _ENDED:
        return False
    try:
        os.kill(int(name.partition("-")[0]), 0)
    except ProcessLookupError:
        return False
    return True
