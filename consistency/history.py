"""A history: the operations of all clients with their times and outcomes, and the injected faults. Saved as JSON lines."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Kind = Literal["create", "replace", "patch", "delete", "erase", "restore", "merge", "undo", "read", "list"]
Index = Literal["", "text", "identifier", "birthdate", "address", "duplicates"]
Outcome = Literal["done", "missing", "conflict", "unchanged", "failed", "unknown"]

WRITES: frozenset[Kind] = frozenset(("create", "replace", "patch", "delete", "erase", "restore", "merge", "undo"))
# Indexes that find the people with a surname; the others find those with a mark.
BY_SURNAME: frozenset[Index] = frozenset(("", "text"))


class PersonState(NamedTuple):
    """The state of a person at a version; `mark` identifies the write that set the values.

    A negative version is that of a person in the trash or of a merged record, which can be restored.
    """

    person: str
    version: int
    mark: str
    surname: str


class Times(NamedTuple):
    """The timestamps of a record in a response."""

    created_at: str
    updated_at: str


class Operation(msgspec.Struct, tag="operation", omit_defaults=True):
    """A request with its call and return times, in nanoseconds of the clock of the clients.

    Outcomes: done (2xx; `seen` holds the states in the response), missing (404), conflict (412; `actual` is the version in the response),
    unchanged (304 for the version `expected`), failed (without effect), unknown (it took effect at any time after the call, or never).
    """

    kind: Kind
    call: int
    returned: int
    outcome: Outcome
    client: int = 0
    server: str = ""  # with the number of restarts: "2.0" is the third server before its first restart
    person: str = ""  # requested id; of a creation only if it is known without a response
    surname: str = ""  # requested or new surname
    mark: str = ""
    expected: int | None = None  # If-Match; for a read If-None-Match
    actual: int | None = None
    seen: tuple[PersonState, ...] = ()
    times: tuple[Times, ...] = ()  # of the states in `seen`
    limit: int = 1_000  # page size of a list
    fresh: bool = False  # Cache-Control: no-cache
    source: str = ""  # Cache-Status of the response
    index: Index = ""  # of a list; "" for the people with a surname
    other: str = ""  # the merged record of a merge or an undo
    other_version: int | None = None  # its version before the merge
    merge: str = ""  # the id of that merge

    @property
    def is_deletion(self) -> bool:
        """Whether the operation moves a person to the trash or erases it."""
        return self.kind in ("delete", "erase")

    def is_listed(self, state: PersonState) -> bool:
        """Return whether a list contains a person in a state."""
        return state.surname == self.surname if self.index in BY_SURNAME else state.mark == self.mark


class Fault(msgspec.Struct, tag="fault"):
    """An injected fault, from `begin` to `end`."""

    kind: str
    begin: int
    end: int


class Run(msgspec.Struct, tag="run", omit_defaults=True):
    """The parameters of a run."""

    mode: str
    seed: int
    cache_ttl: float = 60.0
    mutant: str = ""


class History(msgspec.Struct):
    """A run with its operations and faults, unordered."""

    run: Run
    operations: list[Operation]
    faults: list[Fault]

    def save(self, path: Path) -> None:
        """Write JSON lines, compressed if the name ends with .gz."""
        records: Iterable[Any] = (self.run, *self.faults, *self.operations)
        text = b"".join(msgspec.json.encode(record) + b"\n" for record in records)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)

    @classmethod
    def load(cls, path: Path) -> History:
        """Read a saved history."""
        text = path.read_bytes()
        records = map(_decode, (gzip.decompress(text) if path.suffix == ".gz" else text).splitlines())
        run = next(records)
        if not isinstance(run, Run):
            raise TypeError(f"{path} is not a history: the first line is not a run")
        history = cls(run, [], [])
        for record in records:
            if isinstance(record, Operation):
                history.operations.append(record)
            elif isinstance(record, Fault):
                history.faults.append(record)
        return history


_decode = msgspec.json.Decoder(Run | Fault | Operation).decode
