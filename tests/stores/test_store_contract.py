"""The contract of every store: reads, writes and searches of records."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from peopleinfo.errors import PersonNotFound
from peopleinfo.people import strict_json
from peopleinfo.people.person import PersonData, split_record
from tests.store_kinds import Clock, find_all, open_store, person_data, person_filter, purge_all, scan_all

if TYPE_CHECKING:
    from pathlib import Path

    from peopleinfo.stores.service_store import OpenedStore


async def test_new_record_is_read_unchanged(store: OpenedStore) -> None:
    created = await store.create(person_data("Curie", "Marie", "1867-11-07"))
    assert await store.get(created.person_id) == created


async def test_new_record_has_version_one_and_its_creation_time(store: OpenedStore, clock: Clock) -> None:
    created = await store.create(person_data("Curie"))
    assert json.loads(created.body) == {
        "person_id": created.person_id,
        "person_surname": "Curie",
        "version": 1,
        "created_at": "2126-03-01T12:00:00.000Z",
        "updated_at": "2126-03-01T12:00:00.000Z",
    }


async def test_all_fields_are_returned_unchanged(store: OpenedStore) -> None:
    details = PersonData(
        person_name="Sōseki",
        person_surname="Natsume",
        person_birthdate="1867-02-09",
        person_address="東京\n新宿区",
        extra={"balance": msgspec.Raw(b"1.2300000000000000000001e+400"), "tags": ["a", None, {"": True}], "": "empty"},
    )
    created = await store.create(details)
    stored, _ = split_record(await store.get(created.person_id))
    assert stored == details


async def test_large_record_is_returned_complete(store: OpenedStore) -> None:
    created = await store.create(person_data("Large", note="ü" * 30_000))
    assert await store.get(created.person_id) == created
    assert await find_all(store, person_filter(surname="large")) == [created.body]


async def test_records_with_equal_data_are_separate(store: OpenedStore) -> None:
    first = await store.create(person_data("Weasley", "Fred", "1978-04-01"))
    second = await store.create(person_data("Weasley", "Fred", "1978-04-01"))
    assert first.person_id != second.person_id
    assert await find_all(store, person_filter(surname="Weasley")) == [first.body, second.body]


@pytest.mark.parametrize("spelling", ["Müller", "MULLER", "muller", "Mu\u0308ller", " Mül-ler ", "Mul'ler"])
async def test_surname_is_found_in_any_spelling(store: OpenedStore, spelling: str) -> None:
    created = await store.create(person_data("Müller", "Hans"))
    await store.create(person_data("Möller", "Hans"))
    assert await find_all(store, person_filter(surname=spelling)) == [created.body]


async def test_exact_search_compares_the_spelling(store: OpenedStore) -> None:
    await store.create(person_data("Muller"))
    matching = await store.create(person_data("Müller"))
    await store.create(person_data("MÜLLER"))
    assert await find_all(store, person_filter(surname="Müller", match="exact")) == [matching.body]


async def test_person_with_a_single_name_is_found_by_it(store: OpenedStore) -> None:
    created = await store.create(person_data(None, "Suharto"))
    assert await find_all(store, person_filter(surname="suharto")) == [created.body]


async def test_records_of_a_surname_are_sorted_oldest_first(store: OpenedStore, clock: Clock) -> None:
    created = []
    for name in ("Zoe", "Ann", "Mia", "Bob"):
        created.append(await store.create(person_data("Same", name)))
        clock.advance(seconds=-1)  # the order of creation must not depend on the clock
    assert await find_all(store, person_filter(surname="same")) == [record.body for record in created]


@pytest.mark.needs("prefixes are fresh")
async def test_prefix_search_sorts_by_surname_key_then_oldest_first(store: OpenedStore) -> None:
    later = await store.create(person_data("Okoye"))
    second = await store.create(person_data("O'Hara", "Scarlett"))
    third = await store.create(person_data("Ohara", "John"))
    await store.create(person_data("Nkomo"))
    await store.create(person_data("Peters"))
    found = await find_all(store, person_filter(surname_prefix="O"))
    assert found == [second.body, third.body, later.body]


@pytest.mark.needs("prefixes are fresh")
async def test_prefix_search_matches_any_following_letter(store: OpenedStore) -> None:
    following = [
        "",
        "a",
        "z",
        "\u7b20",
        "\uffee",
        "\U0001f600",
        "\U00100000",
        "\U0010fffd",
        "\U0010ffff",
        "\U0010ffffa",
    ]
    created = {(await store.create(person_data(f"Li{letter}"))).body for letter in following}
    assert set(await find_all(store, person_filter(surname_prefix="li"))) == created


async def test_search_filters_by_name_and_birthdate(store: OpenedStore) -> None:
    matching = await store.create(person_data("Bach", "Johann", "1685-03-31"))
    await store.create(person_data("Bach", "Johann", "1640"))
    await store.create(person_data("Bach", "Anna", "1685-03-31"))
    await store.create(person_data("Bach", "Johann"))
    filtered = person_filter(surname="bach", name="JOHANN", born_from="1685", born_to="1685-03")
    assert await find_all(store, filtered) == [matching.body]


async def test_scan_filters_records_without_a_surname(store: OpenedStore) -> None:
    matching = {(await store.create(person_data(surname, "Ada"))).body for surname in ("Lovelace", "Yonath")}
    await store.create(person_data("Byron", "George"))
    assert set(await scan_all(store, person_filter(name="ada"))) == matching


async def test_empty_store_returns_no_records(store: OpenedStore) -> None:
    assert await find_all(store, person_filter(surname="Unknown")) == []
    assert await find_all(store, person_filter(surname_prefix="n")) == []
    assert await scan_all(store) == []


@pytest.mark.parametrize("forged", ["", "x", "a" * 32, "A" * 32, "a" * 31, "a" * 33, "g" * 32, "ſ" * 32, "٣" * 32])
async def test_forged_id_is_not_found(store: OpenedStore, forged: str) -> None:
    await store.create(person_data("Doe"))
    with pytest.raises(PersonNotFound):
        await store.get(forged)
    with pytest.raises(PersonNotFound):
        await store.replace(forged, person_data("Other"), expected=1)
    with pytest.raises(PersonNotFound):
        await store.delete(forged)


async def test_id_reveals_neither_order_nor_name(store: OpenedStore) -> None:
    ids = [(await store.create(person_data("Same"))).person_id for _ in range(20)]
    assert len({person_id[:8] for person_id in ids}) == 20
    assert ids != sorted(ids)


async def test_deleted_record_is_not_found(store: OpenedStore) -> None:
    deleted = await store.create(person_data("Gone", "Girl"))
    stored = await store.create(person_data("Gone", "Boy"))
    await store.delete(deleted.person_id)
    with pytest.raises(PersonNotFound):
        await store.get(deleted.person_id)
    with pytest.raises(PersonNotFound):
        await store.delete(deleted.person_id)
    assert await find_all(store, person_filter(surname="gone")) == [stored.body]
    assert await scan_all(store) == [stored.body]


async def test_id_of_deleted_record_is_not_reused(store: OpenedStore) -> None:
    ids = set()
    for _ in range(10):
        created = await store.create(person_data("Phoenix"))
        await store.delete(created.person_id)
        ids.add(created.person_id)
    assert len(ids) == 10


async def test_changed_surname_keeps_the_id(store: OpenedStore) -> None:
    created = await store.create(person_data("Sklodowska", "Marie"))
    married = await store.replace(created.person_id, person_data("Curie", "Marie"), expected=1)
    assert married.person_id == created.person_id
    assert await store.get(created.person_id) == married
    assert await find_all(store, person_filter(surname="Sklodowska")) == []
    assert await find_all(store, person_filter(surname="Curie")) == [married.body]


async def test_instances_see_acknowledged_writes_of_each_other(
    store_kind: str, store: OpenedStore, tmp_path: Path, clock: Clock
) -> None:
    async with open_store(store_kind, tmp_path, clock) as other:
        created = await store.create(person_data("Shared"))
        assert await other.get(created.person_id) == created
        changed = await other.replace(created.person_id, person_data("Common"), expected=1)
        assert await store.get(created.person_id) == changed
        assert await find_all(store, person_filter(surname="common")) == [changed.body]
        await store.delete(created.person_id)
        assert await find_all(other, person_filter(surname="common")) == []


async def test_purge_keeps_records_with_a_key(store: OpenedStore) -> None:
    created = [await store.create(person_data(f"N{number}")) for number in range(5)]
    assert (await purge_all(store))[1] == 0
    assert sorted(await scan_all(store)) == sorted(person.body for person in created)


async def test_acknowledged_writes_survive_reopening(store_kind: str, tmp_path: Path, clock: Clock) -> None:
    async with open_store(store_kind, tmp_path, clock) as store:
        created = await store.create(person_data("Lasting"))
        secret = store.secret
    async with open_store(store_kind, tmp_path, clock) as store:
        assert await store.get(created.person_id) == created
        assert store.secret == secret


async def test_each_store_has_its_own_secret_of_32_bytes(
    store_kind: str, store: OpenedStore, tmp_path: Path, clock: Clock
) -> None:
    (tmp_path / "other").mkdir()
    async with open_store(store_kind, tmp_path / "other", clock) as other:
        assert len(store.secret) == len(other.secret) == 32
        assert store.secret != other.secret


async def test_id_of_another_store_is_not_found(
    store_kind: str, store: OpenedStore, tmp_path: Path, clock: Clock
) -> None:
    await store.create(person_data("Here"))
    (tmp_path / "other").mkdir()
    async with open_store(store_kind, tmp_path / "other", clock) as other:
        elsewhere = await other.create(person_data("There"))
    with pytest.raises(PersonNotFound):
        await store.get(elsewhere.person_id)


async def test_working_store_passes_its_check(store: OpenedStore) -> None:
    await store.check()


async def test_stored_json_is_strict_json(store: OpenedStore) -> None:
    created = await store.create(person_data("Odd", extra={"n": msgspec.Raw(b"-0.0")}, text='\u2028\x7f"\\/<>&'))
    assert strict_json.encode(strict_json.parse(created.body)) == created.body
