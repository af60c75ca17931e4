"""Encryption of the DynamoDB store: table contents, deletion, lost keys and rotation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from peopleinfo.crypto.ciphertext_format import RECORD, RESPONSE, context
from peopleinfo.crypto.keyring import KeyCache, generation_of
from peopleinfo.crypto.master_key import Encryption, FileMasterKey, OldOrNewMasterKey, create_file
from peopleinfo.crypto.rotation import rotate
from peopleinfo.errors import (
    DecryptionFailed,
    IdempotentPersonDeleted,
    InvalidSearch,
    PersonNotFound,
    StoreConfigurationError,
    StoreDamaged,
)
from peopleinfo.people.idempotency import IdempotencyKey
from peopleinfo.stores.dynamodb import key_table, schema
from peopleinfo.stores.dynamodb.factory import open_dynamodb, open_table
from peopleinfo.stores.dynamodb.items import bytes_attr
from peopleinfo.stores.dynamodb.key_table import DynamoDBKeyStore
from peopleinfo.stores.dynamodb.search_items import is_word
from tests.store_kinds import (
    GENEROUS_TIMEOUT,
    Clock,
    all_items,
    encryption,
    find_all,
    make_table,
    person_data,
    person_filter,
    purge_all,
    raw_bytes,
    scan_all,
    table_location,
)

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from peopleinfo.settings.urls import DynamoDBUrl
    from peopleinfo.stores.dynamodb.client import Item
    from peopleinfo.stores.dynamodb.store import DynamoDBStore

CANARY = "Zxqkanarie"
ONCE = IdempotencyKey(bytes(32), bytes(32))


@pytest.fixture
async def location(tmp_path: Path) -> DynamoDBUrl:
    location = table_location("ministack", tmp_path)
    await make_table(location, encrypted=True)
    return location


@pytest.fixture
def config(tmp_path: Path) -> Encryption:
    return encryption(tmp_path, prefixes=False)


def open_encrypted(
    location: DynamoDBUrl, clock: Clock, config: Encryption | None
) -> AbstractAsyncContextManager[DynamoDBStore]:
    return open_dynamodb(location, now=clock.now, encryption=config)


async def restore_table(location: DynamoDBUrl, items: list[Item]) -> None:
    """Replace the contents of the table of people, as a restored backup does."""
    async with open_table(location) as table:
        for item in await all_items(location, location.table):
            await table.call("DeleteItem", {"Key": {"pk": item["pk"], "sk": item["sk"]}}, GENEROUS_TIMEOUT, writes=True)
        for start in range(0, len(items), 25):
            await table.put_many(items[start : start + 25])


async def test_no_plaintext_is_in_the_tables(location: DynamoDBUrl, clock: Clock, config: Encryption) -> None:
    async with open_encrypted(location, clock, config) as store:
        person = person_data(CANARY, f"{CANARY}name", "1990-02-11", **{f"{CANARY}member": f"{CANARY}value"})
        await store.create(person, idempotency_key=ONCE)
        await store.create_many([person, person])
        record = await store.create(person)
        await store.replace(record.person_id, person_data(f"{CANARY}z", CANARY), expected=1)
        assert len(await find_all(store, person_filter(surname=CANARY))) == 3
        secret = store.secret
    written = raw_bytes(
        await all_items(location, location.table) + await all_items(location, location.key_table)
    ).lower()
    assert b"surname_key" in written
    for text in (CANARY.encode(), b"1990-02-11", b"person_name", secret):
        assert text.lower() not in written


async def test_record_is_found_by_surname_and_scan_after_its_surname_changed(
    location: DynamoDBUrl, clock: Clock, config: Encryption
) -> None:
    async with open_encrypted(location, clock, config) as store:
        records = [await store.create(person_data("Common", f"N{number}")) for number in range(120)]
        moved = await store.replace(records[3].person_id, person_data("Rare"), expected=1)
        kept = [record.body for record in records if record.person_id != moved.person_id]
    async with open_encrypted(location, clock, config) as store:
        assert await find_all(store, person_filter(surname="common"), limit=110) == kept
        assert await find_all(store, person_filter(surname="rare")) == [moved.body]
        assert await find_all(store, person_filter(surname="common", name="n7")) == [records[7].body]
        assert sorted(await scan_all(store)) == sorted([*kept, moved.body])
        assert await store.get(moved.person_id) == moved


async def test_prefix_search_requires_prefix_index(
    tmp_path: Path, location: DynamoDBUrl, clock: Clock, config: Encryption
) -> None:
    async with open_encrypted(location, clock, config) as store:
        await store.create(person_data("Moller"))
        with pytest.raises(InvalidSearch, match=r"surname_prefix: is not supported: the surnames are encrypted"):
            await store.find(person_filter(surname_prefix="m"), after=None, limit=1)
    with pytest.raises(StoreConfigurationError, match=r"set \?index=exact"):
        async with open_encrypted(location, clock, config._replace(prefixes=True)):
            pass
    other = replace(location, table=f"{location.table}-2")
    await make_table(other, encrypted=True)
    async with open_encrypted(other, clock, config._replace(prefixes=True)) as store:
        record = await store.create(person_data("Moller", f"Name{CANARY}"))
        assert await find_all(store, person_filter(surname_prefix="mo")) == [record.body]
    written = raw_bytes(await all_items(other, other.table))
    assert b"moller" in written
    assert CANARY.encode() not in written


async def test_deleted_record_cannot_be_decrypted_in_restored_table(
    location: DynamoDBUrl, clock: Clock, config: Encryption
) -> None:
    async with open_encrypted(location, clock, config) as store:
        deleted = await store.create(person_data("Gone", "Anna"), idempotency_key=ONCE)
        moved = await store.create(person_data("Gone", "Bela"))
        moved = await store.replace(moved.person_id, person_data("Elsewhere", "Bela"), expected=1)
        kept = await store.create(person_data("Stays", "Cara"))
        backup = await all_items(location, location.table)
        await store.delete(deleted.person_id)
        await store.delete(moved.person_id)
    await restore_table(location, backup)
    async with open_encrypted(location, clock, config) as store:
        for person in (deleted, moved):
            with pytest.raises(PersonNotFound):
                await store.get(person.person_id)
            with pytest.raises(PersonNotFound):
                await store.replace(person.person_id, person_data("X"), expected=person.version, current=person)
            with pytest.raises(PersonNotFound):
                await store.delete(person.person_id)
        for surname in ("Gone", "Elsewhere"):
            assert await find_all(store, person_filter(surname=surname)) == []
        assert await scan_all(store) == [kept.body]
        assert await store.get(kept.person_id) == kept
        with pytest.raises(IdempotentPersonDeleted):
            await store.create(person_data("Gone", "Anna"), idempotency_key=ONCE)
        # An upsert restores the record, although the table still contains the old items.
        assert await store.upsert_many([deleted.body, moved.body]) == 2
        assert await store.get(deleted.person_id) == deleted
        assert await find_all(store, person_filter(surname="Elsewhere")) == [moved.body]


async def items_of_people(location: DynamoDBUrl) -> list[Item]:
    """Return the items that do not expire, without the vocabulary, whose hashes name no person."""
    items = await all_items(location, location.table)
    return [item for item in items if "expires_at" not in item and not is_word(item)]


async def test_purge_deletes_records_without_key_from_restored_table(
    location: DynamoDBUrl, clock: Clock, config: Encryption
) -> None:
    async with open_encrypted(location, clock, config) as store:
        kept = [await store.create(person_data("Stays", str(number))) for number in range(3)]
        kept[0] = await store.replace(kept[0].person_id, person_data("Elsewhere"), expected=1)
        stored = await items_of_people(location)
        deleted = [
            await store.create(person_data("Gone"), idempotency_key=ONCE),
            await store.create(person_data("Gone")),
        ]
        deleted[1] = await store.replace(deleted[1].person_id, person_data("Elsewhere"), expected=1)
        backup = await all_items(location, location.table)
        for person in deleted:
            await store.delete(person.person_id)
    await restore_table(location, backup)
    clock.advance(minutes=10)
    async with open_encrypted(location, clock, config) as store:
        assert await purge_all(store, remove=False) == (5, 2)
        assert await purge_all(store) == (5, 2)
        assert await purge_all(store) == (3, 0)
        assert sorted(await scan_all(store)) == sorted(person.body for person in kept)
        remaining = await items_of_people(location)
        assert sorted(map(str, remaining)) == sorted(map(str, stored))
        with pytest.raises(IdempotentPersonDeleted):
            await store.create(person_data("Gone"), idempotency_key=ONCE)
        assert await store.upsert_many([deleted[1].body]) == 1
        assert await store.get(deleted[1].person_id) == deleted[1]


async def test_no_remaining_key_decrypts_a_deleted_record(
    location: DynamoDBUrl, clock: Clock, config: Encryption
) -> None:
    async with open_encrypted(location, clock, config) as store:
        deleted = await store.create(person_data("Gone", "Anna"), idempotency_key=ONCE)
        for number in range(3):
            await store.create(person_data(f"Stays{number}"))
        backup = await all_items(location, location.table)
        await store.delete(deleted.person_id)
        owner = store._ids.decode(deleted.person_id)
    assert owner is not None
    remaining = {bytes_attr(item, "pk"): bytes_attr(item, "data_key") for item in await all_items(location, location.key_table)
            if "data_key" in item}  # fmt: skip
    assert owner not in remaining
    assert len(remaining) == 4  # three records and the secret
    async with open_table(location) as table:
        opened = await key_table.open_encryption(table.for_table(location.key_table), config)
    assert opened is not None
    bodies = [(RECORD, bytes_attr(item, "body")) for item in backup
              if "body" in item and bytes_attr(item, "pk") + bytes_attr(item, "sk") == owner]  # fmt: skip
    bodies += [(RESPONSE, bytes_attr(item, "answer")) for item in backup if "answer" in item]
    assert len(bodies) == 2
    keyring = opened[0].keys
    for kind, body in bodies:
        for other, wrapped in remaining.items():
            with pytest.raises(DecryptionFailed):
                keyring.key(other, wrapped).decrypt(body, context(kind, owner, 1))


async def test_record_is_decrypted_only_with_its_key_id_and_version(
    location: DynamoDBUrl, clock: Clock, config: Encryption
) -> None:
    async with open_encrypted(location, clock, config) as store:
        first, second = await store.create(person_data("First")), await store.create(person_data("Second"))
    items = {bytes_attr(item, "write_id"): item for item in await all_items(location, location.table) if "body" in item}
    one, two = items.values()
    one["body"], two["body"] = two["body"], one["body"]
    async with open_table(location) as table:
        await table.put_many([one, two])
    async with open_encrypted(location, clock, config) as store:
        for person in (first, second):
            with pytest.raises(StoreDamaged, match="cannot be decrypted with its key"):
                await store.get(person.person_id)
        third = await store.create(person_data("Third"))
        (former,) = [
            item for item in await all_items(location, location.table) if "body" in item and item not in (one, two)
        ]
        await store.replace(third.person_id, person_data("Third", "New"), expected=1)
        async with open_table(location) as table:
            await table.put_many([former | {"version": {"N": "2"}}])
        with pytest.raises(StoreDamaged, match="cannot be decrypted with its key"):
            await store.get(third.person_id)


async def test_restored_record_is_decrypted_where_its_old_key_was_cached(
    location: DynamoDBUrl, clock: Clock, config: Encryption
) -> None:
    async with open_encrypted(location, clock, config) as here, open_encrypted(location, clock, config) as there:
        record = await here.create(person_data("Doe"))
        assert await there.get(record.person_id) == record
        await here.delete(record.person_id)
        with pytest.raises(PersonNotFound):
            await there.get(record.person_id)
        await here.upsert_many([record.body])
        assert await there.get(record.person_id) == record
        assert await find_all(there, person_filter(surname="doe")) == [record.body]


# Opening a store


async def test_encrypted_and_unencrypted_records_are_not_mixed(
    location: DynamoDBUrl, clock: Clock, config: Encryption
) -> None:
    async with open_encrypted(location, clock, None) as store:
        await store.create(person_data("Doe"))
    with pytest.raises(StoreConfigurationError, match="are not encrypted: copy them"):
        async with open_encrypted(location, clock, config):
            pass
    other = replace(location, table=f"{location.table}-2")
    await make_table(other, encrypted=True)
    async with open_encrypted(other, clock, config) as store:
        record = await store.create(person_data("Doe"))
    with pytest.raises(StoreConfigurationError, match="are encrypted: set PEOPLEINFO_ENCRYPTION"):
        async with open_encrypted(other, clock, None):
            pass
    # A restored table has another name, but uses the existing key table.
    restored = replace(location, table=f"{location.table}-3", custom_key_table=other.key_table)
    await make_table(restored)
    await restore_table(restored, await all_items(other, other.table))
    async with open_encrypted(restored, clock, config) as store:
        assert await store.get(record.person_id) == record


async def test_missing_or_foreign_keys_are_rejected_and_not_replaced(
    location: DynamoDBUrl, clock: Clock, config: Encryption
) -> None:
    async with open_encrypted(location, clock, config):
        pass
    empty = replace(location, custom_key_table=f"{location.table}-empty")
    with pytest.raises(StoreConfigurationError, match=r"table .*-empty: the table does not exist"):
        async with open_encrypted(empty, clock, config):
            pass
    await make_table(empty, encrypted=True)
    with pytest.raises(StoreConfigurationError, match=r"-empty does not contain the keys .*: set \?keys="):
        async with open_encrypted(empty, clock, config):
            pass
    assert await all_items(empty, empty.key_table) == []
    other = replace(location, table=f"{location.table}-2", custom_key_table=empty.key_table)
    await make_table(other)
    async with open_encrypted(other, clock, config):
        pass
    with pytest.raises(StoreConfigurationError, match="do not belong to the records"):
        async with open_encrypted(empty, clock, config):
            pass


async def test_other_master_key_is_rejected(
    tmp_path: Path, location: DynamoDBUrl, clock: Clock, config: Encryption
) -> None:
    async with open_encrypted(location, clock, config):
        pass
    create_file(tmp_path / "another.key")
    with pytest.raises(StoreConfigurationError, match="encrypted with another master key"):
        async with open_encrypted(location, clock, Encryption(FileMasterKey(tmp_path / "another.key"))):
            pass


async def test_key_table_passes_check_and_must_not_have_backups(location: DynamoDBUrl) -> None:
    async with open_table(location) as table:
        keys = table.for_table(location.key_table)
        assert await schema.check(keys, schema.KEYS) == []
        recovery = {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}
        await keys.call("UpdateContinuousBackups", recovery, GENEROUS_TIMEOUT)
        (problem,) = await schema.check(keys, schema.KEYS)
        assert "would make an erased person readable" in problem
        assert "the key schema is" in "\n".join(await schema.check(keys, schema.PEOPLE))


# Rotation


async def test_keys_are_rotated_while_store_is_in_use(
    tmp_path: Path, location: DynamoDBUrl, clock: Clock, config: Encryption, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_file(tmp_path / "new.key")
    both = OldOrNewMasterKey(FileMasterKey(tmp_path / "new.key"), config.master)
    async with open_encrypted(location, clock, config._replace(master=both)) as store:
        records = await store.create_many([person_data(f"N{number}") for number in range(60)])
        async with open_table(location) as table:
            key_store = DynamoDBKeyStore(table.for_table(location.key_table))
            monkeypatch.setattr(key_table, "_SCAN_LIMIT", 25)
            progress: list[int] = []

            def interrupt(count: int) -> None:
                progress.append(count)
                if len(progress) == 1:
                    raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                await rotate(key_store, both, on_progress=interrupt)
            assert await key_store.is_rotating()
            # This process has not reread the generations: it still uses the older one, which must not be deleted.
            late = await store.create(person_data("Late"))
            assert await rotate(key_store, both, on_progress=progress.append) == 2
            assert not await key_store.is_rotating()
            assert set(await key_store.generations()) == {1, 2}
        for person_id in [*records, late.person_id]:
            await store.get(person_id)
    async with open_encrypted(location, clock, Encryption(FileMasterKey(tmp_path / "new.key"))) as store:
        assert len(await scan_all(store)) == 61
        added = await store.create(person_data("After"))
        owner = store._ids.decode(added.person_id)
    stored = {bytes_attr(item, "pk"): bytes_attr(item, "data_key") for item in await all_items(location, location.key_table)
            if "data_key" in item}  # fmt: skip
    assert {generation_of(wrapped) for wrapped in stored.values()} == {2}
    assert owner in stored


async def test_generation_is_deleted_a_day_after_its_last_use(
    location: DynamoDBUrl, clock: Clock, config: Encryption, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_encrypted(location, clock, config) as store:
        record = await store.create(person_data("Doe"))
        async with open_table(location) as table:
            key_store = DynamoDBKeyStore(table.for_table(location.key_table))
            assert await rotate(key_store, config.master, on_progress=lambda _: None) == 2
            monkeypatch.setattr(key_table, "_RETIREMENT_DELAY", -1)
            assert await rotate(key_store, config.master, on_progress=lambda _: None) == 3
            assert set(await key_store.generations()) == {3}
        assert await store.get(record.person_id) == record
    async with open_encrypted(location, clock, config) as store:
        assert await store.get(record.person_id) == record


async def test_process_uses_newest_generation_within_a_minute(
    location: DynamoDBUrl, clock: Clock, config: Encryption, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_table, "_REFRESH_INTERVAL", 0.0)
    async with open_encrypted(location, clock, config) as store:
        async with open_table(location) as table:
            assert (
                await rotate(
                    DynamoDBKeyStore(table.for_table(location.key_table)), config.master, on_progress=lambda _: None
                )
                == 2
            )
        await store.create(person_data("New"))
    stored = [
        bytes_attr(item, "data_key") for item in await all_items(location, location.key_table) if "data_key" in item
    ]
    assert {generation_of(wrapped) for wrapped in stored} == {2}


def test_key_is_cached_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("peopleinfo.crypto.keyring.monotonic", lambda: now)
    cache: KeyCache[str, str] = KeyCache()
    cache.expire()
    assert cache.put("name", "key") == cache["name"] == "key"
    now = 159.0
    cache.expire()
    assert "name" in cache
    now = 161.0
    cache.expire()
    assert "name" not in cache


def test_key_cache_does_not_exceed_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peopleinfo.crypto.keyring._MAX_CACHED_KEYS", 2)
    cache: KeyCache[int, str] = KeyCache()
    cache.expire()
    for number in range(10):
        cache.put(number, "key")
        assert len(cache) <= 2
        assert number in cache
