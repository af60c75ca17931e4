"""A search by surname in a table finds records whose surname keys `reindex` has not updated yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import dynamodb_servers
from tests.store_kinds import ENCRYPTED_TABLE, find_all, person_data, person_filter

if TYPE_CHECKING:
    import pytest

    from peopleinfo.people.store import Store

STORE_KINDS = [*dynamodb_servers.KINDS, ENCRYPTED_TABLE]  # tests/stores/test_search.py has the test of SQLite


async def test_search_by_surname_finds_keys_of_both_fold_versions(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("peopleinfo.people.person.fold", str.lower)
        before = await store.create(person_data("Garcia Lopez"))
    now = await store.create(person_data("García-López"))
    assert await find_all(store, person_filter(surname="Garcia Lopez")) == [before.body, now.body]


async def test_search_by_prefix_finds_keys_of_both_fold_versions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("peopleinfo.people.person.fold", str.lower)
        before = await store.create(person_data("Garcia Lopez"))
    now = [(await store.create(person_data(surname))).body for surname in ("García-López", "Garcia-Luna")]
    for limit in (1, 2, 100):
        found = await find_all(store, person_filter(surname_prefix="Garcia L"), limit=limit)
        assert sorted(found) == sorted([before.body, *now])
