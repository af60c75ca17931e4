"""A creation with an idempotency key happens at most once in 24 hours."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from peopleinfo.errors import IdempotencyKeyConflict, IdempotentPersonDeleted
from peopleinfo.people.idempotency import IDEMPOTENCY_TTL, IdempotencyKey
from tests.store_kinds import ALL_STORES, Clock, find_all, open_store, person_data, person_filter, scan_all

if TYPE_CHECKING:
    from pathlib import Path

    from peopleinfo.people.store import Store

STORE_KINDS = ALL_STORES  # includes the encrypted table, which manages record keys itself

ONCE = IdempotencyKey(b"k" * 32, b"c" * 32)
OTHER_CONTENT = IdempotencyKey(ONCE.key, b"d" * 32)


async def test_repeated_creation_returns_first_response(store: Store, clock: Clock) -> None:
    first = await store.create(person_data("Solo"), idempotency_key=ONCE)
    clock.advance(hours=1)
    assert await store.create(person_data("Solo"), idempotency_key=ONCE) == first
    assert await find_all(store, person_filter(surname="solo")) == [first.body]


async def test_repeated_creation_returns_first_response_after_a_change(store: Store) -> None:
    first = await store.create(person_data("Solo"), idempotency_key=ONCE)
    changed = await store.replace(first.person_id, person_data("Duo"), expected=1)
    assert await store.create(person_data("Solo"), idempotency_key=ONCE) == first
    assert await scan_all(store) == [changed.body]


async def test_other_key_creates_another_person(store: Store) -> None:
    first = await store.create(person_data("Solo"), idempotency_key=ONCE)
    second = await store.create(person_data("Solo"), idempotency_key=IdempotencyKey(b"l" * 32, ONCE.content))
    assert first.person_id != second.person_id


async def test_same_key_with_other_content_is_rejected(store: Store) -> None:
    first = await store.create(person_data("Solo"), idempotency_key=ONCE)
    with pytest.raises(IdempotencyKeyConflict):
        await store.create(person_data("Other"), idempotency_key=OTHER_CONTENT)
    assert await scan_all(store) == [first.body]
    assert await store.create(person_data("Solo"), idempotency_key=ONCE) == first


async def test_repeated_creation_does_not_restore_a_deleted_person(store: Store) -> None:
    first = await store.create(person_data("Solo"), idempotency_key=ONCE)
    await store.delete(first.person_id)
    with pytest.raises(IdempotentPersonDeleted):
        await store.create(person_data("Solo"), idempotency_key=ONCE)
    with pytest.raises(IdempotencyKeyConflict):
        await store.create(person_data("Solo"), idempotency_key=OTHER_CONTENT)
    assert await scan_all(store) == []


async def test_key_is_valid_for_a_day(store: Store, clock: Clock) -> None:
    first = await store.create(person_data("Solo"), idempotency_key=ONCE)
    clock.advance(seconds=IDEMPOTENCY_TTL - 1)
    assert await store.create(person_data("Solo"), idempotency_key=ONCE) == first


@pytest.mark.parametrize("key", [ONCE, OTHER_CONTENT])
async def test_key_expires_after_a_day(store: Store, clock: Clock, key: IdempotencyKey) -> None:
    first = await store.create(person_data("Solo"), idempotency_key=ONCE)
    clock.advance(seconds=IDEMPOTENCY_TTL)
    second = await store.create(person_data("Solo"), idempotency_key=key)
    assert second.person_id != first.person_id
    assert await store.create(person_data("Solo"), idempotency_key=key) == second


async def test_repeated_creation_does_not_extend_the_day(store: Store, clock: Clock) -> None:
    first = await store.create(person_data("Solo"), idempotency_key=ONCE)
    clock.advance(hours=23)
    assert await store.create(person_data("Solo"), idempotency_key=ONCE) == first
    clock.advance(hours=1, seconds=1)
    assert (await store.create(person_data("Solo"), idempotency_key=ONCE)).person_id != first.person_id


async def test_key_of_a_deleted_person_expires_after_a_day(store: Store, clock: Clock) -> None:
    first = await store.create(person_data("Solo"), idempotency_key=ONCE)
    await store.delete(first.person_id)
    clock.advance(seconds=IDEMPOTENCY_TTL + 1)
    second = await store.create(person_data("Solo"), idempotency_key=ONCE)
    assert await scan_all(store) == [second.body]


async def test_concurrent_creations_with_one_key_create_one_person(
    store_kind: str, store: Store, tmp_path: Path, clock: Clock
) -> None:
    async with open_store(store_kind, tmp_path, clock) as other:
        racing = [side.create(person_data("Solo"), idempotency_key=ONCE) for side in (store, other) for _ in range(20)]
        responses = await asyncio.gather(*racing)
    assert len(set(responses)) == 1
    assert await find_all(store, person_filter(surname="solo")) == [responses[0].body]


async def test_key_survives_reopening(store_kind: str, tmp_path: Path, clock: Clock) -> None:
    async with open_store(store_kind, tmp_path, clock) as store:
        first = await store.create(person_data("Solo"), idempotency_key=ONCE)
    async with open_store(store_kind, tmp_path, clock) as store:
        assert await store.create(person_data("Solo"), idempotency_key=ONCE) == first
