"""API keys in every kind of store."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from peopleinfo.auth.api_keys import create_key, hash_key, revoke, rotate
from peopleinfo.auth.authenticator import Authenticator
from peopleinfo.auth.principal import Scope
from peopleinfo.errors import ApiKeyError, NotAuthenticated
from tests.store_kinds import Clock, open_store, person_data, scan_all

if TYPE_CHECKING:
    from pathlib import Path

    from peopleinfo.auth.api_keys import ApiKey
    from peopleinfo.stores.service_store import OpenedStore


async def create(
    store: OpenedStore, clock: Clock, name: str = "ci", scope: Scope = Scope.READ, days: int | None = 90
) -> tuple[str, ApiKey]:
    lifetime = None if days is None else timedelta(days=days)
    return await create_key(
        store.api_keys, name=name, scopes=[scope], hidden_fields=[], lifetime=lifetime, now=clock.now()
    )


async def test_new_store_has_no_keys(store: OpenedStore) -> None:
    assert await store.api_keys.all() == []
    assert not await store.api_keys.any_exist()
    assert await store.api_keys.find(bytes(32)) is None


async def test_key_is_found_by_its_hash_only(store: OpenedStore, clock: Clock) -> None:
    credential, key = await create(store, clock)
    assert await store.api_keys.find(hash_key(credential)) == key
    assert await store.api_keys.find(hash_key(credential + "x")) is None
    assert await store.api_keys.any_exist()


async def test_keys_are_listed_oldest_first(store: OpenedStore, clock: Clock) -> None:
    created = []
    for number in range(5):
        created.append((await create(store, clock, f"key-{number}", days=None))[1])
        clock.advance(seconds=1)
    assert await store.api_keys.all() == created


async def test_key_is_visible_to_other_processes_and_after_reopening(
    store: OpenedStore, store_kind: str, tmp_path: Path, clock: Clock
) -> None:
    _, key = await create(store, clock)
    async with open_store(store_kind, tmp_path, clock) as another:
        assert await another.api_keys.all() == [key]
        await revoke(another.api_keys, "ci", now=clock.now())
    stored = await store.api_keys.find(key.key_hash)
    assert stored is not None
    assert stored.state(clock.now()) == "revoked"


async def test_keys_are_not_returned_as_people(store: OpenedStore, clock: Clock) -> None:
    await create(store, clock)
    created = await store.create(person_data("Doe"))
    assert await scan_all(store) == [created.body]


async def test_two_valid_keys_cannot_share_a_name(store: OpenedStore, clock: Clock) -> None:
    await create(store, clock)
    with pytest.raises(ApiKeyError, match="there is a valid key ci"):
        await create(store, clock)
    await revoke(store.api_keys, "ci", now=clock.now())
    await create(store, clock)


async def test_unknown_key_cannot_be_revoked(store: OpenedStore, clock: Clock) -> None:
    await create(store, clock)
    await revoke(store.api_keys, "ci", now=clock.now())
    for name in ("ci", "unknown"):
        with pytest.raises(ApiKeyError, match="there is no valid key"):
            await revoke(store.api_keys, name, now=clock.now())


async def test_rotated_key_stays_valid_for_the_overlap(store: OpenedStore, clock: Clock) -> None:
    first, old = await create(store, clock, scope=Scope.WRITE)
    clock.advance(days=30)
    second, new = await rotate(store.api_keys, "ci", overlap=timedelta(hours=1), now=clock.now())
    assert (new.name, new.scopes) == ("ci", frozenset({Scope.WRITE}))
    assert new.expires_at == clock.now() + timedelta(days=90)
    authenticator = Authenticator(store.api_keys, now=clock.now)
    assert (await authenticator.authenticate(first)).name == (await authenticator.authenticate(second)).name == "ci"
    clock.advance(hours=2)
    authenticator = Authenticator(store.api_keys, now=clock.now)
    with pytest.raises(NotAuthenticated):
        await authenticator.authenticate(first)
    assert (await authenticator.authenticate(second)).name == "ci"
    assert old.state(clock.now()) == "valid"  # the returned copy; the stored key has expired


async def test_ambiguous_key_name_is_rejected(store: OpenedStore, clock: Clock) -> None:
    _, old = await create(store, clock)
    await rotate(store.api_keys, "ci", overlap=timedelta(hours=1), now=clock.now())
    with pytest.raises(ApiKeyError, match=old.key_id):
        await rotate(store.api_keys, "ci", overlap=timedelta(hours=1), now=clock.now())
    await revoke(store.api_keys, old.key_id, now=clock.now())
    await rotate(store.api_keys, "ci", overlap=timedelta(hours=1), now=clock.now())


async def test_concurrent_requests_are_all_authenticated(store: OpenedStore, clock: Clock) -> None:
    credential, _ = await create(store, clock)
    authenticator = Authenticator(store.api_keys, now=clock.now)
    assert {who.name for who in await asyncio.gather(*(authenticator.authenticate(credential) for _ in range(50)))} == {
        "ci"
    }
