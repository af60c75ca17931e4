"""Stores of many people, and commands that go through them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
from typing import TYPE_CHECKING, Any

from peopleinfo.app import open_people
from peopleinfo.bulk.copy import iter_pages
from peopleinfo.people.person import decode_header
from peopleinfo.settings import Settings
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
    """Put people into a store."""

    async def work() -> None:
        async with open_people(Settings.load({}, store_url=url), create=True) as opened:
            await _fill(opened.store, people)

    asyncio.run(work())


def bodies(url: str) -> dict[str, bytes]:
    """Return everybody in a store by their ids."""

    async def work() -> dict[str, bytes]:
        async with open_people(Settings.load({}, store_url=url), create=True) as opened:
            return {decode_header(body).person_id: body async for some in iter_pages(opened.store) for body in some}

    return asyncio.run(work())


def each_is_read_by_its_id(url: str, people: dict[str, bytes]) -> bool:
    """Say whether everybody is found by id, byte for byte."""

    async def work() -> bool:
        async with open_people(Settings.load({}, store_url=url), create=True) as opened:
            return all([(await opened.store.get(one)).body == body for one, body in people.items()])

    return asyncio.run(work())


def stats(folder: Path, url: str) -> dict[str, Any]:
    """Return what `peopleinfo stats` says of a store."""
    done = commands.run(folder, "stats", "--json", "--store-url", url)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def killed_at_random(folder: Path, times: int, chance: random.Random, *arguments: str) -> tuple[int, str]:
    """Run a command again and again, killing it at a random moment, and to its end at last; return how often it was killed, and its words."""
    killed = 0
    for _ in range(times):
        process = commands.started(folder, *arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            process.wait(chance.uniform(0.02, 0.5))
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        _, told = process.communicate()
        if process.returncode != -signal.SIGKILL:
            return killed, ended_well(process.returncode, told)
    done = commands.run(folder, *arguments)
    return killed, ended_well(done.returncode, done.stderr)


def ended_well(code: int | None, told: bytes) -> str:
    """Return the words of a command that has done its work, or has said that it was done before it was killed."""
    assert code == 0 or b"was finished here" in told, told
    return told.decode()


def digest_in(told: str) -> str:
    """Return the digest that a command has told."""
    return str(re.findall(r"digest ([0-9a-f]{64})", told)[-1])
