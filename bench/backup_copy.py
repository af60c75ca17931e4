"""How fast are copy, backup and restore, how much memory do they use, and do they lose a record?

The benchmark runs the real commands in separate processes. It repeats each run and kills the command ten times at random moments.
Copies to and from DynamoDB use DynamoDB Local, which dominates those figures.
"""

import asyncio
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import date
from itertools import islice
from pathlib import Path

from bench.sample_people import people
from peopleinfo.people.person import parse_person
from peopleinfo.settings import Settings
from peopleinfo.stores.registry import open_service_store
from tests import dynamodb_servers

KILLS = 10
DYNAMODB = "dynamodb"
PEOPLEINFO = (sys.executable, "-m", "peopleinfo")
_TOGETHER = 20_000


def main(size: int = 1_000_000, *turns: str) -> None:
    """Print records per second, peak resident memory per command, and whether all checksums are equal.

    `turns` lists how often each run kills the commands; `dynamodb` is a copy to DynamoDB and back.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.callback(dynamodb_servers.stop_all)
        source = f"sqlite:///{folder}/people.db"
        asyncio.run(_fill(source, size))
        digests = set()
        print(f"{'people':>10} {'command':22} {'killed':>6} {'people/s':>9} {'peak MB':>8}", flush=True)
        for turn in turns or ("0", str(KILLS)):
            kills = int(turn) if turn != DYNAMODB else 0
            for title, command in _commands(turn, folder, source):
                killed, seconds, peak, errors = _run(command, kills, seconds_at_most=size / 60_000)
                digests.add(re.findall(r"digest ([0-9a-f]{64})", errors)[-1])
                print(f"{size:10,} {title:22} {killed:6} {size / seconds:9,.0f} {peak / 1024:8.0f}", flush=True)
        print("all checksums are equal" if len(digests) == 1 else f"CHECKSUMS DIFFER: {digests}")


def _commands(turn: str, folder: Path, source: str) -> tuple[tuple[str, list[str]], ...]:
    back = f"sqlite:///{folder}/back-{turn}.db"
    if turn == DYNAMODB:
        os.environ |= dynamodb_servers.CREDENTIALS
        table = f"dynamodb://eu-west-1/People?endpoint={dynamodb_servers.endpoint('dynamodb-local')}"
        subprocess.run([*PEOPLEINFO, "store", "create", "--store-url", table], check=True, capture_output=True)
        return ("into DynamoDB", ["copy", source, table]), ("out of DynamoDB", ["copy", table, back])
    return (
        ("copy", ["copy", source, f"sqlite:///{folder}/copy-{turn}.db"]),
        ("backup", ["backup", f"{folder}/backup-{turn}", "--store-url", source]),
        ("restore", ["restore", f"{folder}/backup-{turn}", "--store-url", back]),
    )


async def _fill(url: str, size: int) -> None:
    source = iter(people(size))
    async with open_service_store(Settings.load({}, store_url=url), create=True) as opened:
        while some := list(islice(source, _TOGETHER)):
            await opened.people.create_many([parse_person(person, today=date.max) for person in some])


def _run(arguments: list[str], kills: int, *, seconds_at_most: float) -> tuple[int, float, int, str]:
    """Run a command to its end, after killing it `kills` times; return the kills, seconds, peak KiB and output."""
    chance = random.Random(1)
    began = time.perf_counter()
    for number in range(kills + 1):
        process = subprocess.Popen([*PEOPLEINFO, *arguments], stderr=subprocess.PIPE, text=True)
        if number < kills:
            time.sleep(chance.uniform(0.5, 1 + seconds_at_most))
            os.kill(process.pid, signal.SIGKILL)  # send_signal would poll the process and take its exit status
        assert process.stderr
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        if status == 0:
            return number, time.perf_counter() - began, usage.ru_maxrss, errors
    raise RuntimeError(f"{arguments} ended with {status}: {errors}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]), *sys.argv[2:])
