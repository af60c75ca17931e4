"""Operations of a process that may be killed at any time, and a check of the store against them.

The process writes a line to a pipe before an operation (`started`) and another one after its acknowledgement (`done`).
A person has at most one operation in progress, so the state of each person is known except for one step.
"""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple


class PersonState(NamedTuple):
    """A possible state of a person in the store: the version, and the mark that the last change has left in the record."""

    version: int
    mark: str


DELETED = None


class Reporter:
    """The side of the process: reports operations on the pipe, one write per line."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def started(self, operation: str, person_id: str | None, mark: str) -> None:
        self._write("started", operation, person_id, mark)

    def done(self, operation: str, person_id: str, mark: str) -> None:
        self._write("done", operation, person_id, mark)

    def _write(self, *words: str | None) -> None:
        os.write(self._pipe, json.dumps(words).encode() + b"\n")


class History:
    """The side of the observer: reads the lines, and reports where the store differs from them."""

    def __init__(self) -> None:
        self.people: dict[str, PersonState | None] = {}  # the last acknowledged states
        self.acknowledged = 0
        self._in_progress: dict[str, PersonState | None] = {}  # the states after unacknowledged operations
        self._creations: set[str] = set()  # the marks of unacknowledged creations

    def read(self, lines: bytes) -> None:
        """Process lines from the pipe; ignore a truncated last line."""
        for line in lines.split(b"\n")[:-1]:
            self._apply(*json.loads(line))

    def _apply(self, event: str, operation: str, person_id: str | None, mark: str) -> None:
        if person_id is None:
            self._creations.add(mark)
            return
        before = self.people.get(person_id)
        if operation == "delete" or (operation == "replace" and before is None):
            after = DELETED
        else:
            after = PersonState(before.version + 1 if before else 1, mark)
        if event == "started":
            self._in_progress[person_id] = after
            return
        self._in_progress.pop(person_id, None)
        self._creations.discard(mark)
        self.people[person_id] = after
        self.acknowledged += 1

    def problems(self, bodies: list[bytes]) -> list[str]:
        """Compare the known states with all records of the store (JSON), and then adopt these records."""
        records = [json.loads(body) for body in bodies]
        states = {str(person["person_id"]): PersonState(person["version"], person["mark"]) for person in records}
        found = [f"{len(bodies) - len(states)} duplicates"] if len(states) != len(bodies) else []
        for person_id, state in self.people.items():
            allowed = {state, self._in_progress.get(person_id, state)}
            if states.get(person_id) not in allowed:
                found.append(f"{person_id} is {states.get(person_id)} instead of {state}")
        found += [
            f"{person_id} was never created: {state}"
            for person_id, state in states.items()
            if person_id not in self.people and not (state.version == 1 and state.mark in self._creations)
        ]
        found += [f"{person['person_id']} is incomplete" for person in records if not is_complete(person)]
        self.people = dict(states)
        self._in_progress, self._creations = {}, set()
        return found


def marked_person(mark: str) -> dict[str, Any]:
    """Return a person with fields that derive from its mark; some fill several pages."""
    length = 20_000 if mark.endswith("7") else 50
    return {"person_surname": f"Surname{mark[-1]}", "mark": mark, "padding": mark * (length // len(mark)), "end": mark}


def is_complete(person: dict[str, Any]) -> bool:
    return person.items() >= marked_person(person["mark"]).items()
