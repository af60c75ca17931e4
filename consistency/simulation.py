"""The rules of the cache in a world of their own: one store, one shared cache, some servers with a memory each, and a clock that chance moves.

Every step takes a random time, so the steps of all clients interleave at random; the same seed gives the same history. A rule can be taken
out (`MUTANTS`), and then the checker has to notice. Time is counted in ticks.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from consistency.history import Operation, Stand

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

FENCE: Final = 600  # ticks that a fence stands
LATEST: Final = 300  # ticks after which no write of unknown outcome lands any more
DELIVERY: Final = 60  # ticks that an invalidation is on its way at most
_SURNAMES: Final = ("Abel", "Bach")
_PEOPLE: Final = 2


@dataclass(frozen=True)
class Rules:
    """The rules of the cache; False takes one out."""

    lease: bool = True  # fill only with the lease given before the store was read
    fence: bool = True  # a write fences its keys before the store hears of it
    fence_each: bool = True  # … each with a fence of its own
    keep_unknown: bool = True  # a write of unknown outcome leaves its fence standing
    quarantine: bool = True  # a cache that lost its memory stays cold
    placeholder: bool = True  # a server keeps only what no invalidation met on the way
    overwrite: bool = False  # the seed: a write sets the entry


MUTANTS: Final = {
    "no-lease": Rules(lease=False),
    "no-fence": Rules(fence=False),
    "one-fence-for-all": Rules(fence_each=False),
    "unknown-unfences": Rules(keep_unknown=False),
    "no-quarantine": Rules(quarantine=False),
    "no-placeholder": Rules(placeholder=False),
    "the-seed": Rules(lease=False, fence=False, overwrite=True),
}


class _Paces:
    """How many ticks things take at most: each world has its own, for different faults show at different ones."""

    def __init__(self, chance: random.Random) -> None:
        self.cache = chance.choice((2, 6, 40))  # to the shared cache, or back
        self.store = chance.choice((10, 40, 80))  # likewise
        self.delivery = chance.choice((3, 20, DELIVERY))
        self.memory = chance.choice((300, 2_000, 10_000))  # until the cache loses it
        self.unknown = chance.choice((0.03, 0.1, 0.2))  # the share of the writes


@dataclass
class _Entry:
    """What the shared cache has under a key."""

    value: Any = None
    lease: int | None = None
    fences: dict[int, int] = field(default_factory=dict)  # token → when it falls


class _Found(NamedTuple):
    hit: bool
    value: Any = None
    lease: int | None = None  # None without a hit: bypass


class SharedCache:
    """The shared cache as the protocol has it: every method is one atomic step."""

    def __init__(self, rules: Rules, clock: Callable[[], int], publish: Callable[[str], None]) -> None:
        self._rules = rules
        self._clock = clock
        self._publish = publish
        self._entries: dict[str, _Entry] = defaultdict(_Entry)
        self._tokens = count(1)
        self._warm_from = 0

    def read(self, key: str) -> _Found:
        """Return a hit, a lease, or neither."""
        entry = self._entries[key]
        if self._closed(entry):
            return _Found(hit=False)
        if entry.value is not None:
            return _Found(hit=True, value=entry.value)
        entry.lease = entry.lease or next(self._tokens)
        return _Found(hit=False, lease=entry.lease)

    def fill(self, key: str, lease: int, value: Any) -> bool:
        """Set a value unless its lease was lost; say whether it was set."""
        entry = self._entries[key]
        if self._closed(entry) or (self._rules.lease and entry.lease != lease):
            return False
        entry.value = value
        return True

    def fence(self, key: str, writer: int) -> None:
        """Keep everybody from the key while a write is on its way."""
        self._entries[key].fences[self._token(writer)] = self._clock() + FENCE
        self._clear(key)

    def unfence(self, key: str, writer: int) -> None:
        """Lift one's fence."""
        self._entries[key].fences.pop(self._token(writer), None)
        self._clear(key)

    def overwrite(self, key: str, value: Any) -> None:
        """Set a value without asking."""
        self._clear(key)
        self._entries[key].value = value

    def lose_everything(self) -> None:
        """Forget all entries, leases and fences, and know that something was forgotten."""
        for key in list(self._entries):
            self._clear(key)
        self._entries.clear()
        if self._rules.quarantine:
            self._warm_from = self._clock() + FENCE

    def _token(self, writer: int) -> int:
        return writer if self._rules.fence_each else 0

    def _closed(self, entry: _Entry) -> bool:
        return self._clock() < self._warm_from or any(falls > self._clock() for falls in entry.fences.values())

    def _clear(self, key: str) -> None:
        entry = self._entries[key]
        if entry.value is not None:
            self._publish(key)
        entry.value = entry.lease = None


@dataclass
class _Server:
    """One server: its memory, and the places kept for answers on their way."""

    entries: dict[str, Any] = field(default_factory=dict)
    places: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    def drop(self, key: str) -> None:
        self.entries.pop(key, None)
        self.places[key].clear()


class World:
    """Store, cache, servers and clients; `run` lets them live and returns the history."""

    def __init__(self, seed: int, rules: Rules, *, local: bool, servers: int = 3) -> None:
        self.now = 0
        self.history: list[Operation] = []
        self._chance = random.Random(seed)
        self._paces = _Paces(self._chance)
        self._rules = rules
        self._local = local
        self._servers = [_Server() for _ in range(servers)]
        self._shared = SharedCache(rules, lambda: self.now, self._invalidate)
        self._store: dict[str, Stand] = {}
        self._living: list[str] = []
        self._numbers = count(1)
        self._agenda: list[tuple[int, int, Generator[int, None, None]]] = []

    def run(self, operations: int, clients: int = 6) -> list[Operation]:
        """Let the clients do so many operations together."""
        for client in range(clients):
            self._begin(self._live(client, operations))
        self._begin(self._forget_now_and_then(operations))
        while self._agenda:
            self.now, _, steps = heappop(self._agenda)
            delay = next(steps, None)
            if delay is not None:
                self._begin(steps, delay)
        return self.history

    def _begin(self, steps: Generator[int, None, None], delay: int = 0) -> None:
        heappush(self._agenda, (self.now + delay, next(self._numbers), steps))

    def _live(self, client: int, operations: int) -> Generator[int, None, None]:
        while len(self.history) < operations:
            server = self._chance.randrange(len(self._servers))
            asked = Operation("read", self.now, 0, "unknown", client=client, server=str(server))
            yield from self._act(asked, self._servers[server])
            asked.back = self.now
            self.history.append(asked)
            yield self._within(20)

    def _forget_now_and_then(self, operations: int) -> Generator[int, None, None]:
        while len(self.history) < operations:
            yield self._within(self._paces.memory)
            self._shared.lose_everything()

    def _act(self, asked: Operation, server: _Server) -> Generator[int, None, None]:
        if len(self._living) < _PEOPLE:
            return self._create(asked, server)
        asked.person = self._chance.choice(self._living)
        acts = (self._get, self._list, self._change, self._move, self._erase)
        return self._chance.choices(acts, (40, 25, 15, 15, 2))[0](asked, server)

    def _get(self, asked: Operation, server: _Server) -> Generator[int, None, None]:
        person = asked.person
        seen = yield from self._read(server, person, lambda: (self._store.get(person),))
        asked.outcome = "done" if seen[0] else "missing"
        asked.seen = seen if seen[0] else ()

    def _list(self, asked: Operation, server: _Server) -> Generator[int, None, None]:
        surname = asked.surname = self._chance.choice(_SURNAMES)
        asked.kind, asked.person, asked.outcome = "list", "", "done"
        asked.seen = yield from self._read(server, surname, lambda: self._bearers(surname))

    def _bearers(self, surname: str) -> tuple[Stand, ...]:
        return tuple(stand for stand in self._store.values() if stand.surname == surname)

    def _read(self, server: _Server, key: str, ask_store: Callable[[], Any]) -> Generator[int, None, Any]:
        if self._local and key in server.entries:
            return server.entries[key]
        place = next(self._numbers)
        server.places[key].add(place)
        yield self._within(self._paces.cache)
        found = self._shared.read(key)
        value, keep = found.value, found.hit
        if not found.hit:
            yield self._within(self._paces.store)
            value = ask_store()
            yield self._within(self._paces.store)
            keep = found.lease is not None and self._shared.fill(key, found.lease, value)
        yield self._within(self._paces.cache)
        if self._local and keep and (place in server.places[key] or not self._rules.placeholder):
            server.entries[key] = value
        server.places[key].discard(place)
        return value

    def _create(self, asked: Operation, server: _Server) -> Generator[int, None, None]:
        person, surname, mark = f"p{next(self._numbers)}", self._chance.choice(_SURNAMES), self._mark()
        self._living.append(person)
        asked.kind, asked.person, asked.surname, asked.mark = "create", person, surname, mark
        new = Stand(person, 1, mark, surname)
        yield from self._write(asked, server, (person, surname), None, new)

    def _change(self, asked: Operation, server: _Server) -> Generator[int, None, None]:
        asked.kind, asked.mark = "patch", self._mark()
        known = self._store.get(asked.person)
        yield from self._replace(asked, server, known, known.surname if known else "")

    def _move(self, asked: Operation, server: _Server) -> Generator[int, None, None]:
        asked.kind, asked.mark, asked.surname = "replace", self._mark(), self._chance.choice(_SURNAMES)
        yield from self._replace(asked, server, self._store.get(asked.person), asked.surname)

    def _replace(
        self, asked: Operation, server: _Server, known: Stand | None, surname: str
    ) -> Generator[int, None, None]:
        if known is None:
            asked.outcome = "missing"
            return
        asked.expected = known.version
        new = Stand(known.person, known.version + 1, asked.mark, surname)
        yield from self._write(asked, server, (known.person, known.surname, surname), known, new)

    def _erase(self, asked: Operation, server: _Server) -> Generator[int, None, None]:
        asked.kind = "erase"
        known = self._store.get(asked.person)
        if known is None:
            asked.outcome = "missing"
        else:
            asked.expected = known.version
            yield from self._write(asked, server, (known.person, known.surname), known, None)
        if asked.outcome != "conflict" and asked.person in self._living:
            self._living.remove(asked.person)

    def _write(
        self, asked: Operation, server: _Server, keys: tuple[str, ...], known: Stand | None, new: Stand | None
    ) -> Generator[int, None, None]:
        """Fence, write if the person is as it was known, lift the fence; or never learn what became of it."""
        writer = next(self._numbers)
        yield from self._drop(server, keys, lambda key: self._shared.fence(key, writer))
        yield self._within(self._paces.store)
        if self._chance.random() < self._paces.unknown:
            self._begin(self._land(asked, known, new), self._within(LATEST))
            if not self._rules.keep_unknown:
                yield from self._drop(server, keys, lambda key: self._shared.unfence(key, writer))
            return
        self._apply(asked, known, new)
        yield self._within(self._paces.store)
        yield from self._drop(server, keys, lambda key: self._shared.unfence(key, writer))
        if self._rules.overwrite and asked.outcome == "done":
            for key in keys:
                bearers: Any = self._bearers(key)
                self._shared.overwrite(key, bearers if key in _SURNAMES else (new,))

    def _drop(self, server: _Server, keys: tuple[str, ...], do: Callable[[str], None]) -> Generator[int, None, None]:
        for key in sorted(set(keys)):
            server.drop(key)
            if self._rules.fence:
                yield self._within(self._paces.cache)
                do(key)
                server.drop(key)
        yield self._within(self._paces.cache)

    def _land(self, asked: Operation, known: Stand | None, new: Stand | None) -> Generator[int, None, None]:
        self._apply(Operation(asked.kind, 0, 0, "unknown", person=asked.person), known, new)
        yield from ()

    def _apply(self, asked: Operation, known: Stand | None, new: Stand | None) -> None:
        person = (known or new or Stand("", 0, "", "")).person
        there = self._store.get(person)
        if there != known:
            asked.outcome, asked.actual = ("conflict", there.version) if there else ("missing", None)
            return
        asked.outcome = "done"
        if new is None:
            del self._store[person]
        else:
            self._store[person] = new
            asked.seen = (new,)

    def _invalidate(self, key: str) -> None:
        def deliver(server: _Server) -> Generator[int, None, None]:
            server.drop(key)
            yield from ()

        for server in self._servers:
            self._begin(deliver(server), self._within(self._paces.delivery))

    def _within(self, ticks: int) -> int:
        return self._chance.randint(1, ticks)

    def _mark(self) -> str:
        return str(next(self._numbers))
