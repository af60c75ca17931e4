"""Several processes that serve, and the one that starts them, replaces those that die, and ends them."""

from __future__ import annotations

import os
import signal
import tempfile
from contextlib import contextmanager
from multiprocessing import connection, resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from peopleinfo import signals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from socket import socket

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - what is made in it is its owner's alone


@contextmanager
def metrics_dir() -> Iterator[Path]:
    """Make a folder for the files of the workers, in memory where there is one; it is removed at the end."""
    where = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="peopleinfo-", dir=where) as folder:
        yield Path(folder)


@contextmanager
def _blocked_signals() -> Iterator[None]:
    """Block termination signals, also in processes that start meanwhile, which unblock them once they can handle them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signals.TERMINATION)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals.TERMINATION)


class Server(uvicorn.Server):
    """uvicorn's, which loses no signal before it starts or while it ends."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at signals, also at one that arrived before."""
        previous = signals.react(lambda number: self.handle_exit(number, None))
        yield
        signals.react(previous)


class Supervisor(Multiprocess):
    """uvicorn's, which loses no signal while it starts, and ends at once at the second one."""

    has_failed = False
    """Whether the service has ended because a worker could not start."""
    _first: tuple[Process, ...] = ()
    ended_by: int | None = None
    """The signal that ended it at once; None when it ends in good order."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket]) -> None:
        super().__init__(config, sockets)
        self.signal_queue += signals.received  # before its handlers were installed
        resource_tracker.ensure_running()  # whose start unblocks signals

    def init_processes(self) -> None:
        """Start the workers."""
        with _blocked_signals():
            super().init_processes()
        self._first = tuple(self.processes)

    def keep_subprocess_alive(self) -> None:
        """Replace workers that have died. The service ends when one of the first cannot start; a later one is tried again."""
        if self.should_exit.is_set():  # by a signal
            return
        with _blocked_signals():
            super().keep_subprocess_alive()
            self.has_failed = any(process.exitcode == STARTUP_FAILURE for process in self._first)
            if self.should_exit.is_set() and not self.has_failed:
                self.should_exit.clear()
                self.processes = [self._replaced(process) for process in self.processes]

    def _replaced(self, process: Process) -> Process:
        if process.exitcode != STARTUP_FAILURE:
            return process
        new = Process(self.config, self.sockets)
        new.start()
        return new

    def handle_signals(self) -> None:
        """Do what signals ask for; some of them start workers."""
        with _blocked_signals():
            super().handle_signals()

    def join_all(self) -> None:
        """Wait until every worker has ended; when told to end once more, end them at once."""
        waiting = [process.process.sentinel for process in self.processes]
        while waiting and self.ended_by is None:
            self.ended_by = next((number for number in self.signal_queue if number in signals.TERMINATION), None)
            for ended in connection.wait(waiting, timeout=0.1):
                waiting.remove(int(ended))  # type: ignore[arg-type] # a sentinel is a number
        if self.ended_by is not None:
            for process in self.processes:
                process.process.kill()
        super().join_all()
