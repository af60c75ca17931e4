"""Worker processes, and the supervisor that starts, replaces and stops them."""

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

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - TemporaryDirectory creates it with mode 0700


@contextmanager
def metrics_dir() -> Iterator[Path]:
    """Create a directory for the metrics files of the workers, in memory if possible; remove it at the end."""
    parent = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="peopleinfo-", dir=parent) as folder:
        yield Path(folder)


@contextmanager
def _blocked_signals() -> Iterator[None]:
    """Block termination signals. Processes started in this context inherit the mask and unblock it when their handlers are ready."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signals.TERMINATION)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals.TERMINATION)


class Server(uvicorn.Server):
    """A uvicorn server that loses no signal during startup and shutdown."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at a signal, including one that was received before."""
        previous = signals.react(lambda number: self.handle_exit(number, None))
        yield
        signals.react(previous)


class Supervisor(Multiprocess):
    """A uvicorn supervisor that loses no signal during startup and exits immediately at the second one."""

    has_failed = False
    """Whether the service stopped because a worker could not start."""
    _initial_workers: tuple[Process, ...] = ()
    ended_by: int | None = None
    """The signal that forced an immediate exit; None on a graceful shutdown."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket]) -> None:
        super().__init__(config, sockets)
        self.signal_queue += signals.received  # received before the handlers of uvicorn
        resource_tracker.ensure_running()  # starting it later would unblock the signals

    def init_processes(self) -> None:
        """Start the workers."""
        with _blocked_signals():
            super().init_processes()
        self._initial_workers = tuple(self.processes)

    def keep_subprocess_alive(self) -> None:
        """Replace workers that exited. Stop the service if an initial worker cannot start; start a later one again."""
        if self.should_exit.is_set():  # a signal was received
            return
        with _blocked_signals():
            super().keep_subprocess_alive()
            self.has_failed = any(process.exitcode == STARTUP_FAILURE for process in self._initial_workers)
            if self.should_exit.is_set() and not self.has_failed:
                self.should_exit.clear()
                self.processes = [self._restart_failed(process) for process in self.processes]

    def _restart_failed(self, process: Process) -> Process:
        if process.exitcode != STARTUP_FAILURE:
            return process
        new = Process(self.config, self.sockets)
        new.start()
        return new

    def handle_signals(self) -> None:
        """Handle the received signals; some of them start workers."""
        with _blocked_signals():
            super().handle_signals()

    def join_all(self) -> None:
        """Wait until every worker has exited. Kill the workers at a second termination signal."""
        running = [process.process.sentinel for process in self.processes]
        while running and self.ended_by is None:
            self.ended_by = next((number for number in self.signal_queue if number in signals.TERMINATION), None)
            for exited in connection.wait(running, timeout=0.1):
                running.remove(int(exited))  # type: ignore[arg-type] # a sentinel is a number
        if self.ended_by is not None:
            for process in self.processes:
                process.process.kill()
        super().join_all()
