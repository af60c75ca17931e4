"""Simulate the cache protocol: one store, one shared cache, several servers with a local cache each, and a simulated clock.

Every step takes a random time, so the steps of all clients interleave at random. The same seed gives the same history. `MUTANTS` disable
one rule each, and the checker must detect them. Times are ticks.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from consistency.history import Operation, PersonState

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

FENCE: Final = 600  # TTL of a fence
LATEST: Final = 300  # maximum delay of a write of unknown outcome
DELIVERY: Final = 60  # maximum delay of an invalidation
_SURNAMES: Final = ("Abel", "Bach")
_PEOPLE: Final = 2


@dataclass(frozen=True)
class Rules:
    """The rules of the cache protocol; False disables a rule."""

    lease: bool = True  # fill only with the lease from before the read of the store
    fence: bool = True  # a write fences its keys before it reaches the store
    fence_each: bool = True  # each write has its own fence
    keep_unknown: bool = True  # a write of unknown outcome does not clear its fence
    quarantine: bool = True  # a cache that lost its data stays cold
    placeholder: bool = True  # a server caches only responses without an invalidation in flight
    overwrite: bool = False  # naive cache: a write sets the entry


MUTANTS: Final = {
    "no-lease": Rules(lease=False),
    "no-fence": Rules(fence=False),
    "one-fence-for-all": Rules(fence_each=False),
    "unknown-unfences": Rules(keep_unknown=False),
    "no-quarantine": Rules(quarantine=False),
    "no-placeholder": Rules(placeholder=False),
    "naive-cache": Rules(lease=False, fence=False, overwrite=True),
}


class _Delays:
    """Maximum delays, chosen per world: different faults need different delays."""

    def __init__(self, generator: random.Random) -> None:
        self.cache = generator.choice((2, 6, 40))  # to or from the shared cache
        self.store = generator.choice((10, 40, 80))  # to or from the store
        self.delivery = generator.choice((3, 20, DELIVERY))
        self.memory = generator.choice((300, 2_000, 10_000))  # until the cache loses its data
        self.unknown = generator.choice((0.03, 0.1, 0.2))  # fraction of writes


@dataclass
class _Entry:
    """An entry of the shared cache."""

    value: Any = None
    lease: int | None = None
    fences: dict[int, int] = field(default_factory=dict)  # expiry by token


class _Result(NamedTuple):
    hit: bool
    value: Any = None
    lease: int | None = None  # None without a hit: bypass


class SharedCache:
    """The shared cache of the protocol: every method is atomic."""

    def __init__(self, rules: Rules, clock: Callable[[], int], publish: Callable[[str], None]) -> None:
        self._rules = rules
        self._clock = clock
        self._publish = publish
        self._entries: dict[str, _Entry] = defaultdict(_Entry)
        self._tokens = count(1)
        self._warm_from = 0

    def read(self, key: str) -> _Result:
        """Return a hit, a lease or a bypass."""
        entry = self._entries[key]
        if self._is_fenced(entry):
            return _Result(hit=False)
        if entry.value is not None:
            return _Result(hit=True, value=entry.value)
        entry.lease = entry.lease or next(self._tokens)
        return _Result(hit=False, lease=entry.lease)

    def fill(self, key: str, lease: int, value: Any) -> bool:
        """Set a value if the lease is valid; return whether it was set."""
        entry = self._entries[key]
        if self._is_fenced(entry) or (self._rules.lease and entry.lease != lease):
            return False
        entry.value = value
        return True

    def fence(self, key: str, writer: int) -> None:
        """Fence a key during a write."""
        self._entries[key].fences[self._token(writer)] = self._clock() + FENCE
        self._clear(key)

    def unfence(self, key: str, writer: int) -> None:
        """Clear the fence of a writer."""
        self._entries[key].fences.pop(self._token(writer), None)
        self._clear(key)

    def overwrite(self, key: str, value: Any) -> None:
        """Set a value unconditionally."""
        self._clear(key)
        self._entries[key].value = value

    def lose_data(self) -> None:
        """Remove all entries, leases and fences, and start the quarantine."""
        for key in list(self._entries):
            self._clear(key)
        self._entries.clear()
        if self._rules.quarantine:
            self._warm_from = self._clock() + FENCE

    def _token(self, writer: int) -> int:
        return writer if self._rules.fence_each else 0

    def _is_fenced(self, entry: _Entry) -> bool:
        return self._clock() < self._warm_from or any(expiry > self._clock() for expiry in entry.fences.values())

    def _clear(self, key: str) -> None:
        entry = self._entries[key]
        if entry.value is not None:
            self._publish(key)
        entry.value = entry.lease = None


@dataclass
class _Server:
    """A server: its local cache, and the placeholders of pending fetches."""

    entries: dict[str, Any] = field(default_factory=dict)
    placeholders: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    def invalidate(self, key: str) -> None:
        self.entries.pop(key, None)
        self.placeholders[key].clear()


class World:
    """Simulates a store, a cache, servers and clients; `run` returns the history."""

    def __init__(self, seed: int, rules: Rules, *, local: bool, servers: int = 3) -> None:
        self.now = 0
        self.history: list[Operation] = []
        self._random = random.Random(seed)
        self._delays = _Delays(self._random)
        self._rules = rules
        self._local = local
        self._servers = [_Server() for _ in range(servers)]
        self._shared = SharedCache(rules, lambda: self.now, self._invalidate)
        self._store: dict[str, PersonState] = {}
        self._alive: list[str] = []
        self._numbers = count(1)
        self._schedule: list[tuple[int, int, Generator[int, None, None]]] = []

    def run(self, operations: int, clients: int = 6) -> list[Operation]:
        """Run this number of operations on all clients together."""
        for client in range(clients):
            self._start(self._run_client(client, operations))
        self._start(self._lose_data_repeatedly(operations))
        while self._schedule:
            self.now, _, steps = heappop(self._schedule)
            delay = next(steps, None)
            if delay is not None:
                self._start(steps, delay)
        return self.history

    def _start(self, steps: Generator[int, None, None], delay: int = 0) -> None:
        heappush(self._schedule, (self.now + delay, next(self._numbers), steps))

    def _run_client(self, client: int, operations: int) -> Generator[int, None, None]:
        while len(self.history) < operations:
            server = self._random.randrange(len(self._servers))
            operation = Operation("read", self.now, 0, "unknown", client=client, server=str(server))
            yield from self._choose_operation(operation, self._servers[server])
            operation.returned = self.now
            self.history.append(operation)
            yield self._random_delay(20)

    def _lose_data_repeatedly(self, operations: int) -> Generator[int, None, None]:
        while len(self.history) < operations:
            yield self._random_delay(self._delays.memory)
            self._shared.lose_data()

    def _choose_operation(self, operation: Operation, server: _Server) -> Generator[int, None, None]:
        if len(self._alive) < _PEOPLE:
            return self._create(operation, server)
        operation.person = self._random.choice(self._alive)
        actions = (self._get, self._list, self._update, self._move, self._delete)
        return self._random.choices(actions, (40, 25, 15, 15, 2))[0](operation, server)

    def _get(self, operation: Operation, server: _Server) -> Generator[int, None, None]:
        person = operation.person
        seen = yield from self._read(server, person, lambda: (self._store.get(person),))
        operation.outcome = "done" if seen[0] else "missing"
        operation.seen = seen if seen[0] else ()

    def _list(self, operation: Operation, server: _Server) -> Generator[int, None, None]:
        surname = operation.surname = self._random.choice(_SURNAMES)
        operation.kind, operation.person, operation.outcome = "list", "", "done"
        operation.seen = yield from self._read(server, surname, lambda: self._with_surname(surname))

    def _with_surname(self, surname: str) -> tuple[PersonState, ...]:
        return tuple(state for state in self._store.values() if state.surname == surname)

    def _read(self, server: _Server, key: str, read_store: Callable[[], Any]) -> Generator[int, None, Any]:
        if self._local and key in server.entries:
            return server.entries[key]
        placeholder = next(self._numbers)
        server.placeholders[key].add(placeholder)
        yield self._random_delay(self._delays.cache)
        result = self._shared.read(key)
        value, cacheable = result.value, result.hit
        if not result.hit:
            yield self._random_delay(self._delays.store)
            value = read_store()
            yield self._random_delay(self._delays.store)
            cacheable = result.lease is not None and self._shared.fill(key, result.lease, value)
        yield self._random_delay(self._delays.cache)
        if self._local and cacheable and (placeholder in server.placeholders[key] or not self._rules.placeholder):
            server.entries[key] = value
        server.placeholders[key].discard(placeholder)
        return value

    def _create(self, operation: Operation, server: _Server) -> Generator[int, None, None]:
        person, surname, mark = f"p{next(self._numbers)}", self._random.choice(_SURNAMES), self._mark()
        self._alive.append(person)
        operation.kind, operation.person, operation.surname, operation.mark = "create", person, surname, mark
        new = PersonState(person, 1, mark, surname)
        yield from self._write(operation, server, (person, surname), None, new)

    def _update(self, operation: Operation, server: _Server) -> Generator[int, None, None]:
        operation.kind, operation.mark = "patch", self._mark()
        known = self._store.get(operation.person)
        yield from self._replace(operation, server, known, known.surname if known else "")

    def _move(self, operation: Operation, server: _Server) -> Generator[int, None, None]:
        operation.kind, operation.mark, operation.surname = "replace", self._mark(), self._random.choice(_SURNAMES)
        yield from self._replace(operation, server, self._store.get(operation.person), operation.surname)

    def _replace(
        self, operation: Operation, server: _Server, known: PersonState | None, surname: str
    ) -> Generator[int, None, None]:
        if known is None:
            operation.outcome = "missing"
            return
        operation.expected = known.version
        new = PersonState(known.person, known.version + 1, operation.mark, surname)
        yield from self._write(operation, server, (known.person, known.surname, surname), known, new)

    def _delete(self, operation: Operation, server: _Server) -> Generator[int, None, None]:
        operation.kind = "delete"
        known = self._store.get(operation.person)
        if known is None:
            operation.outcome = "missing"
        else:
            operation.expected = known.version
            yield from self._write(operation, server, (known.person, known.surname), known, None)
        if operation.outcome != "conflict" and operation.person in self._alive:
            self._alive.remove(operation.person)

    def _write(
        self,
        operation: Operation,
        server: _Server,
        keys: tuple[str, ...],
        known: PersonState | None,
        new: PersonState | None,
    ) -> Generator[int, None, None]:
        """Fence, write if the person is unchanged, and clear the fence; or end with an unknown outcome."""
        writer = next(self._numbers)
        yield from self._invalidate_keys(server, keys, lambda key: self._shared.fence(key, writer))
        yield self._random_delay(self._delays.store)
        if self._random.random() < self._delays.unknown:
            self._start(self._apply_late(operation, known, new), self._random_delay(LATEST))
            if not self._rules.keep_unknown:
                yield from self._invalidate_keys(server, keys, lambda key: self._shared.unfence(key, writer))
            return
        self._apply(operation, known, new)
        yield self._random_delay(self._delays.store)
        yield from self._invalidate_keys(server, keys, lambda key: self._shared.unfence(key, writer))
        if self._rules.overwrite and operation.outcome == "done":
            for key in keys:
                people: Any = self._with_surname(key)
                self._shared.overwrite(key, people if key in _SURNAMES else (new,))

    def _invalidate_keys(
        self, server: _Server, keys: tuple[str, ...], change: Callable[[str], None]
    ) -> Generator[int, None, None]:
        for key in sorted(set(keys)):
            server.invalidate(key)
            if self._rules.fence:
                yield self._random_delay(self._delays.cache)
                change(key)
                server.invalidate(key)
        yield self._random_delay(self._delays.cache)

    def _apply_late(
        self, operation: Operation, known: PersonState | None, new: PersonState | None
    ) -> Generator[int, None, None]:
        self._apply(Operation(operation.kind, 0, 0, "unknown", person=operation.person), known, new)
        yield from ()

    def _apply(self, operation: Operation, known: PersonState | None, new: PersonState | None) -> None:
        person = (known or new or PersonState("", 0, "", "")).person
        current = self._store.get(person)
        if current != known:
            operation.outcome, operation.actual = ("conflict", current.version) if current else ("missing", None)
            return
        operation.outcome = "done"
        if new is None:
            del self._store[person]
        else:
            self._store[person] = new
            operation.seen = (new,)

    def _invalidate(self, key: str) -> None:
        def deliver(server: _Server) -> Generator[int, None, None]:
            server.invalidate(key)
            yield from ()

        for server in self._servers:
            self._start(deliver(server), self._random_delay(self._delays.delivery))

    def _random_delay(self, ticks: int) -> int:
        return self._random.randint(1, ticks)

    def _mark(self) -> str:
        return str(next(self._numbers))
