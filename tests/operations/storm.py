"""Writes that go on while people are moved: about fifty a second through the API, each noted with when it was true."""

from __future__ import annotations

import random
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from tests.http.serving import HANG_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

RATE = 50  # writes a second


@dataclass
class Life:
    """What became of one person: its JSON (None: not there), from when at the latest and at the earliest."""

    states: list[tuple[float, float, bytes | None]] = field(default_factory=list)

    def may_be(self, body: bytes | None, begin: float, end: float) -> bool:
        """Say whether the person may have looked like that at some moment between two."""
        for number, (earliest, _, state) in enumerate(self.states):
            until = self.states[number + 1][1] if number + 1 < len(self.states) else float("inf")
            if state == body and earliest <= end and until >= begin:
                return True
        return False


class Storm:
    """Creates, changes and erases people, one write after the other."""

    def __init__(self, url: str, people: dict[str, bytes], seed: int) -> None:
        self._http = httpx.Client(base_url=url, timeout=HANG_TIMEOUT)
        self._chance = random.Random(seed)
        self.lives = {person_id: Life([(float("-inf"), float("-inf"), body)]) for person_id, body in people.items()}
        self._there = list(people)
        self.writes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()
        self._http.close()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._over.is_set():
            self._write()
            self.writes += 1
            due = max(due + 1 / RATE, time.monotonic() - 1)
            self._over.wait(max(0.0, due - time.monotonic()))

    def _write(self) -> None:
        kind = self._chance.choices(("create", "change", "erase"), (3, 6, 1))[0]
        before = time.monotonic()
        if kind == "create" or len(self._there) < 10:
            answer = self._ask("POST", "/v1/people", json=self._details())
            self._there.append(answer.json()["person_id"])
            self._note(self._there[-1], before, answer.content)
            return
        person_id = self._chance.choice(self._there)
        if kind == "erase":
            self._there.remove(person_id)
            self._ask("DELETE", f"/v1/people/{person_id}")
            self._note(person_id, before, None)
            return
        answer = self._ask("PUT", f"/v1/people/{person_id}", json=self._details(), headers={"If-Match": "*"})
        self._note(person_id, before, answer.content)

    def _details(self) -> dict[str, Any]:
        return {"person_surname": f"Storm {self._chance.randrange(20)}", "n": self._chance.random()}

    def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        answer = self._http.request(method, path, **more)
        assert answer.is_success, answer.text
        return answer

    def _note(self, person_id: str, before: float, body: bytes | None) -> None:
        life = self.lives.setdefault(person_id, Life([(float("-inf"), float("-inf"), None)]))
        life.states.append((before, time.monotonic(), body))


@contextmanager
def storm(url: str, people: dict[str, bytes], seed: int) -> Iterator[Storm]:
    """Write until the block ends."""
    raging = Storm(url, people, seed)
    raging.start()
    try:
        yield raging
    finally:
        raging.stop()
