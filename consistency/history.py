"""What the clients of a run asked, when, and what they were told; with the faults of that time. Saved as JSON lines."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Kind = Literal["create", "replace", "patch", "erase", "read", "list"]
Outcome = Literal["done", "missing", "conflict", "unchanged", "failed", "unknown"]

WRITES: frozenset[Kind] = frozenset(("create", "replace", "patch", "erase"))


class Stand(NamedTuple):
    """A person as it stands at a version: `mark` is what the last change wrote into the record, `surname` who it was then."""

    person: str
    version: int
    mark: str
    surname: str


class Times(NamedTuple):
    """The times in a record, as the response gives them."""

    created_at: str
    updated_at: str


class Operation(msgspec.Struct, tag="operation", omit_defaults=True):
    """One request; all moments are nanoseconds of the one clock of the driver.

    Outcomes: done (2xx, with what was `seen`), missing (404), conflict (412; the server says which version is `actual`), unchanged (304 for
    the version `expected`), failed (it certainly did nothing), unknown (it may have taken effect, at any time after the call, or never).
    """

    kind: Kind
    call: int
    back: int
    outcome: Outcome
    client: int = 0
    server: str = ""  # and which life of it: "2.0" is the third server before its first end
    person: str = ""  # asked for; of a creation only if it is known without an answer
    surname: str = ""  # asked for, or to be borne from now on
    mark: str = ""
    expected: int | None = None  # If-Match; for a read If-None-Match
    actual: int | None = None
    seen: tuple[Stand, ...] = ()
    times: tuple[Times, ...] = ()  # of those in `seen`
    limit: int = 1_000  # people on a page of a list
    fresh: bool = False  # Cache-Control: no-cache
    source: str = ""  # which cache answered, or why none did, as the server says


class Fault(msgspec.Struct, tag="fault"):
    """Something that was broken on purpose, from `begin` to `end`."""

    kind: str
    begin: int
    end: int


class Run(msgspec.Struct, tag="run", omit_defaults=True):
    """What is needed to judge a history, and to do the like again."""

    mode: str
    seed: int
    cache_ttl: float = 60.0
    mutant: str = ""


class History(msgspec.Struct):
    """A run with its operations and faults, in no order."""

    run: Run
    operations: list[Operation]
    faults: list[Fault]

    def save(self, path: Path) -> None:
        """Write one JSON line a thing; compressed when the name ends so."""
        things: Iterable[Any] = (self.run, *self.faults, *self.operations)
        text = b"".join(msgspec.json.encode(thing) + b"\n" for thing in things)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)

    @classmethod
    def load(cls, path: Path) -> History:
        """Read what `save` wrote."""
        text = path.read_bytes()
        things = map(_decode, (gzip.decompress(text) if path.suffix == ".gz" else text).splitlines())
        run = next(things)
        if not isinstance(run, Run):
            raise TypeError(f"{path} is not a history: its first line is no run")
        history = cls(run, [], [])
        for thing in things:
            if isinstance(thing, Operation):
                history.operations.append(thing)
            elif isinstance(thing, Fault):
                history.faults.append(thing)
        return history


_decode = msgspec.json.Decoder(Run | Fault | Operation).decode
