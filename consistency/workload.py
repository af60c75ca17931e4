"""The workload: clients that run random operations on a few persons, on all servers."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from dataclasses import dataclass, field
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeVar

from consistency.client import Api
from consistency.history import BY_SURNAME, Index

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from consistency.cluster import Process
    from consistency.history import Operation

T = TypeVar("T")

INDEXES: Final[tuple[Index, ...]] = ("text", "identifier", "birthdate", "address", "duplicates")
SURNAMES: Final = ("Abel", "Bach", "Cage", "Duke", "Elgar", "Fasch")  # in order of frequency
_POPULATION: Final = 24  # persons at a time; the oldest are used most
_LIFETIME: Final = (40, 400)  # operations on a person
_LIMITS: Final = (1_000, 1_000, 7, 2)  # page sizes
_MAX_UNKNOWN: Final = 5  # writes of unknown outcome per person: they slow the checker down
_RETRY_DELAY: Final = 0.05  # seconds after a failed operation


@dataclass
class KnownPerson:
    """The newest version of a person that any client has seen."""

    person: str
    version: int = 1
    mark: str = "0"
    left: int = 0  # operations until its deletion
    unknown: int = 0  # writes of unknown outcome


@dataclass
class Population:
    """The current persons, those deleted last and the last merges."""

    people: dict[str, KnownPerson] = field(default_factory=dict)
    deleted: deque[str] = field(default_factory=lambda: deque(maxlen=20))
    merges: deque[Operation] = field(default_factory=lambda: deque(maxlen=20))
    pending: int = 0  # creations in progress
    marks: count[int] = field(default_factory=count)

    def learn(self, operation: Operation, generator: random.Random) -> None:
        """Update the persons from the result of an operation."""
        if operation.outcome == "done":
            self._move(operation)
        for state in operation.seen:
            if state.person in self.deleted:
                continue
            known = self.people.get(state.person)
            if known is None:
                known = self.people[state.person] = KnownPerson(state.person, left=generator.randrange(*_LIFETIME))
            if state.version >= known.version:
                known.version, known.mark = state.version, state.mark
        known = self.people.get(operation.person)
        if known is None:
            return
        known.left -= 1
        known.unknown += operation.outcome == "unknown"
        if known.unknown > _MAX_UNKNOWN:
            known.left = 0
        if operation.is_deletion and operation.outcome in ("done", "missing"):
            self._delete(operation.person)

    def _move(self, operation: Operation) -> None:
        """Add or remove the merged record of a merge, or a person that was restored."""
        if operation.kind in ("restore", "undo"):
            person = operation.other or operation.person
            while person in self.deleted:
                self.deleted.remove(person)
        if operation.kind == "merge":
            self._delete(operation.other)
            self.merges.append(operation)

    def _delete(self, person: str) -> None:
        self.deleted.append(person)
        self.people.pop(person, None)


class Client:
    """A client that runs random operations one after another."""

    def __init__(self, api: Api, population: Population, servers: int, generator: random.Random, fresh: float) -> None:
        self._api = api
        self._fresh = fresh
        self._population = population
        self._servers = servers
        self._random = generator

    async def run_one(self) -> None:
        """Run one operation; a creation of unknown outcome may be repeated."""
        if len(self._population.people) + self._population.pending < _POPULATION:
            await self._create()
            return
        if self._population.deleted and self._random.random() < 0.03:
            await self._do("read", person=self._random.choice(self._population.deleted), fresh=self._wants_fresh())
            return
        if self._population.deleted and self._random.random() < 0.01:
            await self._do("restore", person=self._random.choice(self._population.deleted))
            return
        if self._population.merges and self._random.random() < 0.01:
            await self._undo(self._population.merges.popleft())
            return
        if not self._population.people:
            await self._list()
            return
        known = self._choose(list(self._population.people.values()))
        if known.left <= 0:
            await self._do("delete", person=known.person)
            return
        actions = (self._read, self._list, self._find, self._update, self._move, self._delete, self._erase, self._merge)
        await self._random.choices(actions, (56, 18, 12, 9, 4, 0.4, 0.1, 0.3))[0](known)

    async def _create(self) -> None:
        mark, surname = str(next(self._population.marks)), self._choose(SURNAMES)
        self._population.pending += 1
        try:
            operation = await self._do("create", surname=surname, mark=mark)
            while operation.outcome == "unknown" and self._random.random() < 0.7:  # repeat the same request
                operation = await self._do("create", surname=surname, mark=mark)
        finally:
            self._population.pending -= 1

    async def _read(self, known: KnownPerson) -> None:
        conditional = self._random.random() < 0.2
        expected = known.version if conditional else None
        await self._do("read", person=known.person, expected=expected, fresh=self._wants_fresh())

    async def _list(self, _: KnownPerson | None = None) -> None:
        limit = self._random.choice(_LIMITS)
        await self._do("list", surname=self._choose(SURNAMES), limit=limit, fresh=self._wants_fresh())

    async def _find(self, known: KnownPerson) -> None:
        index = self._random.choice(INDEXES)
        what = {"surname": self._choose(SURNAMES)} if index in BY_SURNAME else {"mark": known.mark}
        await self._do("list", index=index, **what)

    async def _update(self, known: KnownPerson) -> None:
        await self._do("patch", person=known.person, mark=self._mark(), expected=self._expected(known))

    async def _move(self, known: KnownPerson) -> None:
        kind = self._random.choice(("replace", "patch"))
        surname = self._choose(SURNAMES)
        await self._do(kind, person=known.person, mark=self._mark(), surname=surname, expected=self._expected(known))

    async def _delete(self, known: KnownPerson) -> None:
        await self._do("delete", person=known.person, expected=self._expected(known))

    async def _erase(self, known: KnownPerson) -> None:
        await self._do("erase", person=known.person, expected=known.version)

    async def _merge(self, known: KnownPerson) -> None:
        other = self._random.choice(list(self._population.people.values()))
        if other is not known:
            versions = {"expected": known.version, "other_version": other.version}
            await self._do("merge", person=known.person, other=other.person, **versions)

    async def _undo(self, merge: Operation) -> None:
        await self._do("undo", person=merge.person, other=merge.other, merge=merge.merge)

    async def _do(self, kind: object, **parameters: object) -> Operation:
        operation = await self._api.do(self._random.randrange(self._servers), kind, **parameters)  # type: ignore[arg-type] # a Kind
        self._population.learn(operation, self._random)
        if operation.outcome == "failed":
            await asyncio.sleep(_RETRY_DELAY)
        return operation

    def _wants_fresh(self) -> bool:
        return self._random.random() < self._fresh

    def _choose(self, values: Sequence[T]) -> T:
        return values[int(self._random.random() ** 2 * len(values))]

    def _mark(self) -> str:
        return str(next(self._population.marks))

    def _expected(self, known: KnownPerson) -> int | None:
        return known.version if self._random.random() < 0.7 else None


@dataclass
class Load:
    """The load of a run: number of clients, maximum number of operations and maximum duration."""

    clients: int = 12
    operations: int = 20_000
    seconds: float = 3_600.0
    fresh: float = 0.05  # fraction of reads that bypass the cache
    progress: Callable[[int], None] = lambda _: None


async def drive(servers: list[Process], load: Load, seed: int) -> tuple[list[Operation], list[str]]:
    """Run the clients; return the history and all unexpected responses."""
    history: list[Operation] = []
    population = Population()
    apis = [Api(number, servers, history) for number in range(load.clients)]
    end = monotonic() + load.seconds

    async def run_client(number: int) -> None:
        client = Client(apis[number], population, len(servers), random.Random(f"{seed}.{number}"), load.fresh)
        while len(history) < load.operations and monotonic() < end:
            await client.run_one()
            load.progress(len(history))

    try:
        async with asyncio.TaskGroup() as group:
            for number in range(load.clients):
                group.create_task(run_client(number))
    finally:
        for api in apis:
            api.close()
    return history, [unexpected for api in apis for unexpected in api.unexpected]
