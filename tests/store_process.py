"""A store opened by another process, `python -m tests.store_process`, which reads commands as lines of JSON."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peopleinfo.errors import PeopleInfoError
from peopleinfo.people.person import utc_now
from peopleinfo.stores.sqlite.factory import open_sqlite
from tests.store_kinds import find_all, person_data, person_filter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from peopleinfo.stores.service_store import OpenedStore

REPOSITORY = Path(__file__).parent.parent


class StoreProcess:
    """Sends commands to the process; `request` waits for the response, `send` does not."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def request(self, *command: str) -> Any:
        self.send(*command)
        return self.receive()

    def send(self, *command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        self._process.stdin.flush()

    def receive(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline() or '"the process has ended"')


@contextmanager
def store_process() -> Iterator[StoreProcess]:
    """Start the process, wait until it is ready, and stop it at the end."""
    command = [sys.executable, "-m", "tests.store_process"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        store = StoreProcess(process)
        assert store.receive() == "ready"
        yield store
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait() == 0


async def _serve() -> None:
    _respond("ready")
    for line in sys.stdin:
        verb, path, *arguments = json.loads(line)
        try:
            async with open_sqlite(Path(path), now=utc_now) as store:
                await _execute(store, verb, arguments)
        except PeopleInfoError as error:
            _respond(f"{type(error).__name__}: {error}")


async def _execute(store: OpenedStore, verb: str, arguments: list[str]) -> None:
    if verb == "open":
        _respond(store.secret.hex())
    elif verb == "create":
        _respond((await store.create(person_data(arguments[0]))).person_id)
    elif verb == "find":
        _respond([body.decode() for body in await find_all(store, person_filter(surname=arguments[0]))])
    elif verb == "delete":
        await store.delete(arguments[0])
        _respond("deleted")


def _respond(response: Any) -> None:
    print(json.dumps(response), flush=True)  # noqa: T201 - the parent process reads stdout


if __name__ == "__main__":
    asyncio.run(_serve())
