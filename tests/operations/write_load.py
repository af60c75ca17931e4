"""Write load during a bulk operation: about fifty writes a second over the API, each recorded with its times."""

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
class Versions:
    """The versions of one record: earliest and latest start time, and the JSON (None: no record)."""

    states: list[tuple[float, float, bytes | None]] = field(default_factory=list)

    def may_exist(self, body: bytes | None, start: float, end: float) -> bool:
        """Return whether the record may have had this JSON at some time between `start` and `end`."""
        for number, (earliest, _, state) in enumerate(self.states):
            until = self.states[number + 1][1] if number + 1 < len(self.states) else float("inf")
            if state == body and earliest <= end and until >= start:
                return True
        return False


class WriteLoad:
    """Creates, updates and deletes records, one after another."""

    def __init__(self, url: str, people: dict[str, bytes], seed: int) -> None:
        self._http = httpx.Client(base_url=url, timeout=HANG_TIMEOUT)
        self._random = random.Random(seed)
        self.versions = {
            person_id: Versions([(float("-inf"), float("-inf"), body)]) for person_id, body in people.items()
        }
        self._existing = list(people)
        self.writes = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        self._http.close()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stopped.is_set():
            self._write()
            self.writes += 1
            due = max(due + 1 / RATE, time.monotonic() - 1)
            self._stopped.wait(max(0.0, due - time.monotonic()))

    def _write(self) -> None:
        kind = self._random.choices(("create", "update", "delete"), (3, 6, 1))[0]
        before = time.monotonic()
        if kind == "create" or len(self._existing) < 10:
            response = self._request("POST", "/v1/people", json=self._new_person())
            self._existing.append(response.json()["person_id"])
            self._record(self._existing[-1], before, response.content)
            return
        person_id = self._random.choice(self._existing)
        if kind == "delete":
            self._existing.remove(person_id)
            self._request("DELETE", f"/v1/people/{person_id}")
            self._record(person_id, before, None)
            return
        response = self._request("PUT", f"/v1/people/{person_id}", json=self._new_person(), headers={"If-Match": "*"})
        self._record(person_id, before, response.content)

    def _new_person(self) -> dict[str, Any]:
        return {"person_surname": f"Storm {self._random.randrange(20)}", "n": self._random.random()}

    def _request(self, method: str, path: str, **more: Any) -> httpx.Response:
        response = self._http.request(method, path, **more)
        assert response.is_success, response.text
        return response

    def _record(self, person_id: str, before: float, body: bytes | None) -> None:
        versions = self.versions.setdefault(person_id, Versions([(float("-inf"), float("-inf"), None)]))
        versions.states.append((before, time.monotonic(), body))


@contextmanager
def write_load(url: str, people: dict[str, bytes], seed: int) -> Iterator[WriteLoad]:
    """Write until the context exits."""
    load = WriteLoad(url, people, seed)
    load.start()
    try:
        yield load
    finally:
        load.stop()
