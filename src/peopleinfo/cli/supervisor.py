"""Worker processes, and the supervisor that starts, replaces and stops them."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from contextlib import contextmanager, suppress
from multiprocessing import connection, resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from peopleinfo import signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from socket import socket

WORKER_TIMEOUT: Final = 60.0  # seconds; a worker that starts on a busy machine responds only after its imports
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
    """A uvicorn supervisor that never blocks, loses no signal during startup and exits immediately at the second one.

    uvicorn's supervisor kills a worker that does not respond within five seconds, and waits for it. A worker that starts on a busy machine
    takes longer, and the connections that it has just accepted would be reset.
    """

    has_failed = False
    """Whether the service stopped because a worker could not start."""
    ended_by: int | None = None
    """The signal that forced an immediate exit; None on a graceful shutdown."""

    def __init__(
        self, config: uvicorn.Config, sockets: list[socket], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(config, sockets)
        self._monotonic = monotonic
        self._initial_workers: tuple[Process, ...] = ()
        self._pinged_at: dict[Process, float] = {}  # worker → time of the ping to which it has not responded
        self.signal_queue += signals.received  # received before the handlers of uvicorn
        resource_tracker.ensure_running()  # starting it later would unblock the signals

    def init_processes(self) -> None:
        """Start the workers."""
        self.processes = [self._start_worker() for _ in range(self.processes_num)]
        self._initial_workers = tuple(self.processes)

    def keep_subprocess_alive(self) -> None:
        """Replace workers that exited or hang. Stop the service if an initial worker cannot start; start a later one again."""
        if self.should_exit.is_set():  # a signal was received
            return
        self.processes = [worker if self.is_alive(worker) else self._replace(worker) for worker in self.processes]
        self._pinged_at = {worker: at for worker, at in self._pinged_at.items() if worker in self.processes}
        self.has_failed = any(worker.exitcode == STARTUP_FAILURE for worker in self._initial_workers)
        if self.has_failed:
            self.should_exit.set()

    def is_alive(self, worker: Process) -> bool:
        """Return whether a worker runs and has responded to a ping within `WORKER_TIMEOUT`."""
        if not worker.process.is_alive():
            return False
        now = self._monotonic()
        with suppress(OSError, EOFError):  # the worker has just exited: its process shows that next time
            while worker.parent_conn.poll():
                worker.parent_conn.recv()
                self._pinged_at.pop(worker, None)
            if worker not in self._pinged_at:
                self._pinged_at[worker] = now
                worker.parent_conn.send(b"ping")
        return now - self._pinged_at.get(worker, now) < WORKER_TIMEOUT

    def _replace(self, worker: Process) -> Process:
        worker.kill()
        worker.join()
        return (
            worker if worker in self._initial_workers and worker.exitcode == STARTUP_FAILURE else self._start_worker()
        )

    def _start_worker(self) -> Process:
        worker = Process(self.config, self.sockets)
        with _blocked_signals():
            worker.start()
        return worker

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
