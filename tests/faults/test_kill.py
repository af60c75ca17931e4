"""Acknowledged writes survive a kill -9, and no record is incomplete."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from peopleinfo.errors import PersonNotFound
from peopleinfo.people.history import Operation
from peopleinfo.people.person import utc_now
from peopleinfo.stores.sqlite.factory import open_sqlite
from tests.faults.history import DELETED, History, PersonState, is_complete
from tests.store_kinds import find_all, person_filter, scan_all

if TYPE_CHECKING:
    from peopleinfo.stores.sqlite.store import SqliteStore

KILLS = 20
START_OF_FEED = bytes(16)
REPOSITORY = Path(__file__).parent.parent.parent


def write_until_killed(path: Path, round_: int, known_ids: list[str], lines: int) -> bytes:
    """Run the writing process, kill it after the given number of lines, and return its output."""
    command = [sys.executable, "-m", "tests.faults.writing_process", str(path), str(round_), *known_ids]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        output = b"".join(process.stdout.readline() for _ in range(lines))
        process.kill()
        output += process.stdout.read()
        assert process.wait() == -signal.SIGKILL, "the process exited by itself"
        return output


async def test_acknowledged_writes_survive_twenty_kills_with_history_and_feed(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    history = History()
    for round_ in range(KILLS):
        before = history.acknowledged
        known_ids = random.sample(sorted(history.people), min(500, len(history.people)))
        history.read(write_until_killed(path, round_, known_ids, lines=random.randrange(50, 1_000)))
        assert history.acknowledged > before
        assert await inconsistencies(path, history) == []


async def feed_problems(store: SqliteStore, everyone: list[bytes]) -> list[str]:
    """Return the differences between the records and the state that follows from the whole feed; check some histories."""
    expected = {record["person_id"]: record["version"] for record in map(json.loads, everyone)}
    versions: dict[str, int] = {}
    position, more = START_OF_FEED, True
    while more:
        changes, position, more = await store.read_changes(since=position, limit=5_000)
        for person_id, version, operation, *_ in changes:
            previous = versions.pop(person_id, 0)
            if version != previous + 1:
                return [f"the feed has version {version} of {person_id} after {previous}"]
            if operation is not Operation.DELETED:
                versions[person_id] = version
    problems = [] if versions == expected else ["the feed leads to other people or versions"]
    for person_id in random.sample(sorted(expected), min(50, len(expected))):
        page = await store.read_versions(person_id, after=0, limit=10_000)
        stored = [json.loads(version.body) for version in page.versions]
        if [record["version"] for record in stored] != list(range(1, expected[person_id] + 1)):
            problems.append(f"the history of {person_id} has gaps")
        problems += [f"a version of {person_id} is incomplete" for record in stored if not is_complete(record)]
    return problems


async def inconsistencies(path: Path, history: History) -> list[str]:
    """Check the file through every read operation."""
    deleted = [person_id for person_id, state in history.people.items() if state is DELETED]
    async with open_sqlite(path, now=utc_now) as store:
        everyone = await scan_all(store, limit=1_000)
        problems = history.problems(everyone)
        found: list[bytes] = []
        for digit in range(10):
            found += await find_all(store, person_filter(surname=f"Surname{digit}"))
        if sorted(found) != sorted(everyone):
            problems.append("the people found by surname differ from the scan")
        for person_id in random.sample(deleted, min(20, len(deleted))):
            try:
                problems.append(f"{await store.get(person_id)} was deleted")
            except PersonNotFound:
                continue
        problems += await feed_problems(store, everyone)
        await store.check()
    with closing(sqlite3.connect(path)) as db:
        problems += [str(row) for row in db.execute("PRAGMA integrity_check") if row != ("ok",)]
    return problems


def test_history_detects_lost_stale_incomplete_and_invented_people() -> None:
    template = b'{"person_id":"%s","version":1,"person_surname":"Surname1","mark":"0.1","padding":"%s","end":"0.1"}'
    body = template % (b"a", b"0.1" * 16)
    log = b'["started","create",null,"0.1"]\n["done","create","a","0.1"]\n["started","replace","a","0.2"]\n'
    cases = {
        "is None instead of": [],
        "is PersonState(version=3": [body.replace(b'"version":1', b'"version":3')],
        "is incomplete": [body.replace(b"0.10.1", b"0.1")],
        "was never created": [body, template % (b"b", b"0.1" * 16)],
        "duplicates": [body, body],
    }
    for problem, bodies in cases.items():
        history = History()
        history.read(log)
        assert history.people == {"a": PersonState(1, "0.1")}
        assert problem in str(history.problems(bodies))
    history = History()
    history.read(log)
    assert history.problems([body]) == []
