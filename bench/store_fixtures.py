"""Fill stores with people for measurements, and issue API keys for them."""

import itertools
import secrets
from collections.abc import Iterable
from datetime import date
from typing import Any, NamedTuple

from peopleinfo import app
from peopleinfo.auth.api_keys import create_key
from peopleinfo.auth.principal import Scope
from peopleinfo.people.person import parse_person
from peopleinfo.settings import Settings
from peopleinfo.stores.registry import open_service_store

SAMPLE = 500  # ids to read
_TOGETHER = 50_000


class Filled(NamedTuple):
    """Some ids of a store, evenly spread, and an API key that may read and write."""

    ids: list[str]
    key: str


async def fill(settings: Settings, people: Iterable[dict[str, Any]], *, stored: int, sample: int = SAMPLE) -> Filled:
    """Store a number of people."""
    every = max(1, stored // sample)
    ids: list[str] = []
    async with open_service_store(settings, create=True) as service:
        coming = itertools.islice(people, stored)
        while batch := [parse_person(one, today=date.max) for one in itertools.islice(coming, _TOGETHER)]:
            ids += (await service.people.create_many(batch))[::every]
    return Filled(ids, await key(settings))


async def key(settings: Settings) -> str:
    """Issue an API key that may read and write."""
    async with open_service_store(settings, create=True) as service:
        keys, scopes = service.api_keys, [Scope.READ, Scope.WRITE]
        name = f"bench-{secrets.token_hex(4)}"
        shown, _ = await create_key(keys, name=name, scopes=scopes, lifetime=None, now=app.utc_now())
    return shown
