"""Stores with many records, and commands that read a whole store."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
from typing import TYPE_CHECKING, Any

from peopleinfo.bulk.copy import iter_pages
from peopleinfo.people.person import decode_header
from peopleinfo.settings import Settings
from peopleinfo.stores.registry import open_service_store
from tests.cli import commands
from tests.store_kinds import person_data

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from peopleinfo.people.store import Store


async def _fill(store: Store, people: int) -> None:
    surnames = ("Müller", "Nguyễn", "O'Brien", "García", "Øster")
    for start in range(0, people, 5_000):
        count = min(5_000, people - start)
        await store.create_many(
            [person_data(surnames[n % 5], str(n), None, filler="x" * 100) for n in range(start, start + count)]
        )


def fill(url: str, people: int) -> None:
    """Add records to a store."""

    async def create() -> None:
        async with open_service_store(Settings.load({}, store_url=url), create=True) as opened:
            await _fill(opened.people, people)

    asyncio.run(create())


def bodies(url: str) -> dict[str, bytes]:
    """Return the JSON of all records of a store by id."""

    async def read_all() -> dict[str, bytes]:
        async with open_service_store(Settings.load({}, store_url=url), create=True) as opened:
            return {decode_header(body).person_id: body async for page in iter_pages(opened.people) for body in page}

    return asyncio.run(read_all())


def can_read_each_by_id(url: str, people: dict[str, bytes]) -> bool:
    """Return whether each record can be read by id, byte for byte."""

    async def compare() -> bool:
        async with open_service_store(Settings.load({}, store_url=url), create=True) as opened:
            return all([(await opened.people.get(person_id)).body == body for person_id, body in people.items()])

    return asyncio.run(compare())


def stats(folder: Path, url: str) -> dict[str, Any]:
    """Return the output of `peopleinfo stats --json`."""
    done = commands.run(folder, "stats", "--json", "--store-url", url)
    assert done.returncode == 0, done.stderr
    statistics: dict[str, Any] = json.loads(done.stdout)
    return statistics


def run_with_kills(
    folder: Path, times: int, chance: random.Random, *arguments: str, longest: float = 0.5
) -> tuple[int, str]:
    """Run a command repeatedly, killing it after a random time; return the number of kills and the stderr of the last, complete run."""
    killed = 0
    for _ in range(times):
        process = commands.started(folder, *arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            process.wait(chance.uniform(0.02, longest))
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        _, errors = process.communicate()
        if process.returncode != -signal.SIGKILL:
            return killed, check_complete(process.returncode, errors)
    done = commands.run(folder, *arguments)
    return killed, check_complete(done.returncode, done.stderr)


def check_complete(code: int | None, errors: bytes) -> str:
    """Return the stderr of a command; check that this run or an earlier one completed the work."""
    assert code == 0 or b"already holds a complete backup" in errors, errors
    return errors.decode()


def digest_in(text: str) -> str:
    """Return the last digest in the output of a command."""
    return str(re.findall(r"digest ([0-9a-f]{64})", text)[-1])
