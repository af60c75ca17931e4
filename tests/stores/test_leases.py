"""A lease lets one of all processes do a periodic job."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from peopleinfo.people.store import Lease
from tests.store_kinds import ALL_STORES

if TYPE_CHECKING:
    from peopleinfo.people.store import Store
    from tests.store_kinds import Clock

STORE_KINDS = ALL_STORES
MINUTE = timedelta(minutes=1)


async def test_lease_has_one_holder_until_it_expires(store: Store, clock: Clock) -> None:
    assert await store.acquire_lease(Lease("job", b"one", clock.now() + MINUTE), now=clock.now())
    assert not await store.acquire_lease(Lease("job", b"two", clock.now() + MINUTE), now=clock.now())
    clock.advance(seconds=60)
    assert await store.acquire_lease(Lease("job", b"two", clock.now() + MINUTE), now=clock.now())
    assert not await store.acquire_lease(Lease("job", b"one", clock.now() + MINUTE), now=clock.now())


async def test_holder_renews_its_lease(store: Store, clock: Clock) -> None:
    assert await store.acquire_lease(Lease("job", b"one", clock.now() + MINUTE), now=clock.now())
    assert await store.acquire_lease(Lease("job", b"one", clock.now() + 2 * MINUTE), now=clock.now())
    clock.advance(seconds=60)
    assert not await store.acquire_lease(Lease("job", b"two", clock.now() + MINUTE), now=clock.now())


async def test_leases_of_different_names_are_independent(store: Store, clock: Clock) -> None:
    for name in ("job", "other job"):
        assert await store.acquire_lease(Lease(name, name.encode(), clock.now() + MINUTE), now=clock.now())
