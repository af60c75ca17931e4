"""Imports that update people by an identifier, on every store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from peopleinfo.bulk.importer import Importer, ImportTarget
from peopleinfo.bulk.upsert_options import DEFAULT_UPSERT, UpsertOptions
from peopleinfo.errors import InvalidSearch
from peopleinfo.matching.merge_service import MergeRequest, MergeService
from peopleinfo.people.index_entries import NO_INDEX, IndexPlan
from peopleinfo.people.person import decode_fields
from peopleinfo.stores.sqlite.factory import open_sqlite
from tests.search_cases import person
from tests.store_kinds import ENCRYPTED, ENCRYPTED_TABLE, open_store, scan_all
from tests.stores.test_repeated_import import object_rows, table_rows
from tests.stores.test_search import index_of, reindex_all

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from peopleinfo.bulk.rows import RowResult
    from peopleinfo.people.store import Store
    from peopleinfo.stores.service_store import OpenedStore
    from tests.store_kinds import Clock

STORE_KINDS = ["sqlite", ENCRYPTED, "ministack", ENCRYPTED_TABLE]
ANNA = {
    "person_name": "Anna",
    "person_surname": "Roth",
    "email": ["anna@example.org", "a.roth@example.org"],
    "note": "old",
}
BY_MAIL = UpsertOptions("email")


def importer(store: Any, clock: Clock, options: UpsertOptions = BY_MAIL, **more: Any) -> Importer:
    target = ImportTarget(store, store.secret, clock.now, people_index=index_of(cast("Store", store)))
    return Importer(target, options=options, principal="clerk", **more)


async def run(store: Store, clock: Clock, rows: Sequence[Any], options: UpsertOptions = BY_MAIL) -> list[RowResult]:
    return await importer(store, clock, options).import_rows(rows)


def statuses(results: Sequence[RowResult]) -> list[str]:
    return [result.status for result in results]


async def people(store: Store) -> dict[str, Any]:
    """Return the fields of the stored people by first name."""
    return {(fields := decode_fields(body))["person_name"]: fields for body in await scan_all(store)}


async def test_rows_update_the_people_with_the_same_mail_address(store: Store, clock: Clock) -> None:
    assert (
        statuses(await run(store, clock, object_rows([ANNA, {"person_name": "Ben", "email": "ben@example.org"}])))
        == ["stored"] * 2
    )
    rows: list[dict[str, Any]] = [
        {"email": "Anna Roth <ANNA@Example.org>", "person_address": "12 Elm Row"},  # the name is not needed
        {"email": "ben@example.org", "person_name": "Ben"},
        {"email": "cleo@example.org", "person_name": "Cleo"},
        {"email": "dan@example.org", "person_address": "without a name"},
        {"person_name": "Eva", "email": None},
    ]
    assert statuses(await run(store, clock, object_rows(rows))) == [
        "updated",
        "unchanged",
        "stored",
        "rejected",
        "stored",
    ]
    found = await people(store)
    assert found.keys() == {"Anna", "Ben", "Cleo", "Eva"}
    assert (found["Anna"]["person_address"], found["Anna"]["note"], found["Anna"]["email"]) == (
        "12 Elm Row",
        "old",
        ANNA["email"],
    )


async def test_phone_numbers_match_in_any_notation_and_replace_removes_other_fields(store: Store, clock: Clock) -> None:
    by_phone = UpsertOptions("phone", "replace")
    await store.create(person("Anna", "Roth", phone="+49 30 1234567", note="old"))
    rows = table_rows([{"person_name": "Anna", "phone": "030/1234567"}])
    assert statuses(await run(store, clock, rows, by_phone)) == ["updated"]
    found = await people(store)
    assert ("note" in found["Anna"], found["Anna"]["phone"]) == (False, "030/1234567")


async def test_ambiguous_rows_are_conflicts(store: Store, clock: Clock) -> None:
    await store.create_many([person("Anna", email="same@example.org"), person("Ben", email="same@example.org")])
    rows: list[dict[str, Any]] = [
        {"person_name": "X", "email": "same@example.org"},
        {"person_name": "Cleo", "email": "cleo@example.org"},
        {"person_name": "Cleo", "email": "Cleo@example.org", "note": "second"},
    ]
    results = await run(store, clock, object_rows(rows))
    assert statuses(results) == ["conflict", "stored", "conflict"]
    assert [result.errors[0].pointer for result in results if result.errors] == ["/email", "/email"]
    assert (await people(store)).keys() == {"Anna", "Ben", "Cleo"}


async def test_key_must_be_an_indexed_identifier(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "people.db"
    async with open_sqlite(path, now=clock.now, plan=NO_INDEX) as before:
        await before.create(person("Anna", email="anna@example.org"))
        with pytest.raises(InvalidSearch, match="person_id"):
            importer(before, clock)
    async with open_sqlite(path, now=clock.now) as store:
        with pytest.raises(InvalidSearch, match="email, phone"):
            importer(store, clock, UpsertOptions("person_name"))
        rows = object_rows([{"person_name": "Anna", "email": "anna@example.org", "note": "new"}])
        with pytest.raises(InvalidSearch, match="reindex"):
            await run(cast("Store", store), clock, rows)
        await reindex_all(cast("Store", store))
        assert statuses(await run(cast("Store", store), clock, rows)) == ["updated"]


async def test_rows_with_a_unique_identifier_of_another_person_are_rejected(
    store_kind: str, tmp_path: Path, clock: Clock
) -> None:
    plan = IndexPlan(identifiers=("email",), unique=frozenset(["email"]))
    async with open_store(store_kind, tmp_path, clock, plan=plan) as store:
        first = importer(store, clock, DEFAULT_UPSERT)
        assert statuses(await first.import_rows(object_rows([ANNA]))) == ["stored"]
        clock.advance(seconds=1)
        rows: list[dict[str, Any]] = [
            ANNA,
            {"person_name": "Anne", "email": "A.ROTH@example.org"},
            {"person_name": "Ben", "email": "ben@example.org"},
            {"person_name": "Bea", "email": ["bea@example.org", "BEN@example.org"]},
            {"person_name": "Bob", "email": "bea@example.org"},
            {"person_name": "Eva"},
        ]
        run = importer(store, clock, DEFAULT_UPSERT, import_id=b"i" * 32)
        results = await run.import_rows(object_rows(rows))
        assert statuses(results) == ["unchanged", "rejected", "stored", "rejected", "stored", "stored"]
        assert [f"{error.pointer} {error.reason}" for result in results for error in result.errors] == [
            "/email another person has the same email: correct the value, or update that person instead",
            "/email an earlier row has the same email: correct the value",
        ]
        later = importer(store, clock, DEFAULT_UPSERT, import_id=b"i" * 32)
        resumed = await later.import_rows(object_rows([*rows, {"person_name": "Bo", "email": "ben@example.org"}]))
        assert statuses(resumed)[-1] == "rejected"
        assert (await people(store)).keys() == {"Anna", "Ben", "Bob", "Eva"}


async def test_row_of_a_merged_person_is_a_conflict(store: OpenedStore, clock: Clock) -> None:
    anna, anne = [await store.create(person(name, "Roth")) for name in ("Anna", "Anne")]
    merges = MergeService(store.merges, secret=store.secret, now=clock.now)
    versions = {record.person_id: 1 for record in (anna, anne)}
    await merges.merge(MergeRequest(anna.person_id, (anne.person_id,), versions, {}))
    rows = object_rows([{"person_id": anne.person_id, "person_name": "Annette", "person_surname": "Roth"}])
    (result,) = await run(cast("Store", store), clock, rows, UpsertOptions("person_id"))
    assert (result.status, result.person_id) == ("conflict", anne.person_id)
    assert [error.pointer for error in result.errors] == ["/person_id"]
    assert anna.person_id in result.errors[0].reason
    assert (await people(cast("Store", store))).keys() == {"Anna"}
