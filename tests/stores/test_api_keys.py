"""What every store promises of the API keys that it keeps."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from peopleinfo.auth.api_keys import InvalidKey, digest, issue, revoke, rotate
from peopleinfo.auth.authenticator import Gate
from peopleinfo.auth.principal import Scope
from peopleinfo.errors import NotAuthenticated
from tests.stores_under_test import Clock, everyone_scanned, named, open_store

if TYPE_CHECKING:
    from pathlib import Path

    from peopleinfo.auth.api_keys import ApiKey
    from peopleinfo.people.store import Store


async def make(
    store: Store, clock: Clock, name: str = "ci", scope: Scope = Scope.READ, days: int | None = 90
) -> tuple[str, ApiKey]:
    lifetime = None if days is None else timedelta(days=days)
    return await issue(store.api_keys, name=name, scopes=[scope], hidden=[], lifetime=lifetime, now=clock.now())


async def test_a_new_store_has_no_keys(store: Store) -> None:
    assert await store.api_keys.all() == []
    assert not await store.api_keys.has_any()
    assert await store.api_keys.find(bytes(32)) is None


async def test_a_key_is_found_by_its_digest_and_no_other(store: Store, clock: Clock) -> None:
    credential, key = await make(store, clock)
    assert await store.api_keys.find(digest(credential)) == key
    assert await store.api_keys.find(digest(credential + "x")) is None
    assert await store.api_keys.has_any()


async def test_all_keys_are_listed_oldest_first(store: Store, clock: Clock) -> None:
    made = []
    for number in range(5):
        made.append((await make(store, clock, f"key-{number}", days=None))[1])
        clock.advance(seconds=1)
    assert await store.api_keys.all() == made


async def test_a_key_outlives_the_store_that_it_was_made_through(
    store: Store, store_kind: str, tmp_path: Path, clock: Clock
) -> None:
    _, key = await make(store, clock)
    async with open_store(store_kind, tmp_path, clock) as another:
        assert await another.api_keys.all() == [key]
        await revoke(another.api_keys, "ci", now=clock.now())
    kept = await store.api_keys.find(key.digest)
    assert kept is not None
    assert kept.state(clock.now()) == "revoked"


async def test_keys_are_nobody(store: Store, clock: Clock) -> None:
    await make(store, clock)
    made = await store.create(named("Somebody"))
    assert await everyone_scanned(store) == [made.body]


async def test_two_valid_keys_do_not_share_a_name(store: Store, clock: Clock) -> None:
    await make(store, clock)
    with pytest.raises(InvalidKey, match="there is a valid key ci"):
        await make(store, clock)
    await revoke(store.api_keys, "ci", now=clock.now())
    await make(store, clock)


async def test_a_key_that_is_not_there_cannot_be_revoked(store: Store, clock: Clock) -> None:
    await make(store, clock)
    await revoke(store.api_keys, "ci", now=clock.now())
    for which in ("ci", "nobody"):
        with pytest.raises(InvalidKey, match="there is no valid key"):
            await revoke(store.api_keys, which, now=clock.now())


async def test_a_rotated_key_goes_on_for_the_overlap(store: Store, clock: Clock) -> None:
    first, old = await make(store, clock, scope=Scope.WRITE)
    clock.advance(days=30)
    second, new = await rotate(store.api_keys, "ci", overlap=timedelta(hours=1), now=clock.now())
    assert (new.name, new.scopes) == ("ci", frozenset({Scope.WRITE}))
    assert new.expires_at == clock.now() + timedelta(days=90)
    gate = Gate(store.api_keys, now=clock.now)
    assert (await gate.ask(first)).name == (await gate.ask(second)).name == "ci"
    clock.advance(hours=2)
    gate = Gate(store.api_keys, now=clock.now)
    with pytest.raises(NotAuthenticated):
        await gate.ask(first)
    assert (await gate.ask(second)).name == "ci"
    assert old.state(clock.now()) == "valid"  # as it was given out; what is kept of it has ended


async def test_which_of_two_keys_is_meant_has_to_be_said(store: Store, clock: Clock) -> None:
    _, old = await make(store, clock)
    await rotate(store.api_keys, "ci", overlap=timedelta(hours=1), now=clock.now())
    with pytest.raises(InvalidKey, match=old.key_id):
        await rotate(store.api_keys, "ci", overlap=timedelta(hours=1), now=clock.now())
    await revoke(store.api_keys, old.key_id, now=clock.now())
    await rotate(store.api_keys, "ci", overlap=timedelta(hours=1), now=clock.now())


async def test_many_who_ask_at_once_are_all_let_in(store: Store, clock: Clock) -> None:
    credential, _ = await make(store, clock)
    gate = Gate(store.api_keys, now=clock.now)
    assert {who.name for who in await asyncio.gather(*(gate.ask(credential) for _ in range(50)))} == {"ci"}
