"""The master key in KMS, with an emulator."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import botocore.session
import pytest

from peopleinfo.crypto.kms import KmsMasterKey
from peopleinfo.crypto.master_key import Encryption
from peopleinfo.crypto.rotation import rotate
from peopleinfo.errors import StoreConfigurationError
from peopleinfo.stores.sqlite import person_keys
from peopleinfo.stores.sqlite.encrypt_existing import SqliteKeyStore
from peopleinfo.stores.sqlite.factory import open_sqlite
from tests import dynamodb_servers
from tests.store_kinds import Clock, person_data

if TYPE_CHECKING:
    from pathlib import Path

REGION = "eu-west-1"


@pytest.fixture
def endpoint() -> str:
    return dynamodb_servers.endpoint("ministack")


@pytest.fixture
def key_id(endpoint: str) -> str:
    client = botocore.session.get_session().create_client("kms", region_name=REGION, endpoint_url=endpoint)
    return str(client.create_key()["KeyMetadata"]["KeyId"])


async def test_records_are_encrypted_with_kms_key_and_rotated(
    tmp_path: Path, clock: Clock, endpoint: str, key_id: str
) -> None:
    path = tmp_path / "people.db"
    encryption = Encryption(KmsMasterKey(key_id, region=REGION, endpoint=endpoint))
    async with open_sqlite(path, now=clock.now, encryption=encryption) as store:
        record = await store.create(person_data("Doe"))
        with closing(person_keys.open_key_db(path)) as db:
            assert await rotate(SqliteKeyStore(db), encryption.master, on_progress=lambda _: None) == 2
    reopened = Encryption(KmsMasterKey(key_id, region=REGION, endpoint=endpoint))
    async with open_sqlite(path, now=clock.now, encryption=reopened) as store:
        assert await store.get(record.person_id) == record


async def test_kms_is_not_called_for_each_record(tmp_path: Path, clock: Clock, endpoint: str, key_id: str) -> None:
    class Counting(KmsMasterKey):
        calls = 0

        def wrap(self, key: bytes, generation: int) -> bytes:
            self.calls += 1
            return super().wrap(key, generation)

        def unwrap(self, wrapped: bytes, generation: int) -> bytes:
            self.calls += 1
            return super().unwrap(wrapped, generation)

    master = Counting(key_id, region=REGION, endpoint=endpoint)
    async with open_sqlite(tmp_path / "people.db", now=clock.now, encryption=Encryption(master)) as store:
        before = master.calls
        for number in range(20):
            record = await store.create(person_data(f"N{number}"))
            assert await store.get(record.person_id) == record
        assert master.calls == before <= 3


def test_unknown_kms_key_is_rejected_with_reason(endpoint: str) -> None:
    master = KmsMasterKey("alias/unknown", region=REGION, endpoint=endpoint)
    with pytest.raises(
        StoreConfigurationError, match="KMS rejected the request for the key aws-kms://alias/unknown: NotFoundException"
    ):
        master.wrap(bytes(32), 1)


def test_unreachable_kms_is_reported_with_reason() -> None:
    master = KmsMasterKey("alias/x", region=REGION, endpoint="http://127.0.0.1:1")
    with pytest.raises(StoreConfigurationError, match="cannot call KMS for the key"):
        master.unwrap(bytes(32), 1)
