"""Writes acknowledged over HTTP survive a kill -9, and no record is incomplete."""

from __future__ import annotations

import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.faults.history import DELETED, History, marked_person
from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, Server, started
from tests.store_kinds import STORES

if TYPE_CHECKING:
    from pathlib import Path

# A client of an earlier server on the same port is rejected, and changes no data.
PROTECTED: dict[str, Any] = {"admin_key": ADMIN_KEY, "rate_limit": 0}
KILLS = 20
WRITERS = 6
WRITES = (5, 80)  # acknowledged before a kill; their number varies, so that the moment of the kill varies


class Notes:
    """Operations that the writers have started and completed, in the format of `History`."""

    def __init__(self, kill_after: int) -> None:
        self._lines: list[bytes] = []
        self._lock = threading.Lock()
        self._remaining = kill_after
        self.limit_reached = threading.Event()

    def started(self, operation: str, person_id: str | None, mark: str) -> None:
        self._note("started", operation, person_id, mark)

    def done(self, operation: str, person_id: str, mark: str) -> None:
        self._note("done", operation, person_id, mark)
        with self._lock:
            self._remaining -= 1
            if self._remaining <= 0:
                self.limit_reached.set()

    def _note(self, *words: str | None) -> None:
        with self._lock:
            self._lines.append(json.dumps(words).encode() + b"\n")

    @property
    def lines(self) -> bytes:
        return b"".join(self._lines)


class Writer:
    """Changes its own people over one connection until the server is killed."""

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
                    self._random.choice((self._create, self._create, self._import, self._replace, self._delete))()
            except httpx.TransportError:
                return

    def _create(self) -> None:
        mark = self._mark()
        self._notes.started("create", None, mark)
        response = self._client.post("/v1/people", json=marked_person(mark))
        assert response.status_code == 201
        self._created(response.json()["person_id"], mark)

    def _import(self) -> None:
        marks = [self._mark() for _ in range(3)]
        for mark in marks:
            self._notes.started("create", None, mark)
        rows = [marked_person(mark) for mark in marks]
        response = self._client.post("/v1/people/import", json=rows)
        results = [json.loads(line) for line in response.text.splitlines()]
        assert [result["result"] for result in results] == ["stored"] * 3 + ["done"]
        for mark, result in zip(marks, results, strict=False):
            self._created(result["person_id"], mark)

    def _replace(self) -> None:
        if not self._versions:
            return
        person_id, version = self._random.choice(sorted(self._versions.items()))
        mark = self._mark()
        self._notes.started("replace", person_id, mark)
        response = self._client.put(
            f"/v1/people/{person_id}", json=marked_person(mark), headers={"If-Match": f'"{version}"'}
        )
        assert response.status_code == 200
        self._versions[person_id] = response.json()["version"]
        self._notes.done("replace", person_id, mark)

    def _delete(self) -> None:
        if not self._versions:
            return
        person_id = self._random.choice(sorted(self._versions))
        self._notes.started("delete", person_id, "")
        del self._versions[person_id]
        assert self._client.delete(f"/v1/people/{person_id}").status_code == 204
        self._notes.done("delete", person_id, "")

    def _created(self, person_id: str, mark: str) -> None:
        self._versions[person_id] = 1
        self._notes.done("create", person_id, mark)

    def _mark(self) -> str:
        return str(next(self._marks))


def write_until_killed(server: Server, marks: count[int], round_: int) -> bytes:
    """Run the writers, kill the server during their writes, and return the operations that they noted."""
    notes = Notes(random.Random(round_).randrange(*WRITES))
    with ThreadPoolExecutor(WRITERS) as threads:
        writers = [Writer(server, notes, marks, seed=round_ * WRITERS + number) for number in range(WRITERS)]
        futures = [threads.submit(writer.run) for writer in writers]
        try:
            assert notes.limit_reached.wait(HANG_TIMEOUT), [run.exception() for run in futures if run.done()]
        finally:
            server.kill()
        for run in futures:
            run.result(HANG_TIMEOUT)
    return notes.lines


def inconsistencies(server: Server, history: History) -> list[str]:
    """Check the records of a restarted server through every read operation."""
    deleted = [person_id for person_id, state in history.people.items() if state is DELETED]
    with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT, headers=AS_ADMIN) as client:
        everyone = settled_export(client)
        problems = history.problems(everyone)
        found = [body for digit in range(10) for body in export(client, surname=f"Surname{digit}")]
        if sorted(found) != sorted(everyone):
            problems.append("the people found by surname differ from the export")
        problems += [f"{person} was deleted" for person in deleted[:20] if exists(client, person)]
    return problems


def settled_export(client: httpx.Client) -> list[bytes]:
    """Return all people once two exports agree: an emulator may apply a write of the killed server late."""
    before, now = None, export(client)
    while before != now:
        before, now = now, export(client)
    return now


def export(client: httpx.Client, **search: Any) -> list[bytes]:
    response = client.get("/v1/people/export", params=search)
    assert response.status_code == 200
    return response.content.splitlines()


def exists(client: httpx.Client, person_id: str) -> bool:
    return client.get(f"/v1/people/{person_id}").status_code != 404


@pytest.mark.parametrize("kind", STORES)
def test_acknowledged_writes_survive_twenty_kills_of_the_server(tmp_path: Path, kind: str) -> None:
    history = History()
    marks = count(1)
    for round_ in range(KILLS):
        with started(tmp_path, kind=kind, **PROTECTED) as server:
            assert inconsistencies(server, history) == []
            before = history.acknowledged
            history.read(write_until_killed(server, marks, round_))
            assert history.acknowledged > before
    with started(tmp_path, kind=kind, **PROTECTED) as server:
        assert inconsistencies(server, history) == []
        assert server.terminate() == 0
