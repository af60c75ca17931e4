"""A store held by another process, which does what it is told line by line; `python -m tests.store_process` is that process."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peopleinfo.app import utc_now
from peopleinfo.errors import PeopleInfoError
from peopleinfo.stores.sqlite.factory import open_sqlite
from tests.store_kinds import find_all, person_data, person_filter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from peopleinfo.people.store import Store

REPOSITORY = Path(__file__).parent.parent


class StoreProcess:
    """Hands commands to the process; `ask` waits for the answer, `tell` does not."""

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
    """Start the process, wait until it listens, and end it."""
    command = [sys.executable, "-m", "tests.store_process"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        other = StoreProcess(process)
        assert other.receive() == "listening"
        yield other
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait() == 0


async def _serve() -> None:
    _respond("listening")
    for line in sys.stdin:
        verb, path, *words = json.loads(line)
        try:
            async with open_sqlite(Path(path), now=utc_now) as store:
                await _execute(store, verb, words)
        except PeopleInfoError as error:
            _respond(f"{type(error).__name__}: {error}")


async def _execute(store: Store, verb: str, words: list[str]) -> None:
    if verb == "open":
        _respond(store.secret.hex())
    elif verb == "create":
        _respond((await store.create(person_data(words[0]))).person_id)
    elif verb == "find":
        _respond([body.decode() for body in await find_all(store, person_filter(surname=words[0]))])
    elif verb == "erase":
        await store.delete(words[0])
        _respond("erased")


def _respond(answer: Any) -> None:
    print(json.dumps(answer), flush=True)  # noqa: T201 - its answers are what it is for


if __name__ == "__main__":
    asyncio.run(_serve())
