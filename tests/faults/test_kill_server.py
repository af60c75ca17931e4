"""Whatever the server has acknowledged over HTTP is there after a kill -9, and nothing is half there."""

from __future__ import annotations

import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.faults.history import GONE, History, details_marked
from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, Server, started
from tests.store_kinds import STORES

if TYPE_CHECKING:
    from pathlib import Path

# Whoever used the port before for another server is refused, and leaves nothing behind.
GUARDED: dict[str, Any] = {"admin_key": ADMIN_KEY, "rate_limit": 0}
KILLS = 20
WRITERS = 6
WRITES = (5, 80)  # acknowledged before a kill: the moment of the kill matters, not how many writes came before it


class Notes:
    """What the writers have begun and what they were told is done, in the words of `History`."""

    def __init__(self, kill_after: int) -> None:
        self._lines: list[bytes] = []
        self._lock = threading.Lock()
        self._left = kill_after
        self.enough = threading.Event()

    def begun(self, operation: str, person_id: str | None, mark: str) -> None:
        self._note("begun", operation, person_id, mark)

    def done(self, operation: str, person_id: str, mark: str) -> None:
        self._note("done", operation, person_id, mark)
        with self._lock:
            self._left -= 1
            if self._left <= 0:
                self.enough.set()

    def _note(self, *words: str | None) -> None:
        with self._lock:
            self._lines.append(json.dumps(words).encode() + b"\n")

    @property
    def lines(self) -> bytes:
        return b"".join(self._lines)


class Writer:
    """Writes to people of its own over one connection, until the server is gone."""

    def __init__(self, server: Server, notes: Notes, marks: count[int], seed: int) -> None:
        self._client = httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT, headers=AS_ADMIN)
        self._notes = notes
        self._marks = marks
        self._random = random.Random(seed)
        self._versions: dict[str, int] = {}

    def run(self) -> None:
        with self._client:
            try:
                while True:
                    self._random.choice((self._create, self._create, self._import, self._replace, self._erase))()
            except httpx.TransportError:
                return

    def _create(self) -> None:
        mark = self._mark()
        self._notes.begun("create", None, mark)
        answer = self._client.post("/v1/people", json=details_marked(mark))
        assert answer.status_code == 201
        self._stored(answer.json()["person_id"], mark)

    def _import(self) -> None:
        marks = [self._mark() for _ in range(3)]
        for mark in marks:
            self._notes.begun("create", None, mark)
        rows = [details_marked(mark) for mark in marks]
        answer = self._client.post("/v1/people/import", json=rows)
        results = [json.loads(line) for line in answer.text.splitlines()]
        assert [result["result"] for result in results] == ["stored"] * 3 + ["done"]
        for mark, result in zip(marks, results, strict=False):
            self._stored(result["person_id"], mark)

    def _replace(self) -> None:
        if not self._versions:
            return
        person_id, version = self._random.choice(sorted(self._versions.items()))
        mark = self._mark()
        self._notes.begun("replace", person_id, mark)
        answer = self._client.put(
            f"/v1/people/{person_id}", json=details_marked(mark), headers={"If-Match": f'"{version}"'}
        )
        assert answer.status_code == 200
        self._versions[person_id] = answer.json()["version"]
        self._notes.done("replace", person_id, mark)

    def _erase(self) -> None:
        if not self._versions:
            return
        person_id = self._random.choice(sorted(self._versions))
        self._notes.begun("erase", person_id, "")
        del self._versions[person_id]
        assert self._client.delete(f"/v1/people/{person_id}").status_code == 204
        self._notes.done("erase", person_id, "")

    def _stored(self, person_id: str, mark: str) -> None:
        self._versions[person_id] = 1
        self._notes.done("create", person_id, mark)

    def _mark(self) -> str:
        return str(next(self._marks))


def write_until_killed(server: Server, marks: count[int], round_: int) -> bytes:
    """Let writers loose on the server, kill it in the midst of them, and return what they have noted."""
    notes = Notes(random.Random(round_).randrange(*WRITES))
    with ThreadPoolExecutor(WRITERS) as threads:
        writers = [Writer(server, notes, marks, seed=round_ * WRITERS + number) for number in range(WRITERS)]
        running = [threads.submit(writer.run) for writer in writers]
        try:
            assert notes.enough.wait(HANG_TIMEOUT), [run.exception() for run in running if run.done()]
        finally:
            server.kill()
        for run in running:
            run.result(HANG_TIMEOUT)
    return notes.lines


def what_is_wrong(server: Server, history: History) -> list[str]:
    """Look at what a server that was started again holds, by every way that leads to it."""
    erased = [person_id for person_id, stand in history.people.items() if stand is GONE]
    with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT, headers=AS_ADMIN) as client:
        everyone = settled_export(client)
        problems = history.problems(everyone)
        found = [body for digit in range(10) for body in export(client, surname=f"Surname{digit}")]
        if sorted(found) != sorted(everyone):
            problems.append("the people by surname are not those of the export")
        problems += [f"{person} was erased" for person in erased[:20] if is_there(client, person)]
    return problems


def settled_export(client: httpx.Client) -> list[bytes]:
    """Return everyone once two exports agree: a write that the killed server sent to an emulator may be applied late."""
    before, now = None, export(client)
    while before != now:
        before, now = now, export(client)
    return now


def export(client: httpx.Client, **search: Any) -> list[bytes]:
    answer = client.get("/v1/people/export", params=search)
    assert answer.status_code == 200
    return answer.content.splitlines()


def is_there(client: httpx.Client, person_id: str) -> bool:
    return client.get(f"/v1/people/{person_id}").status_code != 404


@pytest.mark.parametrize("kind", STORES)
def test_every_acknowledged_write_outlives_twenty_kills_of_the_server(tmp_path: Path, kind: str) -> None:
    history = History()
    marks = count(1)
    for round_ in range(KILLS):
        with started(tmp_path, kind=kind, **GUARDED) as server:
            assert what_is_wrong(server, history) == []
            before = history.acknowledged
            history.read(write_until_killed(server, marks, round_))
            assert history.acknowledged > before
    with started(tmp_path, kind=kind, **GUARDED) as server:
        assert what_is_wrong(server, history) == []
        assert server.terminate() == 0
