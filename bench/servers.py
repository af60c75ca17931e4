"""Start the contenders, each in separate processes."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

# A benchmark would exceed the default rate limit within seconds. Counting costs the same with a higher limit; a client that has used more
# than half of its limit gets two more response headers.
UNLIMITED = {"PEOPLEINFO_RATE_LIMIT": "100000000"}


@dataclass(frozen=True)
class Server:
    """A running contender."""

    port: int
    process: psutil.Process

    def cpu(self) -> float:
        """Return the CPU seconds of the server's processes."""
        return sum(_cpu(process) for process in self._processes)

    @property
    def megabytes(self) -> float:
        """The resident memory of the server's processes."""
        return sum(process.memory_info().rss for process in self._processes) / 1e6

    @property
    def proportional_megabytes(self) -> float:
        """The memory of the server's processes, of which shared pages count once; Linux only."""
        return sum(process.memory_full_info().pss for process in self._processes) / 1e6

    @property
    def _processes(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


def _cpu(process: psutil.Process) -> float:
    if (
        sys.platform == "linux"
    ):  # the CPU clock of a process has nanoseconds, /proc has hundredths of a second (clock_getcpuclockid(3))
        return time.clock_gettime(~process.pid << 3 | 2)
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def ours(
    store: str,
    *,
    module: str = "peopleinfo",
    python: str = sys.executable,
    wrapper: Sequence[str] = (),
    **settings: str,
) -> Iterator[Server]:
    """Run the service on a store, with default logging. `python` may belong to another version; `wrapper` runs the command."""
    environment = os.environ | {"PEOPLEINFO_PORT": "0", "PEOPLEINFO_STORE_URL": store} | settings
    with _running([*wrapper, python, "-m", module, "serve"], environment) as server:
        yield server


@contextmanager
def bare(body: bytes, framework: str = "falcon", *, wrapper: Sequence[str] = ()) -> Iterator[Server]:
    """Run a handler that only returns these bytes: with Falcon, or (`asgi`) without a framework."""
    command = [*wrapper, sys.executable, "-m", "bench.variants.bare_handlers", framework, body.hex()]
    with _running(command, os.environ | {"PYTHONHASHSEED": "0"}) as server:
        yield server


@contextmanager
def typical(endpoint: str, table: str, cache: str) -> Iterator[Server]:
    """Run the typical FastAPI service (bench/peers/fastapi) on a table and a Redis; `make bench` installs its libraries."""
    python = Path(".cache/peers/bin/python").absolute()
    environment = os.environ | {"AWS_ENDPOINT_URL": endpoint, "AWS_DEFAULT_REGION": "eu-west-1"}
    environment |= {"PEOPLE_TABLE": table, "REDIS_URL": cache, "PYTHONPATH": "."}
    command = [str(python), "-m", "uvicorn", "bench.peers.fastapi.service:app", "--port", "0", "--no-access-log"]
    with _running(command, environment) as server:
        yield server


@contextmanager
def node(endpoint: str, table: str, cache: str) -> Iterator[Server]:
    """Run the typical Node service (bench/peers/node) on a table and a Redis; `make bench` installs its libraries."""
    environment = os.environ | {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "eu-west-1", "NODE_ENV": "production"}
    environment |= {"PEOPLE_TABLE": table, "REDIS_URL": cache, "PORT": "0"}
    with _running(["node", ".cache/node-peer/service.js"], environment) as server:
        yield server


@contextmanager
def package(command: list[str]) -> Iterator[Server]:
    """Run a service that `make bench` installed; it prints its address to stderr."""
    with _running(command, dict(os.environ)) as server:
        yield server


@contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Iterator[Server]:
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=pipe, text=True) as process:
        try:
            assert process.stderr
            for line in process.stderr:
                if found := re.findall(r"http://[\d.]+:(\d+)", line):
                    yield Server(int(found[-1]), psutil.Process(process.pid))
                    return
            raise RuntimeError(f"{command} did not start")
        finally:
            process.terminate()


def pin() -> None:
    """Pin this process and its children to one CPU where the system supports it, so that waiting clients do not change the cost."""
    _keep_to(max)


@contextmanager
def apart() -> Iterator[None]:
    """Pin processes started in this block to one CPU, and this process to another one."""
    _keep_to(max)
    try:
        yield
    finally:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, _CPUS)
        _keep_to(min)


_CPUS = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


def _keep_to(which: Callable[[set[int]], int]) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {which(os.sched_getaffinity(0))})
