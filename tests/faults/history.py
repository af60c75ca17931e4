"""What a process that may be killed at any moment has begun and what it was told is done; and what must be true afterwards.

The process writes a line to a pipe before an operation (`begun`) and another one once it is acknowledged (`done`); a person has at most one
operation under way. So of everybody it is known to one step what the store must hold.
"""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple


class Stand(NamedTuple):
    """A person as it may stand in the store: the version, and the mark that the last change has left in the record."""

    version: int
    mark: str


GONE = None


class Writing:
    """The process's side: announces operations on the pipe, each line in one write."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def begun(self, operation: str, person_id: str | None, mark: str) -> None:
        self._say("begun", operation, person_id, mark)

    def done(self, operation: str, person_id: str, mark: str) -> None:
        self._say("done", operation, person_id, mark)

    def _say(self, *words: str | None) -> None:
        os.write(self._pipe, json.dumps(words).encode() + b"\n")


class History:
    """The observer's side: reads the lines and tells what is wrong with what the store holds."""

    def __init__(self) -> None:
        self.people: dict[str, Stand | None] = {}  # as they were last acknowledged
        self.acknowledged = 0
        self._under_way: dict[
            str, Stand | None
        ] = {}  # where an operation that was not acknowledged may have taken them
        self._creations: set[str] = set()  # the marks of creations that were not acknowledged

    def read(self, lines: bytes) -> None:
        """Take in what came through the pipe; a line that was cut off is one that was not written."""
        for line in lines.split(b"\n")[:-1]:
            self._take(*json.loads(line))

    def _take(self, word: str, operation: str, person_id: str | None, mark: str) -> None:
        if person_id is None:
            self._creations.add(mark)
            return
        before = self.people.get(person_id)
        if operation == "erase" or (operation == "replace" and before is None):
            after = GONE
        else:
            after = Stand(before.version + 1 if before else 1, mark)
        if word == "begun":
            self._under_way[person_id] = after
            return
        self._under_way.pop(person_id, None)
        self._creations.discard(mark)
        self.people[person_id] = after
        self.acknowledged += 1

    def problems(self, bodies: list[bytes]) -> list[str]:
        """Compare with everybody whom the store holds (JSON), and take that for what is known from now on."""
        held = [json.loads(body) for body in bodies]
        stands = {str(person["person_id"]): Stand(person["version"], person["mark"]) for person in held}
        found = [f"{len(bodies) - len(stands)} came twice"] if len(stands) != len(bodies) else []
        for person_id, stand in self.people.items():
            allowed = {stand, self._under_way.get(person_id, stand)}
            if stands.get(person_id) not in allowed:
                found.append(f"{person_id} stands at {stands.get(person_id)} and not at {stand}")
        found += [
            f"{person_id} was never begun: {stand}"
            for person_id, stand in stands.items()
            if person_id not in self.people and not (stand.version == 1 and stand.mark in self._creations)
        ]
        found += [f"{person['person_id']} is half there" for person in held if not is_whole(person)]
        self.people = dict(stands)
        self._under_way, self._creations = {}, set()
        return found


def details_marked(mark: str) -> dict[str, Any]:
    """Return a person, of many pages now and then, whose every part can be checked against its mark."""
    length = 20_000 if mark.endswith("7") else 50
    return {"person_surname": f"Surname{mark[-1]}", "mark": mark, "padding": mark * (length // len(mark)), "end": mark}


def is_whole(person: dict[str, Any]) -> bool:
    return person.items() >= details_marked(person["mark"]).items()
