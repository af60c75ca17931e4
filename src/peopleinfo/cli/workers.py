"""Several processes that serve, and the one that starts them, replaces those that die, and ends them."""

from __future__ import annotations

import os
import signal
import tempfile
from contextlib import contextmanager
from multiprocessing import connection
from pathlib import Path
from typing import TYPE_CHECKING, Final

from uvicorn.supervisors import Multiprocess

if TYPE_CHECKING:
    from collections.abc import Iterator

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - what is made in it is its owner's alone

_ENDINGS: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def shared_folder() -> Iterator[Path]:
    """Make a folder for the files of the workers, in memory where there is one; it is removed at the end."""
    where = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="peopleinfo-", dir=where) as folder:
        yield Path(folder)


class Supervisor(Multiprocess):
    """uvicorn's, which also hears when it is told a second time to end."""

    ended_by: int | None = None
    """The signal that ended it at once; None when it ends in good order."""

    def join_all(self) -> None:
        """Wait until every worker has ended; when told to end once more, end them at once."""
        waiting = [process.process.sentinel for process in self.processes]
        while waiting and self.ended_by is None:
            self.ended_by = next((number for number in self.signal_queue if number in _ENDINGS), None)
            for ended in connection.wait(waiting, timeout=0.1):
                waiting.remove(int(ended))  # type: ignore[arg-type] # a sentinel is a number
        if self.ended_by is not None:
            for process in self.processes:
                process.process.kill()
        super().join_all()
