"""Clients that do everything that can be done, to few people, on every server at once."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from dataclasses import dataclass, field
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeVar

from consistency.client import Api

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from consistency.cluster import Process
    from consistency.history import Operation

T = TypeVar("T")

SURNAMES: Final = ("Abel", "Bach", "Cage", "Duke", "Elgar", "Fasch")  # the first are the most common
_PLACES: Final = 24  # people at a time, the eldest the busiest
_LIFE: Final = (40, 400)  # operations in a person's life
_LIMITS: Final = (1_000, 1_000, 7, 2)  # people on a page
_DOUBTS: Final = 5  # writes of unknown outcome, after which a person is erased: they make the search longer
_PAUSE: Final = 0.05  # seconds that a client waits when it is refused, before it tries the next server


@dataclass
class Known:
    """What the clients know of a person: the newest version that any of them has seen."""

    person: str
    version: int = 1
    left: int = 0  # operations until it is erased
    doubts: int = 0


@dataclass
class Town:
    """The people of the moment, those who have just left, and whoever came in unnoticed (a creation of unknown outcome)."""

    people: dict[str, Known] = field(default_factory=dict)
    gone: deque[str] = field(default_factory=lambda: deque(maxlen=20))
    coming: int = 0  # creations under way
    marks: count[int] = field(default_factory=count)

    def learn(self, asked: Operation, chance: random.Random) -> None:
        """Take in what an operation has told."""
        for stand in asked.seen:
            if stand.person in self.gone:
                continue
            known = self.people.get(stand.person)
            if known is None:
                known = self.people[stand.person] = Known(stand.person, left=chance.randrange(*_LIFE))
            known.version = max(known.version, stand.version)
        known = self.people.get(asked.person)
        if known is None:
            return
        known.left -= 1
        known.doubts += asked.outcome == "unknown"
        if known.doubts > _DOUBTS:
            known.left = 0
        if asked.kind == "erase" and asked.outcome in ("done", "missing"):
            self.gone.append(asked.person)
            del self.people[asked.person]


class Client:
    """One client: decides by chance, one request after the other."""

    def __init__(self, api: Api, town: Town, servers: int, chance: random.Random, fresh: float) -> None:
        self._api = api
        self._fresh = fresh
        self._town = town
        self._servers = servers
        self._chance = chance

    async def act(self) -> None:
        """Do one thing, and another one if that belongs to it."""
        if len(self._town.people) + self._town.coming < _PLACES:
            await self._create()
            return
        if self._town.gone and self._chance.random() < 0.03:
            await self._do("read", person=self._chance.choice(self._town.gone), fresh=self._wants_fresh())
            return
        if not self._town.people:
            await self._list()
            return
        known = self._one_of(list(self._town.people.values()))
        if known.left <= 0:
            await self._do("erase", person=known.person)
            return
        acts = (self._read, self._list, self._change, self._move, self._erase)
        await self._chance.choices(acts, (64, 22, 9, 4, 0.4))[0](known)

    async def _create(self) -> None:
        mark, surname = str(next(self._town.marks)), self._one_of(SURNAMES)
        self._town.coming += 1
        try:
            asked = await self._do("create", surname=surname, mark=mark)
            while asked.outcome == "unknown" and self._chance.random() < 0.7:  # the same request once more
                asked = await self._do("create", surname=surname, mark=mark)
        finally:
            self._town.coming -= 1

    async def _read(self, known: Known) -> None:
        conditional = self._chance.random() < 0.2
        expected = known.version if conditional else None
        await self._do("read", person=known.person, expected=expected, fresh=self._wants_fresh())

    async def _list(self, _: Known | None = None) -> None:
        limit = self._chance.choice(_LIMITS)
        await self._do("list", surname=self._one_of(SURNAMES), limit=limit, fresh=self._wants_fresh())

    async def _change(self, known: Known) -> None:
        await self._do("patch", person=known.person, mark=self._mark(), expected=self._expected(known))

    async def _move(self, known: Known) -> None:
        kind = self._chance.choice(("replace", "patch"))
        surname = self._one_of(SURNAMES)
        await self._do(kind, person=known.person, mark=self._mark(), surname=surname, expected=self._expected(known))

    async def _erase(self, known: Known) -> None:
        await self._do("erase", person=known.person, expected=self._expected(known))

    async def _do(self, kind: object, **what: object) -> Operation:
        asked = await self._api.do(self._chance.randrange(self._servers), kind, **what)  # type: ignore[arg-type] # a Kind
        self._town.learn(asked, self._chance)
        if asked.outcome == "failed":
            await asyncio.sleep(_PAUSE)
        return asked

    def _wants_fresh(self) -> bool:
        return self._chance.random() < self._fresh

    def _one_of(self, things: Sequence[T]) -> T:
        return things[int(self._chance.random() ** 2 * len(things))]

    def _mark(self) -> str:
        return str(next(self._town.marks))

    def _expected(self, known: Known) -> int | None:
        return known.version if self._chance.random() < 0.7 else None


@dataclass
class Load:
    """What a run does: how many clients, until so many operations are done or so many seconds have passed."""

    clients: int = 12
    operations: int = 20_000
    seconds: float = 3_600.0
    fresh: float = 0.05  # share of the reads that ask the store itself
    progress: Callable[[int], None] = lambda _: None


async def drive(servers: list[Process], load: Load, seed: int) -> tuple[list[Operation], list[str]]:
    """Let the clients loose; return the history and every answer that the API does not promise."""
    history: list[Operation] = []
    town = Town()
    apis = [Api(number, servers, history) for number in range(load.clients)]
    end = monotonic() + load.seconds

    async def live(number: int) -> None:
        client = Client(apis[number], town, len(servers), random.Random(f"{seed}.{number}"), load.fresh)
        while len(history) < load.operations and monotonic() < end:
            await client.act()
            load.progress(len(history))

    try:
        async with asyncio.TaskGroup() as group:
            for number in range(load.clients):
                group.create_task(live(number))
    finally:
        for api in apis:
            api.close()
    return history, [unexpected for api in apis for unexpected in api.unexpected]
