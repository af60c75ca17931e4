"""Whatever was acknowledged is there after a kill -9, and nothing is half there."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from peopleinfo.app import utc_now
from peopleinfo.errors import PersonNotFound
from peopleinfo.stores.sqlite.factory import open_sqlite
from tests.faults.history import GONE, History, Stand
from tests.store_kinds import find_all, person_filter, scan_all

KILLS = 20
REPOSITORY = Path(__file__).parent.parent.parent


def write_until_killed(path: Path, round_: int, known: list[str], lines: int) -> bytes:
    """Run the writing process, kill it when it has said so many lines, and return all that it said."""
    command = [sys.executable, "-m", "tests.faults.writing_process", str(path), str(round_), *known]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = b"".join(process.stdout.readline() for _ in range(lines))
        process.kill()
        said += process.stdout.read()
        assert process.wait() == -signal.SIGKILL, "the process ended by itself"
        return said


async def test_every_acknowledged_write_outlives_twenty_kills_and_nothing_is_half_there(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    history = History()
    for round_ in range(KILLS):
        before = history.acknowledged
        known = random.sample(sorted(history.people), min(500, len(history.people)))
        history.read(write_until_killed(path, round_, known, lines=random.randrange(50, 1_000)))
        assert history.acknowledged > before
        assert await what_is_wrong(path, history) == []


async def what_is_wrong(path: Path, history: History) -> list[str]:
    """Look at the file by every way that leads into it."""
    erased = [person_id for person_id, stand in history.people.items() if stand is GONE]
    async with open_sqlite(path, now=utc_now) as store:
        everyone = await scan_all(store, limit=1_000)
        problems = history.problems(everyone)
        found: list[bytes] = []
        for digit in range(10):
            found += await find_all(store, person_filter(surname=f"Surname{digit}"))
        if sorted(found) != sorted(everyone):
            problems.append("the people by surname are not those of the scan")
        for person_id in random.sample(erased, min(20, len(erased))):
            try:
                problems.append(f"{await store.get(person_id)} was erased")
            except PersonNotFound:
                continue
        await store.check()
    with closing(sqlite3.connect(path)) as db:
        problems += [str(row) for row in db.execute("PRAGMA integrity_check") if row != ("ok",)]
    return problems


def test_the_history_notices_a_lost_a_stale_a_torn_and_an_invented_person() -> None:
    whole = b'{"person_id":"%s","version":1,"person_surname":"Surname1","mark":"0.1","padding":"%s","end":"0.1"}'
    body = whole % (b"a", b"0.1" * 16)
    told = b'["begun","create",null,"0.1"]\n["done","create","a","0.1"]\n["begun","replace","a","0.2"]\n'
    cases = {
        "stands at None": [],
        "stands at Stand(version=3": [body.replace(b'"version":1', b'"version":3')],
        "is half there": [body.replace(b"0.10.1", b"0.1")],
        "was never begun": [body, whole % (b"b", b"0.1" * 16)],
        "came twice": [body, body],
    }
    for problem, bodies in cases.items():
        history = History()
        history.read(told)
        assert history.people == {"a": Stand(1, "0.1")}
        assert problem in str(history.problems(bodies))
    history = History()
    history.read(told)
    assert history.problems([body]) == []
