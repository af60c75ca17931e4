"""Items of other programs in the table are ignored or reported as damage, and records are still found."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peopleinfo.errors import Unavailable
from peopleinfo.stores.dynamodb.factory import open_dynamodb, open_table
from peopleinfo.stores.dynamodb.items import binary
from tests.store_kinds import (
    Clock,
    find_all,
    make_table,
    person_data,
    person_filter,
    purge_all,
    scan_all,
    table_location,
)

if TYPE_CHECKING:
    from pathlib import Path

    from peopleinfo.settings.urls import DynamoDBUrl
    from peopleinfo.stores.dynamodb.store import DynamoDBStore

ATTRIBUTES = ("body", "version", "surname_key", "moved_to", "home", "once", "alias", "data_key", "answer", "extra")


def values() -> st.SearchStrategy[dict[str, Any]]:
    """Attribute values of any DynamoDB type."""
    return st.one_of(
        st.binary(min_size=1, max_size=20).map(binary),
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=9).map(lambda text: {"S": text}),
        st.integers(-5, 5).map(lambda number: {"N": str(number)}),
        st.just({"L": [{"S": "x"}]}),
        st.just({"M": {}}),
        st.just({"NULL": True}),
        st.just({"BOOL": False}),
    )


@pytest.fixture
def location(tmp_path: Path) -> DynamoDBUrl:
    location = table_location("ministack", tmp_path)
    asyncio.run(make_table(location))
    return location


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["foreign", "6 bytes", "of the surname"]),
            st.binary(min_size=1, max_size=12),
            st.dictionaries(st.sampled_from(ATTRIBUTES), values()),
        ),
        max_size=6,
    )
)
def test_records_are_found_or_damage_is_reported_with_any_foreign_items(
    location: DynamoDBUrl, clock: Clock, foreign: list[tuple[str, bytes, dict[str, Any]]]
) -> None:
    async def run() -> None:
        async with open_dynamodb(location, now=clock.now) as store, open_table(location) as table:
            created = await store.create(person_data("Foreign"))
            pks = {
                "foreign": b"another program",
                "6 bytes": b"sixsix",
                "of the surname": store._item_keys.partition("foreign", 0),
            }
            keys = []
            for partition, sk, attributes in foreign:
                key = {"pk": binary(pks[partition]), "sk": binary(sk)}
                await table.call("PutItem", {"Item": key | attributes}, 5)
                keys.append(key)
            assert await store.get(created.person_id) == created
            await _read_everything(store, created.body)
            for key in keys:
                await table.call("DeleteItem", {"Key": key}, 5)
            await store.delete(created.person_id)

    asyncio.run(run())


async def _read_everything(store: DynamoDBStore, body: bytes) -> None:
    with suppress(Unavailable):
        assert body in await find_all(store, person_filter(surname="foreign"))
    with suppress(Unavailable):
        assert await find_all(store, person_filter(surname="foreign", name="unknown")) == []
    with suppress(Unavailable):
        assert body in await find_all(store, person_filter(surname_prefix="for"))
    with suppress(Unavailable):
        assert body in await scan_all(store)
    with suppress(Unavailable):
        await purge_all(store)
    with suppress(Unavailable):
        await store.reindex(after=None, limit=100)


async def test_item_of_another_program_is_ignored(location: DynamoDBUrl, clock: Clock) -> None:
    async with open_dynamodb(location, now=clock.now) as store, open_table(location) as table:
        created = await store.create(person_data("Foreign"))
        body = msgspec.json.encode({"person_id": "x"})
        for attributes in ({"body": binary(body)}, {"body": {"S": "text"}}, {}):
            key = {"pk": binary(b"another program"), "sk": binary(b"x")}
            await table.call("PutItem", {"Item": key | attributes}, 5)
            assert await scan_all(store) == [created.body]
