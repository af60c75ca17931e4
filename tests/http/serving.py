"""Real server processes for tests: each has a free port and its own store."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpx
import psutil

from tests.fork_server import Forked, Process
from tests.limits import HANG_TIMEOUT as HANG_TIMEOUT  # noqa: PLC0414 - tests of servers import both from here
from tests.store_kinds import server_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY: Final = Path(__file__).parent.parent.parent

ADMIN_KEY: Final = "a-key-for-tests-that-opens-everything"
AS_ADMIN: Final = {"Authorization": f"Bearer {ADMIN_KEY}"}
COMMAND: Final = (sys.executable, "-m", "peopleinfo", "serve")


class Server:
    """A running server at `url`; its standard output goes to the file `log`."""

    def __init__(self, process: Process, url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self.log = log

    @property
    def address(self) -> tuple[str, int]:
        """Host and port for raw sockets."""
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    @property
    def resident_bytes(self) -> int:
        """Resident memory of the process, in bytes."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def kill(self) -> None:
        """Kill the process, as a power failure would."""
        self.process.kill()
        self.process.wait(HANG_TIMEOUT)

    def terminate(self) -> int:
        """Send SIGTERM, and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(HANG_TIMEOUT)


def environment(**settings: object) -> dict[str, str]:
    """Return this process's environment, with the given settings as its only `PEOPLEINFO_` variables."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PEOPLEINFO_")}
    return inherited | {f"PEOPLEINFO_{name.upper()}": str(value) for name, value in settings.items()}


def _start(folder: Path, command: tuple[str, ...], environment: dict[str, str], stdout: IO[bytes]) -> Process:
    if command == COMMAND:
        return Forked(folder, environment, ["serve"], stdout=stdout, stderr=subprocess.PIPE)
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=stdout, stderr=subprocess.PIPE)


@contextmanager
def started(
    folder: Path, *, kind: str = "sqlite", workers: int = 1, command: tuple[str, ...] = COMMAND, **settings: Any
) -> Iterator[Server]:
    """Start a server and yield it once it is ready; kill it unless the caller has stopped it."""
    settings = {"port": 0} | server_settings(kind, folder, workers=workers) | settings
    log = folder / "server.log"
    with log.open("ab") as stdout:
        process = _start(folder, command, environment(**settings), stdout)
    with process:
        try:
            assert process.stderr is not None
            first_line = process.stderr.readline().decode()
            assert first_line.startswith("PeopleInfo serves "), first_line + process.stderr.read().decode()
            url = first_line.partition(" on ")[2].split()[0]
            while (
                httpx.get(f"{url}/status", timeout=HANG_TIMEOUT).status_code != 200
            ):  # a slow store may not be ready yet
                pass
            yield Server(process, url, log)
        finally:
            process.kill()


@contextmanager
def serving(folder: Path, *, kind: str = "sqlite", workers: int = 1, **settings: Any) -> Iterator[Server]:
    """Start a server; afterwards stop it with SIGTERM, and check that it exits with 0 and has reported no error."""
    with started(folder, kind=kind, workers=workers, **settings) as server:
        yield server
        assert server.terminate() == 0
        assert server.process.stderr is not None
        assert server.process.stderr.read() == b""
        log = server.log.read_bytes()
        crashes = [line for line in log.splitlines() if b'"level":"error"' in line or b'"unhandled_exception"' in line]
        assert crashes == [], crashes
