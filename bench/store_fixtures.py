"""Fills stores with people to be measured, and gives out the key of whoever reads them."""

import itertools
import secrets
from collections.abc import Iterable
from typing import Any, NamedTuple

from peopleinfo import app
from peopleinfo.auth.api_keys import create_key
from peopleinfo.auth.principal import Scope
from peopleinfo.people.person import parse_person
from peopleinfo.settings import Settings

SAMPLE = 500  # ids that are asked for
_TOGETHER = 50_000


class Filled(NamedTuple):
    """What to ask of a store: some of the ids, spread over all who are stored, and a key that may read and write."""

    ids: list[str]
    key: str


async def fill(settings: Settings, people: Iterable[dict[str, Any]], *, stored: int, sample: int = SAMPLE) -> Filled:
    """Store so many of the people."""
    every = max(1, stored // sample)
    ids: list[str] = []
    async with app.open_people(settings, create=True) as service:
        coming = itertools.islice(people, stored)
        while batch := [parse_person(one, today=service.today) for one in itertools.islice(coming, _TOGETHER)]:
            ids += (await service.store.create_many(batch))[::every]
    return Filled(ids, await key(settings))


async def key(settings: Settings) -> str:
    """Issue an API key that may read and write."""
    async with app.open_people(settings, create=True) as service:
        keys, scopes = service.store.api_keys, [Scope.READ, Scope.WRITE]
        name = f"bench-{secrets.token_hex(4)}"
        shown, _ = await create_key(keys, name=name, scopes=scopes, lifetime=None, now=app.utc_now())
    return shown
