"""Erasure of the links of possible duplicates: every erasure of a person erases its links."""

from __future__ import annotations

import itertools
import secrets
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from peopleinfo.errors import PersonMerged, PersonNotFound
from peopleinfo.matching.duplicate_links import Link
from peopleinfo.matching.merge_service import MergeRequest, MergeService
from peopleinfo.stores.dynamodb.store import DynamoDBStore
from tests.search_cases import person
from tests.store_kinds import ENCRYPTED, ENCRYPTED_TABLE, purge_all

if TYPE_CHECKING:
    from pathlib import Path

    from peopleinfo.people.person import PersonData
    from peopleinfo.stores.service_store import OpenedStore
    from tests.store_kinds import Clock

STORE_KINDS = [ENCRYPTED, ENCRYPTED_TABLE]
ANNA = person("Anna", "Smith", born="1980-03-04")
SIMILAR = person("Ana", "Smyth", born="1980-04-03")


def link_between(first: str, second: str) -> Link:
    low, high = sorted((first, second))
    return Link(first=low, second=high, grade="certain", score=1.0, relatives=0.0, evidence=())


async def linked(store: OpenedStore, *people: PersonData) -> list[str]:
    """Store people with a link between each two; return their ids."""
    assert store.matches is not None
    ids = [(await store.create(data)).person_id for data in people]
    for first, second in itertools.combinations(ids, 2):
        assert await store.matches.links.put(link_between(first, second))
    return ids


async def linked_ids(store: OpenedStore, person_id: str) -> set[str]:
    assert store.matches is not None
    links = await store.matches.links.of_person(person_id)
    return {each for link in links for each in (link.first, link.second)} - {person_id}


async def test_erasure_from_the_trash_erases_the_links(store: OpenedStore, clock: Clock) -> None:
    first, second, third = await linked(store, ANNA, ANNA, ANNA)
    await store.trash.add(third, expires_at=clock.now() + timedelta(days=1))
    assert await linked_ids(store, third) == {first, second}
    await store.trash.erase(third)
    assert await linked_ids(store, third) == set()
    assert await linked_ids(store, first) == {second}


async def test_erasure_of_a_survivor_erases_the_links_of_merged_records(store: OpenedStore, clock: Clock) -> None:
    first, second, third = await linked(store, ANNA, ANNA, SIMILAR)
    merges = MergeService(store.merges, secret=store.secret, now=clock.now)
    await merges.merge(MergeRequest(first, (second,), {first: 1, second: 1}, {}))
    await store.delete(first)
    assert [await linked_ids(store, each) for each in (first, second, third)] == [set()] * 3


async def lose_key(store: OpenedStore, person_id: str, folder: Path) -> None:
    """Delete the key of the last person, as if a backup of the records had been restored after its erasure."""
    if isinstance(store, DynamoDBStore):
        home = store._home(person_id)
        await store._table.transact_write(*store._format.delete_key_writes(home), token=secrets.token_hex(16))
        store._format.evict_key(home)
        return
    (keys,) = folder.glob("keys-of-*.db")
    with closing(sqlite3.connect(keys)) as db, db:
        db.execute("DELETE FROM person_keys WHERE seq = (SELECT max(seq) FROM person_keys)")


@pytest.mark.parametrize("place", ["stored", "trash", "merged"])
async def test_purge_of_a_person_without_a_key_erases_its_links(
    store: OpenedStore, clock: Clock, tmp_path: Path, place: str
) -> None:
    first, second, third = await linked(store, ANNA, ANNA, ANNA)
    if place == "trash":
        await store.trash.add(third, expires_at=clock.now() + timedelta(days=1))
    if place == "merged":
        merges = MergeService(store.merges, secret=store.secret, now=clock.now)
        await merges.merge(MergeRequest(first, (third,), {first: 1, third: 1}, {}))
    await lose_key(store, third, tmp_path)
    assert (await purge_all(store, remove=False))[1] == 1
    await purge_all(store)
    assert (await purge_all(store))[1] == 0
    with pytest.raises(PersonNotFound) as error:
        await store.get(third)
    assert not isinstance(error.value, PersonMerged)
    assert await store.archive.read_histories([third]) == []
    assert await linked_ids(store, third) == set()
    assert await linked_ids(store, first) == {second}
