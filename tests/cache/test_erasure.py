"""Erasure beside other changes: no value of any version of the person remains in the shared cache or in the store."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest

from peopleinfo.errors import MergeNotFound, PersonNotFound, VersionConflict
from peopleinfo.matching.merge_service import MergeRequest, MergeService
from peopleinfo.stores.cached.entry_format import Entries
from peopleinfo.stores.cached.merges import CachedMerges
from peopleinfo.stores.cached.store import open_cached
from peopleinfo.stores.cached.trash import CachedTrash
from tests import valkey_servers
from tests.cache.test_encryption import dump
from tests.limits import HANG_TIMEOUT
from tests.store_kinds import open_store, person_data, person_filter
from tests.stores.test_trash import stored_bytes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from peopleinfo.stores.cached.store import CachedStore
    from tests.store_kinds import Clock

STORE_KINDS = ["sqlite", "ministack"]
ROUNDS = 6


@pytest.fixture
def valkey(monkeypatch: pytest.MonkeyPatch) -> Iterator[valkey_servers.Server]:
    """A server of readable entries."""
    monkeypatch.setattr(Entries, "encrypt", lambda _, __, ___, response: response)
    monkeypatch.setattr(Entries, "decrypt", lambda _, __, ___, stored: stored)
    with valkey_servers.running_server() as server:
        yield server


async def read(people: CachedStore, person_id: str, surnames: list[str]) -> None:
    """Read a person and its searches, which fills the cache."""
    for _ in range(3):
        await people.get_cached(person_id)
        for surname in surnames:
            await people.find_cached(person_filter(surname=surname), after=None, limit=10)


async def test_no_value_of_a_person_remains_after_an_erasure_beside_other_changes(
    store_kind: str, tmp_path: Path, clock: Clock, valkey: valkey_servers.Server
) -> None:
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(store_kind, tmp_path, clock))
        people = await stack.enter_async_context(
            open_cached(
                store,
                valkey.url,
                secret=store.secret,
                ttl=60,
                local_size=0,
                command_timeout=HANG_TIMEOUT,
                fence_ttl=0.02,
            )
        )
        trash, merges = CachedTrash(store.trash, people), CachedMerges(store.merges, people)
        merging = MergeService(merges, secret=store.secret, now=clock.now)
        surnames = [f"Canary{number}" for number in range(3)]
        for number in range(ROUNDS):
            first = await people.create(person_data("Canary0", "Canary", mail="canary0@example.org"))
            second = await people.create(person_data("Canary1", "Canary", more="canary1"))
            ids = (first.person_id, second.person_id)
            merged, _ = await merging.merge(MergeRequest(ids[0], ids[1:], dict.fromkeys(ids, 1), {}))
            assert merged.merge_id is not None
            async with asyncio.timeout(HANG_TIMEOUT):
                while (
                    b"canary" not in dump(valkey.client).lower()
                ):  # reads bypass the cache while the fence of a change exists
                    await read(people, ids[0], surnames)
            changes = (
                partial(people.replace, ids[0], person_data("Canary2", "Canary"), expected=2),
                partial(merging.undo, merged.merge_id, keep={}),
                partial(trash.add, ids[0], expires_at=clock.now() + timedelta(days=1)),
            )
            chosen: Callable[[], Awaitable[object]] = changes[number % len(changes)]
            results = await asyncio.gather(
                chosen(),
                people.delete(ids[number // len(changes) % 2]),
                read(people, ids[0], surnames),
                return_exceptions=True,
            )
            errors = [one for one in results if isinstance(one, BaseException)]
            assert all(isinstance(one, (PersonNotFound, VersionConflict, MergeNotFound)) for one in errors), errors
            for person_id in ids:  # the caller repeats an erasure that another change prevented, in the trash as well
                for erase in (people.delete, trash.erase):
                    with suppress(PersonNotFound):
                        await erase(person_id)
            await store.expire_history()
            assert b"canary" not in dump(valkey.client).lower()
            assert b"canary" not in (await stored_bytes(store_kind, tmp_path)).lower()
