"""The supervisor keeps a worker that starts slowly, and replaces one that hangs."""

from __future__ import annotations

import signal
from multiprocessing import Pipe
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from peopleinfo.cli.supervisor import WORKER_TIMEOUT, Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.store_kinds import MonotonicClock


class Worker:
    """A running process that has not responded yet."""

    def __init__(self) -> None:
        self.process = self
        self.is_running = True
        self.parent_conn, self.child_conn = Pipe()

    def is_alive(self) -> bool:
        return self.is_running

    def respond(self) -> None:
        while self.child_conn.poll():
            self.child_conn.recv()
            self.child_conn.send(True)


@pytest.fixture
def supervisor(moment: MonotonicClock) -> Iterator[Supervisor]:
    numbers = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
    handlers = {number: signal.getsignal(number) for number in numbers}
    yield Supervisor(uvicorn.Config("unused"), [], monotonic=moment)
    for number, handler in handlers.items():
        if handler is not None and signal.getsignal(number) != handler:
            signal.signal(number, handler)


@pytest.fixture
def worker() -> Any:
    return Worker()


def test_worker_is_alive_until_it_has_not_responded_for_the_timeout(
    supervisor: Supervisor, worker: Any, moment: MonotonicClock
) -> None:
    assert supervisor.is_alive(worker)
    moment.now += WORKER_TIMEOUT - 1
    assert supervisor.is_alive(worker)
    moment.now += 1
    assert not supervisor.is_alive(worker)


def test_response_of_a_worker_starts_the_timeout_again(
    supervisor: Supervisor, worker: Any, moment: MonotonicClock
) -> None:
    for _ in range(3):
        assert supervisor.is_alive(worker)
        moment.now += WORKER_TIMEOUT - 1
        worker.respond()
    assert supervisor.is_alive(worker)


def test_worker_that_has_exited_is_not_alive(supervisor: Supervisor, worker: Any) -> None:
    worker.is_running = False
    assert not supervisor.is_alive(worker)
