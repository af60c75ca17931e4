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
from tests.store_kinds import everyone_found, named, where

if TYPE_CHECKING:
    from collections.abc import Iterator

    from peopleinfo.people.store import Store

REPOSITORY = Path(__file__).parent.parent


class AnotherProcess:
    """Hands commands to the process; `ask` waits for the answer, `tell` does not."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def ask(self, *command: str) -> Any:
        self.tell(*command)
        return self.answer()

    def tell(self, *command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline() or '"the process has ended"')


@contextmanager
def another_process() -> Iterator[AnotherProcess]:
    """Start the process, wait until it listens, and end it."""
    command = [sys.executable, "-m", "tests.store_process"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        other = AnotherProcess(process)
        assert other.answer() == "listening"
        yield other
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait() == 0


async def _serve() -> None:
    _say("listening")
    for line in sys.stdin:
        verb, path, *words = json.loads(line)
        try:
            async with open_sqlite(Path(path), now=utc_now) as store:
                await _do(store, verb, words)
        except PeopleInfoError as error:
            _say(f"{type(error).__name__}: {error}")


async def _do(store: Store, verb: str, words: list[str]) -> None:
    if verb == "open":
        _say(store.secret.hex())
    elif verb == "create":
        _say((await store.create(named(words[0]))).person_id)
    elif verb == "find":
        _say([body.decode() for body in await everyone_found(store, where(surname=words[0]))])
    elif verb == "erase":
        await store.delete(words[0])
        _say("erased")


def _say(answer: Any) -> None:
    print(json.dumps(answer), flush=True)  # noqa: T201 - its answers are what it is for


if __name__ == "__main__":
    asyncio.run(_serve())
